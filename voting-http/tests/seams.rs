//! What an application that mounts the services may decide: who votes, which ballots count, where the services are,
//! who may use the API, and what is shown.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use support::{BROWSER, FORM, JSON, OPERATOR_TOKEN, Services, Setup, get, poll, secret, send};
use voting_core::{
    Ballot, Poll, PollStore, SecretKey, StoreError, VoterId,
    backends::memory::Memory,
    pipeline::rule::{BallotRule, Refusal},
};
use voting_http::{
    Exposed, HttpService, Identify, NoVoter, PeerAddress, PublicUrl, RequestHead, ServeOptions,
    SetByApplication, VoteService, VoteServiceBuilder, Voter, async_trait, serve,
};
use voting_testing::await_some;

const BALLOT: &str = "/v1/polls/cats-vs-dogs/ballot";
const PAGE: &str = "/polls/cats-vs-dogs";
const DOGS: &[u8] = br#"{"choices":["b"]}"#;

/// The names of users whom a proxy has signed in, one of whom may not vote.
fn by_header(request: &RequestHead<'_>) -> Result<VoterId, NoVoter> {
    let user = request.headers().get("remote-user");
    let user = user.and_then(|user| user.to_str().ok());
    let user = user.ok_or_else(|| NoVoter::sign_in("Sign in to vote.").at("/login?to=vote"))?;
    match user {
        "guest" => Err(NoVoter::not_eligible("Only members can vote.")),
        "nobody-knows" => Err(StoreError::unavailable("the directory is away").into()),
        user => Ok(VoterId::from_external(&secret().derive("test"), user)),
    }
}

fn with_login() -> Services {
    Services::set_up(|_| Setup {
        vote: |builder| builder.identify(by_header),
        ..Setup::default()
    })
}

fn kind(answer: &support::Answer) -> String {
    let kind = answer.json()["type"].as_str().map(str::to_owned);
    let kind = kind.unwrap_or_default();
    kind.trim_start_matches("urn:voting:problem:").to_owned()
}

fn tag_in(page: &str) -> &str {
    let (_, rest) = page.split_once("data-voter=\"").expect("a tag");
    rest.split_once('"').expect("its end").0
}

#[test]
fn a_voter_whom_the_application_names_counts_once() {
    let services = with_login();
    let url = services.vote.clone() + BALLOT;
    let cast = |user: &str, body: &[u8]| {
        // A cookie of ours, were it read, would be another voter or nobody.
        let cookie = ("cookie", "voter-721edc=x; voter=y");
        let answer = send("PUT", &url, &[JSON, ("remote-user", user), cookie], body);
        assert_eq!(answer.status, 202, "{}", answer.body);
        assert_eq!(answer.header("set-cookie"), "");
        answer.json()
    };
    let first = cast("ada", br#"{"choices":["a"]}"#);
    let second = cast("ada", DOGS);
    assert_eq!(first["voter"], second["voter"]);
    assert_ne!(
        cast("bob", br#"{"choices":["a"]}"#)["voter"],
        first["voter"]
    );
    assert_eq!(services.votes("cats-vs-dogs"), [1, 1]);
    let receipt = first["receipt"].as_str().expect("a receipt");
    let told = get(&format!("{}/v1/receipts/{receipt}", services.result), &[]);
    assert_eq!(told.json()["state"], "superseded");
}

#[test]
fn who_has_not_signed_in_learns_so_and_given_no_cookie() {
    let services = with_login();
    let url = services.vote.clone() + BALLOT;
    for (user, status, problem) in [
        (None, 401, "sign-in-needed"),
        (Some("guest"), 403, "not-eligible"),
        (Some("nobody-knows"), 503, "store-unavailable"),
    ] {
        let user: Vec<_> = user.map(|user| ("remote-user", user)).into_iter().collect();
        let headers = [&[JSON], user.as_slice()].concat();
        let refused = send("PUT", &url, &headers, DOGS);
        assert_eq!(
            (refused.status.as_u16(), kind(&refused).as_str()),
            (status, problem)
        );
        assert_eq!(refused.header("set-cookie"), "");
        let headers = [&[FORM, BROWSER], user.as_slice()].concat();
        let form = send("POST", &(services.vote.clone() + PAGE), &headers, b"vote=b");
        let page = get(
            &(services.vote.clone() + PAGE),
            &[&[BROWSER], user.as_slice()].concat(),
        );
        let state = get(&format!("{}{PAGE}/state", services.vote), &user);
        let forget = send(
            "POST",
            &format!("{}{PAGE}/forget", services.vote),
            &headers,
            b"",
        );
        for answer in [&form, &page, &state, &forget] {
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(answer.header("set-cookie"), "");
        }
        assert!(
            form.body.contains("Your vote was not counted."),
            "{}",
            form.body
        );
        if status == 401 {
            assert_eq!(refused.header("www-authenticate"), "Application");
            assert!(
                page.body
                    .contains(r#"<a class="primary" href="/login?to=vote">Sign in</a>"#)
            );
        }
    }
    // What is for everybody stays so.
    for path in ["/v1/polls", "/polls", "/docs", "/healthz", "/metrics"] {
        assert_eq!(
            get(&(services.vote.clone() + path), &[]).status,
            200,
            "{path}"
        );
    }
    let metrics = get(&(services.vote.clone() + "/metrics"), &[]).body;
    assert!(
        metrics.contains("voting_casts_total{outcome=\"unidentified\"} 6"),
        "{metrics}"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
}

#[test]
fn pages_and_the_memory_of_a_vote_work_with_a_login() {
    let services = with_login();
    let (page, user) = (services.vote.clone() + PAGE, ("remote-user", "ada"));
    let before = get(&page, &[BROWSER, user]);
    assert_eq!(before.header("set-cookie"), "");
    assert!(
        before
            .body
            .contains(r#"data-new="false" data-login="true""#)
    );
    let tag = tag_in(&before.body).to_owned();
    let form = format!("voter={tag}&vote=b");
    let cast = send("POST", &page, &[FORM, BROWSER, user], form.as_bytes());
    assert_eq!(cast.status, 303, "{}", cast.body);
    let memory = cast.cookie();
    assert!(memory.starts_with("ballot-"), "{memory}");
    let cookie = ("cookie", memory.as_str());
    let after = get(&page, &[BROWSER, user, cookie]);
    assert!(after.body.contains("Your last confirmed vote is for Dogs."));
    let state = get(&format!("{page}/state"), &[user, cookie]).json();
    assert_eq!(
        (&state["voter"], &state["choices"][0]),
        (&tag.clone().into(), &"b".into())
    );
    // The browser's next person sees nothing of it.
    let bob = ("remote-user", "bob");
    let other = get(&page, &[BROWSER, bob, cookie]);
    assert!(!other.body.contains("Dogs. You"), "{}", other.body);
    assert_eq!(
        get(&format!("{page}/state"), &[bob, cookie]).json()["choices"],
        serde_json::json!([])
    );
    // Nor does a click on the first one's page count as the second one's vote.
    let late = send("POST", &page, &[FORM, BROWSER, bob], form.as_bytes());
    assert_eq!(late.status, 409);
    assert!(
        late.body.contains("Somebody else has signed in"),
        "{}",
        late.body
    );
    let put = send(
        "PUT",
        &(services.vote.clone() + BALLOT),
        &[JSON, bob, ("voter-tag", &tag)],
        DOGS,
    );
    assert_eq!(
        (put.status.as_u16(), kind(&put).as_str()),
        (409, "voter-changed")
    );
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
}

#[test]
fn without_the_cookie_there_is_nothing_to_start_over() {
    let services = with_login();
    let over = send(
        "POST",
        &format!("{}/start-over", services.vote),
        &[FORM],
        b"",
    );
    assert_eq!(over.status, 404);
    let document = get(&format!("{}/openapi.json", services.vote), &[]).body;
    assert!(!document.contains("\"in\": \"cookie\""), "{document}");
    assert!(document.contains("has signed in to the application"));
}

/// Refuses voters of one poll whatever they choose, and everybody while it cannot tell.
struct Members {
    away: Arc<AtomicBool>,
}

static AWAY: std::sync::LazyLock<Arc<AtomicBool>> = std::sync::LazyLock::new(Arc::default);

#[async_trait]
impl BallotRule for Members {
    async fn check(&self, ballot: &Ballot, poll: &Poll) -> Result<Result<(), Refusal>, StoreError> {
        if self.away.load(Relaxed) {
            return Err(StoreError::unavailable("the list of members is away"));
        }
        let is_refused = poll.id().as_str() == "many" && ballot.choices.len() > 1;
        Ok(match is_refused {
            true => Err(Refusal::new(
                "one-only",
                "In this hall you have one choice.",
            )),
            false => Ok(()),
        })
    }
}

#[test]
fn a_rule_refuses_with_its_own_words_and_nothing_is_cast() {
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.validate(Members { away: AWAY.clone() }),
        ..Setup::default()
    });
    let url = format!("{}/v1/polls/many/ballot", services.vote);
    let refused = send("PUT", &url, &[JSON], br#"{"choices":["a","b"]}"#);
    assert_eq!(
        (refused.status.as_u16(), kind(&refused).as_str()),
        (403, "not-eligible")
    );
    assert_eq!(
        refused.json()["detail"],
        "In this hall you have one choice."
    );
    let form = send(
        "POST",
        &format!("{}/polls/many", services.vote),
        &[FORM, BROWSER],
        b"vote=a&vote=b",
    );
    assert_eq!(form.status, 403);
    assert!(
        form.body
            .contains("Your vote was not counted. In this hall you have one choice."),
        "{}",
        form.body
    );
    AWAY.store(true, Relaxed);
    let unknown = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(
        (unknown.status.as_u16(), kind(&unknown).as_str()),
        (503, "store-unavailable")
    );
    AWAY.store(false, Relaxed);
    assert_eq!(
        send("PUT", &url, &[JSON], br#"{"choices":["c"]}"#).status,
        202
    );
    assert_eq!(services.votes("many"), [0, 0, 1, 0]);
    // None of those that were refused is in the log.
    use voting_core::BallotQueue;
    let stats = services
        .block_on(services.memory.queue().stats())
        .expect("stats");
    assert_eq!(stats.accepted, 1);
}

const APP: (&str, &str) = ("origin", "https://app.example.org");
const STRANGER: (&str, &str) = ("origin", "https://evil.example");

fn varies_by_origin(answer: &support::Answer) -> bool {
    let mut vary = answer.headers.get_all("vary").iter();
    vary.any(|vary| vary == "origin")
}

fn with_origins() -> Services {
    fn allowed() -> [PublicUrl; 1] {
        ["https://App.example.org:443/".parse().expect("an origin")]
    }
    Services::set_up(|_| Setup {
        vote: |builder| builder.allow_origins(allowed()),
        result: |builder| builder.allow_origins(allowed()),
        ..Setup::default()
    })
}

#[test]
fn a_preflight_is_answered_for_allowed_origins_only() {
    let services = with_origins();
    let url = services.vote.clone() + BALLOT;
    let asks = [
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,x-session"),
    ];
    let told = send("OPTIONS", &url, &[&asks[..], &[APP]].concat(), b"");
    assert_eq!(told.status, 204);
    assert_eq!(told.header("access-control-allow-origin"), APP.1);
    assert_eq!(told.header("access-control-allow-credentials"), "true");
    assert!(told.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(
        told.header("access-control-allow-headers"),
        "content-type,x-session"
    );
    assert!(varies_by_origin(&told));
    for (headers, path) in [
        ([&asks[..], &[STRANGER]].concat(), BALLOT),
        ([&asks[..], &[("origin", "null")]].concat(), BALLOT),
        (asks.to_vec(), BALLOT),
        ([&asks[..], &[APP]].concat(), PAGE),
    ] {
        let refused = send("OPTIONS", &(services.vote.clone() + path), &headers, b"");
        assert_eq!(refused.status, 405, "{path} {headers:?}");
        assert_eq!(refused.header("access-control-allow-origin"), "");
    }
}

#[test]
fn only_scripts_of_allowed_origins_read_and_cast() {
    let services = with_origins();
    let url = services.vote.clone() + BALLOT;
    let crossing = ("sec-fetch-site", "same-site");
    let stranger = send(
        "PUT",
        &url,
        &[JSON, STRANGER, ("sec-fetch-site", "cross-site")],
        DOGS,
    );
    assert_eq!(kind(&stranger), "cross-site");
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    // Without the cookie each try would be another voter, if the browser keeps none.
    let first = send("PUT", &url, &[JSON, APP, crossing], DOGS);
    assert_eq!(
        (first.status.as_u16(), kind(&first).as_str()),
        (400, "cookies-needed")
    );
    assert_eq!(
        first.header("access-control-allow-origin"),
        APP.1,
        "it can be read"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
    // It comes with the poll.
    let poll = get(
        &format!("{}/v1/polls/cats-vs-dogs", services.vote),
        &[APP, crossing],
    );
    assert_eq!(poll.header("access-control-allow-credentials"), "true");
    let cookie = poll.cookie();
    assert!(cookie.starts_with("voter-"), "{cookie}");
    for _ in 0..2 {
        let cast = send(
            "PUT",
            &url,
            &[JSON, APP, crossing, ("cookie", &cookie)],
            DOGS,
        );
        assert_eq!(cast.status, 202, "{}", cast.body);
    }
    // A form is for the own page.
    let form = send(
        "POST",
        &(services.vote.clone() + PAGE),
        &[FORM, APP, crossing],
        b"vote=b",
    );
    assert_eq!(form.status, 403);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    let tally = format!("{}/v1/polls/cats-vs-dogs/tally", services.result);
    assert_eq!(
        get(&tally, &[APP]).header("access-control-allow-origin"),
        APP.1
    );
    for headers in [&[][..], &[STRANGER]] {
        let tally = get(&tally, headers);
        assert_eq!(tally.header("access-control-allow-origin"), "");
        // For caches that would give this answer to the allowed one.
        assert!(varies_by_origin(&tally), "{headers:?}");
    }
    let page = get(&(services.vote.clone() + PAGE), &[BROWSER, APP]);
    assert_eq!(page.header("access-control-allow-origin"), "");
}

#[test]
fn without_allowed_origins_nothing_speaks_of_them() {
    let services = Services::start();
    let tally = get(
        &format!("{}/v1/polls/cats-vs-dogs/tally", services.result),
        &[APP],
    );
    assert_eq!(tally.header("access-control-allow-origin"), "");
    assert!(!varies_by_origin(&tally));
    let poll = get(&format!("{}/v1/polls/cats-vs-dogs", services.vote), &[APP]);
    assert_eq!(poll.header("set-cookie"), "");
}

#[test]
fn links_begin_with_the_base_path_that_was_told() {
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.base_path("/vote/"),
        result: |builder| builder.base_path("results"),
        operator: |builder| builder.base_path("/voting/operator"),
        ..Setup::default()
    });
    let page = get(&(services.vote.clone() + PAGE), &[BROWSER]);
    for part in [
        r#"action="/vote/polls/cats-vs-dogs""#,
        r#"data-url="/vote/v1/polls/cats-vs-dogs/ballot""#,
        r#"src="/vote/assets/vote.js?v="#,
    ] {
        assert!(page.body.contains(part), "{part}\n{}", page.body);
    }
    let cookie = page.cookie();
    let form = format!("voter={}&vote=b", tag_in(&page.body));
    let cast = send(
        "POST",
        &(services.vote.clone() + PAGE),
        &[FORM, BROWSER, ("cookie", &cookie)],
        form.as_bytes(),
    );
    assert_eq!(cast.header("location"), "/vote/polls/cats-vs-dogs");
    let capitals = get(&format!("{}/polls/Many?a=b", services.vote), &[BROWSER]);
    assert_eq!(capitals.header("location"), "/vote/polls/many?a=b");
    let missing = get(&format!("{}/polls/none", services.vote), &[BROWSER]);
    assert!(
        missing.body.contains(r#"href="/vote/polls""#),
        "{}",
        missing.body
    );
    let back = send(
        "POST",
        &(services.vote.clone() + "/polls/many"),
        &[FORM, BROWSER, ("sec-fetch-site", "cross-site")],
        b"vote=a",
    );
    assert!(
        back.body.contains(r#"href="/vote/polls/many""#),
        "{}",
        back.body
    );
    let result = get(&services.result, &[BROWSER]).body;
    assert!(
        result.contains(r#"data-live="/results/polls/cats-vs-dogs/live""#),
        "{result}"
    );
    assert_eq!(
        get(&services.operator, &[]).header("location"),
        "/voting/operator/sign-in"
    );
}

#[test]
fn what_is_not_exposed_is_not_there() {
    let services = Services::set_up(|_| Setup {
        vote: |builder| {
            builder.expose(Exposed {
                metrics: false,
                docs: true,
            })
        },
        result: |builder| {
            builder.expose(Exposed {
                metrics: true,
                docs: false,
            })
        },
        operator: |builder| builder.expose(Exposed::NONE),
        ..Setup::default()
    });
    let status = |url: &str, path: &str| get(&format!("{url}{path}"), &[]).status.as_u16();
    for (url, metrics, docs) in [
        (&services.vote, 404, 200),
        (&services.result, 200, 404),
        (&services.operator, 404, 404),
    ] {
        assert_eq!(status(url, "/metrics"), metrics);
        for path in ["/docs", "/docs/", "/openapi.json"] {
            assert_eq!(status(url, path), docs, "{path}");
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(status(url, path), 200, "{path}");
        }
    }
    assert_eq!(status(&services.operator, "/sign-in"), 200);
    let token = format!("Bearer {OPERATOR_TOKEN}");
    let pipeline = format!("{}/v1/pipeline", services.operator);
    assert_eq!(get(&pipeline, &[("authorization", &token)]).status, 200);
}

/// A vote service in a runtime of its own, with its store.
fn vote_service(
    build: impl FnOnce(VoteServiceBuilder) -> VoteServiceBuilder,
) -> (Memory, VoteService) {
    let memory = Memory::default();
    let sink = Arc::new(memory.sink());
    let builder = VoteService::builder(sink, Arc::new(memory.clone()), &secret());
    (memory, build(builder).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_puts_the_voter_on_the_request_in_poem() {
    use poem::{EndpointExt, Route};

    let (memory, vote) = vote_service(|builder| {
        builder.identify(
            SetByApplication::default()
                .or_sign_in_at("/login")
                .with_words("Log in."),
        )
    });
    memory
        .put_poll(&poll("p", &[("a", "A"), ("b", "B")], 1))
        .await
        .unwrap();
    let vote = vote
        .into_endpoint()
        .before(async |mut request: poem::Request| {
            if request.header("session") == Some("ada's") {
                request.set_data(Voter(VoterId::from_bytes([7; 16])));
            }
            Ok(request)
        });
    let app = Route::new().nest("/vote", vote);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/vote", listener.local_addr().unwrap());
    tokio::spawn(serve(
        listener,
        app,
        ServeOptions::default(),
        Default::default(),
    ));
    let checked = tokio::task::spawn_blocking(move || {
        let ballot = format!("{url}/v1/polls/p/ballot");
        let cast = |session| {
            send(
                "PUT",
                &ballot,
                &[JSON, ("session", session)],
                br#"{"choices":["a"]}"#,
            )
        };
        let voter = |session| cast(session).json()["voter"].as_str().map(str::to_owned);
        assert_eq!(voter("ada's"), voter("ada's"));
        let refused = cast("bob's");
        assert_eq!(
            (refused.status.as_u16(), kind(&refused).as_str()),
            (401, "sign-in-needed")
        );
        let page = get(&format!("{url}/polls/p"), &[BROWSER]).body;
        assert!(
            page.contains("Log in.") && page.contains(r#"href="/login""#),
            "{page}"
        );
    });
    checked.await.unwrap();
}

/// Serves a tower service with hyper alone.
async fn serve_by_hyper(service: HttpService) -> String {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.expect("a socket");
            let service = TowerToHyperService::new(service.clone());
            let service = hyper::service::service_fn(move |mut request: hyper::Request<_>| {
                request.extensions_mut().insert(PeerAddress(peer));
                hyper::service::Service::call(&service, request)
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

/// Holds that the peer is told.
struct KnowsPeer;

#[async_trait]
impl Identify for KnowsPeer {
    async fn identify(&self, request: &RequestHead<'_>) -> Result<VoterId, NoVoter> {
        let peer = request
            .peer()
            .ok_or(NoVoter::not_eligible("You come from nowhere."))?;
        assert!(peer.ip().is_loopback());
        Ok(VoterId::from_bytes([1; 16]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_service_answers_under_hyper() {
    let (memory, vote) = vote_service(|builder| builder.identify(KnowsPeer));
    memory
        .put_poll(&poll("p", &[("a", "A"), ("b", "B")], 1))
        .await
        .unwrap();
    let url = serve_by_hyper(vote.into_service()).await;
    let checked = tokio::task::spawn_blocking(move || {
        let ballot = format!("{url}/v1/polls/p/ballot");
        let cast = send("PUT", &ballot, &[JSON], br#"{"choices":["a"]}"#);
        assert_eq!(cast.status, 202, "{}", cast.body);
        let large = send("PUT", &ballot, &[JSON], &[b' '; 20_000]);
        assert_eq!(large.status, 413);
        assert_eq!(get(&format!("{url}/none"), &[]).status, 404);
        assert!(get(&url, &[BROWSER]).body.contains("Cats vs Dogs!"));
    });
    checked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_result_streams_through_a_tower_service() {
    let memory = Memory::default();
    memory
        .put_poll(&poll("p", &[("a", "A"), ("b", "B")], 1))
        .await
        .unwrap();
    let all = Arc::new(memory.clone());
    let result = voting_http::ResultService::builder(all.clone(), all, &secret()).build();
    let url = serve_by_hyper(result.into_service()).await;
    let checked = tokio::task::spawn_blocking(move || {
        let mut events = support::events(&url, "/v1/polls/p/tally/events");
        let (_, tally) = support::next_event(&mut events).expect("a tally");
        assert_eq!(tally["voters"], 0);
    });
    checked.await.unwrap();
}

#[test]
fn the_operator_service_does_nothing_before_it_is_served() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let all = Arc::new(Memory::default());
    let queue = Arc::new(all.queue());
    let worker =
        voting_core::Worker::new(queue.clone(), all.clone(), all.clone(), Default::default());
    let token = SecretKey::new(OPERATOR_TOKEN).unwrap();
    let before = runtime.metrics().num_alive_tasks();
    let worker = worker.start();
    let operator = voting_http::OperatorService::builder(worker, queue, all, &token).build();
    assert_eq!(
        runtime.metrics().num_alive_tasks(),
        before + 1,
        "the worker's"
    );
    let _endpoint = operator.into_endpoint();
    await_some("it asks", || {
        (runtime.metrics().num_alive_tasks() == before + 2).then_some(())
    });
}
