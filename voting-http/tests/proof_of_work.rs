//! When very many new voters come to a poll, each of them solves a challenge; without scripts the form waits.

mod support;

use std::time::Duration;

use altcha::{Challenge, Payload, SolveChallengeOptions, solve_challenge};
use data_encoding::BASE64;
use support::{Answer, BROWSER, FORM, JSON, Services, Setup, get, send};
use voting_http::{Limits, ProofOfWork};

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const KEY: (&str, &str) = ("idempotency-key", "jfq5vC3KWPsIgTFh2hSUbQ");

/// One new voter needs no proof, then one in a minute.
fn asked(wait: Duration) -> Limits {
    let number = |number: u32| number.try_into().expect("not zero");
    Limits {
        proof_of_work: Some(ProofOfWork {
            burst: number(1),
            attempts: number(2_000),
            wait,
            ..ProofOfWork::above(number(1))
        }),
        ..Limits::default()
    }
}

/// The services, after the one voter who needs no proof.
fn crowded(wait: Duration) -> Services {
    let services = Services::set_up(|_| Setup {
        limits: asked(wait),
        ..Setup::default()
    });
    assert_eq!(cast(&services, &[]).status, 202);
    services
}

fn cast(services: &Services, headers: &[(&str, &str)]) -> Answer {
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    send("PUT", &url, &headers, br#"{"choices":["b"]}"#)
}

fn kind(answer: &Answer) -> String {
    answer.json()["type"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

const NEEDED: &str = "urn:voting:problem:proof-needed";

/// What a client of ALTCHA answers to the challenge of a problem.
fn solved(problem: &Answer) -> String {
    assert_eq!(
        (problem.status.as_u16(), kind(problem).as_str()),
        (429, NEEDED)
    );
    let challenge = problem.json()["challenge"].clone();
    let challenge: Challenge = serde_json::from_value(challenge).expect("a challenge");
    let solution = solve_challenge(SolveChallengeOptions::new(&challenge));
    let solution = solution.expect("a challenge").expect("a solution");
    let payload = Payload {
        challenge,
        solution,
    };
    BASE64.encode(&serde_json::to_vec(&payload).expect("JSON"))
}

fn turned_away(services: &Services) -> u64 {
    let metrics = get(&format!("{}/metrics", services.vote), &[]).body;
    let line = "voting_turned_away_total{reason=\"proof_needed\"} ";
    let mut counts = metrics.lines().filter_map(|found| found.strip_prefix(line));
    let count = counts.next().expect("the metric");
    count.parse().expect("a number")
}

#[test]
fn above_the_rate_a_new_voter_solves_a_challenge_once() {
    let services = crowded(Duration::from_secs(20));
    let asked = cast(&services, &[]);
    let (proof, cookie) = (solved(&asked), asked.cookie());
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    // As another voter, the solution is of no use: neither without a cookie, nor with that of somebody else.
    let other = cast(&services, &[]).cookie();
    let with = |cookie: &str| cast(&services, &[("voter-proof", &proof), ("cookie", cookie)]);
    assert_eq!(kind(&cast(&services, &[("voter-proof", &proof)])), NEEDED);
    assert_eq!(kind(&with(&other)), NEEDED);
    let wrong = cast(&services, &[("voter-proof", "x"), ("cookie", &cookie)]);
    let detail = wrong.json()["detail"].to_string();
    assert!(detail.contains("is not that of this voter"), "{detail}");
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    assert_eq!(turned_away(&services), 5);
    // However often it is shown, it is one voter.
    for _ in 0..3 {
        assert_eq!(with(&cookie).status, 202);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 2]);
    // In another poll nobody is asked yet.
    let url = format!("{}/v1/polls/many/ballot", services.vote);
    let many = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(many.status, 202);
}

#[test]
fn a_program_with_a_key_solves_it_for_this_key() {
    let services = crowded(Duration::from_secs(20));
    let proof = solved(&cast(&services, &[KEY]));
    let other = ("idempotency-key", "Hh2vbm1SFiKjtwrUqA8dXw");
    let proof = ("voter-proof", proof.as_str());
    assert_eq!(kind(&cast(&services, &[other, proof])), NEEDED);
    for _ in 0..2 {
        assert_eq!(cast(&services, &[KEY, proof]).status, 202);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 2]);
}

/// A browser without scripts.
struct Browser<'a> {
    services: &'a Services,
    cookies: Vec<String>,
}

impl<'a> Browser<'a> {
    fn open(services: &'a Services) -> Self {
        let cookies = vec![get(&services.vote, &[BROWSER]).cookie()];
        Self { services, cookies }
    }

    /// Sends the form, with the hidden field of this page if there is one.
    fn vote(&mut self, choice: &str, page: Option<&Answer>) -> Answer {
        let cookies = self.cookies.join("; ");
        let headers = [FORM, BROWSER, NAVIGATES, ("cookie", &cookies)];
        let proof = page.map(|page| format!("&proof={}", stamp(page).expect("a time stamp")));
        let body = format!("vote={choice}{}", proof.unwrap_or_default());
        let answer = send("POST", &self.services.vote, &headers, body.as_bytes());
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            let cookie = set.split(';').next().expect("a cookie");
            self.cookies.push(cookie.to_owned());
        }
        answer
    }
}

/// The time stamp in the form of a page.
fn stamp(page: &Answer) -> Option<&str> {
    let (_, field) = page.body.split_once("name=\"proof\" value=\"")?;
    field.split('"').next()
}

fn wait(page: &Answer) -> u64 {
    assert_eq!(page.status, 429, "{}", page.body);
    page.header("retry-after").parse().expect("seconds")
}

#[test]
fn without_scripts_a_form_waits_and_forms_come_one_after_another() {
    let services = crowded(Duration::from_secs(1));
    let mut voter = Browser::open(&services);
    let page = voter.vote("a", None);
    assert_eq!(wait(&page), 1);
    let told =
        "Keep this page open, and send your vote again from it. Please try again in a moment.";
    assert!(page.body.contains(told), "{}", page.body);
    assert!(page.body.contains("data-option=\"a\""));
    // Others wait behind this one, and may not use its time stamp.
    let mut other = Browser::open(&services);
    assert!((50..=61).contains(&wait(&other.vote("a", None))));
    assert!(wait(&other.vote("a", Some(&page))) > 100);
    // Too early: the same time stamp.
    let mut third = Browser::open(&services);
    let early = third.vote("a", None);
    let told = "Please try again in ";
    assert!(early.body.contains(told), "{}", early.body);
    let again = third.vote("a", Some(&early));
    assert_eq!(stamp(&again), stamp(&early));
    assert!(wait(&again) <= wait(&early));
    // The wait is over when the service's clock says so.
    let from: u64 = stamp(&page)
        .and_then(|stamp| stamp.split('.').nth(1)?.parse().ok())
        .expect("a time");
    voting_testing::await_that("the wait is over", || {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a time");
        now.as_secs() >= from
    });
    assert_eq!(voter.vote("a", Some(&page)).status, 303);
    // Who has voted is not asked again.
    assert_eq!(voter.vote("b", None).status, 303);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 2]);
}

/// It costs no proof to take back what is not there.
#[test]
fn who_only_took_a_vote_back_is_asked_all_the_same() {
    let services = crowded(Duration::from_secs(20));
    let mut voter = Browser::open(&services);
    let url = format!("{}/polls/cats-vs-dogs", services.vote);
    for path in ["/withdraw", "/forget"] {
        let cookies = voter.cookies.join("; ");
        let headers = [FORM, BROWSER, NAVIGATES, ("cookie", &cookies)];
        let answer = send("POST", &format!("{url}{path}"), &headers, b"");
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            let cookie = set.split(';').next().expect("a cookie");
            voter.cookies.push(cookie.to_owned());
        }
        wait(&voter.vote("a", None));
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
}

#[test]
fn a_line_that_is_full_is_reported_to_whoever_comes_next() {
    let services = crowded(Duration::from_secs(20));
    let mut last = 0;
    for _ in 0..11 {
        last = wait(&Browser::open(&services).vote("a", None));
    }
    assert!((540..=600).contains(&last), "{last}");
    let full = Browser::open(&services).vote("a", None);
    assert_eq!((wait(&full), stamp(&full)), (60, None));
    assert!(full.body.contains("too many wait already"), "{}", full.body);
}

#[test]
fn a_poll_without_limits_asks_nobody() {
    let services = Services::set_up(|_| Setup {
        limits: Limits {
            unlimited_polls: vec!["cats-vs-dogs".parse().expect("an id")],
            ..asked(Duration::from_secs(20))
        },
        ..Setup::default()
    });
    for _ in 0..5 {
        assert_eq!(cast(&services, &[]).status, 202);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 5]);
}
