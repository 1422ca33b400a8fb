//! What the log knows of a store that was put back to an earlier state: which ballots the store had, which
//! polls there were, and which of them are closed.

use std::collections::{BTreeSet, HashMap};

use super::Redis;
use crate::{
    applied::{Applied, PutBack},
    error::StoreError,
    id::PollId,
    poll::Poll,
    poll_state::{PollState, Seals},
    position::{EntryId, ShardId},
    traits::PollStore,
};

/// What a store was given back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroughtBack {
    /// Polls that it lacked.
    pub polls: Vec<PollId>,
    /// Polls that it had as open, though the log takes no more ballots in them.
    pub closed: Vec<PollId>,
}

impl Redis {
    /// Of each shard: all entries below this are acknowledged, and so were in the store before.
    ///
    /// Ask before the store is asked: entries that are acknowledged in between are in the store by then.
    ///
    /// # Errors
    /// Redis does not answer, or nobody has used the log yet.
    pub async fn settled(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        let mut settled = HashMap::new();
        for shard in self.shards() {
            settled.insert(shard, self.progress(shard).await?.settled);
        }
        Ok(settled)
    }

    /// That the store lacks none of the entries that are acknowledged and still in the log. `settled` was
    /// asked for before `applied`.
    ///
    /// # Errors
    /// Redis does not answer; or, as a source, [`PutBack`]: the store is not as it was.
    pub async fn check_applied(
        &self,
        settled: &HashMap<ShardId, EntryId>,
        applied: &Applied,
    ) -> Result<(), StoreError> {
        let mut lacking = Vec::new();
        for (shard, settled) in settled {
            let end = applied.end(*shard);
            if end >= *settled {
                continue;
            }
            // An id may have been raised, so there need not be an entry.
            let next = self.first_from(*shard, end).await?;
            if next.is_some_and(|next| next < *settled) {
                lacking.push(*shard);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        lacking.sort_unstable();
        Err(StoreError::unavailable(PutBack(lacking)))
    }

    /// Those of these polls in which the log takes no more ballots, in any of its shards.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn sealed(&self, polls: &[&PollId]) -> Result<BTreeSet<PollId>, StoreError> {
        let mut sealed = BTreeSet::new();
        if polls.is_empty() {
            return Ok(sealed);
        }
        for shard in self.shards() {
            let mut ask = self.0.scripts.sealed.key(self.sealed_key(shard));
            for poll in polls {
                ask.arg(poll.as_str());
            }
            let names: Vec<String> = self.0.connection.run(&ask).await?;
            let is_sealed = |poll: &&&PollId| names.iter().any(|name| name == poll.as_str());
            sealed.extend(polls.iter().filter(is_sealed).map(|poll| (*poll).clone()));
        }
        Ok(sealed)
    }

    /// Gives a store back what it lacks of the polls that the vote services know, and closes the polls that
    /// the log is sealed for. A store that was not put back lacks nothing.
    ///
    /// # Errors
    /// A store does not answer.
    pub async fn bring_back_polls(&self, store: &dyn PollStore) -> Result<BroughtBack, StoreError> {
        let mut back = BroughtBack::default();
        // Asked first: all that is published was in the store before.
        let published = self.published().await?.unwrap_or_default();
        let stored = store.polls().await?;
        let find = |id: &PollId| stored.iter().find(|poll| poll.id() == id);
        for poll in &published {
            if find(poll.id()).is_none() {
                store.put_poll(poll).await?;
                back.polls.push(poll.id().clone());
            }
        }
        let open = |poll: &&Poll| find(poll.id()).is_none_or(|poll| poll.state().is_open());
        let published_as_closed = published.iter().filter(open);
        let mut to_close: HashMap<PollId, Seals> = published_as_closed
            .filter_map(|poll| match poll.state() {
                PollState::Open => None,
                // Its ballots may have to be counted again before it is final.
                PollState::Closing(seals) | PollState::Final(seals) => {
                    Some((poll.id().clone(), seals.clone()))
                }
            })
            .collect();
        let stored_as_open = stored.iter().filter(|poll| poll.state().is_open());
        let open: Vec<_> = stored_as_open.map(Poll::id).chain(&back.polls).collect();
        for poll in self.sealed(&open).await? {
            to_close.entry(poll).or_default();
        }
        for (poll, seals) in to_close {
            store
                .advance_poll(&poll, &PollState::Closing(seals))
                .await?;
            back.closed.push(poll);
        }
        back.closed.sort_unstable();
        Ok(back)
    }
}
