//! What has happened, by the operator's API.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{OPERATOR_TOKEN, Services, connect, get, poll};
use voting_core::{
    PollState, PollStore,
    model::moment::Moment,
    store::{
        EventStore,
        events::{EventKind, Mark, NewEvent},
    },
};

fn ask(services: &Services, query: &str) -> support::Answer {
    let url = format!("{}/v1/events{query}", services.operator);
    let bearer = format!("Bearer {OPERATOR_TOKEN}");
    get(&url, &[("authorization", &bearer)])
}

fn types(events: &Value) -> Vec<&str> {
    let events = events["events"].as_array().expect("a list");
    events
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect()
}

fn put(services: &Services, id: &str) {
    let poll = poll(id, &[("a", "Tea"), ("b", "Coffee")], 1);
    services
        .block_on(services.memory.put_poll(&poll))
        .expect("stored");
}

#[test]
fn events_are_read_from_a_place_on() {
    let services = Services::start();
    let newest = ask(&services, "").json()["newest"]
        .as_u64()
        .expect("a number");
    put(&services, "lunch");
    let events = ask(&services, &format!("?after={newest}")).json();
    assert_eq!(types(&events), ["poll.created", "poll.opened"]);
    let first = &events["events"][0];
    assert_eq!(first["number"], newest + 1);
    assert_eq!(
        (&first["poll"], &first["data"]["title"]),
        (&"lunch".into(), &"Cats vs Dogs!".into())
    );
    let last = events["newest"].as_u64().expect("a number");
    let none = ask(&services, &format!("?after={last}")).json();
    assert!(types(&none).is_empty());
    let one = ask(&services, &format!("?after={newest}&limit=1")).json();
    assert_eq!(types(&one), ["poll.created"]);

    // The place is that of another database, or what came after it is gone.
    let later = ask(&services, &format!("?after={}", last + 1));
    assert_eq!(later.status, 410);
    assert_eq!(later.json()["type"], "urn:voting:problem:events-gone");
    let soon = Moment::from_unix_ms(Moment::now().unix_ms() + 60_000).expect("a moment");
    let removed = services.block_on(
        services
            .memory
            .remove_events(soon, usize::try_from(last - 1).expect("few")),
    );
    removed.expect("removed");
    assert_eq!(ask(&services, "?after=1").status, 410);
    assert_eq!(types(&ask(&services, "").json()), ["poll.opened"]);
    for bad in [
        "?after=-1",
        "?limit=0",
        "?limit=201",
        "?wait=31",
        "?since=1",
    ] {
        assert!(ask(&services, bad).status.is_client_error(), "{bad}");
    }
}

#[test]
fn who_waits_gets_an_event_when_it_comes() {
    let services = Services::start();
    let newest = ask(&services, "").json()["newest"]
        .as_u64()
        .expect("a number");
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&services, &format!("?after={newest}&wait=30")).json());
        put(&services, "lunch");
        let events = waiting.join().expect("no panic");
        assert_eq!(types(&events)[0], "poll.created");
    });
    assert!(began.elapsed() < Duration::from_secs(20));
    let newest = newest + 2;
    let none = ask(&services, &format!("?after={newest}&wait=1")).json();
    assert!(types(&none).is_empty());
    // What is gone is not waited for.
    let soon = Moment::from_unix_ms(Moment::now().unix_ms() + 60_000).expect("a moment");
    let removed = services.block_on(services.memory.remove_events(soon, 99));
    removed.expect("removed");
    let began = Instant::now();
    let none = ask(&services, "?after=0&wait=1").json();
    assert!(types(&none).is_empty());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

/// The next event of a stream: its number, its type and its data.
fn next(stream: &mut impl BufRead) -> (String, String, Value) {
    let (mut id, mut kind) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        assert!(
            stream.read_line(&mut line).expect("a line") > 0,
            "the stream has ended"
        );
        if let Some(value) = line.strip_prefix("id: ") {
            id = value.trim().to_owned();
        } else if let Some(value) = line.strip_prefix("event: ") {
            kind = value.trim().to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            return (id, kind, serde_json::from_str(data).expect("JSON"));
        }
    }
}

fn stream(services: &Services, query: &str, more: &str) -> BufReader<std::net::TcpStream> {
    let mut stream = connect(&services.operator);
    let request = format!(
        "GET /v1/events/stream{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_TOKEN}\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    BufReader::new(stream)
}

#[test]
fn a_stream_goes_on_where_its_reader_was() {
    let services = Services::start();
    put(&services, "lunch");
    let newest = ask(&services, "").json()["newest"]
        .as_u64()
        .expect("a number");
    let mut events = stream(&services, &format!("?after={}", newest - 1), "");
    let (id, kind, data) = next(&mut events);
    assert_eq!((id, kind.as_str()), (newest.to_string(), "poll.opened"));
    assert_eq!(data["poll"], "lunch");
    let closing = PollState::Closing(voting_core::model::poll_state::Seals::default());
    let lunch = "lunch".parse().expect("an id");
    let closed = services.memory.advance_poll(&lunch, &closing);
    services.block_on(closed).expect("closing");
    let (id, kind, _) = next(&mut events);
    assert_eq!(
        (id, kind.as_str()),
        ((newest + 1).to_string(), "poll.closing")
    );
    drop(events);
    // As browsers do.
    let mut again = stream(&services, "", &format!("last-event-id: {newest}\r\n"));
    assert_eq!(next(&mut again).1, "poll.closing");
    let mut nowhere = stream(&services, "", &format!("last-event-id: {}\r\n", u64::MAX));
    let mut status = String::new();
    nowhere.read_line(&mut status).expect("a line");
    assert!(status.contains(" 410 "), "{status}");
}

#[test]
fn what_is_reported_by_comparing_comes_as_an_event_too() {
    let services = Services::start();
    let newest = ask(&services, "").json()["newest"]
        .as_u64()
        .expect("a number");
    let mark = Mark {
        name: "count".to_owned(),
        value: "behind".to_owned(),
        initial: "caught up",
        pause_ms: 0,
        only_more: false,
    };
    let event = NewEvent {
        kind: EventKind::CountBehind,
        poll: None,
        data: "{\"pending\":7,\"waits_ms\":61000}".to_owned(),
    };
    let added = services.block_on(services.memory.add_event(&mark, &event));
    assert!(added.expect("an answer"));
    let events = ask(&services, &format!("?after={newest}")).json();
    assert_eq!(types(&events), ["count.behind"]);
    assert_eq!(events["events"][0]["data"]["pending"], 7);
    assert_eq!(events["events"][0].get("poll"), None);
}
