//! Stores the polls of the settings.

use voting_core::{Poll, PollStore, StoreError};

/// Stores a poll of the settings, or gives the stored poll its title and labels. A closed poll keeps its own texts:
/// this is logged, and does not prevent the start.
///
/// # Errors
/// The store fails, or has the poll with other options.
pub(crate) async fn put_configured(store: &impl PollStore, poll: &Poll) -> Result<(), StoreError> {
    match store.put_poll(poll).await {
        Err(StoreError::TextsFrozen(id)) => {
            tracing::warn!(
                poll = %id,
                "the poll is closed and keeps its title and labels; those in the settings are not used"
            );
            Ok(())
        }
        stored => stored,
    }
}

#[cfg(test)]
mod tests {
    use voting_core::{
        PollDirectory, PollState, backends::memory::Memory, model::poll_state::Seals,
    };

    use super::*;
    use crate::settings::course::cats_vs_dogs;

    #[tokio::test]
    async fn a_closed_poll_keeps_its_texts_and_stops_nobody() {
        let store = Memory::default();
        let stored = cats_vs_dogs();
        put_configured(&store, &stored).await.expect("stored");
        let done = PollState::Final(Seals::default());
        let advanced = store.advance_poll(stored.id(), &done).await;
        advanced.expect("stored");
        let options = stored.options().to_vec();
        let renamed = Poll::new(stored.id().clone(), "Dogs vs Cats!", options, 1);
        let renamed = renamed.expect("a poll");
        put_configured(&store, &renamed)
            .await
            .expect("no reason not to start");
        let kept = store.poll(stored.id()).await.expect("an answer");
        assert_eq!(kept.expect("it is there").title(), stored.title());
        // Other options are still an error.
        let three = Poll::new(stored.id().clone(), "t", stored.options().to_vec(), 2);
        let refused = put_configured(&store, &three.expect("a poll")).await;
        assert!(matches!(refused, Err(StoreError::PollConflict(_))));
    }
}
