//! Keeps the copy of the polls that the vote service reads like those that are kept.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{
    error::in_one_line,
    traits::{PollDirectory, PollPublisher},
};

/// How soon a change is seen, and a copy that was lost is there again.
const EVERY: Duration = Duration::from_secs(1);

/// Publishes the polls of `kept` to `copy` again and again, until it is dropped. Any number of
/// processes may do so.
pub async fn publish_polls(
    kept: Arc<dyn PollDirectory>,
    copy: Arc<dyn PollPublisher>,
) -> Infallible {
    let mut failing = false;
    loop {
        let published = async { copy.publish(&kept.polls().await?).await };
        match published.await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(
                    error = in_one_line(&error),
                    "cannot publish the polls; trying again"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}
