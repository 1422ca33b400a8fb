//! Stores the polls of the settings.

use voting_core::{
    Poll, PollStore, StoreError,
    model::poll::{ChangeTo, PollChange},
};

/// Stores a poll of the settings, or gives the stored poll its title and labels. A closed poll keeps its own texts, a
/// stored one its own settings, and a deleted one stays deleted: this is logged, and does not prevent the start.
///
/// # Errors
/// The store fails, or has the poll with other options.
pub(crate) async fn put_configured(store: &impl PollStore, poll: &Poll) -> Result<(), StoreError> {
    let to = ChangeTo::Defined(Box::new(poll.clone()));
    let change = PollChange::new(poll.id().clone(), to);
    match store.change_poll(&change, "settings").await {
        Ok(Some(stored)) => {
            if stored.settings() != poll.settings() {
                tracing::info!(
                    poll = %poll.id(),
                    "the stored poll keeps its own description, times and rules; those in the settings are used only \
                     when a poll is stored for the first time"
                );
            }
            Ok(())
        }
        Err(StoreError::PollDeleted(id)) => {
            tracing::warn!(poll = %id, "the poll was deleted and stays deleted; remove it from the settings");
            Ok(())
        }
        Err(StoreError::TextsFrozen(id)) => {
            tracing::warn!(
                poll = %id,
                "the poll is closed and keeps its title and labels; those in the settings are not used"
            );
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
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
