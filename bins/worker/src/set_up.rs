//! What is done once, before the first round of the coordinator.

use voting_core::{PollDirectory, StoreError, backends::postgres::Postgres};
use voting_service::{Config, cats_vs_dogs};

/// Brings the schema up to date and stores the configured polls.
pub(crate) async fn set_up(postgres: &Postgres, config: &Config) -> Result<(), StoreError> {
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
