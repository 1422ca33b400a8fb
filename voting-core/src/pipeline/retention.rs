//! Forgets the voters of polls, and deletes polls, that were kept long enough.
//!
//! A final poll keeps its voters for as many days as its
//! [settings](crate::model::poll::PollSettings::forget_voters_days) say, or else as long as the deployment says. Then they are
//! forgotten; see [`ChangeTo::VotersForgotten`]. In the same way the poll itself is kept for
//! [so many days](crate::model::poll::PollSettings::retention_days), and then deleted with its ballots; see
//! [`ChangeTo::Deleted`]. A poll that became final before version 0.2 is kept as it is: nobody knows since when it is final.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    error::{StoreError, in_one_line},
    model::{
        id::PollId,
        moment::Moment,
        poll::{ChangeTo, Poll, PollChange},
    },
    store::PollStore,
};

/// Who deletes polls and forgets voters, in the audit log.
const RETENTION: &str = "retention";

/// The pause after a failure.
const AGAIN: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How many days final polls are kept that do not say so themselves; `None`: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptDays {
    /// With their voters.
    pub voters: Option<u32>,
    /// At all.
    pub polls: Option<u32>,
}

/// The most rows that one transaction removes, and the most transactions of one round.
const REMOVED_AT_ONCE: usize = 1_000;
const REMOVALS: usize = 20;

/// Removes old rows in portions, so that no transaction is long. `remove` gets the most rows that it may remove, and returns how
/// many it has removed. After 20 portions, or one that is not full, this is over; the rest is for the next round.
///
/// # Errors
/// That of `remove`. Earlier portions are removed.
pub async fn remove_in_portions<F>(mut remove: impl FnMut(usize) -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<usize, StoreError>>,
{
    for _ in 0..REMOVALS {
        if remove(REMOVED_AT_ONCE).await? < REMOVED_AT_ONCE {
            break;
        }
    }
    Ok(())
}

/// What was done to polls that were kept long enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// The polls that were deleted.
    pub deleted: Vec<PollId>,
    /// The polls whose voters were forgotten.
    pub without_voters: Vec<PollId>,
}

/// Deletes the final polls whose time is over at the moment `now`, and forgets the voters of others whose time for that is
/// over.
///
/// # Errors
/// The store does not answer, or does neither yet ([`StoreError::UpgradeUnfinished`]). Some of it may have been done.
pub async fn clear_expired(
    polls: &(impl PollStore + ?Sized),
    kept: KeptDays,
    now: Moment,
) -> Result<Cleared, StoreError> {
    let mut cleared = Cleared::default();
    for poll in polls.polls().await? {
        let (id, settings) = (poll.id().clone(), poll.settings());
        let is_over = |own: Option<u32>, default| is_expired(&poll, own.or(default), now);
        let is_deleted = is_over(settings.retention_days, kept.polls);
        let to = if is_deleted {
            ChangeTo::Deleted
        } else if !poll.voters_are_forgotten() && is_over(settings.forget_voters_days, kept.voters)
        {
            ChangeTo::VotersForgotten
        } else {
            continue;
        };
        let change = PollChange {
            // Somebody may just have changed how long it is kept.
            if_revision: Some(poll.revision()),
            ..PollChange::new(id.clone(), to)
        };
        match polls.change_poll(&change, RETENTION).await {
            Ok(_) if is_deleted => {
                tracing::info!(poll = %id, "the poll's retention time is over; deleted it with its ballots");
                cleared.deleted.push(id);
            }
            Ok(_) => {
                tracing::info!(poll = %id, "the time to keep the poll's voters is over; forgot them");
                cleared.without_voters.push(id);
            }
            // Another process was faster, or the next call looks at the poll again.
            Err(
                StoreError::PollDeleted(_)
                | StoreError::NoPoll(_)
                | StoreError::RevisionChanged { .. },
            ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(cleared)
}

/// Whether a poll has been final for this many days.
fn is_expired(poll: &Poll, days: Option<u32>, now: Moment) -> bool {
    match (poll.state().is_final(), poll.final_at(), days) {
        (true, Some(final_at), Some(days)) => final_at.plus(DAY * days) <= now,
        _ => false,
    }
}

/// Calls [`clear_expired`] again and again, with a pause of `every`, for as long as the future is polled. A failure is
/// logged, and tried again after a minute.
pub async fn keep_clearing(
    polls: Arc<dyn PollStore>,
    kept: KeptDays,
    every: Duration,
) -> std::convert::Infallible {
    let mut trouble = None;
    loop {
        let done = clear_expired(polls.as_ref(), kept, Moment::now()).await;
        let pause = match done {
            Ok(_) => {
                trouble = None;
                every
            }
            Err(error) => {
                let error = in_one_line(&error);
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "could not delete polls or forget voters whose retention time is over; will retry"
                    );
                    trouble = Some(error);
                }
                every.min(AGAIN)
            }
        };
        sleep(pause).await;
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{
        backends::memory::Memory,
        model::poll_state::{PollState, Seals},
        store::{AuditLog, PollDirectory},
    };

    async fn stores(memory: &Memory, id: &str, days: Option<u32>) {
        let poll = Poll::builder(id, "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut poll = poll.build().expect("a poll");
        let mut settings = poll.settings().clone();
        settings.retention_days = days;
        poll = poll.with_settings(settings).expect("settings");
        memory.put_poll(&poll).await.expect("stored");
    }

    async fn to(memory: &Memory, id: &str, state: PollState) {
        let id = id.parse().expect("an id");
        let moved = memory.advance_poll(&id, &state).await;
        assert_eq!(moved.expect("stored"), Some(state));
    }

    async fn deleted(memory: &Memory, polls: Option<u32>, now: Moment) -> Vec<PollId> {
        let kept = KeptDays {
            polls,
            ..KeptDays::default()
        };
        let cleared = clear_expired(memory, kept, now).await.expect("cleared");
        assert!(cleared.without_voters.is_empty());
        cleared.deleted
    }

    fn ids(deleted: &[PollId]) -> Vec<&str> {
        deleted.iter().map(PollId::as_str).collect()
    }

    #[tokio::test]
    async fn a_final_poll_is_deleted_after_its_days_and_no_other_is() {
        let memory = Memory::default();
        for (id, days) in [
            ("of-one", Some(1)),
            ("of-ten", Some(10)),
            ("of-none", None),
            ("open", Some(1)),
            ("closing", Some(1)),
        ] {
            stores(&memory, id, days).await;
        }
        for id in ["of-one", "of-ten", "of-none"] {
            to(&memory, id, PollState::Final(Seals::default())).await;
        }
        to(&memory, "closing", PollState::Closing(Seals::default())).await;
        let final_at = memory.poll(&"of-one".parse().unwrap()).await.unwrap();
        let final_at = final_at.unwrap().final_at().unwrap();
        let after = |days: u32| final_at.plus(DAY * days);
        let early = Moment::from_unix_ms(after(1).unix_ms() - 1).unwrap();
        assert!(deleted(&memory, None, early).await.is_empty());
        assert_eq!(ids(&deleted(&memory, None, after(1)).await), ["of-one"]);
        assert!(deleted(&memory, None, after(2)).await.is_empty());
        // Another poll may have become final some milliseconds later.
        let late = after(5).plus(Duration::from_secs(60));
        let by_default = deleted(&memory, Some(5), late).await;
        assert_eq!(ids(&by_default), ["of-none"], "by the deployment's days");
        let late = after(10_000);
        assert_eq!(ids(&deleted(&memory, Some(5), late).await), ["of-ten"]);
        let left = memory.polls().await.unwrap();
        let left: Vec<_> = left.iter().map(|poll| poll.id().as_str()).collect();
        assert_eq!(left, ["open", "closing"]);
        let log = memory.audit_log(0, 100).await.unwrap();
        let by = log.iter().filter(|e| e.note.action == "poll.deleted");
        let by: Vec<_> = by.map(|entry| entry.note.by.as_str()).collect();
        assert_eq!(by, [RETENTION; 3]);
    }

    #[tokio::test]
    async fn voters_are_forgotten_after_their_days() {
        let memory = Memory::default();
        for (id, days) in [("at-once", Some(0)), ("of-two", Some(2)), ("of-none", None)] {
            stores(&memory, id, None).await;
            let poll = memory.poll(&id.parse().unwrap()).await.unwrap().unwrap();
            let mut settings = poll.settings().clone();
            settings.forget_voters_days = days;
            let poll = poll.with_settings(settings).unwrap();
            memory
                .change_poll(&PollChange::put(poll), "host")
                .await
                .unwrap();
        }
        let clear = async |voters, now| {
            let kept = KeptDays {
                voters,
                polls: None,
            };
            let cleared = clear_expired(&memory, kept, now).await.unwrap();
            assert!(cleared.deleted.is_empty());
            cleared.without_voters
        };
        let late = Moment::now().plus(DAY * 10_000);
        assert!(clear(Some(0), late).await.is_empty(), "none is final");
        for id in ["at-once", "of-two", "of-none"] {
            to(&memory, id, PollState::Final(Seals::default())).await;
        }
        let now = Moment::now();
        assert_eq!(ids(&clear(None, now).await), ["at-once"]);
        assert!(clear(None, now).await.is_empty());
        let later = now.plus(DAY * 3);
        assert_eq!(ids(&clear(Some(5), later).await), ["of-two"]);
        assert_eq!(ids(&clear(Some(5), later.plus(DAY * 3)).await), ["of-none"]);
        let log = memory.audit_log(0, 100).await.unwrap();
        let forgotten = log
            .iter()
            .filter(|e| e.note.action == "poll.voters-forgotten");
        assert_eq!(forgotten.count(), 3);
    }

    /// Its polls have been final for long.
    struct Old(Memory);

    #[async_trait]
    impl PollDirectory for Old {
        async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
            self.0.poll(id).await
        }

        async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
            let polls = self.0.polls().await?.into_iter().map(|poll| {
                let mut extras = serde_json::to_value(poll.extras()).expect("JSON");
                extras["life"]["final_at"] = "2020-01-01T00:00:00Z".into();
                poll.with_extras(serde_json::from_value(extras).expect("extras"))
            });
            Ok(polls.collect())
        }
    }

    #[async_trait]
    impl PollStore for Old {
        async fn change_poll(
            &self,
            change: &PollChange,
            by: &str,
        ) -> Result<Option<Poll>, StoreError> {
            self.0.change_poll(change, by).await
        }
    }

    #[tokio::test]
    async fn what_is_expired_at_the_start_is_deleted_at_once() {
        let memory = Memory::default();
        stores(&memory, "old", Some(1)).await;
        to(&memory, "old", PollState::Final(Seals::default())).await;
        let store: Arc<dyn PollStore> = Arc::new(Old(memory.clone()));
        let deleting = tokio::spawn(keep_clearing(
            store,
            KeptDays::default(),
            Duration::from_secs(3_600),
        ));
        let id: PollId = "old".parse().unwrap();
        let gone = async {
            while !memory.is_deleted(&id).await.unwrap() {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
        deleting.abort();
        gone.unwrap();
    }
}
