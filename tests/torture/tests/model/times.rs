//! A model of the moments at which a poll closes: how a change of them reaches the shards of the log, each of which has
//! a clock of its own, while ballots are taken, two processes coordinate, and calls fail or are carried out without an
//! answer.
//!
//! A vote service is not part of it: it sends what it is given, and the shard decides. So each ballot here may come from
//! one that has heard of nothing.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// A shard's clock, and the moments that are compared with it.
type Tick = u8;

/// How long before a moment it cannot change any more.
const MARGIN: Tick = 1;

/// What a shard has, and what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    /// Grows with each change.
    times: u8,
    closes: Tick,
}

impl Window {
    /// As `PollWindow::replaces`, of a poll without an opening.
    fn replaces(self, held: Self, clock: Tick) -> bool {
        if self.times <= held.times {
            return self.times == held.times;
        }
        let early = clock + MARGIN;
        self.closes == held.closes || (early <= self.closes && early <= held.closes)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shard {
    clock: Tick,
    held: Window,
    is_sealed: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    at: Tick,
    acknowledged: bool,
    /// Whether it counts, once the store has it.
    counts: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pending {
    window: Window,
    /// The closing that was given up, which shards may still have.
    withdrawn: Option<Tick>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phase {
    Open,
    Closing,
    Final,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Store {
    phase: Phase,
    holds: Window,
    pending: Option<Pending>,
}

impl Store {
    /// Whether a ballot of this moment is taken for one that came in time.
    fn is_in_time(&self, at: Tick) -> bool {
        let pending = self.pending.iter();
        let others = pending.flat_map(|pending| [Some(pending.window.closes), pending.withdrawn]);
        at < self.holds.closes || others.flatten().any(|closes| at < closes)
    }

    /// What every shard is to have.
    fn wanted(&self) -> Window {
        self.pending.map_or(self.holds, |pending| pending.window)
    }

    /// As `ChangeTo::Settled`.
    fn settle(&mut self, times: u8, is_confirmed: bool, keeps_withdrawn: bool) {
        let Some(pending) = self.pending.filter(|is| is.window.times == times) else {
            return;
        };
        if is_confirmed {
            (self.holds, self.pending) = (pending.window, None);
        } else if !keeps_withdrawn {
            (self.holds.times, self.pending) = (times + 1, None);
        } else if pending.withdrawn.is_none() {
            self.pending = Some(Pending {
                window: Window {
                    times: times + 1,
                    closes: self.holds.closes,
                },
                withdrawn: Some(pending.window.closes),
            });
        }
    }
}

/// What a coordinating process is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Process {
    #[default]
    Idle,
    /// It has read what every shard is to have, and gives it to one shard after the other.
    Gives {
        window: Window,
        is_change: bool,
        next: usize,
        /// All so far have it.
        all_have: bool,
        /// The closing of all so far has passed.
        all_over: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    shards: Vec<Shard>,
    store: Store,
    processes: [Process; 2],
    ballots: u8,
    changes: u8,
    faults: u8,
}

/// The protocol, with all its guards or without one.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    shards: usize,
    closes: Tick,
    /// The closings to which it may be moved.
    moves: [Tick; 2],
    changes: u8,
    ballots: u8,
    faults: u8,
    /// The last tick of a clock.
    end: Tick,
    /// The id of an entry is given in the step that compares it with the window.
    compares_its_id: bool,
    /// The shard decides, and not a vote service that once read when the poll closes.
    shard_decides: bool,
    /// A shard keeps its times when they are close.
    has_margin: bool,
    /// A change is confirmed only by all shards.
    all_confirm: bool,
    /// While shards may still have a closing that was given up, their ballots count.
    keeps_withdrawn: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Tick {
        shard: usize,
    },
    /// A ballot; whether the answer arrives.
    Cast {
        shard: usize,
        answered: bool,
    },
    /// The host moves the closing.
    Change {
        closes: Tick,
    },
    /// A process reads what the shards are to have.
    Read {
        process: usize,
    },
    /// It gives it to the next shard.
    Give {
        process: usize,
    },
    /// The call fails, whether it was carried out or not.
    Fail {
        process: usize,
        done: bool,
    },
    /// It ends what it is about.
    End {
        process: usize,
    },
    Crash {
        process: usize,
    },
    Seal {
        shard: usize,
    },
    /// A worker writes an entry to the store.
    Flush {
        shard: usize,
        entry: usize,
    },
    MakeFinal,
}

const NOT_REJECTED: &str = "no acknowledged ballot is rejected";
const IN_TIME: &str = "no ballot counts that came at or after the closing that holds";
const FINAL: &str = "a final poll has every acknowledged ballot";
const ENDS: &str = "it can become final after a change";

impl Schedule {
    fn with_guards() -> Self {
        Self {
            shards: 2,
            closes: 2,
            moves: [3, 1],
            changes: 1,
            ballots: 2,
            faults: 1,
            end: 3,
            compares_its_id: true,
            shard_decides: true,
            has_margin: true,
            all_confirm: true,
            keeps_withdrawn: true,
        }
    }

    /// Gives a shard the window; what it has then.
    fn give(&self, shard: &mut Shard, window: Window) -> Window {
        let newer = window.times > shard.held.times && !self.has_margin;
        if newer || window.replaces(shard.held, shard.clock) {
            shard.held = window;
        }
        shard.held
    }
}

impl Model for Schedule {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let holds = Window {
            times: 1,
            closes: self.closes,
        };
        let shard = Shard {
            clock: 0,
            held: holds,
            is_sealed: false,
            entries: Vec::new(),
        };
        vec![State {
            shards: vec![shard; self.shards],
            store: Store {
                phase: Phase::Open,
                holds,
                pending: None,
            },
            processes: Default::default(),
            ballots: self.ballots,
            changes: self.changes,
            faults: self.faults,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let with_fault = |can: &mut dyn FnMut(bool)| {
            can(true);
            if state.faults > 0 {
                can(false);
            }
        };
        for (index, shard) in state.shards.iter().enumerate() {
            if shard.clock < self.end {
                steps.push(Step::Tick { shard: index });
            }
            if state.ballots > 0 {
                with_fault(&mut |answered| {
                    steps.push(Step::Cast {
                        shard: index,
                        answered,
                    });
                });
            }
            for (entry, stored) in shard.entries.iter().enumerate() {
                if stored.counts.is_none() {
                    steps.push(Step::Flush {
                        shard: index,
                        entry,
                    });
                }
            }
            if state.store.phase == Phase::Closing && !shard.is_sealed {
                steps.push(Step::Seal { shard: index });
            }
        }
        if state.changes > 0 && state.store.phase == Phase::Open && state.store.pending.is_none() {
            for closes in self.moves {
                steps.push(Step::Change { closes });
            }
        }
        for (process, does) in state.processes.iter().enumerate() {
            match does {
                Process::Idle if state.store.phase == Phase::Open => {
                    steps.push(Step::Read { process });
                }
                Process::Idle => {}
                Process::Gives { next, .. } if *next < self.shards => {
                    steps.push(Step::Give { process });
                    if state.faults > 0 {
                        for done in [false, true] {
                            steps.push(Step::Fail { process, done });
                        }
                        steps.push(Step::Crash { process });
                    }
                }
                Process::Gives { .. } => steps.push(Step::End { process }),
            }
        }
        let is_done = |shard: &Shard| {
            shard.is_sealed && shard.entries.iter().all(|entry| entry.counts.is_some())
        };
        if state.store.phase == Phase::Closing && state.shards.iter().all(is_done) {
            steps.push(Step::MakeFinal);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Tick { shard } => state.shards[shard].clock += 1,
            Step::Cast { shard, answered } => {
                state.ballots -= 1;
                state.faults -= u8::from(!answered);
                let shard = &mut state.shards[shard];
                let closes = if self.shard_decides {
                    shard.held.closes
                } else {
                    self.closes
                };
                // The ballot waits between a look at the clock and the moment of its id.
                let late = Tick::from(!self.compares_its_id && shard.clock < self.end);
                if shard.is_sealed || shard.clock >= closes {
                    return None;
                }
                shard.clock += late;
                shard.entries.push(Entry {
                    at: shard.clock,
                    acknowledged: answered,
                    counts: None,
                });
            }
            Step::Change { closes } => {
                state.changes -= 1;
                state.store.pending = Some(Pending {
                    window: Window {
                        times: state.store.holds.times + 1,
                        closes,
                    },
                    withdrawn: None,
                });
            }
            Step::Read { process } => {
                state.processes[process] = Process::Gives {
                    window: state.store.wanted(),
                    is_change: state.store.pending.is_some(),
                    next: 0,
                    all_have: true,
                    all_over: true,
                };
            }
            Step::Give { process } => {
                let Process::Gives {
                    window,
                    next,
                    all_have,
                    all_over,
                    ..
                } = &mut state.processes[process]
                else {
                    return None;
                };
                let shard = &mut state.shards[*next];
                let held = self.give(shard, *window);
                *next += 1;
                *all_have &= held == *window || !self.all_confirm;
                *all_over &= held.closes <= shard.clock;
            }
            Step::Fail { process, done } => {
                state.faults -= 1;
                let Process::Gives {
                    window,
                    next,
                    all_have,
                    all_over,
                    ..
                } = &mut state.processes[process]
                else {
                    return None;
                };
                if done {
                    self.give(&mut state.shards[*next], *window);
                }
                (*next, *all_have, *all_over) = (self.shards, false, false);
            }
            Step::End { process } => {
                let Process::Gives {
                    window,
                    is_change,
                    all_have,
                    all_over,
                    ..
                } = std::mem::take(&mut state.processes[process])
                else {
                    return None;
                };
                let store = &mut state.store;
                if is_change {
                    store.settle(window.times, all_have, self.keeps_withdrawn);
                }
                if all_over && store.phase == Phase::Open {
                    store.phase = Phase::Closing;
                }
            }
            Step::Crash { process } => {
                state.faults -= 1;
                state.processes[process] = Process::Idle;
            }
            Step::Seal { shard } => state.shards[shard].is_sealed = true,
            Step::Flush { shard, entry } => {
                let entry = &mut state.shards[shard].entries[entry];
                entry.counts = Some(state.store.is_in_time(entry.at));
            }
            Step::MakeFinal => state.store.phase = Phase::Final,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_REJECTED, |_, state: &State| {
                state
                    .entries()
                    .all(|entry| !entry.acknowledged || entry.counts != Some(false))
            }),
            Property::always(IN_TIME, |_, state: &State| {
                let store = &state.store;
                let closes = store.holds.closes;
                store.pending.is_some()
                    || state
                        .entries()
                        .all(|entry| entry.at < closes || entry.counts != Some(true))
            }),
            Property::always(FINAL, |_, state: &State| {
                let mut acknowledged = state.entries().filter(|entry| entry.acknowledged);
                state.store.phase != Phase::Final
                    || acknowledged.all(|entry| entry.counts == Some(true))
            }),
            Property::sometimes(ENDS, |model, state: &State| {
                state.store.phase == Phase::Final
                    && state.store.holds.closes != model.closes
                    && state.entries().count() > 1
            }),
        ]
    }
}

impl State {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| &shard.entries)
    }
}

/// Some state must break this property.
fn breaks(schedule: Schedule, property: &'static str) {
    let checker = schedule.checker().threads(2);
    let enough = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = checker.finish_when(enough).spawn_bfs().join();
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("nothing breaks it: {property}"));
    eprintln!("broken by {:#?}", path.into_actions());
}

#[test]
fn a_closing_is_exact_and_moves_without_losing_a_ballot() {
    let checker = Schedule::with_guards()
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    eprintln!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn a_moment_that_is_not_the_ids_lets_late_ballots_in() {
    let schedule = Schedule {
        compares_its_id: false,
        ..Schedule::with_guards()
    };
    breaks(schedule, NOT_REJECTED);
}

#[test]
fn a_vote_service_that_decides_by_what_it_once_read_lets_late_ballots_in() {
    let schedule = Schedule {
        shard_decides: false,
        ..Schedule::with_guards()
    };
    breaks(schedule, NOT_REJECTED);
}

#[test]
fn times_that_change_without_a_margin_reject_acknowledged_ballots() {
    let schedule = Schedule {
        has_margin: false,
        ..Schedule::with_guards()
    };
    breaks(schedule, NOT_REJECTED);
}

#[test]
fn a_change_that_not_all_shards_have_taken_rejects_acknowledged_ballots() {
    let schedule = Schedule {
        all_confirm: false,
        ..Schedule::with_guards()
    };
    breaks(schedule, NOT_REJECTED);
}

#[test]
fn a_change_that_is_forgotten_before_every_shard_has_let_go_of_it_rejects_acknowledged_ballots() {
    let schedule = Schedule {
        keeps_withdrawn: false,
        ..Schedule::with_guards()
    };
    breaks(schedule, NOT_REJECTED);
}
