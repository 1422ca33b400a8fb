//! Programs without a cookie name their voters by `Idempotency-Key`.

mod support;

use support::{Answer, FORM, JSON, Services, Setup, poll, secret, send};
use voting_core::{
    Poll, PollStore, VoterId,
    backends::memory::Memory,
    model::{
        poll::{PollSettings, Voters},
        poll_key::PollKeyWrap,
    },
    pipeline::poll_keys::KeyedPolls,
};
use voting_http::{Identify, Limits, NewVoters, NoVoter, RequestHead, TrustedProxies};

const KEY: &str = "jfq5vC3KWPsIgTFh2hSUbQ";
const OTHER: &str = "9f2c4e6a8b0d1f3e5a7c9b8d6f4e2a10";

fn cast(services: &Services, poll: &str, headers: &[(&str, &str)], choice: &str) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let body = format!("{{\"choices\":[\"{choice}\"]}}");
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    send("PUT", &url, &headers, body.as_bytes())
}

fn with(key: &str) -> [(&str, &str); 1] {
    [("idempotency-key", key)]
}

fn voter(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["voter"].as_str().expect("a tag").to_owned()
}

#[test]
fn the_same_key_is_one_voter_whose_last_vote_counts() {
    let services = Services::start();
    let first = cast(&services, "cats-vs-dogs", &with(KEY), "a");
    let voter = voter(&first);
    // The key is all that names the voter: a cookie would name another one.
    assert!(
        !first.headers.contains_key("set-cookie"),
        "{:?}",
        first.headers
    );
    let quoted = format!("\"{KEY}\"");
    for key in [KEY, &quoted] {
        let again = cast(&services, "cats-vs-dogs", &with(key), "b");
        assert_eq!(self::voter(&again), voter);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    let other = cast(&services, "cats-vs-dogs", &with(OTHER), "b");
    assert_ne!(self::voter(&other), voter);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 2]);
    // A form of a program, and a vote that is taken back.
    let form = [FORM, ("idempotency-key", KEY)];
    let answer = send("POST", &services.vote, &form, b"vote=a");
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(services.votes("cats-vs-dogs"), [1, 1]);
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    assert_eq!(send("DELETE", &url, &with(KEY), b"").status, 202);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
}

#[test]
fn failures_set_no_cookie_beside_a_key() {
    let services = Services::start();
    for (poll, choice, status) in [("nowhere", "a", 404), ("cats-vs-dogs", "nobody", 422)] {
        let failed = cast(&services, poll, &with(KEY), choice);
        assert_eq!(failed.status, status);
        assert!(!failed.headers.contains_key("set-cookie"));
        let without = cast(&services, poll, &[], choice);
        assert!(without.headers.contains_key("set-cookie"));
    }
}

/// The services, and a store that gives each new poll a key.
fn with_keys() -> (Services, KeyedPolls<Memory>) {
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.poll_keys(PollKeyWrap::new(&secret())),
        ..Setup::default()
    });
    let wrap = PollKeyWrap::new(&secret());
    let keyed = KeyedPolls::new(services.memory.clone(), Some(wrap));
    (services, keyed.with_pseudonyms(true))
}

#[test]
fn in_another_poll_the_same_key_is_another_voter() {
    let (services, keyed) = with_keys();
    for id in ["one", "two"] {
        let poll = poll(id, &[("a", "A"), ("b", "B")], 1);
        services.block_on(keyed.put_poll(&poll)).expect("stored");
    }
    let polls = ["cats-vs-dogs", "many", "one", "two"];
    let cast = |poll, choice| voter(&cast(&services, poll, &with(KEY), choice));
    let mut voters = polls.map(|poll| cast(poll, "a"));
    assert_eq!(polls.map(|poll| cast(poll, "b")), voters);
    for poll in polls {
        assert_eq!(services.votes(poll)[..2], [0, 1], "{poll}");
    }
    voters.sort();
    assert!(
        voters.windows(2).all(|pair| pair[0] != pair[1]),
        "{voters:?}"
    );
}

#[test]
fn what_is_no_key_or_not_alone_is_refused_and_not_counted() {
    let services = Services::start();
    for key in ["", "vote-1", "3f0e5d0c-9c8b-4a7e-8f6d-2b1a0c9d8e7f"] {
        let refused = cast(&services, "cats-vs-dogs", &with(key), "a");
        assert_eq!(refused.status, 422, "{key}");
        assert_eq!(refused.json()["type"], "urn:voting:problem:invalid");
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("at least 128 random bits"), "{detail}");
    }
    let cookie = cast(&services, "cats-vs-dogs", &[], "a").cookie();
    let name = cookie.split('=').next().expect("a name");
    let damaged = format!("{name}=damaged");
    for cookie in [&cookie, &damaged] {
        let both = [("idempotency-key", KEY), ("cookie", cookie)];
        let refused = cast(&services, "cats-vs-dogs", &both, "b");
        assert_eq!(refused.status, 422);
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("send only one of them"), "{detail}");
    }
    let two = [("idempotency-key", KEY), ("idempotency-key", OTHER)];
    assert_eq!(cast(&services, "cats-vs-dogs", &two, "b").status, 400);
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

/// Names one voter.
struct Application;

#[async_trait::async_trait]
impl Identify for Application {
    async fn identify(&self, _: &RequestHead<'_>) -> Result<VoterId, NoVoter> {
        Ok(VoterId::from_bytes([1; 16]))
    }
}

#[test]
fn where_voters_are_known_otherwise_a_key_is_refused() {
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.identify(Application),
        ..Setup::default()
    });
    let refused = cast(&services, "cats-vs-dogs", &with(KEY), "a");
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("Only polls for everybody"), "{detail}");
    assert_eq!(cast(&services, "cats-vs-dogs", &[], "a").status, 202);

    let (services, keyed) = with_keys();
    for (id, voters) in [("codes", Voters::Codes), ("board", Voters::Identity)] {
        let mut settings = PollSettings::default();
        settings.voters = voters;
        let poll = Poll::builder(id, "Who?").option("a", "A").option("b", "B");
        let poll = poll.settings(settings).build().expect("a poll");
        services.block_on(keyed.put_poll(&poll)).expect("stored");
    }
    for id in ["codes", "board"] {
        let refused = cast(&services, id, &with(KEY), "a");
        assert_eq!(refused.status, 422);
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("Only polls for everybody"), "{detail}");
    }
}

#[test]
fn a_voter_with_a_key_is_a_new_voter_of_the_address() {
    let number = |number: u32| number.try_into().expect("not zero");
    let limits = Limits {
        new_voters: Some(NewVoters {
            burst: number(2),
            per_minute: number(1),
        }),
        trusted_proxies: TrustedProxies::new(["127.0.0.1"]).expect("an address"),
        ..Limits::default()
    };
    let services = Services::set_up(|_| Setup {
        limits,
        ..Setup::default()
    });
    let cast = |key| {
        let headers = [("idempotency-key", key), ("x-forwarded-for", "203.0.113.5")];
        cast(&services, "cats-vs-dogs", &headers, "a")
    };
    assert_eq!([cast(KEY).status, cast(OTHER).status], [202, 202]);
    let refused = cast("Hh2vbm1SFiKjtwrUqA8dXw");
    assert_eq!(refused.status, 429);
    let kind = "urn:voting:problem:too-many-new-voters";
    assert_eq!(refused.json()["type"], kind);
    // Nobody can see that this voter has voted before.
    assert_eq!(cast(KEY).status, 429);
}
