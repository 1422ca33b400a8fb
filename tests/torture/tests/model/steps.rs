//! What can happen, one step at a time. Each step is what one command of Redis, or one transaction of
//! Postgres, does at once.

use stateright::{Model, Property};

use super::properties;
use super::state::{Entry, GONE, Id, Phase, Place, Poll, Shard, State, Store, Worker};

/// The protocol, within bounds, with all its guards or without one.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub shards: usize,
    /// By voter: how many ballots are cast. A voter's ballots are all in one shard.
    pub ballots: Vec<u8>,
    /// The most entries in a batch.
    pub batch: usize,
    pub crashes: u8,
    pub lost_answers: u8,
    /// Entries that are pushed into a sealed log by hand.
    pub by_hand: u8,
    /// Whether the poll is closed.
    pub closes: bool,
    /// Whether entries are trimmed.
    pub trims: bool,
    pub flush_before_acknowledging: bool,
    pub order_guard: bool,
    pub seal_is_one_step: bool,
    pub final_once_settled: bool,
    pub delivered_is_read_before_pending: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A voter casts the next ballot; whether the answer arrives.
    Cast {
        voter: usize,
        answered: bool,
    },
    /// Somebody pushes an entry past the vote service.
    PushByHand {
        shard: usize,
    },
    /// A worker is handed the next entry.
    Claim {
        worker: usize,
        shard: usize,
    },
    /// A worker takes over what another one has held for too long, be that one dead or slow.
    TakeOver {
        worker: usize,
        place: Place,
    },
    Flush {
        worker: usize,
        answered: bool,
    },
    /// One entry of the batch: others may be in other shards, and the worker may die in between.
    Acknowledge {
        worker: usize,
        place: Place,
        answered: bool,
    },
    /// It restarts at once, under a new name.
    Crash {
        worker: usize,
    },
    ReadForTrim {
        shard: usize,
    },
    Trim {
        shard: usize,
    },
    Close,
    ReadForSeal {
        shard: usize,
    },
    Seal {
        shard: usize,
    },
    MakeFinal,
}

impl Protocol {
    /// With all guards.
    pub fn new(shards: usize, ballots: &[u8]) -> Self {
        Self {
            shards,
            ballots: ballots.to_vec(),
            batch: 2,
            crashes: 1,
            lost_answers: 1,
            by_hand: 0,
            closes: false,
            trims: false,
            flush_before_acknowledging: true,
            order_guard: true,
            seal_is_one_step: true,
            final_once_settled: true,
            delivered_is_read_before_pending: true,
        }
    }

    fn shard_of(&self, voter: usize) -> usize {
        voter % self.shards
    }

    fn worker_steps(&self, state: &State, number: usize, steps: &mut Vec<Step>) {
        let worker = &state.workers[number];
        if worker.phase == Phase::Gathering && worker.batch.len() < self.batch {
            for (shard, log) in state.shards.iter().enumerate() {
                if log.delivered < log.last() {
                    steps.push(Step::Claim {
                        worker: number,
                        shard,
                    });
                }
                for (id, owner) in &log.pending {
                    if *owner != number {
                        let place = (shard, *id);
                        steps.push(Step::TakeOver {
                            worker: number,
                            place,
                        });
                    }
                }
            }
        }
        if worker.batch.is_empty() {
            return;
        }
        let answers = |of: &mut dyn FnMut(bool)| {
            of(true);
            if state.lost_answers > 0 {
                of(false);
            }
        };
        let (flushes, acknowledges) = if self.flush_before_acknowledging {
            (
                worker.phase == Phase::Gathering,
                worker.phase == Phase::Flushed,
            )
        } else {
            (
                worker.phase == Phase::Acknowledged,
                worker.phase == Phase::Gathering,
            )
        };
        if flushes {
            answers(&mut |answered| {
                steps.push(Step::Flush {
                    worker: number,
                    answered,
                })
            });
        }
        if acknowledges {
            // One after another.
            if let Some(place) = worker.batch.keys().next() {
                answers(&mut |answered| {
                    let place = *place;
                    steps.push(Step::Acknowledge {
                        worker: number,
                        place,
                        answered,
                    });
                });
            }
        }
        if state.crashes > 0 {
            steps.push(Step::Crash { worker: number });
        }
    }

    fn closing_steps(&self, state: &State, steps: &mut Vec<Step>) {
        match state.store.poll {
            Poll::Open => steps.push(Step::Close),
            Poll::Closing => {
                for (shard, log) in state.shards.iter().enumerate() {
                    if log.sealed.is_some() {
                        continue;
                    }
                    if self.seal_is_one_step || log.about_to_seal.is_some() {
                        steps.push(Step::Seal { shard });
                    } else {
                        steps.push(Step::ReadForSeal { shard });
                    }
                }
                let done = |shard: &Shard| {
                    let settled = shard.settled(shard.delivered);
                    shard
                        .sealed
                        .is_some_and(|seal| !self.final_once_settled || settled > seal)
                };
                if state.shards.iter().all(done) {
                    steps.push(Step::MakeFinal);
                }
            }
            Poll::Final => {}
        }
    }
}

fn append(log: &mut Shard, entry: Entry) {
    log.entries.push(entry);
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        // The last voter is whoever pushes by hand.
        let voters = self.ballots.len() + 1;
        vec![State {
            shards: vec![Shard::default(); self.shards],
            store: Store {
                poll: Poll::Open,
                rows: vec![None; voters],
                tally: [0; 2],
                final_tally: None,
                applied: Default::default(),
                dead_letters: Default::default(),
                counted: 0,
                superseded: 0,
            },
            workers: [Worker::default(), Worker::default()],
            to_cast: self.ballots.clone(),
            crashes: self.crashes,
            lost_answers: self.lost_answers,
            by_hand: self.by_hand,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (voter, left) in state.to_cast.iter().enumerate() {
            if *left > 0 {
                steps.push(Step::Cast {
                    voter,
                    answered: true,
                });
                if state.lost_answers > 0 {
                    steps.push(Step::Cast {
                        voter,
                        answered: false,
                    });
                }
            }
        }
        for number in 0..state.workers.len() {
            self.worker_steps(state, number, steps);
        }
        for (shard, log) in state.shards.iter().enumerate() {
            if state.by_hand > 0 && log.sealed.is_some() {
                steps.push(Step::PushByHand { shard });
            }
            if self.trims && log.about_to_trim.is_some() {
                steps.push(Step::Trim { shard });
            } else if self.trims && log.settled(log.delivered) > 1 {
                steps.push(Step::ReadForTrim { shard });
            }
        }
        if self.closes {
            self.closing_steps(state, steps);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Cast { voter, answered } => {
                state.to_cast[voter] -= 1;
                state.lost_answers -= u8::from(!answered);
                let option = usize::from(state.to_cast[voter] % 2);
                let log = &mut state.shards[self.shard_of(voter)];
                // From then on it is refused; it need not be cast again.
                if log.sealed.is_none() {
                    append(
                        log,
                        Entry {
                            voter,
                            option,
                            acknowledged: answered,
                        },
                    );
                }
            }
            Step::PushByHand { shard } => {
                state.by_hand -= 1;
                let voter = self.ballots.len();
                append(
                    &mut state.shards[shard],
                    Entry {
                        voter,
                        option: 0,
                        acknowledged: false,
                    },
                );
            }
            Step::Claim { worker, shard } => {
                let log = &mut state.shards[shard];
                log.delivered += 1;
                log.pending.insert(log.delivered, worker);
                // What was trimmed too early is passed over, and nobody ever sees it again.
                let place = (shard, log.delivered);
                if let Some(entry) = log.get(log.delivered) {
                    state.workers[worker].batch.insert(place, entry.clone());
                }
            }
            Step::TakeOver { worker, place } => {
                let log = &mut state.shards[place.0];
                log.pending.insert(place.1, worker);
                if let Some(entry) = log.get(place.1) {
                    state.workers[worker].batch.insert(place, entry.clone());
                } else {
                    log.pending.remove(&place.1);
                }
            }
            Step::Flush { worker, answered } => {
                let batch = state.workers[worker].batch.clone();
                let beyond = |(shard, id): &Place| {
                    state.shards[*shard].sealed.is_some_and(|seal| *id > seal)
                };
                let beyond = batch.keys().copied().filter(beyond).collect();
                state.store.flush(&batch, &beyond, self.order_guard);
                state.lost_answers -= u8::from(!answered);
                if answered {
                    let worker = &mut state.workers[worker];
                    if self.flush_before_acknowledging {
                        worker.phase = Phase::Flushed;
                    } else {
                        *worker = Worker::default();
                    }
                }
            }
            Step::Acknowledge {
                worker,
                place,
                answered,
            } => {
                state.shards[place.0].pending.remove(&place.1);
                state.lost_answers -= u8::from(!answered);
                let worker = &mut state.workers[worker];
                if !self.flush_before_acknowledging {
                    // All of them, to keep this small.
                    for (shard, id) in worker.batch.keys() {
                        state.shards[*shard].pending.remove(id);
                    }
                    worker.phase = Phase::Acknowledged;
                } else if answered {
                    worker.batch.remove(&place);
                    if worker.batch.is_empty() {
                        *worker = Worker::default();
                    }
                }
            }
            Step::Crash { worker } => {
                state.crashes -= 1;
                state.workers[worker] = Worker::default();
                for log in &mut state.shards {
                    for owner in log.pending.values_mut() {
                        if *owner == worker {
                            *owner = GONE;
                        }
                    }
                }
            }
            Step::ReadForTrim { shard } => {
                let log = &mut state.shards[shard];
                log.about_to_trim = Some(if self.delivered_is_read_before_pending {
                    log.delivered
                } else {
                    log.pending.keys().next().copied().unwrap_or(Id::MAX)
                });
            }
            Step::Trim { shard } => {
                let log = &mut state.shards[shard];
                let read = log.about_to_trim.take()?;
                let below = if self.delivered_is_read_before_pending {
                    log.settled(read)
                } else {
                    read.min(log.delivered + 1)
                };
                log.first = log.first.max(below);
            }
            Step::Close => state.store.poll = Poll::Closing,
            Step::ReadForSeal { shard } => {
                let log = &mut state.shards[shard];
                log.about_to_seal = Some(log.last());
            }
            Step::Seal { shard } => {
                let log = &mut state.shards[shard];
                log.sealed = Some(log.about_to_seal.take().unwrap_or(log.last()));
            }
            Step::MakeFinal => {
                state.store.poll = Poll::Final;
                state.store.final_tally = Some(state.store.tally);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
