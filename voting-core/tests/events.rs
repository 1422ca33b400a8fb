//! Events: what is told by comparing, the stream, and transactions of Postgres that end late.

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use postgres::{Client, NoTls};
use support::connect;
use voting_core::{
    Ballot, Choices, Poll, PollStore, VoterId, Voting,
    backends::memory::Memory,
    log::entry,
    model::{
        moment::Moment,
        poll::{PollSettings, ShowResults},
    },
    pipeline::{
        follow::{FollowError, follow},
        observe::{ObserveOptions, observe},
    },
    store::{EventStore, events::Event},
};
use voting_testing::PostgresServer;

fn poll(id: &str) -> Poll {
    let poll = Poll::builder(id, "Which?")
        .option("a", "A")
        .option("b", "B");
    poll.build().expect("a poll")
}

fn kinds(events: &[Event]) -> Vec<(&str, &str)> {
    let kinds = events.iter().map(|event| {
        let poll = event.what.poll.as_ref();
        (
            event.what.kind.as_str(),
            poll.map_or("", |poll| poll.as_str()),
        )
    });
    kinds.collect()
}

fn later(seconds: u64) -> Moment {
    let ms = Moment::now().unix_ms() + 1_000 * seconds;
    Moment::from_unix_ms(ms).expect("a moment")
}

#[tokio::test]
async fn what_no_change_says_is_reported_once() {
    let memory = Memory::default();
    let voting = Voting::embedded(memory.clone())
        .start()
        .await
        .expect("started");
    voting.put_poll(&poll("open")).await.expect("stored");
    let mut hidden = PollSettings::default();
    hidden.results = ShowResults::AfterClose;
    let hidden = poll("hidden").with_settings(hidden).expect("settings");
    voting.put_poll(&hidden).await.expect("stored");
    let mut timed = PollSettings::default();
    timed.opens_at = Some(later(100));
    let timed = poll("timed").with_settings(timed).expect("settings");
    voting.put_poll(&timed).await.expect("stored");
    for id in ["open", "hidden"] {
        voting
            .cast(id, VoterId::issue(), ["a"])
            .await
            .expect("cast");
    }
    voting.counted().await.expect("counted");
    voting
        .shutdown(Duration::from_secs(10))
        .await
        .expect("stopped");
    let before = memory.events(0, 99).await.expect("events").newest;

    // Nobody counts these two any more.
    let poison = entry::NewEntry {
        payload: b"poison".to_vec(),
        ..entry::of_one(&ballot("open"))
    };
    voting_core::BallotLog::append(&memory, voting_core::model::position::ShardId(0), poison)
        .await
        .expect("appended");
    let (queue, options) = (memory.queue(), ObserveOptions::default());
    let look = async |now| observe(&memory, &queue, &options, now).await.expect("told");
    look(Moment::now()).await;
    look(Moment::now()).await;
    let added = memory.events(before, 99).await.expect("events").list;
    // The teller of the system may have told of the votes before it ended.
    let added: Vec<_> = kinds(&added)
        .into_iter()
        .filter(|(kind, _)| *kind != "tally.changed")
        .collect();
    assert!(added.is_empty(), "{added:?}");
    for _ in 0..2 {
        look(later(200)).await;
    }
    let all = memory.events(0, 99).await.expect("events").list;
    let tallies = kinds(&all)
        .into_iter()
        .filter(|(kind, _)| *kind == "tally.changed");
    assert_eq!(tallies.collect::<Vec<_>>(), [("tally.changed", "open")]);
    let rest = kinds(&all[usize::try_from(before).expect("few")..]);
    let rest = rest
        .into_iter()
        .filter(|(kind, _)| *kind != "tally.changed");
    assert_eq!(
        rest.collect::<Vec<_>>(),
        [("poll.opened", "timed"), ("count.behind", "")]
    );
}

fn ballot(poll: &str) -> Ballot {
    Ballot {
        poll: poll.parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules: None,
    }
}

#[tokio::test]
async fn a_stream_has_each_event_once_and_says_when_its_place_is_gone() {
    let memory = Memory::default();
    for id in ["p1", "p2"] {
        memory.put_poll(&poll(id)).await.expect("stored");
    }
    let mut events = Box::pin(follow(memory.clone(), 1));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.next().await.expect("an event").expect("events"));
    }
    memory.put_poll(&poll("p3")).await.expect("stored");
    seen.push(events.next().await.expect("an event").expect("events"));
    let seen: Vec<_> = seen.iter().map(|event| event.number).collect();
    assert_eq!(seen, [2, 3, 4, 5]);
    memory.remove_events(later(1), 3).await.expect("removed");
    for place in [1, 99] {
        let mut events = Box::pin(follow(memory.clone(), place));
        let gone = events.next().await.expect("an answer");
        let Err(FollowError::Gone { oldest, newest, .. }) = gone else {
            panic!("{gone:?}");
        };
        assert_eq!((oldest, newest), (4, 6));
        assert!(events.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_late_holds_up_no_other_event_and_is_not_passed_over() {
    let server = PostgresServer::start();
    let url = server.database("voting");
    let store = connect(&url);
    store.migrate().await.expect("migrated");
    let add = "INSERT INTO events (id, at, kind, data) VALUES (gen_random_uuid(), 1, 'count.behind', '{}')";
    let mut slow = tokio::task::block_in_place(|| {
        let mut slow = Client::connect(&url, NoTls).expect("connected");
        slow.batch_execute(&format!("BEGIN; {add}")).expect("added");
        slow
    });
    store.put_poll(&poll("p1")).await.expect("stored");
    let seen = store.events(0, 9).await.expect("events");
    assert_eq!(
        kinds(&seen.list),
        [("poll.created", "p1"), ("poll.opened", "p1")]
    );
    store.put_poll(&poll("p2")).await.expect("stored");
    tokio::task::block_in_place(|| slow.batch_execute("COMMIT")).expect("committed");
    tokio::task::block_in_place(|| drop(slow));
    let rest = store.events(seen.newest, 9).await.expect("events");
    let numbers: Vec<_> = rest.list.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [3, 4, 5], "{rest:?}");
    let kinds = kinds(&rest.list);
    assert!(kinds.contains(&("count.behind", "")), "{kinds:?}");
    assert_eq!(store.events(0, 2).await.expect("events").list, seen.list);
}
