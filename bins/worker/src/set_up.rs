//! The steps before the first round of the coordinator.

use voting_core::{
    PollDirectory, StoreError, backends::postgres::Postgres, model::poll_key::PollKeyWrap,
    pipeline::poll_keys::rewrap_all,
};
use voting_service::{Config, cats_vs_dogs};

/// Brings the schema up to date, stores the configured polls, and wraps the keys of polls under the current key.
pub(crate) async fn set_up(
    postgres: &Postgres,
    config: &Config,
    keys: Option<&PollKeyWrap>,
) -> Result<(), StoreError> {
    // This does nothing if `voting migrate` was run before. That is needed if this login may not change tables.
    postgres.migrate().await?;
    if let Some(keys) = keys {
        rewrap_all(postgres, keys).await?;
    }
    let polls = config.keyed_polls(postgres, keys.cloned());
    config.put_polls(&polls).await?;
    // The course's poll may have been made by a start without polls. It cannot be removed safely: vote services may
    // know it, and may take ballots for it.
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
