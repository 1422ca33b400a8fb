//! What a [`PollStore`](crate::PollStore) must keep, beside what its ballots mean.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{sync::Arc, time::Duration};

use super::{
    Backend,
    scene::{entry_key, poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        poll::{Poll, PollOption},
        poll_state::{PollState, Seals},
        position::{EntryId, ShardId},
    },
};

async fn put(backend: &Backend, poll: &Poll) {
    backend.polls.put_poll(poll).await.expect("stored");
}

async fn read(backend: &Backend, id: &str) -> Poll {
    let poll = backend.polls.poll(&poll_id(id)).await.expect("an answer");
    poll.expect("the poll is there")
}

fn titled(id: &str, title: &str) -> Poll {
    let poll = poll_of(id, 2, 1);
    Poll::new(poll.id().clone(), title, poll.options().to_vec(), 1).expect("a poll")
}

fn labelled(id: &str, label: &str) -> Poll {
    let poll = poll_of(id, 2, 1);
    let mut options = poll.options().to_vec();
    label.clone_into(&mut options[1].label);
    Poll::new(poll.id().clone(), poll.title(), options, 1).expect("a poll")
}

pub async fn titles_and_labels_are_kept_whatever_they_are(backend: &Backend) {
    // As many as can be, as long as can be, and what stores and formats take for something of theirs.
    let label = |index: usize, text: &str| PollOption {
        id: format!("{:a<30}{index:02}", "o").parse().expect("an id"),
        label: format!("{index} {text}"),
    };
    let mut options: Vec<_> = (0..56)
        .map(|n| label(n, &"\u{1f63a}".repeat(190)))
        .collect();
    let texts = [
        "it's \"odd\" \\ \\u0041 %s $1 {{x}}",
        "<b>&amp;</b>",
        "نعم",
        "כן",
        "हाँ",
        "\u{1f469}\u{200d}\u{1f680}",
        "NULL",
    ];
    options.extend((56..).zip(texts).map(|(n, text)| label(n, text)));
    let title = "\u{6f22}".repeat(200);
    let poll = Poll::new(poll_id("p"), title, options, 63).expect("a poll");
    put(backend, &poll).await;
    assert_eq!(read(backend, "p").await, poll);
    assert_eq!(backend.polls.polls().await.expect("polls"), [poll]);
}

pub async fn a_poll_that_could_not_be_made_any_more_is_kept_and_read(backend: &Backend) {
    // Earlier versions took texts that this one refuses of new polls.
    let old = r#"{"id":"old","title":"\u202eCats\u2028",
        "options":[{"id":"a","label":"\u200b"},{"id":"b","label":"\u200b"}]}"#;
    let old: Poll = serde_json::from_str(old).expect("a stored poll");
    put(backend, &old).await;
    put(backend, &old).await;
    assert_eq!(read(backend, "old").await, old);
    assert_eq!(backend.polls.polls().await.expect("polls"), [old]);
}

pub async fn the_texts_of_a_poll_that_is_not_open_stay(backend: &Backend) {
    let as_it_was = poll_of("p", 2, 1);
    put(backend, &poll_of("other", 2, 1)).await;
    put(backend, &as_it_was).await;
    let seals: Seals = [entry_key(7, 3)].into_iter().collect();
    for state in [PollState::Closing(seals.clone()), PollState::Final(seals)] {
        let advanced = backend.polls.advance_poll(as_it_was.id(), &state).await;
        advanced.expect("stored");
        for other in [titled("p", "Or which?"), labelled("p", "Another label")] {
            let refused = backend.polls.put_poll(&other).await;
            assert!(
                matches!(&refused, Err(StoreError::TextsFrozen(id)) if id == as_it_was.id()),
                "{refused:?}"
            );
        }
        let refused = backend.polls.put_poll(&poll_of("p", 3, 1)).await;
        assert!(
            matches!(refused, Err(StoreError::PollConflict(_))),
            "{refused:?}"
        );
        // The same once more, as at each start of a worker.
        put(backend, &as_it_was).await;
        let stored = read(backend, "p").await;
        assert_eq!(
            stored.with_extras(as_it_was.extras().clone()),
            as_it_was.clone().in_state(state)
        );
    }
    put(backend, &titled("other", "Or which?")).await;
    assert_eq!(read(backend, "other").await.title(), "Or which?");
}

pub async fn no_text_changes_once_a_poll_has_closed(backend: &Backend) {
    for number in 0..5_u64 {
        let id = format!("p{number}");
        put(backend, &poll_of(&id, 2, 1)).await;
        let renaming = {
            let (polls, poll) = (Arc::clone(&backend.polls), titled(&id, "Or which?"));
            tokio::spawn(async move { polls.put_poll(&poll).await })
        };
        // Before, while and after the other one is at work.
        tokio::time::sleep(Duration::from_millis(number * number)).await;
        let closing = PollState::Closing(Seals::default());
        let closed = backend.polls.advance_poll(&poll_id(&id), &closing).await;
        closed.expect("stored");
        let when_closed = read(backend, &id).await;
        let renamed = renaming.await.expect("no panic");
        assert_eq!(read(backend, &id).await, when_closed);
        match renamed {
            Ok(()) => assert_eq!(when_closed.title(), "Or which?"),
            Err(StoreError::TextsFrozen(_)) => assert_eq!(when_closed.title(), "Which?"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub async fn the_seals_of_a_poll_are_its_own_and_kept_whole(backend: &Backend) {
    for id in ["p", "q", "open"] {
        put(backend, &poll_of(id, 2, 1)).await;
    }
    let seal = |shard, ms, seq| (ShardId(shard), EntryId::new(ms, seq).expect("an entry id"));
    let (p, q): (Seals, Seals) = (
        [
            seal(0, 0, 0),
            seal(1, u64::MAX >> 1, (1 << 47) - 1),
            seal(257, (1 << 32) + 1, 1 << 33),
            seal(u16::MAX, 1, 1),
        ]
        .into_iter()
        .collect(),
        (0..300).map(|shard| seal(shard, 5, 5)).collect(),
    );
    for (id, to) in [
        ("p", PollState::Closing(p.clone())),
        ("q", PollState::Final(q.clone())),
    ] {
        let advanced = backend.polls.advance_poll(&poll_id(id), &to).await;
        assert_eq!(advanced.expect("stored"), Some(to));
    }
    let states = backend.polls.polls().await.expect("polls");
    let states: Vec<_> = states.iter().map(|poll| poll.state().clone()).collect();
    assert_eq!(
        states,
        [PollState::Closing(p), PollState::Final(q), PollState::Open]
    );
}
