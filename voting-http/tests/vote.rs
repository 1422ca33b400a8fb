//! Casting votes, over HTTP.

#[path = "vote/page.rs"]
mod page;
mod support;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use support::{BROWSER, FORM, JSON, Services, Setup, get, send};
use voting_core::{Ballot, CastError, Poll, PollDirectory, PollId, Receipt, StoreError, VoteSink};
use voting_http::{PublicUrl, Site};

const BALLOT: &str = "/v1/polls/cats-vs-dogs/ballot";

#[test]
fn the_courses_client_works_unchanged() {
    let services = Services::start();
    let answer = send("POST", &format!("{}/", services.vote), &[FORM], b"vote=b");
    assert_eq!(answer.status, 200);
    // A program has no use for the page: it reads the sentence, and which replica answered.
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let told = "Your vote for Dogs is in. You can change your vote until the poll closes, if you keep the cookie \
                that came with this answer.\nServed by replica-1\n";
    assert_eq!(answer.body, told);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    let page = get(&services.result, &[]).body;
    assert!(
        page.contains(r#"id="total" class="total">1 voter<"#),
        "{page}"
    );
}

#[test]
fn clients_without_a_cookie_are_as_many_voters() {
    let services = Services::start();
    for _ in 0..20 {
        assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [20, 0]);
}

#[test]
fn the_same_browser_changes_its_vote() {
    let services = Services::start();
    let page = get(&services.vote, &[BROWSER]);
    let cookie = page.cookie();
    assert!(
        page.header("set-cookie")
            .contains("HttpOnly; SameSite=Lax; Path=/")
    );
    for vote in ["vote=a", "vote=a", "vote=b"] {
        let headers = [FORM, BROWSER, ("cookie", &cookie)];
        let answer = send("POST", &services.vote, &headers, vote.as_bytes());
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("set-cookie"), "", "it has one");
    }
    let headers = [JSON, ("cookie", cookie.as_str())];
    let answer = send(
        "PUT",
        &(services.vote.clone() + BALLOT),
        &headers,
        br#"{"choices":["b"]}"#,
    );
    assert_eq!(answer.status, 202);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    assert_eq!(services.totals().superseded, 3);
}

#[test]
fn a_cast_that_fails_still_gives_the_cookie_so_that_a_retry_is_the_same_voters() {
    let services = Services::start();
    for (method, url, headers, body) in [
        ("POST", services.vote.clone(), [FORM], "vote=z"),
        ("PUT", services.vote.clone() + BALLOT, [JSON], "{"),
    ] {
        let failed = send(method, &url, &headers, body.as_bytes());
        assert!(failed.status.is_client_error());
        let cookie = failed.cookie();
        assert!(cookie.starts_with("voter-721edc="), "{cookie}");
        for _ in 0..2 {
            let retry = send(
                "POST",
                &services.vote,
                &[FORM, ("cookie", &cookie)],
                b"vote=a",
            );
            assert_eq!(retry.status, 200);
        }
    }
    assert_eq!(services.votes("cats-vs-dogs"), [2, 0]);
}

/// The tag that a page has for its voter.
fn tag_of(page: &str) -> &str {
    let (_, rest) = page.split_once("data-voter=\"").expect("a tag");
    rest.split('"').next().expect("its end")
}

#[test]
fn the_answer_to_a_ballot_names_its_voter_as_the_page_does_and_not_by_the_cookie() {
    let services = Services::start();
    let page = get(&services.vote, &[BROWSER]);
    let cookie = page.cookie();
    let url = services.vote.clone() + BALLOT;
    let cast = |headers: &[(&str, &str)]| send("PUT", &url, headers, br#"{"choices":["a"]}"#);
    let own = cast(&[JSON, ("cookie", &cookie)]).json();
    assert_eq!(own["voter"], tag_of(&page.body));
    let other = cast(&[JSON]).json();
    assert_ne!(other["voter"], own["voter"]);
    // A part of the cookie would be a part of what proves who the voter is.
    assert!(!cookie.contains(tag_of(&page.body)));
}

#[test]
fn an_accepted_ballot_comes_with_a_receipt() {
    let services = Services::start();
    let url = services.vote.clone() + BALLOT;
    let first = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(first.status, 202);
    let (receipt, cookie) = (
        first.json()["receipt"].as_str().unwrap().to_owned(),
        first.cookie(),
    );
    let state = |receipt: &str| {
        services.settle();
        get(&format!("{}/v1/receipts/{receipt}", services.result), &[])
    };
    assert_eq!(state(&receipt).json()["state"], "counted");
    let second = send(
        "PUT",
        &url,
        &[JSON, ("cookie", &cookie)],
        br#"{"choices":["b"]}"#,
    );
    assert_eq!(state(&receipt).json()["state"], "superseded");
    let second = second.json()["receipt"].as_str().unwrap().to_owned();
    let told = state(&second).json();
    assert_eq!(
        (&told["state"], &told["poll"]),
        (&"counted".into(), &"cats-vs-dogs".into())
    );
    assert_eq!(
        told.as_object().unwrap().len(),
        3,
        "and not what was chosen: {told}"
    );
    let cookie_value = cookie.split_once('=').unwrap().1;
    for forged in ["x", &second[1..], cookie_value] {
        assert_eq!(state(forged).status, 404);
    }
}

/// Method, path, headers, body; the status and the kind of problem that come back.
type Bad = (
    &'static str,
    &'static str,
    Vec<(&'static str, &'static str)>,
    Vec<u8>,
    u16,
    &'static str,
);

fn bad_input() -> Vec<Bad> {
    let form = || vec![FORM];
    let json = || vec![JSON];
    let cross_site = ("sec-fetch-site", "cross-site");
    let choice = "invalid-choice";
    vec![
        ("POST", "/", form(), b"vote=%00".into(), 422, choice),
        ("POST", "/", form(), b"vote=%ff%fe".into(), 422, choice),
        ("POST", "/", form(), b"vote=z".into(), 422, choice),
        ("POST", "/", form(), b"vote=".into(), 422, choice),
        ("POST", "/", form(), b"vote=a&vote=b".into(), 422, choice),
        ("POST", "/", form(), b"vote=a&vote=a".into(), 422, choice),
        ("POST", "/", form(), b"".into(), 422, choice),
        ("POST", "/", form(), b"a".into(), 422, choice),
        (
            "POST",
            "/",
            form(),
            vec![b'x'; 10_000_000],
            413,
            "too-large",
        ),
        ("POST", "/", form(), vec![b'x'; 20_000], 413, "too-large"),
        (
            "POST",
            "/",
            vec![FORM, ("cookie", "voter=forged")],
            b"vote=a".into(),
            400,
            "invalid-voter-cookie",
        ),
        (
            "POST",
            "/",
            vec![("content-type", "text/plain")],
            b"vote=a".into(),
            415,
            "not-a-form",
        ),
        ("POST", "/", vec![], b"vote=a".into(), 415, "not-a-form"),
        (
            "POST",
            "/",
            vec![FORM, cross_site],
            b"vote=a".into(),
            403,
            "cross-site",
        ),
        (
            "POST",
            "/",
            vec![FORM, ("origin", "http://evil.test")],
            b"vote=a".into(),
            403,
            "cross-site",
        ),
        (
            "POST",
            "/polls/none",
            form(),
            b"vote=a".into(),
            404,
            "unknown-poll",
        ),
        (
            "POST",
            "/polls/No%20Poll",
            form(),
            b"vote=a".into(),
            404,
            "unknown-poll",
        ),
        ("POST", "/nowhere", form(), b"vote=a".into(), 404, "request"),
        ("PUT", "/", form(), b"vote=a".into(), 405, "request"),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":["a"],"choices":["b"]}"#.into(),
            400,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":[1]}"#.into(),
            400,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":["a"],"poll":"many"}"#.into(),
            400,
            "request",
        ),
        ("PUT", BALLOT, json(), br#"[["a"]]"#.into(), 400, "request"),
        ("PUT", BALLOT, json(), b"{".into(), 400, "request"),
        ("PUT", BALLOT, json(), b"".into(), 400, "request"),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":"a"}"#.into(),
            400,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":["a"],"weight":2}"#.into(),
            400,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":[]}"#.into(),
            422,
            choice,
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":["a","b"]}"#.into(),
            422,
            choice,
        ),
        (
            "PUT",
            BALLOT,
            json(),
            br#"{"choices":["\u0000"]}"#.into(),
            422,
            choice,
        ),
        (
            "PUT",
            BALLOT,
            json(),
            vec![b' '; 10_000_000],
            413,
            "too-large",
        ),
        (
            "PUT",
            BALLOT,
            form(),
            br#"{"choices":["a"]}"#.into(),
            415,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            vec![JSON, cross_site],
            br#"{"choices":["a"]}"#.into(),
            403,
            "cross-site",
        ),
        (
            "PUT",
            BALLOT,
            vec![JSON, ("cookie", "voter=AAAA")],
            br#"{"choices":["a"]}"#.into(),
            400,
            "invalid-voter-cookie",
        ),
        (
            "PUT",
            BALLOT,
            vec![("content-type", "application/problem+json")],
            br#"{"choices":["a"]}"#.into(),
            415,
            "request",
        ),
        (
            "PUT",
            BALLOT,
            vec![("content-type", "application/json; charset=latin1")],
            br#"{"choices":["a"]}"#.into(),
            415,
            "request",
        ),
        (
            "PUT",
            "/v1/polls/none/ballot",
            json(),
            br#"{"choices":["a"]}"#.into(),
            404,
            "unknown-poll",
        ),
    ]
}

#[test]
fn of_a_header_that_decides_something_there_is_one() {
    let services = Services::start();
    let ballot = format!("{}{BALLOT}", services.vote);
    // Whichever of the two a proxy in front looks at, the service could look at the other one.
    for (name, values) in [
        ("origin", [services.vote.as_str(), "http://evil.test"]),
        ("origin", ["http://evil.test", &services.vote]),
        ("sec-fetch-site", ["same-origin", "cross-site"]),
        ("sec-fetch-site", ["none", "none"]),
        ("sec-fetch-mode", ["cors", "navigate"]),
        ("content-type", [JSON.1, FORM.1]),
        ("content-type", [FORM.1, JSON.1]),
    ] {
        let two = values.map(|value| (name, value));
        let form: Vec<_> = [FORM].into_iter().filter(|_| name != FORM.0).collect();
        let json: Vec<_> = [JSON].into_iter().filter(|_| name != JSON.0).collect();
        for answer in [
            send(
                "POST",
                &services.vote,
                &[&form[..], &two].concat(),
                b"vote=a",
            ),
            send(
                "PUT",
                &ballot,
                &[&json[..], &two].concat(),
                br#"{"choices":["a"]}"#,
            ),
        ] {
            assert_eq!(answer.status, 400, "{two:?}: {}", answer.body);
            let detail = answer.json()["detail"].as_str().unwrap().to_lowercase();
            let says = format!("there are two headers {name}; send one.");
            assert_eq!(detail, says);
        }
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
}

#[test]
fn json_is_called_json_and_is_utf_8() {
    let services = Services::start();
    let url = format!("{}{BALLOT}", services.vote);
    for kind in [
        "application/json;charset=UTF-8",
        "Application/JSON; charset=\"utf-8\"",
        "application/json; profile=x",
    ] {
        let cast = send(
            "PUT",
            &url,
            &[("content-type", kind)],
            br#"{"choices":["a"]}"#,
        );
        assert_eq!(cast.status, 202, "{kind}: {}", cast.body);
    }
    for kind in [
        "application/problem+json",
        "application/vnd.api+json",
        "text/json",
        "application/json; charset=latin1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset",
    ] {
        let cast = send(
            "PUT",
            &url,
            &[("content-type", kind)],
            br#"{"choices":["b"]}"#,
        );
        assert_eq!(cast.status, 415, "{kind}: {}", cast.body);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [3, 0]);
}

#[test]
fn a_page_is_for_who_takes_html() {
    let services = Services::start();
    let kind = |accept: &str| {
        let answer = get(&format!("{}/nowhere", services.vote), &[("accept", accept)]);
        answer.header("content-type").to_owned()
    };
    for accept in ["TEXT/HTML", "text/html;q=0.9, */*;q=0.8"] {
        assert_eq!(kind(accept), "text/html; charset=utf-8", "{accept}");
    }
    for accept in ["text/html;q=0", "*/*", "application/json, text/html; q=0.0"] {
        assert_eq!(kind(accept), "application/problem+json", "{accept}");
    }
}

#[test]
fn bad_input_gets_a_reason_and_changes_nothing() {
    let services = Services::start();
    for (method, path, headers, body, status, kind) in bad_input() {
        let answer = send(method, &format!("{}{path}", services.vote), &headers, &body);
        let what = format!("{method} {path} {headers:?}: {}", answer.body);
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        let problem = answer.json();
        assert_eq!(
            problem["type"],
            format!("urn:voting:problem:{kind}"),
            "{what}"
        );
        assert_eq!(problem["status"], status, "{what}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10),
            "{what}"
        );
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
    assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
    assert_eq!(
        services.totals().rejected,
        0,
        "none of it came as far as the worker"
    );
}

#[test]
fn a_form_of_another_site_does_not_make_another_voter_of_its_visitor() {
    let services = Services::start();
    for from in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "http://evil.test"),
    ] {
        for kind in [vec![FORM, from], vec![FORM, from, BROWSER]] {
            // The browser withholds the cookie, so the visitor looks new.
            let refused = send("POST", &services.vote, &kind, b"vote=a");
            assert_eq!(refused.status, 403);
            assert_eq!(
                refused.header("set-cookie"),
                "",
                "it would take the place of the real one"
            );
        }
    }
}

#[test]
fn a_browser_gets_its_errors_as_pages() {
    let services = Services::start();
    let answer = send("POST", &services.vote, &[FORM, BROWSER], b"vote=z");
    assert_eq!(answer.status, 422);
    assert!(
        answer
            .body
            .contains("Your vote was not counted. The poll has no option")
    );
    assert!(
        answer.body.contains(r#"value="a""#),
        "the ballot is there again"
    );
    let missing = get(&format!("{}/polls/none", services.vote), &[BROWSER]);
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("No such poll"), "{}", missing.body);
}

#[test]
fn what_a_client_sends_is_not_shown_as_markup() {
    let services = Services::start();
    let body = b"vote=%3Cscript%3Ealert(1)%3C/script%3E";
    let answer = send("POST", &services.vote, &[FORM, BROWSER], body);
    assert!(!answer.body.contains("<script>alert"), "{}", answer.body);
}

#[test]
fn a_poll_of_several_choices_takes_up_to_so_many() {
    let services = Services::start();
    let url = format!("{}/polls/many", services.vote);
    assert_eq!(
        send("POST", &url, &[FORM], b"vote=a&vote=c&vote=d").status,
        200
    );
    assert_eq!(
        send("POST", &url, &[FORM], b"vote=a&vote=b&vote=c&vote=d").status,
        422
    );
    assert_eq!(services.votes("many"), [1, 0, 1, 1]);
}

#[test]
fn polls_are_listed_with_what_a_client_needs_to_vote() {
    let services = Services::start();
    let polls = get(&format!("{}/v1/polls", services.vote), &[]).json();
    assert_eq!(polls["polls"].as_array().unwrap().len(), 2);
    let poll = get(&format!("{}/v1/polls/cats-vs-dogs", services.vote), &[]).json();
    assert_eq!(poll, polls["polls"][0]);
    assert_eq!(
        poll.to_string(),
        r#"{"id":"cats-vs-dogs","title":"Cats vs Dogs!","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"revision":0}"#
    );
}

#[test]
fn before_there_is_a_poll_the_page_says_so() {
    let services = Services::set_up(|_| Setup {
        polls: false,
        ..Setup::default()
    });
    let answer = get(&services.vote, &[BROWSER]);
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("There is no poll here yet."));
    assert_eq!(get(&format!("{}/readyz", services.vote), &[]).status, 200);
}

#[test]
fn over_https_the_cookie_is_bound_to_the_host() {
    let services = Services::set_up(|_| Setup {
        site: Site::default().with_public_url("https://vote.test".parse::<PublicUrl>().unwrap()),
        ..Setup::default()
    });
    let answer = send(
        "POST",
        &services.vote,
        &[FORM, ("origin", "https://vote.test")],
        b"vote=a",
    );
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-voter-721edc=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert!(
        answer
            .header("strict-transport-security")
            .starts_with("max-age=")
    );
}

#[test]
fn pages_may_load_from_their_own_site_only() {
    let services = Services::start();
    let page = get(&services.vote, &[BROWSER]);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "private, no-cache");
    let at = page.body.find("/assets/voting.css").expect("a style sheet");
    let href = page.body[at..].split('"').next().unwrap();
    let style = get(&format!("{}{href}", services.vote), &[]);
    assert_eq!(style.status, 200);
    assert!(style.header("cache-control").contains("immutable"));
    let other = get(&format!("{}/assets/voting.css?v=old", services.vote), &[]);
    assert_eq!(other.header("cache-control"), "no-cache");
    assert_eq!(other.header("set-cookie"), "");
}

type Failure = fn() -> CastError;

struct Failing(Failure);

#[async_trait]
impl VoteSink for Failing {
    async fn cast(&self, _: Ballot) -> Result<Receipt, CastError> {
        Err((self.0)())
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        Err(StoreError::unavailable("down"))
    }
}

#[test]
fn a_voter_is_never_thanked_for_a_ballot_that_is_not_stored() {
    let failures: [(Failure, &str, &str); 3] = [
        (|| CastError::Overloaded, "overloaded", "Too many votes"),
        (
            || CastError::Refused("full".into()),
            "not-stored",
            "cannot be stored right now",
        ),
        (
            || CastError::Unknown("gone".into()),
            "outcome-unknown",
            "it counts once",
        ),
    ];
    for (failure, kind, words) in failures {
        let services = Services::set_up(|_| Setup {
            sink: Some(Arc::new(Failing(failure))),
            ..Setup::default()
        });
        let api = send(
            "PUT",
            &(services.vote.clone() + BALLOT),
            &[JSON],
            br#"{"choices":["a"]}"#,
        );
        assert_eq!(api.status, 503);
        assert_eq!(api.json()["type"], format!("urn:voting:problem:{kind}"));
        assert!(
            api.header("retry-after")
                .parse::<u32>()
                .is_ok_and(|seconds| seconds > 0)
        );
        assert!(api.header("set-cookie").starts_with("voter-721edc="));
        let page = send("POST", &services.vote, &[FORM, BROWSER], b"vote=a");
        assert_eq!(page.status, 503);
        assert!(
            page.body.contains(words) && !page.body.contains("is in."),
            "{}",
            page.body
        );
        assert!(!page.header("retry-after").is_empty());
        let outcome = match kind {
            "not-stored" => "refused",
            "outcome-unknown" => "unknown",
            other => other,
        };
        let metrics = get(&format!("{}/metrics", services.vote), &[]).body;
        let told = format!("voting_casts_total{{outcome=\"{outcome}\"}} 2");
        assert!(metrics.contains(&told), "{told} in {metrics}");
        assert!(
            metrics.contains("voting_cast_duration_seconds_count 2"),
            "{metrics}"
        );
        let ready = get(&format!("{}/readyz", services.vote), &[]);
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("ballot log"), "{}", ready.body);
        assert_eq!(get(&format!("{}/healthz", services.vote), &[]).status, 200);
    }
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_the_service_as_it_was() {
    let services = Services::start();
    for part in [
        "POST / HT",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nvot",
        "\0\x01\x02\r\n\r\n",
    ] {
        let mut stream = support::connect(&services.vote);
        stream.write_all(part.as_bytes()).unwrap();
        drop(stream);
    }
    assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

/// Answers while it is asked to.
struct Answering {
    memory: voting_core::backends::memory::Memory,
    answers: AtomicBool,
}

#[async_trait]
impl PollDirectory for Answering {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.memory.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        if self.answers.load(Ordering::Relaxed) {
            self.memory.polls().await
        } else {
            // Neither a yes nor a no.
            std::future::pending().await
        }
    }
}

#[test]
fn voting_goes_on_while_polls_cannot_be_looked_up() {
    let mut directory = None;
    let services = Services::set_up(|memory| {
        let answering = Arc::new(Answering {
            memory: memory.clone(),
            answers: AtomicBool::new(true),
        });
        directory = Some(answering.clone());
        Setup {
            directory: Some(answering),
            ..Setup::default()
        }
    });
    assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    directory
        .expect("it was set up")
        .answers
        .store(false, Ordering::Relaxed);
    // Longer than what was looked up is taken for fresh.
    let begun = Instant::now();
    let mut votes = 1;
    while begun.elapsed() < Duration::from_millis(2_500) {
        let cast = Instant::now();
        assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
        assert!(
            cast.elapsed() < Duration::from_secs(2),
            "a voter waits for the directory"
        );
        votes += 1;
    }
    assert_eq!(services.votes("cats-vs-dogs"), [votes, 0]);
    let ready = get(&format!("{}/readyz", services.vote), &[]);
    assert_eq!(ready.status, 503);
}

/// The polls cannot be looked up.
struct Unreachable;

#[async_trait]
impl PollDirectory for Unreachable {
    async fn poll(&self, _: &PollId) -> Result<Option<Poll>, StoreError> {
        Err(StoreError::unavailable("down"))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        Err(StoreError::unavailable("down"))
    }
}

struct Panicking;

#[async_trait]
impl VoteSink for Panicking {
    async fn cast(&self, _: Ballot) -> Result<Receipt, CastError> {
        panic!("a bug in the sink")
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_bug_is_answered_too() {
    let services = Services::set_up(|_| Setup {
        sink: Some(Arc::new(Panicking)),
        ..Setup::default()
    });
    let answer = send("POST", &services.vote, &[FORM], b"vote=a");
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["type"], "urn:voting:problem:internal");
    assert!(answer.header("set-cookie").starts_with("voter-721edc="));
    assert_eq!(get(&services.vote, &[]).status, 200);
}

#[test]
fn a_body_in_chunks_is_limited_too() {
    let services = Services::start();
    let chunked = |chunk: &str, times: usize| {
        let mut stream = support::connect(&services.vote);
        let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..times {
            write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        support::read_to_end(&mut stream)
    };
    assert!(chunked("vote=a", 1).starts_with("HTTP/1.1 200"));
    assert!(chunked(&"x".repeat(1_000), 40).starts_with("HTTP/1.1 413"));
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn a_ballot_that_begins_with_a_byte_order_mark_is_taken() {
    let services = Services::start();
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let body = "\u{feff}{\"choices\":[\"b\"]}";
    assert_eq!(send("PUT", &url, &[JSON], body.as_bytes()).status, 202);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
}

#[test]
fn an_option_that_is_called_1_is_named_by_a_text() {
    let services = Services::start();
    let numbers = support::poll("numbers", &[("1", "One"), ("2", "Two")], 1);
    services
        .block_on(voting_core::PollStore::put_poll(&services.memory, &numbers))
        .unwrap();
    let url = format!("{}/v1/polls/numbers/ballot", services.vote);
    let put = |body: &str| {
        voting_testing::await_some("the poll is known", || {
            let answer = send("PUT", &url, &[JSON], body.as_bytes());
            (answer.status != 404).then_some(answer)
        })
    };
    let number = put(r#"{"choices":[1]}"#);
    assert_eq!(number.status, 400);
    let detail = number.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("choices[0]: it is the number 1, and must be a text"),
        "{detail}"
    );
    assert_eq!(put(r#"{"choices":["1"]}"#).status, 202);
    assert_eq!(services.votes("numbers"), [1, 0]);
}
