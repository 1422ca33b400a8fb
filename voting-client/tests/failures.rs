//! What the client does when services fail. The "service" is a socket that answers as it is told, one answer a connection.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use voting_client::{Error, OperatorClient, ResultClient, Retry, VoteClient, Voter};

/// Sends these answers, then accepts nothing more. Returns its address, and at its end what was asked.
fn answers(answers: &[&str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
    let asked = thread::spawn(move || {
        let answer = |answer: String| {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let read = client.read(&mut asked).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, asked)
}

fn answer(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn problem(status: u16, kind: &str) -> String {
    let body = format!(
        r#"{{"type":"urn:voting:problem:{kind}","title":"t","status":{status},"detail":"d"}}"#
    );
    answer(status, "application/problem+json", &body)
}

fn quick() -> Retry {
    Retry::default()
        .with_first_wait(Duration::from_millis(5))
        .with_tries(2)
}

async fn cast(sent: &[&str]) -> (Result<String, Error>, Vec<String>) {
    let (address, asked) = answers(sent);
    let vote = VoteClient::new(&address).unwrap().with_retry(quick());
    let cast = vote.cast("p", &mut Voter::new(), &["a"]).await;
    (cast.map(|cast| cast.receipt), asked.join().unwrap())
}

fn key(request: &str) -> &str {
    let key = |line: &&str| line.starts_with("idempotency-key:");
    request.lines().find(key).expect("a key")
}

#[tokio::test]
async fn a_ballot_without_an_answer_is_sent_again_by_the_same_voter() {
    let taken = answer(202, "application/json", r#"{"receipt":"r","voter":"v"}"#);
    let (cast, asked) = cast(&["", &taken]).await;
    assert_eq!(cast.unwrap(), "r");
    assert_eq!(key(&asked[0]), key(&asked[1]));
    assert!(asked[1].starts_with("PUT /v1/polls/p/ballot "));
}

#[tokio::test]
async fn what_is_not_known_is_not_called_a_refusal() {
    let refused = problem(409, "poll-closed");
    let not_stored = problem(503, "not-stored");
    let page = answer(200, "text/html", "<h1>Sign in");
    let half = "HTTP/1.1 202 X\r\ncontent-length: 30\r\n\r\n{\"receipt\"";
    let gone = answer(502, "text/html", "");
    for unknown in [
        vec!["", ""],
        vec!["", &refused],
        vec![half, &not_stored],
        vec![&gone, &gone],
        vec![&page],
    ] {
        let (cast, _) = cast(&unknown).await;
        assert!(
            matches!(cast, Err(Error::OutcomeUnknown(_))),
            "{unknown:?}: {cast:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_reported_as_one() {
    let not_stored = problem(503, "not-stored");
    for (sent, kind) in [
        (vec![problem(409, "poll-closed")], "poll-closed"),
        (vec![problem(429, "proof-needed")], "proof-needed"),
        (vec![not_stored.clone(), not_stored], "not-stored"),
    ] {
        let sent: Vec<_> = sent.iter().map(String::as_str).collect();
        let (cast, _) = cast(&sent).await;
        assert_eq!(cast.unwrap_err().kind(), Some(kind));
    }
    // Nothing listens there.
    let (address, asked) = answers(&[]);
    asked.join().unwrap();
    let vote = VoteClient::new(&address).unwrap().with_retry(quick());
    let cast = vote.cast("p", &mut Voter::new(), &["a"]).await;
    assert!(matches!(cast, Err(Error::NoAnswer(_))), "{cast:?}");
}

#[tokio::test]
async fn a_voter_whose_session_has_ended_signs_in_again() {
    let session = |name: &str| {
        let body = r#"{"voter":"v","ends_at":"2026-11-27T21:00:00Z"}"#;
        let cookie = format!("set-cookie: session={name}; Path=/; HttpOnly\r\n\r\n");
        answer(200, "application/json", body).replacen("\r\n\r\n", &format!("\r\n{cookie}"), 1)
    };
    let taken = answer(202, "application/json", r#"{"receipt":"r","voter":"v"}"#);
    let ended = problem(401, "sign-in-needed");
    let (first, second) = (session("one"), session("two"));
    let sent = [&*first, &taken, &ended, &second, &taken];
    let (address, asked) = answers(&sent);
    let vote = VoteClient::new(&address).unwrap().with_retry(quick());
    let mut voter = Voter::with_token("a.b.c").unwrap();
    for _ in 0..2 {
        let cast = vote.cast("p", &mut voter, &["a"]).await.unwrap();
        assert_eq!(cast.receipt, "r");
    }
    let asked = asked.join().unwrap();
    for (asked, (line, header)) in asked.iter().zip([
        ("POST /v1/session", "authorization: Bearer a.b.c\r"),
        ("PUT /v1/polls/p/ballot", "cookie: session=one\r"),
        ("PUT /v1/polls/p/ballot", "cookie: session=one\r"),
        ("POST /v1/session", "authorization: Bearer a.b.c\r"),
        ("PUT /v1/polls/p/ballot", "cookie: session=two\r"),
    ]) {
        assert!(asked.starts_with(line) && asked.contains(header), "{asked}");
        let is_session = line.starts_with("POST");
        assert_eq!(asked.contains("authorization"), is_session, "{asked}");
    }
}

#[tokio::test]
async fn a_stream_is_opened_again_and_says_what_is_not_current() {
    let tally = |state, voters| {
        format!(
            "id: {voters}\nevent: tally\ndata: {{\"poll\":\"p\",\"state\":\"{state}\",\"version\":{voters},\
             \"voters\":{voters},\"options\":[]}}\n\n"
        )
    };
    let stream =
        |events: String| answer(200, "text/event-stream", &format!("retry: 2000\n{events}"));
    let first = stream(tally("open", 7) + "event: alive\ndata: {}\n\n");
    let second = stream(tally("open", 7) + &tally("final", 8));
    let (address, asked) = answers(&[&first, "", &problem(503, "too-many-viewers"), &second]);
    let results = ResultClient::new(&address).unwrap().with_retry(quick());
    let mut follow = results.follow("p", Some("g")).unwrap();
    let mut seen = Vec::new();
    while let Some(update) = follow.next().await {
        let update = update.unwrap();
        seen.push((update.tally.voters, update.is_current));
    }
    assert_eq!(seen, [(7, true), (7, false), (7, true), (8, true)]);
    let asked = asked.join().unwrap();
    assert!(asked.iter().all(|asked| asked.contains("result-grant: g")));
    assert!(!asked[0].contains("last-event-id"));
    assert!(asked[3].contains("last-event-id: 7"));
}

#[tokio::test]
async fn a_result_that_is_hidden_meanwhile_ends_the_stream() {
    let hidden = r#"{"type":"urn:voting:problem:result-hidden","title":"t","status":403,"detail":"d","voters":3}"#;
    let events = format!("event: hidden\ndata: {hidden}\n\n");
    let (address, _asked) = answers(&[&answer(200, "text/event-stream", &events)]);
    let mut follow = ResultClient::new(&address)
        .unwrap()
        .follow("p", None)
        .unwrap();
    let Some(Err(Error::Problem(problem))) = follow.next().await else {
        panic!("hidden");
    };
    assert_eq!((problem.kind(), problem.voters), ("result-hidden", Some(3)));
    assert!(follow.next().await.is_none());
}

/// The answer with this header.
fn with(answer: &str, header: &str) -> String {
    answer.replacen("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"), 1)
}

/// A key, a code, a token, a session, a grant and an operator's token.
#[tokio::test]
async fn no_secret_goes_where_a_redirect_leads() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("location: http://{}/", elsewhere.local_addr().unwrap());
    let session = answer(200, "application/json", r#"{"voter":"v","ends_at":"t"}"#);
    let session = with(&session, "set-cookie: session=one");
    for status in [301, 302, 303, 307, 308] {
        let away = with(&answer(status, "text/html", ""), &to);
        let (address, asked) =
            answers(&[&away, &away, &away, &session, &away, &away, &away, &away]);
        let vote = VoteClient::new(&address).unwrap().with_retry(quick());
        let voters = [
            Voter::new(),
            Voter::with_code("code").unwrap(),
            Voter::with_token("a.b.c").unwrap(),
            Voter::with_token("a.b.c").unwrap(),
        ];
        let is_it = |error| matches!(error, Error::Status(told) if told == status);
        for mut voter in voters {
            assert!(is_it(vote.cast("p", &mut voter, &["a"]).await.unwrap_err()));
        }
        let results = ResultClient::new(&address).unwrap().with_retry(quick());
        assert!(is_it(results.tally("p", Some("grant")).await.unwrap_err()));
        let mut follow = results.follow("p", Some("grant")).unwrap();
        assert!(is_it(follow.next().await.unwrap().unwrap_err()));
        let host = OperatorClient::new(&address, "token").unwrap();
        assert!(is_it(host.poll("p").await.unwrap_err()));
        assert_eq!(asked.join().unwrap().len(), 8);
    }
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn a_long_wait_is_told_and_not_waited_for() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 09:49:37 GMT";
    let busy = problem(429, "overloaded");
    let page = answer(503, "text/html", "<h1>Busy");
    for (busy, header, told) in [
        (&busy, "retry-after: 3600", "d, and asks to wait 3600 s"),
        (&busy, date, "d, and asks to wait 3600 s"),
        (
            &page,
            date,
            "answered with status 503, and asks to wait 3600 s",
        ),
    ] {
        let (address, _asked) = answers(&[&with(busy, header)]);
        let results = ResultClient::new(&address).unwrap();
        let error = results.tally("p", None).await.unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    // A wait that is allowed is waited for, also if a proxy asks.
    let tally = r#"{"poll":"p","state":"open","version":1,"voters":7,"options":[]}"#;
    let tally = answer(200, "application/json", tally);
    let (address, _asked) = answers(&[&with(&page, "retry-after: 1"), &tally]);
    let results = ResultClient::new(&address).unwrap().with_retry(quick());
    let begun = Instant::now();
    assert_eq!(results.tally("p", None).await.unwrap().voters, 7);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn an_address_is_one_of_http() {
    for address in ["", "localhost:8080", "ftp://x", "http://x/?a=b", "/vote"] {
        assert!(VoteClient::new(address).is_err(), "{address}");
    }
    assert!(VoteClient::new("http://localhost:8080/vote/").is_ok());
}
