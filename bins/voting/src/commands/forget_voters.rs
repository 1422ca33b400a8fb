//! `voting forget-voters`: forgets the voters of a final poll.

use clap::Args;
use voting_core::{
    PollId, PollStore, StoreError,
    model::poll::{ChangeTo, PollChange},
};
use voting_service::{Config, Exit, announce};

use super::target::{self, CannotOpen, Target};

/// Who forgets voters here, in the audit log.
const BY: &str = "voting-forget-voters";

/// Forget the voters of a final poll: the result stays, and nobody can tell any more who cast which vote
///
/// Of the ballots only the number of each choice is kept. This cannot be undone. Backups, and entries that the ballot log
/// keeps, may still have the voters.
///
/// Works on Postgres if the settings name it, also while the services run; else on the file of the all-in-one, which must be
/// stopped.
#[derive(Debug, Args)]
pub(crate) struct ForgetVoters {
    /// The id of the poll
    #[arg(value_name = "POLL")]
    poll: PollId,
    /// The id once more, since this cannot be undone
    #[arg(long, value_name = "POLL")]
    confirm: PollId,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotForget {
    #[error(transparent)]
    Open(#[from] CannotOpen),
    #[error("--confirm is not the id of the poll: {0} or {1}?")]
    Unconfirmed(PollId, PollId),
    #[error("there is no poll {0}")]
    NoPoll(PollId),
    #[error("cannot forget the voters of poll {0}")]
    Store(PollId, #[source] StoreError),
}

impl ForgetVoters {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotForget> {
        if self.poll != self.confirm {
            let (poll, confirm) = (self.poll.clone(), self.confirm.clone());
            return Err(CannotForget::Unconfirmed(poll, confirm));
        }
        match Target::of(config)? {
            Target::Postgres => self.forget(&target::postgres(config)?).await,
            Target::File(path) => self.forget(&target::file(path)?).await,
        }
    }

    async fn forget(&self, store: &impl PollStore) -> Result<Exit, CannotForget> {
        let id = &self.poll;
        let change = PollChange::new(id.clone(), ChangeTo::VotersForgotten);
        let changed = store.change_poll(&change, BY).await;
        let poll = changed.map_err(|error| match error {
            StoreError::NoPoll(id) => CannotForget::NoPoll(id),
            error => CannotForget::Store(id.clone(), error),
        })?;
        let at = poll.and_then(|poll| poll.voters_forgotten_at());
        let at = at.ok_or_else(|| CannotForget::NoPoll(id.clone()))?;
        announce(&format!("The voters of {id} are forgotten since {at}.\n"));
        Ok(Exit::Clean)
    }
}
