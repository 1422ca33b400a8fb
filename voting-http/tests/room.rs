//! Room for everybody: what one guest holds, the others do not lack.

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use support::{BROWSER, FORM, Services, Setup, any_event, connect, events, get, next_event, send};
use tokio::net::TcpSocket;
use voting_http::{Limits, Site};
use voting_testing::await_some;

const EVENTS: &str = "/v1/polls/cats-vs-dogs/tally/events";

/// Sooner than anything runs into a time-out.
const AT_ONCE: Duration = Duration::from_secs(4);

fn limited(limits: Limits) -> Services {
    Services::set_up(|_| Setup {
        limits,
        ..Setup::default()
    })
}

/// Connected from this address of the machine's own.
fn connect_from(services: &Services, address: &str, url: &str) -> TcpStream {
    let (from, to): (SocketAddr, SocketAddr) = (
        format!("{address}:0").parse().expect("it works"),
        url.strip_prefix("http://")
            .expect("it works")
            .parse()
            .expect("it works"),
    );
    let stream = services.block_on(async {
        let socket = TcpSocket::new_v4().expect("it works");
        socket.bind(from).expect("it works");
        socket
            .connect(to)
            .await
            .expect("it works")
            .into_std()
            .expect("it works")
    });
    stream.set_nonblocking(false).expect("it works");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("it works");
    stream
}

/// Asks for an event stream; the head of the answer. `None` if the connection was closed.
fn watch(stream: &mut TcpStream, headers: &str) -> Option<String> {
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0; 1];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).expect("it works").to_lowercase())
}

fn is_open(head: &Option<String>) -> bool {
    head.as_ref()
        .is_some_and(|head| head.starts_with("http/1.1 200"))
}

fn metric(url: &str, line: &str) -> u64 {
    let told = get(&format!("{url}/metrics"), &[]).body;
    let value = told.lines().find_map(|told| told.strip_prefix(line));
    value
        .unwrap_or_else(|| panic!("no {line} in {told}"))
        .trim()
        .parse()
        .expect("it works")
}

fn turned_away(url: &str, reason: &str) -> u64 {
    metric(
        url,
        &format!("voting_turned_away_total{{reason=\"{reason}\"}}"),
    )
}

/// Page, vote, health and readiness, each at once.
fn is_served(services: &Services) {
    let begun = Instant::now();
    for url in [&services.vote, &services.result] {
        for path in ["/", "/healthz", "/readyz"] {
            assert_eq!(
                get(&format!("{url}{path}"), &[BROWSER]).status,
                200,
                "{path}"
            );
        }
    }
    assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn one_client_that_opens_as_many_streams_as_it_can_leaves_room_for_the_others() {
    let services = limited(Limits {
        max_connections: 300,
        ..Limits::default()
    });
    let mut held = Vec::new();
    let (mut open, mut refused) = (0, 0);
    for _ in 0..320 {
        let mut stream = connect(&services.result);
        let head = watch(&mut stream, "");
        open += u32::from(is_open(&head));
        if let Some(head) = head.filter(|head| head.starts_with("http/1.1 429")) {
            assert!(head.contains("retry-after: 30"), "{head}");
            refused += 1;
        }
        held.push(stream);
    }
    assert_eq!(open, 113, "half of three quarters of 300");
    assert!(refused > 0);
    is_served(&services);
    assert!(turned_away(&services.result, "streams_of_address") > 0);
    assert!(turned_away(&services.result, "connections_of_address") > 0);
    assert_eq!(metric(&services.result, "voting_viewers"), 113);
    assert_eq!(metric(&services.result, "voting_connections_limit"), 300);
    // Another address watches.
    let mut other = connect_from(&services, "127.0.0.2", &services.result);
    assert!(is_open(&watch(&mut other, "")));
    drop(held);
    await_some("what was held is free again", || {
        (metric(&services.result, "voting_viewers") == 1).then_some(())
    });
    let mut again = connect(&services.result);
    assert!(is_open(&watch(&mut again, "")));
}

#[test]
fn an_address_that_only_holds_connections_leaves_room_for_the_others() {
    let services = limited(Limits {
        max_connections: 100,
        ..Limits::default()
    });
    let held: Vec<_> = (0..300).map(|_| connect(&services.vote)).collect();
    await_some("the address has its share", || {
        let mut other = connect_from(&services, "127.0.0.2", &services.vote);
        let ask = b"GET /metrics HTTP/1.0\r\n\r\n";
        other.write_all(ask).unwrap();
        let mut told = String::new();
        other.read_to_string(&mut told).unwrap();
        told.contains("voting_turned_away_total{reason=\"connections_of_address\"} 250")
            .then_some(())
    });
    // Another one is served as ever: its connection is kept.
    let mut other = connect_from(&services, "127.0.0.2", &services.vote);
    for _ in 0..3 {
        let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        other.write_all(ask).unwrap();
        let mut answer = [0; 4096];
        let length = other.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    drop(held);
}

#[test]
fn when_all_places_are_taken_everybody_still_gets_one_short_answer() {
    let services = limited(Limits {
        max_connections: 20,
        max_connections_per_address: Some(20),
        ..Limits::default()
    });
    let hold = |url: &str| -> Vec<_> { (0..20).map(|_| connect(url)).collect() };
    let (_votes, _results) = (hold(&services.vote), hold(&services.result));
    is_served(&services);
    for _ in 0..30 {
        let mut short = connect(&services.vote);
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n";
        short.write_all(ask).unwrap();
        let mut answer = String::new();
        // It is closed behind the answer.
        short.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.to_lowercase().contains("connection: close"),
            "{answer}"
        );
    }
    let mut viewer = connect(&services.result);
    let head = watch(&mut viewer, "").unwrap();
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(head.contains("retry-after: 30"), "{head}");
    assert!(turned_away(&services.vote, "connections") > 30);
}

#[test]
fn a_place_of_the_reserve_is_not_held_for_long() {
    let services = limited(Limits {
        max_connections: 1,
        max_connections_per_address: Some(1),
        reserve: Some(1),
        ..Limits::default()
    });
    let _place = connect(&services.vote);
    let mut reserve = connect(&services.vote);
    let begun = Instant::now();
    assert_eq!(get(&format!("{}/healthz", services.vote), &[]).status, 200);
    assert!(begun.elapsed() < Duration::from_secs(15));
    let mut rest = String::new();
    let _ = reserve.read_to_string(&mut rest);
}

/// Whoever holds all places they may have, and more, leaves some of the reserve.
#[test]
fn no_address_takes_all_of_the_reserve() {
    let services = limited(Limits {
        max_connections: 20,
        max_connections_per_address: Some(20),
        reserve: Some(16),
        ..Limits::default()
    });
    let _held: Vec<_> = (0..36).map(|_| connect(&services.vote)).collect();
    let begun = Instant::now();
    let mut other = connect_from(&services, "127.0.0.2", &services.vote);
    other.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn when_all_streams_are_taken_further_viewers_are_asked_to_come_back() {
    let services = limited(Limits {
        max_streams: Some(2),
        max_streams_per_address: Some(2),
        ..Limits::default()
    });
    let mut held = [(); 2].map(|()| connect(&services.result));
    for viewer in &mut held {
        assert!(is_open(&watch(viewer, "")));
    }
    let mut other = connect_from(&services, "127.0.0.2", &services.result);
    let head = watch(&mut other, "").unwrap();
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(head.contains("retry-after: 30"), "{head}");
    assert_eq!(turned_away(&services.result, "streams"), 1);
    assert_eq!(turned_away(&services.result, "streams_of_address"), 0);
    is_served(&services);
    drop(held);
    await_some("there is room again", || {
        let mut again = connect_from(&services, "127.0.0.2", &services.result);
        is_open(&watch(&mut again, "")).then_some(())
    });
}

#[test]
fn a_stream_ends_when_it_has_had_its_time_and_its_client_comes_back() {
    let services = limited(Limits {
        stream_life: Duration::from_secs(1),
        ..Limits::default()
    });
    let begun = Instant::now();
    let mut first = events(&services.result, EVENTS);
    let mut line = String::new();
    first.read_line(&mut line).unwrap();
    assert_eq!(line, "retry: 2000\n");
    let (id, _) = next_event(&mut first).expect("a snapshot");
    // Signs of life go on until then.
    while any_event(&mut first).is_some() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
    }
    let lived = begun.elapsed();
    assert!(
        lived > Duration::from_millis(850) && lived < Duration::from_secs(10),
        "{lived:?}"
    );
    let mut second = events(&services.result, EVENTS);
    assert_eq!(next_event(&mut second).expect("a snapshot").0, id);
}

#[test]
fn behind_a_named_proxy_each_viewer_has_the_own_address() {
    let limits = |proxies: &str| Limits {
        max_connections: 40,
        max_streams_per_address: Some(2),
        trusted_proxies: proxies.parse().unwrap(),
        ..Limits::default()
    };
    let named = limited(limits("127.0.0.0/8"));
    let mut held = Vec::new();
    let mut open = |services: &Services, from: &str| {
        let mut stream = connect(&services.result);
        let head = watch(
            &mut stream,
            &format!("X-Forwarded-For: 6.6.6.6, {from}\r\n"),
        );
        held.push(stream);
        is_open(&head)
    };
    // More connections than one address may have.
    for viewer in 0..25 {
        assert!(open(&named, &format!("10.0.0.{viewer}")), "{viewer}");
    }
    assert!(open(&named, "10.0.0.1"));
    assert!(!open(&named, "10.0.0.1"), "its third");
    assert!(open(&named, "10.0.0.2:4711"));
    assert!(!open(&named, "10.0.0.2"));
    // From elsewhere the header says nothing.
    let strange = limited(limits("10.0.0.1"));
    assert!(open(&strange, "10.0.0.1"));
    assert!(open(&strange, "10.0.0.2"));
    assert!(!open(&strange, "10.0.0.3"));
}

#[test]
fn votes_from_another_page_are_counted_for_the_operator_to_see() {
    let services = Services::set_up(|_| Setup {
        site: Site::default(),
        ..Setup::default()
    });
    let host = services.vote.strip_prefix("http://").unwrap().to_owned();
    let post = |origin: &str| {
        let headers = [FORM, ("origin", origin)];
        send("POST", &services.vote, &headers, b"vote=a")
            .status
            .as_u16()
    };
    assert_eq!(post(&format!("http://{host}")), 200);
    assert_eq!(turned_away(&services.vote, "other_origin"), 0);
    assert_eq!(post("http://vote.example"), 403);
    assert_eq!(turned_away(&services.vote, "other_origin"), 1);
}

/// Speaks HTTP by hand; what comes back until the connection is closed.
fn raw(url: &str, request: &str) -> String {
    let mut stream = connect(url);
    stream.write_all(request.as_bytes()).expect("it works");
    let mut answer = String::new();
    BufReader::new(stream)
        .read_to_string(&mut answer)
        .expect("it works");
    answer
}

#[test]
fn a_request_names_one_host() {
    let services = Services::start();
    for url in [&services.vote, &services.result, &services.operator] {
        let status = |hosts: &str| {
            let request = format!("GET /healthz HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
            raw(url, &request)[9..12].to_owned()
        };
        assert_eq!(status("Host: x\r\n"), "200");
        assert_eq!(status(""), "400");
        assert_eq!(status("Host: x\r\nHost: x\r\n"), "400");
        assert_eq!(status("Host: x\r\nHost: y\r\n"), "400");
        assert_eq!(status("Host:\r\n"), "400");
        assert_eq!(status("Host: a b\r\n"), "400");
        let whole = "GET http://evil.test/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(raw(url, whole).starts_with("HTTP/1.1 400"), "two hosts");
        assert!(raw(url, "GET /healthz HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200"));
    }
    let vote = "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 6\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\nvote=a";
    let answer = raw(&services.vote, vote);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("no header Host"), "{answer}");
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
}

#[test]
fn a_method_that_an_address_does_not_take_is_answered_with_those_that_it_takes() {
    let services = Services::start();
    let (vote, result, operator) = (&services.vote, &services.result, &services.operator);
    let token = format!("Authorization: Bearer {}\r\n", support::OPERATOR_TOKEN);
    let read = "GET, HEAD";
    for (url, path, allow) in [
        (vote, "/", "GET, HEAD, POST"),
        (vote, "/polls/many", "GET, HEAD, POST"),
        (vote, "/v1/polls", read),
        (vote, "/v1/polls/many", read),
        (vote, "/v1/polls/many/ballot", "DELETE, PUT"),
        (vote, "/assets/voting.css", read),
        (vote, "/healthz", read),
        (vote, "/readyz", read),
        (vote, "/metrics", read),
        (vote, "/openapi.json", read),
        (vote, "/docs", read),
        (vote, "/docs/", read),
        (result, "/", read),
        (result, "/polls/many", read),
        (result, "/v1/polls/many/tally", read),
        (result, EVENTS, read),
        (result, "/v1/receipts/x", read),
        (operator, "/", read),
        (operator, "/v1/pipeline", read),
        (operator, "/v1/polls", "GET, HEAD, POST"),
        (operator, "/v1/polls/many/close", "POST"),
        (operator, "/v1/dead-letters/0-1-0", read),
        (operator, "/v1/dead-letters/0-1-0/replay", "POST"),
    ] {
        for method in ["DELETE", "OPTIONS", "TRACE", "FOO"] {
            if allow.contains(method) {
                continue;
            }
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
            let answer = raw(url, &format!("{head}{token}\r\n"));
            assert!(
                answer.starts_with("HTTP/1.1 405"),
                "{method} {path}: {answer}"
            );
            let told = answer.lines().find_map(|line| line.strip_prefix("allow: "));
            assert_eq!(told, Some(allow), "{method} {path}: {answer}");
        }
        if allow == read && path != EVENTS {
            let head =
                format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\n");
            let answer = raw(url, &head);
            assert!(!answer.starts_with("HTTP/1.1 405"), "HEAD {path}: {answer}");
        }
    }
}
