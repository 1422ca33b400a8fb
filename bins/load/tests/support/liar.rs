//! A front of a log that sometimes does something else than it says.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use voting_core::{
    Ballot, CastError, PollId, Receipt, ReceiptState, StoreError, Tally, TallyStore, VoteSink,
    model::{
        moment::Moment, new_voters::NewVoters, position::Position, tally::Recount,
        vote_history::VoteHistory,
    },
};

#[derive(Clone, Copy)]
pub enum Deed {
    /// Each second ballot is stored; the voter is told that the outcome is unknown.
    Doubt,
    /// The ballot is not stored, and the voter is told so.
    Refuse,
    /// The ballot is not stored; the voter is told that it is.
    Lose,
    /// The ballot is not stored, and nothing is in its place; the voter is told that it is stored.
    Drop,
    /// The ballot is stored; the voter is told that it is not.
    Keep,
    /// The ballot is stored twice.
    Repeat,
    /// The ballot is stored after a time.
    Stall(Duration),
}

/// Does the deed with each ballot that has one of these numbers.
pub struct Liar {
    pub sink: Arc<dyn VoteSink>,
    pub deeds: Vec<(u64, Deed)>,
    pub cast: AtomicU64,
    /// The place of the newest ballot.
    pub newest: Mutex<Option<Position>>,
}

impl Liar {
    pub fn of(sink: Arc<dyn VoteSink>, deeds: &[(u64, Deed)]) -> Arc<dyn VoteSink> {
        Arc::new(Self {
            sink,
            deeds: deeds.to_vec(),
            cast: AtomicU64::new(1),
            newest: Mutex::new(None),
        })
    }

    async fn store(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        let receipt = self.sink.cast(ballot).await?;
        let mut newest = self.newest.lock().expect("no panic");
        *newest = newest.max(Some(receipt.position));
        Ok(receipt)
    }
}

#[async_trait]
impl VoteSink for Liar {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        let number = self.cast.fetch_add(1, Relaxed);
        let mut deeds = self.deeds.iter();
        let deed = deeds.find(|(every, _)| number.is_multiple_of(*every));
        match deed.map(|(_, deed)| *deed) {
            None => self.store(ballot).await,
            Some(Deed::Doubt) => {
                if number.is_multiple_of(2) {
                    self.sink.cast(ballot).await?;
                }
                Err(CastError::Unknown("a doubt".into()))
            }
            Some(Deed::Refuse) => Err(CastError::Overloaded),
            Some(Deed::Lose) => {
                // This makes a receipt of its own, as if the ballot were stored.
                let other = Ballot {
                    voter: voting_core::VoterId::issue(),
                    ..ballot.clone()
                };
                let receipt = self.sink.cast(other).await?;
                Ok(Receipt {
                    voter: ballot.voter,
                    ..receipt
                })
            }
            Some(Deed::Drop) => {
                // The place is just after the newest ballot, in an entry that is stored.
                let newest = self.newest.lock().expect("no panic").expect("a ballot");
                let position = Position::new(newest.shard(), newest.entry(), newest.index() + 1);
                Ok(Receipt {
                    poll: ballot.poll,
                    voter: ballot.voter,
                    position,
                })
            }
            Some(Deed::Keep) => {
                self.sink.cast(ballot).await?;
                Err(CastError::Overloaded)
            }
            Some(Deed::Repeat) => {
                let receipt = self.sink.cast(ballot.clone()).await?;
                self.sink.cast(ballot).await?;
                Ok(receipt)
            }
            Some(Deed::Stall(time)) => {
                tokio::time::sleep(time).await;
                self.sink.cast(ballot).await
            }
        }
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        self.sink.ready_to_cast().await
    }
}

/// A store that shows one vote of the first option as one of the second.
pub struct Shifted(pub Arc<dyn TallyStore>);

#[async_trait]
impl TallyStore for Shifted {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        let tally = self.0.tally(poll).await?;
        Ok(tally.map(|mut tally| {
            if tally.votes[0] > 0 {
                tally.votes[0] -= 1;
                tally.votes[1] += 1;
            }
            tally
        }))
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        self.0.receipt_state(receipt).await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.0.recount(poll).await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        self.0.new_voters(poll, before, limit).await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        self.0.vote_history(poll).await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        self.0.ready_to_read().await
    }
}
