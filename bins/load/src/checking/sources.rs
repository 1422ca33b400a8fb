//! The sources of a check, and their state before the load.

use std::time::{Duration, Instant};

use crate::checking::{
    error::CheckError,
    service::Service,
    store::{self, Count, Flushed, Recorded},
    waiting::Waiting,
};

/// How long a service may take to answer before anything is cast.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// If the tally does not change for this long before the load, it is at rest: a worker counts several times a second,
/// and the shown tally is at most a second old.
const AT_REST: Duration = Duration::from_millis(1_500);

/// The sources of a check.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The result service, such as `http://127.0.0.1:8081`. It is asked for receipts and the tally.
    pub result: Option<String>,
    /// The store, such as `postgres://user:password@host/database`. Each voter's choice is read there, and the tally
    /// is compared with the ballots.
    pub postgres: Option<String>,
    /// The state before the load.
    pub before: Before,
    /// How many receipts to ask for, evenly spread over the voters, and how many superseded ones.
    pub receipts: usize,
    /// The check stops waiting when no further ballot was counted for this long. It must be longer than the time after
    /// which another worker takes over from a dead one.
    pub patience: Duration,
}

/// The state before anything is cast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Voters with a ballot in the poll.
    pub voters: u64,
    /// Votes by option.
    pub votes: Vec<u64>,
    /// What the store has recorded of the ballots of all polls. Without it, replaced ballots are not added up.
    pub recorded: Option<Recorded>,
    /// Which entries of the log were counted.
    pub(crate) flushed: Option<Flushed>,
}

impl Before {
    fn has_tally_of(&self, other: &Self) -> bool {
        (self.voters, &self.votes) == (other.voters, &other.votes)
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            result: None,
            postgres: None,
            before: Before::default(),
            receipts: 100_000,
            patience: Duration::from_secs(90),
        }
    }
}

impl Sources {
    /// Reads the state before the load, so that earlier ballots are not mistaken for those of the load. Each source
    /// is asked, so that a source that does not answer, or is of another system, is found now.
    ///
    /// # Errors
    /// A source does not answer, or there is none, or for ten seconds they do not agree or the tally does not come to
    /// rest.
    pub async fn look_before(&mut self, poll: &str) -> Result<(), CheckError> {
        if self.result.is_none() && self.postgres.is_none() {
            return Err(CheckError::NoSource);
        }
        let result = match &self.result {
            Some(url) => Some(Service::at(url, FIRST_ANSWER)?),
            None => None,
        };
        let mut waiting = Waiting::new(FIRST_ANSWER);
        let mut rest: Option<(Before, Instant)> = None;
        // The shown tally may be a moment old, and the last ballots may not be counted yet.
        loop {
            let agree = self.look_once(poll, result.as_ref()).await?;
            match &rest {
                Some((seen, since)) if agree && seen.has_tally_of(&self.before) => {
                    if since.elapsed() >= AT_REST {
                        return Ok(());
                    }
                }
                _ => rest = agree.then(|| (self.before.clone(), Instant::now())),
            }
            if waiting.is_over(()) {
                return Err(if agree {
                    CheckError::Moving
                } else {
                    CheckError::Apart
                });
            }
            waiting.pause_at_most(AT_REST / 2).await;
        }
    }

    /// Whether the sources agree.
    async fn look_once(
        &mut self,
        poll: &str,
        result: Option<&Service>,
    ) -> Result<bool, CheckError> {
        let mut agree = true;
        if let Some(url) = &self.postgres {
            let scan = store::scan(url, poll, Vec::new(), None).await?;
            if let Some(result) = result {
                agree = Count::of(&result.tally(poll).await?).differs_from(&scan.kept) == 0;
            }
            self.before = Before {
                voters: scan.kept.voters,
                votes: scan.kept.votes,
                recorded: scan.recorded,
                flushed: scan.flushed,
            };
        } else if let Some(result) = result {
            let Count { voters, votes } = Count::of(&result.tally(poll).await?);
            self.before = Before {
                voters,
                votes,
                recorded: None,
                flushed: None,
            };
        }
        Ok(agree)
    }
}
