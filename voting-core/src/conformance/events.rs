//! What an [`EventStore`](crate::store::EventStore) must keep.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::collections::HashSet;

use futures_util::future::join_all;

use super::{
    Backend,
    scene::{poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        id::PollId,
        moment::Moment,
        poll::{ChangeTo, PollChange, PollSettings},
        poll_state::{PollState, Seals},
    },
    store::events::{Event, EventKind, Mark, NewEvent, opening},
};

async fn change(backend: &Backend, poll: &PollId, to: ChangeTo) -> Result<(), StoreError> {
    let change = PollChange::new(poll.clone(), to);
    backend.polls.change_poll(&change, "host").await.map(|_| ())
}

async fn all(backend: &Backend) -> Vec<Event> {
    backend.events.events(0, 1_000).await.expect("events").list
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.what.kind.as_str())
        .collect()
}

fn follow_each_other(events: &[Event]) -> bool {
    events.is_sorted_by(|a, b| a.number + 1 == b.number)
}

fn mark(value: u64, pause_ms: u64) -> Mark {
    Mark {
        name: "dead letters".to_owned(),
        value: value.to_string(),
        initial: "0",
        pause_ms,
        only_more: true,
    }
}

fn dead_letters(number: u64) -> NewEvent {
    NewEvent {
        kind: EventKind::DeadLetterCreated,
        poll: None,
        data: format!("{{\"dead_letters\":{number}}}"),
    }
}

pub async fn each_change_of_a_poll_has_its_events(backend: &Backend) {
    let (began, poll) = (Moment::now(), poll_id("p"));
    let put = || ChangeTo::Put(Box::new(poll_of("p", 2, 1)));
    change(backend, &poll, put()).await.expect("stored");
    change(backend, &poll, put()).await.expect("nothing to do");
    let refused = change(backend, &poll, ChangeTo::Deleted).await;
    refused.expect_err("it is open");
    for state in [PollState::Closing, PollState::Final] {
        let to = ChangeTo::State(state(Seals::default()));
        change(backend, &poll, to).await.expect("stored");
    }
    for to in [ChangeTo::Archived(true), ChangeTo::Deleted] {
        change(backend, &poll, to).await.expect("stored");
    }
    let events = all(backend).await;
    assert_eq!(
        kinds(&events),
        [
            "poll.created",
            "poll.opened",
            "poll.closing",
            "poll.final",
            "poll.changed",
            "poll.deleted"
        ]
    );
    assert!(follow_each_other(&events), "{events:?}");
    let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len());
    for event in &events {
        assert_eq!(event.what.poll.as_ref(), Some(&poll));
        assert!(event.what.data.contains("\"title\""), "{event:?}");
        assert!(event.at.since(began) < std::time::Duration::from_secs(3_600));
    }
    assert_eq!(all(backend).await, events, "they stay as they are");
}

pub async fn what_was_told_is_reported_once(backend: &Backend) {
    let events = &backend.events;
    let added = async |value, pause| {
        events
            .add_event(&mark(value, pause), &dead_letters(value))
            .await
    };
    assert!(!added(0, 0).await.expect("it is so in the beginning"));
    let racing = (0..8).map(|_| added(3, 0));
    let racing: Vec<_> = join_all(racing).await;
    let news = racing
        .iter()
        .filter(|added| *added.as_ref().expect("an answer"));
    assert_eq!(news.count(), 1);
    assert!(!added(3, 0).await.expect("told already"));
    assert!(!added(4, 3_600_000).await.expect("it was told a moment ago"));
    assert!(added(4, 0).await.expect("news"));
    let events = all(backend).await;
    let data: Vec<_> = events
        .iter()
        .map(|event| event.what.data.as_str())
        .collect();
    assert_eq!(data, ["{\"dead_letters\":3}", "{\"dead_letters\":4}"]);
    assert_eq!(events[0].what, dead_letters(3));
}

pub async fn what_grows_is_reported_when_it_grows(backend: &Backend) {
    let events = &backend.events;
    let added = async |value, pause| {
        events
            .add_event(&mark(value, pause), &dead_letters(value))
            .await
    };
    assert!(added(5, 0).await.expect("news"));
    assert!(!added(3, 3_600_000).await.expect("there are fewer"));
    assert!(!added(5, 3_600_000).await.expect("it was told a moment ago"));
    assert!(added(5, 0).await.expect("there are more again"));
    assert!(!added(4, 0).await.expect("there are fewer"));
    assert_eq!(all(backend).await.len(), 2);
}

pub async fn an_opening_at_its_time_is_reported_once_and_before_what_comes_after(
    backend: &Backend,
) {
    let (added, silent) = (poll_id("told"), poll_id("silent"));
    let settings = PollSettings {
        opens_at: Moment::from_unix_ms(1_000),
        ..PollSettings::default()
    };
    for poll in [&added, &silent] {
        let timed = poll_of(poll.as_str(), 2, 1).with_settings(settings.clone());
        let stored = ChangeTo::Restored(Box::new(timed.expect("a poll")));
        change(backend, poll, stored).await.expect("stored");
    }
    let stored = backend.polls.poll(&added).await.expect("polls");
    let (mark, event) = opening(&stored.expect("stored"), Moment::now()).expect("it has opened");
    let news = async || backend.events.add_event(&mark, &event).await;
    assert!(news().await.expect("news"));
    for poll in [&added, &silent] {
        let closing = ChangeTo::State(PollState::Closing(Seals::default()));
        change(backend, poll, closing).await.expect("stored");
    }
    assert!(!news().await.expect("told"));
    let events = all(backend).await;
    for poll in [&added, &silent] {
        let of_poll = events
            .iter()
            .filter(|event| event.what.poll.as_ref() == Some(poll));
        let of_poll: Vec<_> = of_poll.cloned().collect();
        assert_eq!(
            kinds(&of_poll),
            ["poll.created", "poll.opened", "poll.closing"],
            "{poll}"
        );
    }
}

pub async fn of_a_poll_that_is_over_nothing_is_reported(backend: &Backend) {
    let poll = poll_id("p");
    let opened = NewEvent {
        kind: EventKind::PollOpened,
        poll: Some(poll.clone()),
        data: "{}".to_owned(),
    };
    let to = ChangeTo::Put(Box::new(poll_of("p", 2, 1).as_draft()));
    change(backend, &poll, to).await.expect("stored");
    let added = backend.events.add_event(&mark(1, 0), &opened).await;
    assert!(added.expect("news"));
    change(backend, &poll, ChangeTo::Deleted)
        .await
        .expect("deleted");
    // Whoever tells may have read the poll before it was deleted.
    let added = backend.events.add_event(&mark(2, 0), &opened).await;
    assert!(!added.expect("an answer"));

    let poll = poll_id("q");
    let put = ChangeTo::Put(Box::new(poll_of("q", 2, 1)));
    change(backend, &poll, put).await.expect("stored");
    let counted = NewEvent {
        kind: EventKind::TallyChanged,
        poll: Some(poll.clone()),
        data: "{}".to_owned(),
    };
    for (state, is_told) in [
        (PollState::Closing(Seals::default()), true),
        (PollState::Final(Seals::default()), false),
    ] {
        let to = ChangeTo::State(state);
        change(backend, &poll, to).await.expect("stored");
        let value = 3 + u64::from(!is_told);
        let added = backend.events.add_event(&mark(value, 0), &counted).await;
        assert_eq!(added.expect("an answer"), is_told);
    }
    let last = all(backend).await.pop().expect("an event");
    assert_eq!(last.what.kind, EventKind::PollFinal);
}

pub async fn events_are_read_in_order_and_in_pages(backend: &Backend) {
    let none = backend.events.events(0, 9).await.expect("events");
    assert_eq!((none.list.len(), none.oldest, none.newest), (0, 1, 0));
    for value in 1..=7 {
        let added = backend
            .events
            .add_event(&mark(value, 0), &dead_letters(value))
            .await;
        assert!(added.expect("news"));
    }
    let whole = all(backend).await;
    assert_eq!(whole.len(), 7);
    assert!(
        follow_each_other(&whole) && whole[0].number == 1,
        "{whole:?}"
    );
    let mut pages = Vec::<Event>::new();
    loop {
        let after = pages.last().map_or(0, |event| event.number);
        let page = backend.events.events(after, 3).await.expect("a page");
        assert_eq!((page.oldest, page.newest), (1, 7));
        assert!(page.list.len() <= 3);
        if page.list.is_empty() {
            break;
        }
        pages.extend(page.list);
        assert!(
            pages.len() <= whole.len(),
            "each event comes once: {pages:?}"
        );
    }
    assert_eq!(pages, whole);
    let none = backend.events.events(0, 0).await.expect("a page");
    assert!(none.list.is_empty());
    let later = backend.events.events(1_000, 9).await.expect("a page");
    assert!(later.list.is_empty(), "there are none so far");
    let last = backend.events.events(u64::MAX, 9).await.expect("a page");
    assert_eq!((last.list.len(), last.newest), (0, 7));
}

pub async fn the_oldest_events_go_first_and_numbers_go_on(backend: &Backend) {
    for value in 1..=5 {
        let added = backend
            .events
            .add_event(&mark(value, 0), &dead_letters(value))
            .await;
        assert!(added.expect("news"));
    }
    let events = &backend.events;
    let past = Moment::from_unix_ms(1_000).expect("a moment");
    assert_eq!(events.remove_events(past, 9).await.expect("none"), 0);
    let soon = Moment::from_unix_ms(Moment::now().unix_ms() + 60_000).expect("a moment");
    assert_eq!(events.remove_events(soon, 2).await.expect("removed"), 2);
    let left = events.events(0, 9).await.expect("events");
    assert_eq!((left.list.len(), left.oldest, left.newest), (3, 3, 5));
    assert_eq!(left.list[0].number, 3);
    assert_eq!(events.remove_events(soon, 9).await.expect("removed"), 3);
    let left = events.events(0, 9).await.expect("events");
    assert_eq!((left.list.len(), left.oldest, left.newest), (0, 6, 5));
    let added = events.add_event(&mark(6, 0), &dead_letters(6)).await;
    assert!(added.expect("news"));
    assert_eq!(all(backend).await[0].number, 6);
}

pub async fn a_reader_misses_no_event_of_writers_that_race(backend: &Backend) {
    const WRITERS: usize = 6;
    let polls: Vec<_> = (0..WRITERS).map(|n| poll_id(&format!("p{n}"))).collect();
    let write = async |poll: &PollId| {
        for to in [
            ChangeTo::Put(Box::new(poll_of(poll.as_str(), 2, 1))),
            ChangeTo::State(PollState::Closing(Seals::default())),
            ChangeTo::State(PollState::Final(Seals::default())),
            ChangeTo::Deleted,
        ] {
            change(backend, poll, to).await.expect("stored");
        }
    };
    // For each poll: created, opened, closing, final, deleted.
    let all_events = WRITERS * 5;
    let read = async {
        let mut seen = Vec::<Event>::new();
        while seen.len() < all_events {
            let after = seen.last().map_or(0, |event| event.number);
            let page = backend.events.events(after, 4).await.expect("a page");
            seen.extend(page.list);
            tokio::task::yield_now().await;
        }
        seen
    };
    let writing = join_all(polls.iter().map(write));
    let limit = std::time::Duration::from_secs(30);
    let both = async { tokio::join!(writing, read).1 };
    let seen = tokio::time::timeout(limit, both).await;
    let seen = seen.expect("the reader gets all events");
    assert!(follow_each_other(&seen) && seen[0].number == 1, "{seen:?}");
    for poll in &polls {
        let of_poll = seen
            .iter()
            .filter(|event| event.what.poll.as_ref() == Some(poll));
        let of_poll: Vec<_> = of_poll.cloned().collect();
        assert_eq!(
            kinds(&of_poll),
            [
                "poll.created",
                "poll.opened",
                "poll.closing",
                "poll.final",
                "poll.deleted"
            ]
        );
    }
    assert_eq!(all(backend).await, seen);
}

/// What was told, and the numbers, are still there.
pub async fn events_stay_and_their_numbers_go_on(backend: Backend) {
    let added = backend
        .events
        .add_event(&mark(1, 0), &dead_letters(1))
        .await;
    assert!(added.expect("news"));
    let before = all(&backend).await;
    let soon = Moment::from_unix_ms(Moment::now().unix_ms() + 60_000).expect("a moment");
    let added = backend
        .events
        .add_event(&mark(2, 0), &dead_letters(2))
        .await;
    assert!(added.expect("news"));
    let removed = backend.events.remove_events(soon, 1).await;
    assert_eq!(removed.expect("removed"), 1);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    let added = backend
        .events
        .add_event(&mark(2, 0), &dead_letters(2))
        .await;
    assert!(!added.expect("told already"));
    let added = backend
        .events
        .add_event(&mark(3, 0), &dead_letters(3))
        .await;
    assert!(added.expect("news"));
    let events = all(&backend).await;
    let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [2, 3]);
    assert_ne!(before[0].id, events[0].id);
}
