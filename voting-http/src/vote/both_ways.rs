//! Usual and odd casts get the same answers with and without the routers: the same status, headers, body, route and numbers.

use std::sync::Arc;

use poem::{Body, Endpoint, PathPattern, Request, Response, http::Method};
use poem_openapi::OperationId;
use voting_core::{
    GroupCommit, GroupCommitOptions, Poll, PollStore, SecretKey,
    backends::memory::{Memory, MemoryOptions},
    model::{
        poll::{PollSettings, ShowResults, Voters},
        poll_key::PollKeyWrap,
        poll_state::{PollState, Seals},
    },
};

use super::VoteService;
use crate::{edge::Edge, server::api_routes::ApiRoutes};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");
const BALLOT: &str = r#"{"choices":["a"]}"#;
const KEY: &str = "0123456789abcdef0123456789abcdef";

struct Cast {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    /// Whether the cookie of a voter who is known goes along.
    is_known: bool,
}

fn post(path: &'static str, headers: &[(&'static str, &'static str)], body: &str) -> Cast {
    Cast {
        method: Method::POST,
        path,
        headers: headers.to_vec(),
        body: body.to_owned(),
        is_known: false,
    }
}

fn put(path: &'static str, headers: &[(&'static str, &'static str)], body: &str) -> Cast {
    Cast {
        method: Method::PUT,
        ..post(path, headers, body)
    }
}

fn known(cast: Cast) -> Cast {
    Cast {
        is_known: true,
        ..cast
    }
}

const CATS: &str = "/v1/polls/cats-vs-dogs/ballot";

/// Those that do not need the routers.
fn usual() -> Vec<Cast> {
    let tag = "Voter-Tag";
    vec![
        post("/", &[FORM], "vote=a"),
        post("/?lang=de", &[FORM, HTML], "vote=a"),
        post("/", &[FORM, HTML, ("accept-language", "fr")], "vote=b"),
        known(post("/", &[FORM, HTML], "vote=b&voter=x")),
        known(post(
            "/",
            &[FORM, ("sec-fetch-mode", "navigate"), HTML],
            "vote=a",
        )),
        known(post("/", &[FORM], "vote=a&vote=b")),
        post("/", &[FORM], "vote=nobody"),
        post("/", &[FORM], ""),
        post("/", &[], "vote=a"),
        post("/", &[JSON], BALLOT),
        post("/", &[FORM, ("sec-fetch-site", "cross-site")], "vote=a"),
        post("/", &[FORM, ("origin", "https://app.test")], "vote=a"),
        post("/", &[FORM, ("cookie", "voter-0=a; voter-0=b")], "vote=a"),
        post(
            "/",
            &[FORM, ("accept", "text/html"), ("accept", "*/*")],
            "vote=%zz",
        ),
        post("/", &[FORM], &"vote=a&".repeat(5_000)),
        post("/polls/cats-vs-dogs", &[FORM], "vote=a"),
        post("/polls/many", &[FORM, HTML], "vote=a&vote=b"),
        post("/polls/many", &[FORM], "vote=a&vote=b&vote=c&vote=d"),
        post("/polls/closed", &[FORM], "vote=a"),
        post("/polls/closed", &[FORM, HTML], "vote=a"),
        post("/polls/codes", &[FORM, HTML], "vote=a"),
        post("/polls/codes", &[FORM], "vote=a"),
        post("/polls/unknown", &[FORM], "vote=a"),
        post("/polls/unknown", &[FORM, HTML], "vote=a"),
        post("/polls/-", &[FORM], "vote=a"),
        post("/polls/many", &[FORM, ("idempotency-key", KEY)], "vote=a"),
        put(CATS, &[JSON], BALLOT),
        put(CATS, &[JSON, HTML], BALLOT),
        known(put(CATS, &[JSON], BALLOT)),
        known(put(CATS, &[JSON, (tag, "x")], BALLOT)),
        known(put(CATS, &[JSON, (tag, "")], BALLOT)),
        put(CATS, &[JSON, (tag, "x")], BALLOT),
        put(CATS, &[JSON, (tag, "x"), (tag, "y")], BALLOT),
        put(CATS, &[JSON, JSON], BALLOT),
        put(CATS, &[JSON, ("origin", "https://app.test")], BALLOT),
        known(put(CATS, &[JSON, ("origin", "https://app.test")], BALLOT)),
        put(CATS, &[JSON, ("origin", "https://other.test")], BALLOT),
        put(CATS, &[JSON, ("idempotency-key", KEY)], BALLOT),
        known(put(CATS, &[JSON, ("idempotency-key", KEY)], BALLOT)),
        put(CATS, &[JSON, ("idempotency-key", "1")], BALLOT),
        put(CATS, &[JSON, ("voter-code", "ABCD-EFGH")], BALLOT),
        put(CATS, &[JSON, ("voter-proof", "e30=")], BALLOT),
        put(
            "/v1/polls/codes/ballot",
            &[JSON, ("voter-code", "ABCD")],
            BALLOT,
        ),
        put("/v1/polls/codes/ballot", &[JSON], BALLOT),
        put("/v1/polls/closed/ballot", &[JSON], BALLOT),
        put("/v1/polls/unknown/ballot", &[JSON], BALLOT),
        put("/v1/polls/first/ballot", &[JSON], BALLOT),
        put("/v1/polls/after/ballot", &[JSON], BALLOT),
        put(CATS, &[JSON], ""),
        put(CATS, &[JSON], "{"),
        put(CATS, &[JSON], "[\"a\"]"),
        put(CATS, &[JSON], "[[\"a\"]]"),
        put(CATS, &[JSON], r#"{"choices":"a"}"#),
        put(CATS, &[JSON], r#"{"choices":[1]}"#),
        put(CATS, &[JSON], r#"{"choices":{"a":true}}"#),
        put(CATS, &[JSON], " \n{ \"choices\" : [ \"\\u0061\" ] } \n"),
        put(CATS, &[JSON], r#"{"choices":["a"]} {}"#),
        put(CATS, &[JSON], r#"{"choices":["a"],"choices":["b"]}"#),
        put(CATS, &[JSON], r#"{"choices":["a"],"more":1}"#),
        put(CATS, &[JSON], r#"{"choices":[]}"#),
        put(CATS, &[JSON], r#"{"choices":["a","b"]}"#),
        put(CATS, &[JSON], r#"{"choices":["nobody"]}"#),
        put(CATS, &[JSON], "\u{feff}{\"choices\":[\"a\"]}"),
        put(CATS, &[JSON], &" ".repeat(20_000)),
        put("/v1/polls/cats-vs-dogs/ballot?x=%zz", &[JSON], BALLOT),
    ]
}

/// Those that are left to the routers.
fn unusual() -> Vec<Cast> {
    let long: &str = "x".repeat(101).leak();
    vec![
        post("/polls/cats-vs-dogs/", &[FORM], "vote=a"),
        post("/polls/Cats-Vs-Dogs", &[FORM], "vote=a"),
        post("/polls/cats%2dvs-dogs", &[FORM], "vote=a"),
        post("/polls/%ff", &[FORM], "vote=a"),
        post("/polls/", &[FORM], "vote=a"),
        post("/polls//", &[FORM], "vote=a"),
        post("//", &[FORM], "vote=a"),
        post("/polls/cats-vs-dogs/ballot", &[FORM], "vote=a"),
        post(CATS, &[JSON], BALLOT),
        put("/", &[FORM], "vote=a"),
        put("/polls/cats-vs-dogs", &[JSON], BALLOT),
        put(CATS, &[], BALLOT),
        put(CATS, &[FORM], "vote=a"),
        put(
            CATS,
            &[("content-type", "application/json; charset=utf-8")],
            BALLOT,
        ),
        put(
            CATS,
            &[("content-type", "application/json; charset=latin1")],
            BALLOT,
        ),
        put(CATS, &[JSON, ("voter-code", long)], BALLOT),
        put("/v1/polls/Cats-Vs-Dogs/ballot", &[JSON], BALLOT),
        put("/v1/polls/cats%2Dvs-dogs/ballot", &[JSON], BALLOT),
        put("/v1/polls//ballot", &[JSON], BALLOT),
        put("/v1/polls/cats-vs-dogs/ballot/", &[JSON], BALLOT),
    ]
}

fn poll(id: &str, settings: PollSettings) -> Poll {
    let poll = Poll::builder(id, "Cats vs Dogs!");
    let poll = ["a", "b", "c", "d"]
        .into_iter()
        .fold(poll, |poll, id| poll.option(id, id.to_uppercase()));
    let poll = poll.max_choices(if id == "many" { 3 } else { 1 });
    poll.settings(settings).build().expect("a poll")
}

async fn service() -> VoteService {
    let wrap = PollKeyWrap::new(&SecretKey::new([9; 32]).expect("long enough"));
    let memory = Memory::new(MemoryOptions::default());
    let with = |set: fn(&mut PollSettings)| {
        let mut settings = PollSettings::default();
        set(&mut settings);
        settings
    };
    for (id, settings) in [
        ("cats-vs-dogs", with(|_| {})),
        ("many", with(|_| {})),
        ("codes", with(|settings| settings.voters = Voters::Codes)),
        ("first", with(|settings| settings.revote = false)),
        (
            "after",
            with(|settings| settings.results = ShowResults::AfterVote),
        ),
        ("closed", with(|_| {})),
    ] {
        let mut poll = poll(id, settings);
        if id == "codes" {
            let key = wrap.make(poll.id()).expect("random bytes");
            poll = poll.with_key(key);
        }
        memory.put_poll(&poll).await.expect("stored");
    }
    let closed = "closed".parse().expect("an id");
    let closing = PollState::Closing(Seals::default());
    let advanced = memory.advance_poll(&closed, &closing).await;
    advanced.expect("closed");
    let log = Arc::new(memory.clone());
    let sink = GroupCommit::new(log, GroupCommitOptions::default());
    let secret = SecretKey::new([7; 32]).expect("long enough");
    VoteService::builder(Arc::new(sink), Arc::new(memory), &secret)
        .poll_keys(wrap)
        .allow_origins(["https://app.test".parse().expect("an origin")])
        .build()
}

fn request(cast: &Cast, cookie: &str) -> Request {
    let mut request = Request::builder()
        .method(cast.method.clone())
        .uri(cast.path.parse().expect("an address"))
        .header("host", "vote.test");
    for (name, value) in &cast.headers {
        request = request.header(*name, *value);
    }
    if cast.is_known {
        request = request.header("cookie", cookie);
    }
    request.body(Body::from(cast.body.clone()))
}

/// What an answer says, without what differs for each voter and each ballot.
async fn described(mut answer: Response) -> String {
    let data = (
        answer
            .data::<PathPattern>()
            .map(|pattern| pattern.0.to_string()),
        answer.data::<OperationId>().map(|operation| operation.0),
    );
    let body = answer.take_body().into_string().await.expect("a text");
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = value.to_str().expect("a text");
            let value = match name.as_str() {
                // Its value is the voter's.
                "set-cookie" => {
                    let (cookie, rest) = value.split_once(';').expect("attributes");
                    // So is the end of the name, of a cookie that remembers a vote.
                    let end = cookie.find(['.', '=']).expect("a value");
                    let cookie = &cookie[..end];
                    format!("{cookie}=…;{rest}")
                }
                _ => value.to_owned(),
            };
            format!("{name}: {value}")
        })
        .collect();
    headers.sort();
    let status = answer.status();
    format!("{status} {data:?} {headers:#?}\n{}", masked(&body))
}

/// Values begin behind these, and end with a quotation mark.
const MADE: [&str; 6] = [
    r#""voter":""#,
    r#""receipt":""#,
    r#""grant":""#,
    r#"data-voter=""#,
    r#"data-ballot=""#,
    r#"name="voter" value=""#,
];

/// A body without receipts, tags of voters, marks of ballots and grants.
fn masked(body: &str) -> String {
    MADE.iter().fold(body.to_owned(), |body, begin| {
        let mut parts = body.split(begin);
        let mut masked = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (_, rest) = part.split_once('"').expect("a value");
            masked.extend([*begin, "…\"", rest]);
        }
        masked
    })
}

/// The numbers of a service that are no times.
async fn numbers(edge: &Edge<ApiRoutes>) -> Vec<String> {
    let request = Request::builder()
        .uri("/metrics".parse().expect("an address"))
        .header("host", "vote.test")
        .finish();
    let answer = edge.call(request).await.expect("an answer");
    let text = answer.into_body().into_string().await.expect("a text");
    let lines = text.lines();
    let lines = lines.filter(|line| !line.contains("_seconds") || line.contains("_count"));
    let mut numbers: Vec<_> = lines.map(ToOwned::to_owned).collect();
    // Outcomes come in any order.
    numbers.sort();
    numbers
}

#[tokio::test]
async fn a_cast_is_answered_as_by_the_routers() {
    let (direct, routed) = (service().await, service().await);
    let (direct, routed) = (
        direct.edge(direct.api_routes()),
        routed.edge(routed.api_routes().without_shortcuts()),
    );
    let met = direct.call(request(&post("/", &[FORM], "vote=a"), ""));
    let met = met.await.expect("an answer");
    let cookie = met.headers().get("set-cookie").expect("a cookie");
    let cookie = cookie.to_str().expect("a text").split(';').next();
    let cookie = cookie.expect("a cookie").to_owned();
    routed
        .call(request(&post("/", &[FORM], "vote=a"), ""))
        .await
        .expect("an answer");
    let mut differ = Vec::new();
    for cast in usual().into_iter().chain(unusual()) {
        let answers = [&direct, &routed].map(|edge| edge.call(request(&cast, &cookie)));
        let [first, second] = answers;
        let first = described(first.await.expect("an answer")).await;
        let second = described(second.await.expect("an answer")).await;
        if first != second {
            let what = format!("{} {} {:?}", cast.method, cast.path, cast.headers);
            differ.push(format!(
                "{what} {}\n{first}\nby the routers: {second}",
                cast.body
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
    assert_eq!(numbers(&direct).await, numbers(&routed).await);
}

#[tokio::test]
async fn the_usual_casts_do_not_go_through_the_routers() {
    let routes = service().await.api_routes();
    for (casts, expected) in [(usual(), true), (unusual(), false)] {
        for cast in casts {
            let is_direct = routes.is_shortcut(&request(&cast, ""));
            let what = format!("{} {} {:?}", cast.method, cast.path, cast.headers);
            assert_eq!(is_direct, expected, "{what}");
        }
    }
}
