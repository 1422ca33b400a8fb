//! Deletes polls that were kept long enough.
//!
//! A final poll is kept for as many days as its [settings](crate::model::poll::PollSettings::retention_days) say, or
//! else as long as the deployment says. Then it is deleted with its ballots; see
//! [`ChangeTo::Deleted`]. A poll that became final before version 0.2 is kept:
//! nobody knows since when it is final.

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

/// Who deletes polls, in the audit log.
const RETENTION: &str = "retention";

/// The pause after a failure.
const AGAIN: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Deletes the final polls whose time is over at the moment `now`, and returns their ids. `default_days` is how many days
/// a poll is kept that does not say so itself; `None`: for ever.
///
/// # Errors
/// The store does not answer, or does not delete polls yet ([`StoreError::UpgradeUnfinished`]). Some polls may have been
/// deleted.
pub async fn delete_expired(
    polls: &(impl PollStore + ?Sized),
    default_days: Option<u32>,
    now: Moment,
) -> Result<Vec<PollId>, StoreError> {
    let mut deleted = Vec::new();
    let stored = polls.polls().await?;
    for poll in stored
        .iter()
        .filter(|poll| is_expired(poll, default_days, now))
    {
        let change = PollChange {
            // Somebody may just have changed how long it is kept.
            if_revision: Some(poll.revision()),
            ..PollChange::new(poll.id().clone(), ChangeTo::Deleted)
        };
        match polls.change_poll(&change, RETENTION).await {
            Ok(_) => {
                tracing::info!(poll = %poll.id(), "the poll was kept long enough; deleted it with its ballots");
                deleted.push(poll.id().clone());
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
    Ok(deleted)
}

fn is_expired(poll: &Poll, default_days: Option<u32>, now: Moment) -> bool {
    let days = poll.settings().retention_days.or(default_days);
    match (poll.state().is_final(), poll.final_at(), days) {
        (true, Some(final_at), Some(days)) => final_at.plus(DAY * days) <= now,
        _ => false,
    }
}

/// Calls [`delete_expired`] again and again, with a pause of `every`, for as long as the future is polled. A failure is
/// logged, and tried again after a minute.
pub async fn keep_deleting(
    polls: Arc<dyn PollStore>,
    default_days: Option<u32>,
    every: Duration,
) -> std::convert::Infallible {
    let mut trouble = None;
    loop {
        let done = delete_expired(polls.as_ref(), default_days, Moment::now()).await;
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
                        "could not delete polls that were kept long enough; will retry"
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
        assert!(
            delete_expired(&memory, None, early)
                .await
                .unwrap()
                .is_empty()
        );
        let deleted = delete_expired(&memory, None, after(1)).await.unwrap();
        assert_eq!(ids(&deleted), ["of-one"]);
        let again = delete_expired(&memory, None, after(2)).await.unwrap();
        assert!(again.is_empty());
        // Another poll may have become final some milliseconds later.
        let late = after(5).plus(Duration::from_secs(60));
        let deleted = delete_expired(&memory, Some(5), late).await.unwrap();
        assert_eq!(ids(&deleted), ["of-none"], "by the deployment's days");
        let late = after(10_000);
        let deleted = delete_expired(&memory, Some(5), late).await.unwrap();
        assert_eq!(ids(&deleted), ["of-ten"]);
        let left = memory.polls().await.unwrap();
        let left: Vec<_> = left.iter().map(|poll| poll.id().as_str()).collect();
        assert_eq!(left, ["open", "closing"]);
        let log = memory.audit_log(0, 100).await.unwrap();
        let by = log.iter().filter(|e| e.note.action == "poll.deleted");
        let by: Vec<_> = by.map(|entry| entry.note.by.as_str()).collect();
        assert_eq!(by, [RETENTION; 3]);
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
        let deleting = tokio::spawn(keep_deleting(store, None, Duration::from_secs(3_600)));
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
