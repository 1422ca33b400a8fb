//! The polls' copy in Redis, so that the vote service needs no other store.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::backends::redis::{
    Redis,
    signed_polls::{self, Copy, Judgement, NotGenuine},
};
use crate::{
    backends::stored_json,
    error::StoreError,
    model::{
        id::PollId,
        moment::Moment,
        poll::{Poll, PollExtras},
        poll_state::PollState,
    },
    store::{PollDirectory, PollPublisher},
};

/// How often a copy is written again if other workers write theirs at the same time.
const ATTEMPTS: usize = 5;

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

    /// The polls as the vote services know them; `None` before any were published. The inner error says why they are not
    /// used.
    pub(super) async fn published_polls(
        &self,
    ) -> Result<Option<Result<Vec<Poll>, NotGenuine>>, StoreError> {
        // Before the question: an answer that another task reads meanwhile may be newer than this one.
        let newest = self.0.newest_polls.load(Ordering::Relaxed);
        let Some(copy) = self.copy_of_polls().await? else {
            return Ok(None);
        };
        let options = &self.0.options;
        let (keys, accept) = (&options.entry_keys, options.accept_unsigned_polls);
        match copy.judge(keys, accept, newest)? {
            Judgement::Not(why) => return Ok(Some(Err(why))),
            Judgement::Genuine(Some(revision)) => {
                self.0.newest_polls.fetch_max(revision, Ordering::Relaxed);
            }
            Judgement::Genuine(None) => {}
        }
        let there: Vec<Published> = stored_json::read(&copy.polls)?;
        let polls = there.into_iter();
        let polls = polls.map(|there| {
            let poll = there.poll.in_state(there.state).with_extras(there.extras);
            match there.takes_back {
                true => poll,
                false => poll.keeping_ballots(),
            }
        });
        Ok(Some(Ok(polls.collect())))
    }

    /// The id of the key under which the published polls are signed; `None` if they are not signed, or there are none.
    pub async fn polls_signed_by(&self) -> Result<Option<u8>, StoreError> {
        let copy = self.copy_of_polls().await?;
        Ok(copy.and_then(|copy| copy.key()))
    }

    async fn copy_of_polls(&self) -> Result<Option<Copy>, StoreError> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.polls_key());
        let there: Option<String> = self.0.connection.read(&get).await?;
        Ok(there.map(Copy::read))
    }

    /// Writes the polls if nobody else has meanwhile, so that a later copy always has the greater revision. Returns
    /// whether they are there.
    async fn publish_text(&self, text: &str) -> Result<bool, StoreError> {
        let keys = &self.0.options.entry_keys;
        let there = self.copy_of_polls().await?;
        let revision = there.as_ref().and_then(|copy| copy.revision(keys));
        if let Some(there) = &there
            && there.polls == text
            && (!keys.signs() || (revision.is_some() && there.key() == keys.signing_id()))
        {
            return Ok(true);
        }
        // Above all that any service may have read, also if Redis was restored or this clock is behind.
        let newest = self.0.newest_polls.load(Ordering::Relaxed);
        let before = revision.unwrap_or_default().max(newest);
        let revision = Moment::now().unix_ms().max(before.saturating_add(1));
        let signed = signed_polls::sign(keys, revision, text)?;
        let there = there.map(|there| there.text).unwrap_or_default();
        self.exchange(self.polls_key(), &there, &signed).await
    }
}

#[async_trait]
impl PollDirectory for Redis {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        let polls = self.polls().await?;
        Ok(polls.into_iter().find(|poll| poll.id() == id))
    }

    /// An error before polls were first published: whether there are any is then not known. It is an error, too, if
    /// somebody without the entry key has written them.
    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        let published = self.published_polls().await?.ok_or_else(|| {
            StoreError::unavailable("no worker has published the polls to Redis yet")
        })?;
        published.map_err(StoreError::unavailable)
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
        for _ in 0..ATTEMPTS {
            if self.publish_text(&text).await? {
                return Ok(());
            }
        }
        Err(StoreError::unavailable(
            "the published polls changed during each attempt to read them",
        ))
    }
}
