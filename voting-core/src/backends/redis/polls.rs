//! The polls' copy in Redis, so that the vote service needs no other store.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::backends::redis::Redis;
use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        id::PollId,
        poll::{Poll, PollExtras},
        poll_state::PollState,
    },
    store::{PollDirectory, PollPublisher},
};

/// A poll as it is published.
#[derive(Serialize, Deserialize)]
struct Published {
    poll: Poll,
    /// Programs before version 0.2 ignore it.
    #[serde(default)]
    extras: PollExtras,
    /// Whether ballots may be taken back. Workers before version 0.2 do not say so, and would set such ballots aside.
    #[serde(default)]
    takes_back: bool,
    #[serde(flatten)]
    state: PollState,
}

impl Redis {
    pub(super) fn polls_key(&self) -> String {
        format!("{}:polls", self.0.options.prefix)
    }

    /// The polls as the vote services know them; `None` before any were published.
    pub(super) async fn published_polls(&self) -> Result<Option<Vec<Poll>>, StoreError> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.polls_key());
        let there: Option<String> = self.0.connection.read(&get).await?;
        let Some(there) = there else { return Ok(None) };
        let there: Vec<Published> = stored_json::read(&there)?;
        let polls = there.into_iter();
        let polls = polls.map(|there| {
            let poll = there.poll.in_state(there.state).with_extras(there.extras);
            match there.takes_back {
                true => poll,
                false => poll.keeping_ballots(),
            }
        });
        Ok(Some(polls.collect()))
    }
}

#[async_trait]
impl PollDirectory for Redis {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let polls = self.polls().await?;
        Ok(polls.into_iter().find(|poll| poll.id() == id))
    }

    /// An error before polls were first published: whether there are any is then not known.
    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.published_polls().await?.ok_or_else(|| {
            StoreError::unavailable("no worker has published the polls to Redis yet")
        })
    }
}

#[async_trait]
impl PollPublisher for Redis {
    async fn publish(&self, polls: &[Poll]) -> Result<(), StoreError> {
        let published: Vec<_> = polls
            .iter()
            .map(|poll| Published {
                poll: poll.clone(),
                extras: poll.extras().clone(),
                takes_back: !poll.keeps_ballots(),
                state: poll.state().clone(),
            })
            .collect();
        let text = stored_json::write(&published)?;
        let (mut get, mut set) = (::redis::cmd("GET"), ::redis::cmd("SET"));
        get.arg(self.polls_key());
        let there: Option<String> = self.0.connection.read(&get).await?;
        if there.as_ref() != Some(&text) {
            set.arg(self.polls_key()).arg(text);
            self.0.connection.ask::<()>(&set).await?;
        }
        Ok(())
    }
}
