//! Showing results, over HTTP.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use support::{BROWSER, FORM, Services, Setup, events, get, next_event, send};
use voting_core::{
    PollId, Receipt, ReceiptState, StoreError, Tally, TallyStore, memory::Memory, tally::Recount,
};

const EVENTS: &str = "/v1/polls/cats-vs-dogs/tally/events";

fn tally(services: &Services) -> String {
    get(
        &format!("{}/v1/polls/cats-vs-dogs/tally", services.result),
        &[],
    )
    .body
}

#[test]
fn the_tally_has_the_shape_that_clients_rely_on() {
    let services = Services::start();
    for vote in ["vote=a", "vote=a", "vote=b"] {
        send("POST", &services.vote, &[FORM], vote.as_bytes());
        services.settle();
    }
    assert_eq!(
        tally(&services),
        r#"{"poll":"cats-vs-dogs","state":"open","version":3,"voters":3,"options":[{"id":"a","label":"Cats","votes":2},{"id":"b","label":"Dogs","votes":1}]}"#
    );
}

#[test]
fn a_viewer_gets_a_snapshot_and_then_each_change() {
    let services = Services::start();
    let mut viewer = events(&services.result, EVENTS);
    let (id, snapshot) = next_event(&mut viewer).expect("a snapshot");
    assert_eq!((id, &snapshot["voters"]), (0, &0.into()));
    send("POST", &services.vote, &[FORM], b"vote=b");
    let (id, change) = next_event(&mut viewer).expect("a change");
    assert_eq!(
        (id, &change["voters"], &change["version"]),
        (1, &1.into(), &1.into())
    );
    assert_eq!(change["options"][1]["votes"], 1);
    // Who comes later begins with what there is.
    let mut late = events(&services.result, EVENTS);
    assert_eq!(next_event(&mut late).expect("a snapshot"), (1, change));
}

#[test]
fn streams_end_when_the_service_stops_and_it_stops_at_once() {
    let services = Services::start();
    let mut viewers: Vec<_> = (0..20).map(|_| events(&services.result, EVENTS)).collect();
    for viewer in &mut viewers {
        next_event(viewer).expect("a snapshot");
    }
    let metrics = || get(&format!("{}/metrics", services.result), &[]).body;
    assert!(metrics().contains("voting_viewers 20"), "{}", metrics());
    assert!(
        metrics().contains("voting_tally_look_ups_total"),
        "{}",
        metrics()
    );
    let asked = Instant::now();
    services.stop.cancel();
    for viewer in &mut viewers {
        assert_eq!(next_event(viewer), None);
    }
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "not only when the drain time is over"
    );
}

/// Counts how often the store is asked.
struct Counting {
    memory: Memory,
    asked: AtomicU64,
}

#[async_trait]
impl TallyStore for Counting {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.memory.tally(poll).await
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        self.memory.receipt_state(receipt).await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.memory.recount(poll).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn many_viewers_cost_the_store_no_more_than_one() {
    let mut counting = None;
    let services = Services::set_up(|memory| {
        let store = Arc::new(Counting {
            memory: memory.clone(),
            asked: AtomicU64::new(0),
        });
        counting = Some(store.clone());
        Setup {
            tallies: Some(store),
            ..Setup::default()
        }
    });
    let counting = counting.expect("it was set up");
    let mut viewers: Vec<_> = (0..50).map(|_| events(&services.result, EVENTS)).collect();
    let begun = Instant::now();
    let before = counting.asked.load(Ordering::Relaxed);
    for round in 1..=4 {
        send("POST", &services.vote, &[FORM], b"vote=a");
        for viewer in &mut viewers {
            while next_event(viewer).expect("a change").1["voters"] != round {}
            get(&format!("{}/", services.result), &[BROWSER]);
        }
    }
    let ticks = begun.elapsed().as_millis() / 250 + 1;
    let asked = counting.asked.load(Ordering::Relaxed) - before;
    assert!(
        u128::from(asked) <= ticks,
        "{asked} look-ups in {ticks} ticks"
    );
    // Nobody watches: nobody asks.
    drop(viewers);
    services.block_on(async {
        let mut asked = counting.asked.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = counting.asked.load(Ordering::Relaxed);
            if now == asked {
                break;
            }
            asked = now;
            assert!(
                Instant::now() < deadline,
                "the store is asked though nobody watches"
            );
        }
    });
}

#[test]
fn the_page_works_without_scripts() {
    let services = Services::start();
    for _ in 0..2 {
        send("POST", &services.vote, &[FORM], b"vote=a");
    }
    send("POST", &services.vote, &[FORM], b"vote=b");
    services.settle();
    let page = get(&services.result, &[BROWSER]).body;
    for part in [
        "3 votes",
        "66.7%",
        "33.3%",
        "2 votes",
        "1 vote",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let vote_port = services.vote.rsplit(':').next().unwrap();
    assert!(
        page.contains(&format!(":{vote_port}/polls/cats-vs-dogs")),
        "it links to the vote"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let services = Services::start();
    let paths = [
        "/polls/none",
        "/v1/polls/none/tally",
        "/v1/polls/none/tally/events",
        "/v1/polls/%00/tally",
        "/x",
    ];
    for path in paths {
        let answer = get(&format!("{}{path}", services.result), &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let post = send("POST", &services.result, &[FORM], b"vote=a");
    assert_eq!(post.status, 405);
}

#[test]
fn another_label_is_seen_without_another_vote() {
    let services = Services::start();
    let mut viewer = events(&services.result, EVENTS);
    next_event(&mut viewer).expect("a snapshot");
    let renamed = support::poll("cats-vs-dogs", &[("a", "Felines"), ("b", "Dogs")], 1);
    services
        .block_on(voting_core::PollStore::put_poll(&services.memory, &renamed))
        .expect("renamed");
    let (_, change) = next_event(&mut viewer).expect("a change");
    assert_eq!(change["options"][0]["label"], "Felines");
}
