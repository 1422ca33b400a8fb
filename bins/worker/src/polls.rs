//! The polls in Postgres and their copy in Redis.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use voting_core::{
    BallotQueue, Poll, PollDirectory, PollId, PollPublisher, PollState, PollStore, StoreError,
    closing, error::in_one_line, postgres::Postgres, redis::Redis,
};
use voting_service::{Config, cats_vs_dogs};

use crate::put_back::{Guard, bring_back_polls};

/// How often Redis is looked after when nothing has changed here.
const ROUND: Duration = Duration::from_secs(1);

/// The polls in Postgres. What is changed here is brought to Redis at once.
#[derive(Clone)]
pub(crate) struct Polls {
    postgres: Arc<Postgres>,
    changed: Arc<Notify>,
}

impl Polls {
    pub(crate) fn new(postgres: Arc<Postgres>) -> Self {
        Self {
            postgres,
            changed: Arc::default(),
        }
    }

    /// Brings the schema up to date and stores the configured polls, as soon as Postgres answers, then
    /// keeps Redis in line with it, and closes the polls that are to close. Ends only with what waiting does
    /// not mend.
    pub(crate) async fn keep_in_line(
        &self,
        redis: &Redis,
        guard: &Guard,
        queue: &dyn BallotQueue,
        config: &Config,
    ) -> StoreError {
        let postgres = self.postgres.as_ref();
        let mut is_set_up = false;
        let mut trouble = None;
        loop {
            let round = async {
                if !is_set_up {
                    set_up(postgres, config).await?;
                    is_set_up = true;
                }
                // In this order: there is no vote before there are polls, and so none with an id that
                // is too low, or in a poll that is closed and that a new Redis does not know to be.
                redis.raise_ids(postgres.newest_applied().await?).await?;
                // No poll becomes final in a database that lacks ballots, and none is forgotten.
                guard.check().await?;
                bring_back_polls(redis, postgres).await?;
                closing::advance(redis, queue, postgres).await?;
                redis.publish(&postgres.polls().await?).await
            };
            match round.await {
                Ok(()) => trouble = None,
                Err(error @ StoreError::PollConflict(_)) => return error,
                Err(error) => {
                    let error = in_one_line(&error);
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(error, "the stores are not in line; waiting");
                        trouble = Some(error);
                    }
                    // A change does not mend it.
                    sleep(ROUND).await;
                    continue;
                }
            }
            // A change that came meanwhile is not forgotten.
            let _ = timeout(ROUND, self.changed.notified()).await;
        }
    }
}

async fn set_up(postgres: &Postgres, config: &Config) -> Result<(), StoreError> {
    // Does nothing where `voting migrate` was run before, as when this login may not do it.
    postgres.migrate().await?;
    config.put_polls(postgres).await?;
    // It may have been made by a start without polls. To remove it would not be exact: vote services may know it,
    // and take ballots in it.
    let course = postgres.poll(cats_vs_dogs().id()).await?;
    if let Some(course) = course.filter(|course| config.is_left_over(course))
        && course.state().is_open()
    {
        tracing::warn!(
            poll = %course.id(),
            "the example poll is still open beside the configured ones; to close it, post to \
             /v1/polls/{}/close, and to have another poll at /, set default_poll for all services",
            course.id()
        );
    }
    Ok(())
}

#[async_trait]
impl PollDirectory for Polls {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.postgres.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        self.postgres.polls().await
    }
}

#[async_trait]
impl PollStore for Polls {
    async fn put_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let put = self.postgres.put_poll(poll).await;
        self.changed.notify_one();
        put
    }

    async fn advance_poll(
        &self,
        poll: &PollId,
        to: &PollState,
    ) -> Result<Option<PollState>, StoreError> {
        let advanced = self.postgres.advance_poll(poll, to).await;
        self.changed.notify_one();
        advanced
    }
}
