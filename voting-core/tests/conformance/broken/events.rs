//! Stores whose events are broken.

use std::sync::Arc;

use async_trait::async_trait;
use voting_core::{
    StoreError,
    conformance::Backend,
    model::moment::Moment,
    store::{
        EventStore,
        events::{Event, EventKind, Events, Mark, NewEvent},
    },
};

use super::{does_not_pass, memory_of};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    SkipsTheThirdEvent,
    ComesFromTheSamePlaceAgain,
    SwapsTwoEvents,
    TellsTheSameAgain,
    TellsWithoutAPause,
    RemovesMoreThanItIsTo,
    NumbersFromOneAgain,
    SaysNotWhatIsGone,
    TellsOfWhatIsOver,
    TellsThatThereIsLess,
    HasNoOpening,
}

struct Broken(Fault, Arc<dyn EventStore>);

#[async_trait]
impl EventStore for Broken {
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        let mut events = match self.0 {
            Fault::ComesFromTheSamePlaceAgain => {
                let after = after.saturating_sub(1);
                self.1.events(after, limit).await?
            }
            _ => self.1.events(after, limit).await?,
        };
        match self.0 {
            Fault::SkipsTheThirdEvent => events.list.retain(|event| event.number != 3),
            Fault::SwapsTwoEvents if events.list.len() > 2 => events.list.swap(0, 1),
            Fault::NumbersFromOneAgain => {
                for event in &mut events.list {
                    event.number -= events.oldest - 1;
                }
            }
            Fault::SaysNotWhatIsGone => events.oldest = 1,
            Fault::HasNoOpening => {
                let is_opening = |event: &Event| event.what.kind == EventKind::PollOpened;
                events.list.retain(|event| !is_opening(event));
            }
            _ => {}
        }
        Ok(events)
    }

    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        let (mut mark, mut event) = (mark.clone(), event.clone());
        match self.0 {
            Fault::TellsTheSameAgain => mark.name = uuid::Uuid::now_v7().to_string(),
            Fault::TellsWithoutAPause => mark.pause_ms = 0,
            Fault::TellsOfWhatIsOver => event.poll = None,
            Fault::TellsThatThereIsLess => mark.only_more = false,
            _ => {}
        }
        self.1.add_event(&mark, &event).await
    }

    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        match self.0 {
            Fault::RemovesMoreThanItIsTo => self.1.remove_events(before, usize::MAX).await,
            _ => self.1.remove_events(before, limit).await,
        }
    }
}

fn with(fault: Fault) -> Backend {
    let sound = memory_of(1);
    Backend {
        events: Arc::new(Broken(fault, Arc::clone(&sound.events))),
        ..sound
    }
}

does_not_pass! {
    one_that_skips_an_event:
        with(Fault::SkipsTheThirdEvent) => of events::events_are_read_in_order_and_in_pages;
    one_that_comes_from_the_same_place_again:
        with(Fault::ComesFromTheSamePlaceAgain) => of events::events_are_read_in_order_and_in_pages;
    one_that_swaps_two_events:
        with(Fault::SwapsTwoEvents) => of events::each_change_of_a_poll_has_its_events;
    one_that_tells_the_same_again:
        with(Fault::TellsTheSameAgain) => of events::what_was_told_is_reported_once;
    one_that_tells_without_a_pause:
        with(Fault::TellsWithoutAPause) => of events::what_was_told_is_reported_once;
    one_that_removes_more_than_it_is_to:
        with(Fault::RemovesMoreThanItIsTo) => of events::the_oldest_events_go_first_and_numbers_go_on;
    one_that_numbers_from_one_again:
        with(Fault::NumbersFromOneAgain) => of events::the_oldest_events_go_first_and_numbers_go_on;
    one_that_tells_of_what_is_over:
        with(Fault::TellsOfWhatIsOver) => of events::of_a_poll_that_is_over_nothing_is_reported;
    one_that_tells_that_there_is_less:
        with(Fault::TellsThatThereIsLess) => of events::what_grows_is_reported_when_it_grows;
    one_that_has_no_opening:
        with(Fault::HasNoOpening) => of events::an_opening_at_its_time_is_reported_once_and_before_what_comes_after;
    one_that_says_not_what_is_gone:
        with(Fault::SaysNotWhatIsGone) => of events::the_oldest_events_go_first_and_numbers_go_on;
}
