//! An address may have a limited number of new voters in a poll. Whoever has voted before is none of them.

mod support;

use support::{Answer, BROWSER, FORM, JSON, Services, Setup, get, send};
use voting_core::{
    Ballot, CastError, Receipt, StoreError, VoteSink,
    model::{secret::Fingerprint, secrets::KnownSecrets},
};
use voting_http::{Limits, NewVoters, TrustedProxies};

const BURST: u32 = 3;

/// At most three new voters, and then one a minute, for each address behind a proxy on this machine.
fn limits() -> Limits {
    Limits {
        new_voters: Some(NewVoters {
            burst: BURST.try_into().expect("not zero"),
            per_minute: 1.try_into().expect("not zero"),
        }),
        trusted_proxies: TrustedProxies::new(["127.0.0.1"]).expect("an address"),
        ..Limits::default()
    }
}

fn limited() -> Services {
    Services::set_up(|_| Setup {
        limits: limits(),
        ..Setup::default()
    })
}

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const HERE: (&str, &str) = ("x-forwarded-for", "203.0.113.5");
const ELSEWHERE: (&str, &str) = ("x-forwarded-for", "203.0.113.6");

/// A program without a cookie casts a ballot.
fn cast(services: &Services, poll: &str, from: (&str, &str)) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    send("PUT", &url, &[JSON, from], br#"{"choices":["a"]}"#)
}

fn turned_away(services: &Services) -> u64 {
    turned_away_for(services, "new_voters")
}

fn turned_away_for(services: &Services, reason: &str) -> u64 {
    let metrics = get(&format!("{}/metrics", services.vote), &[]).body;
    let line = format!("voting_turned_away_total{{reason=\"{reason}\"}} ");
    let mut counts = metrics
        .lines()
        .filter_map(|found| found.strip_prefix(&line));
    counts
        .next()
        .expect("the metric")
        .parse()
        .expect("a number")
}

#[test]
fn a_program_that_keeps_no_cookie_has_as_many_voters_as_its_address_may_have() {
    let services = limited();
    for _ in 0..BURST {
        assert_eq!(cast(&services, "cats-vs-dogs", HERE).status, 202);
    }
    for _ in 0..5 {
        let refused = cast(&services, "cats-vs-dogs", HERE);
        assert_eq!(refused.status, 429);
        let kind = "urn:voting:problem:too-many-new-voters";
        assert_eq!(refused.json()["type"], kind);
        let wait: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(turned_away(&services), 5);
    // Others, and other polls, are not concerned.
    assert_eq!(cast(&services, "cats-vs-dogs", ELSEWHERE).status, 202);
    assert_eq!(cast(&services, "many", HERE).status, 202);
    services.settle();
    assert_eq!(services.votes("cats-vs-dogs"), [u64::from(BURST) + 1, 0]);
}

/// A browser that opens the page and sends its form.
struct Browser {
    cookies: Vec<String>,
    from: (&'static str, &'static str),
}

impl Browser {
    fn open(services: &Services, from: (&'static str, &'static str)) -> Self {
        let page = get(&services.vote, &[BROWSER, from]);
        assert_eq!(page.status, 200);
        let cookies = vec![page.cookie()];
        Self { cookies, from }
    }

    fn vote(&mut self, services: &Services, option: &str) -> Answer {
        let cookies = self.cookies.join("; ");
        let headers = [FORM, BROWSER, NAVIGATES, self.from, ("cookie", &cookies)];
        let body = format!("vote={option}");
        let answer = send("POST", &services.vote, &headers, body.as_bytes());
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            self.cookies
                .push(set.split(';').next().expect("a cookie").to_owned());
        }
        answer
    }
}

#[test]
fn whoever_has_voted_can_change_the_vote_whatever_others_at_the_address_do() {
    let services = limited();
    let mut voter = Browser::open(&services, HERE);
    assert_eq!(voter.vote(&services, "a").status, 303);
    while cast(&services, "cats-vs-dogs", HERE).status == 202 {}
    for option in ["b", "a", "b", "a", "b"] {
        assert_eq!(voter.vote(&services, option).status, 303);
    }
    // To have opened the page is not to have voted: such cookies can be collected.
    let mut other = Browser::open(&services, HERE);
    let refused = other.vote(&services, "a");
    assert_eq!(refused.status, 429);
    let told = "Your vote was not counted. Very many new voters came from your network within a short time. \
                Please try again in ";
    assert!(refused.body.contains(told), "{}", refused.body);
    services.settle();
    assert_eq!(services.votes("cats-vs-dogs"), [u64::from(BURST) - 1, 1]);
}

/// Stores nothing.
struct Full;

#[async_trait::async_trait]
impl VoteSink for Full {
    async fn cast(&self, _: Ballot) -> Result<Receipt, CastError> {
        Err(CastError::Refused("full".into()))
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn check_secrets(&self, _: &KnownSecrets) -> Result<Vec<Fingerprint>, StoreError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_vote_that_was_not_stored_is_not_a_voter() {
    let services = Services::set_up(|_| Setup {
        limits: limits(),
        sink: Some(std::sync::Arc::new(Full)),
        ..Setup::default()
    });
    for _ in 0..3 * BURST {
        assert_eq!(cast(&services, "cats-vs-dogs", HERE).status, 503);
    }
    // Nor is a vote that is none.
    let services = limited();
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    for _ in 0..3 * BURST {
        let invalid = send("PUT", &url, &[JSON, HERE], br#"{"choices":["nobody"]}"#);
        assert_eq!(invalid.status, 422);
    }
    assert_eq!(cast(&services, "cats-vs-dogs", HERE).status, 202);
}

#[test]
fn a_hundred_voters_behind_one_address_vote_with_the_defaults() {
    let services = Services::set_up(|_| Setup {
        limits: Limits {
            trusted_proxies: TrustedProxies::new(["127.0.0.1"]).expect("an address"),
            ..Limits::default()
        },
        ..Setup::default()
    });
    for _ in 0..100 {
        let mut voter = Browser::open(&services, HERE);
        assert_eq!(voter.vote(&services, "a").status, 303);
        assert_eq!(voter.vote(&services, "b").status, 303);
    }
    services.settle();
    assert_eq!(services.votes("cats-vs-dogs"), [0, 100]);
}

#[test]
fn programs_on_this_machine_and_deployments_without_the_limit_are_not_limited() {
    let here = limited();
    for _ in 0..3 * BURST {
        assert_eq!(cast(&here, "cats-vs-dogs", ("x-y", "z")).status, 202);
    }
    let unlimited = Services::set_up(|_| Setup {
        limits: Limits {
            new_voters: None,
            ..limits()
        },
        ..Setup::default()
    });
    for _ in 0..3 * BURST {
        assert_eq!(cast(&unlimited, "cats-vs-dogs", HERE).status, 202);
    }
}

/// At most three new voters of a poll at once, from wherever they come.
fn of_poll() -> Limits {
    let number = |number: u32| number.try_into().expect("not zero");
    Limits {
        new_voters_of_poll: Some(NewVoters {
            burst: number(BURST),
            per_minute: number(1),
        }),
        new_voters: None,
        unlimited_polls: vec!["many".parse().expect("an id")],
        ..limits()
    }
}

#[test]
fn a_poll_as_a_whole_can_have_a_limit() {
    let services = Services::set_up(|_| Setup {
        limits: of_poll(),
        ..Setup::default()
    });
    let mut voter = Browser::open(&services, HERE);
    assert_eq!(voter.vote(&services, "a").status, 303);
    // Also this machine is counted.
    for from in [ELSEWHERE, ("x-y", "z")] {
        assert_eq!(cast(&services, "cats-vs-dogs", from).status, 202);
    }
    let refused = cast(
        &services,
        "cats-vs-dogs",
        ("x-forwarded-for", "2001:db8::1"),
    );
    assert_eq!(refused.status, 429);
    let kind = "urn:voting:problem:too-many-new-voters-of-poll";
    assert_eq!(refused.json()["type"], kind);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(turned_away_for(&services, "new_voters_of_poll"), 1);
    // Who has voted is none of them, and neither is who takes a vote back.
    assert_eq!(voter.vote(&services, "b").status, 303);
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let back = send("DELETE", &url, &[("cookie", &refused.cookie())], b"");
    assert_eq!(back.status, 202, "{}", back.body);
    for _ in 0..2 * BURST {
        assert_eq!(cast(&services, "many", HERE).status, 202);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [2, 1]);
}

#[test]
fn a_poll_can_be_without_the_limit_of_addresses() {
    let services = Services::set_up(|_| Setup {
        limits: Limits {
            unlimited_polls: vec!["many".parse().expect("an id")],
            ..limits()
        },
        ..Setup::default()
    });
    for _ in 0..2 * BURST {
        assert_eq!(cast(&services, "many", HERE).status, 202);
    }
    for _ in 0..BURST {
        assert_eq!(cast(&services, "cats-vs-dogs", HERE).status, 202);
    }
    assert_eq!(cast(&services, "cats-vs-dogs", HERE).status, 429);
}

#[test]
fn a_vote_that_the_poll_has_no_place_for_takes_none_of_the_address() {
    let number = |number: u32| number.try_into().expect("not zero");
    let few = NewVoters {
        burst: number(1),
        per_minute: number(1),
    };
    let services = Services::set_up(|_| Setup {
        limits: Limits {
            new_voters_of_poll: Some(few),
            ..limits()
        },
        ..Setup::default()
    });
    assert_eq!(cast(&services, "cats-vs-dogs", ELSEWHERE).status, 202);
    for _ in 0..2 * BURST {
        let refused = cast(&services, "cats-vs-dogs", HERE);
        let kind = "urn:voting:problem:too-many-new-voters-of-poll";
        assert_eq!(refused.json()["type"], kind);
    }
    assert_eq!(turned_away(&services), 0);
}
