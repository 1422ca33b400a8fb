//! A log's front that does something else than it says, now and then.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use voting_core::{Ballot, CastError, Receipt, StoreError, VoteSink};

#[derive(Clone, Copy)]
pub enum Deed {
    /// Stored or not, each second time; the voter is told that it is not known.
    Doubt,
    /// Not stored, as the voter is told.
    Refuse,
    /// Not stored; the voter is told it is.
    Lose,
    /// Stored; the voter is told it is not.
    Keep,
    /// Stored twice.
    Repeat,
    /// Stored, after a time.
    Stall(Duration),
}

/// Does it with each ballot of that number.
pub struct Liar {
    pub sink: Arc<dyn VoteSink>,
    pub deeds: Vec<(u64, Deed)>,
    pub cast: AtomicU64,
}

impl Liar {
    pub fn of(sink: Arc<dyn VoteSink>, deeds: &[(u64, Deed)]) -> Arc<dyn VoteSink> {
        Arc::new(Self {
            sink,
            deeds: deeds.to_vec(),
            cast: AtomicU64::new(1),
        })
    }
}

#[async_trait]
impl VoteSink for Liar {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        let number = self.cast.fetch_add(1, Relaxed);
        let mut deeds = self.deeds.iter();
        let deed = deeds.find(|(every, _)| number.is_multiple_of(*every));
        match deed.map(|(_, deed)| *deed) {
            None => self.sink.cast(ballot).await,
            Some(Deed::Doubt) => {
                if number.is_multiple_of(2) {
                    self.sink.cast(ballot).await?;
                }
                Err(CastError::Unknown("a doubt".into()))
            }
            Some(Deed::Refuse) => Err(CastError::Overloaded),
            Some(Deed::Lose) => {
                // A receipt of its own, as if it had been stored.
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

    async fn check(&self) -> Result<(), StoreError> {
        self.sink.check().await
    }
}
