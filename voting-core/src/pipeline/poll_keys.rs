//! Gives new polls their keys, and wraps the keys of all polls again once the deployment has another key.

use async_trait::async_trait;

use crate::{
    error::{StoreError, in_one_line},
    model::{
        id::PollId,
        poll::{ChangeTo, Poll, PollChange},
        poll_key::PollKeyWrap,
        poll_state::Seals,
    },
    store::{PollDirectory, PollStore},
};

/// The name in the audit log for keys that are wrapped again.
const KEYS: &str = "poll-keys";

/// A store in which each new poll whose voters have codes or sign in gets a [key](crate::model::poll_key). Make all changes of polls through this.
#[derive(Debug, Clone)]
pub struct KeyedPolls<S> {
    polls: S,
    wrap: Option<PollKeyWrap>,
    pseudonyms: bool,
}

impl<S: PollStore> KeyedPolls<S> {
    /// Polls that are kept in `polls`. Without a key of the deployment no poll gets a key, and none can have codes.
    pub fn new(polls: S, wrap: Option<PollKeyWrap>) -> Self {
        Self {
            polls,
            wrap,
            pseudonyms: false,
        }
    }

    /// Whether new polls for everybody get a key, too, so that a voter with a cookie has another id in each of them. By
    /// default they do not.
    #[must_use]
    pub fn with_pseudonyms(self, pseudonyms: bool) -> Self {
        Self { pseudonyms, ..self }
    }
}

#[async_trait]
impl<S: PollStore> PollDirectory for KeyedPolls<S> {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.polls.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.polls.polls().await
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        self.polls.is_deleted(id).await
    }
}

#[async_trait]
impl<S: PollStore> PollStore for KeyedPolls<S> {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let Some(wrap) = &self.wrap else {
            return self.polls.change_poll(change, by).await;
        };
        let mut change = change.clone();
        // A poll that is stored keeps the key that it has; this one is then not used.
        if let ChangeTo::Put(poll) | ChangeTo::Defined(poll) | ChangeTo::New(poll) = &mut change.to
            && poll.wrapped_key().is_none()
            && (self.pseudonyms || poll.settings().voters.need_key())
        {
            let key = wrap.make(poll.id())?;
            **poll = (**poll).clone().with_key(key);
        }
        self.polls.change_poll(&change, by).await
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        self.polls.deleted_polls().await
    }
}

/// Wraps the keys of all polls under the current key of the deployment. May be called by several processes at a time, and
/// again. A key that cannot be read is left as it is, and logged.
///
/// # Errors
/// The store does not answer.
pub async fn rewrap_all(polls: &impl PollStore, wrap: &PollKeyWrap) -> Result<usize, StoreError> {
    let mut done = 0;
    for poll in polls.polls().await? {
        let Some(wrapped) = poll.wrapped_key() else {
            continue;
        };
        let id = poll.id();
        let new = match wrap.rewrap(id, wrapped) {
            Ok(Some(new)) => new,
            Ok(None) => continue,
            Err(error) => {
                let error = in_one_line(&error);
                tracing::error!(poll = %id, error, "nobody can vote in this poll");
                continue;
            }
        };
        let to = ChangeTo::Rewrapped {
            from: Box::new(wrapped.clone()),
            to: Box::new(new),
        };
        match polls
            .change_poll(&PollChange::new(id.clone(), to), KEYS)
            .await
        {
            Ok(_) => done += 1,
            Err(StoreError::NoPoll(_) | StoreError::PollDeleted(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if done > 0 {
        tracing::info!(
            polls = done,
            "wrapped the keys of polls under the current key"
        );
    }
    Ok(done)
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::{
        backends::memory::Memory,
        model::{ballot::VoterId, poll::VoterScheme, secret::SecretKey},
    };

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).expect("long enough")
    }

    fn poll() -> Poll {
        let poll = Poll::builder("p", "Which?").option("a", "A");
        poll.option("b", "B").build().expect("a poll")
    }

    #[tokio::test]
    async fn a_new_poll_gets_a_key_which_it_keeps_and_an_older_poll_stays_as_it_is() {
        let memory = Memory::default();
        let keyless = KeyedPolls::new(memory.clone(), None);
        keyless.put_poll(&poll()).await.unwrap();
        let keyed = KeyedPolls::new(memory, Some(PollKeyWrap::new(&secret(1))));
        let keyed = keyed.with_pseudonyms(true);
        let put = |poll: Poll| {
            let keyed = &keyed;
            async move {
                let stored = keyed.change_poll(&PollChange::put(poll), "host").await;
                stored.unwrap().unwrap()
            }
        };
        assert_eq!(put(poll()).await.voter_scheme(), VoterScheme::Raw);
        let new = || {
            let poll = Poll::builder("new", "Which?").option("a", "A");
            poll.option("b", "B").build().unwrap()
        };
        let stored = put(new()).await;
        assert_eq!(stored.voter_scheme(), VoterScheme::Pseudonym);
        assert_eq!(put(new()).await, stored);
        let keyed = keyed.clone().with_pseudonyms(false);
        let plain = Poll::builder("plain", "Which?").option("a", "A");
        let plain = PollChange::put(plain.option("b", "B").build().unwrap());
        let plain = keyed.change_poll(&plain, "host").await.unwrap().unwrap();
        assert_eq!(plain.voter_scheme(), VoterScheme::Raw);
    }

    #[tokio::test]
    async fn keys_are_wrapped_under_the_current_key_and_stay_the_same() {
        let memory = Memory::default();
        let old = PollKeyWrap::new(&secret(1));
        let keyed = KeyedPolls::new(memory.clone(), Some(old.clone())).with_pseudonyms(true);
        keyed.put_poll(&poll()).await.unwrap();
        let id = poll().id().clone();
        let key = |wrap: PollKeyWrap| {
            let (memory, id) = (&memory, &id);
            async move {
                let stored = memory.poll(id).await.unwrap().unwrap();
                wrap.open(id, stored.wrapped_key().unwrap())
            }
        };
        let voter = VoterId::issue();
        let before = key(old).await.unwrap().pseudonym(voter);
        let new = PollKeyWrap::new(&secret(2));
        assert_eq!(
            rewrap_all(&memory, &new).await.unwrap(),
            0,
            "it cannot be read"
        );
        let both = new.clone().reading(&secret(1));
        assert_eq!(rewrap_all(&memory, &both).await.unwrap(), 1);
        assert_eq!(rewrap_all(&memory, &both).await.unwrap(), 0);
        assert_eq!(key(new).await.unwrap().pseudonym(voter), before);
    }
}
