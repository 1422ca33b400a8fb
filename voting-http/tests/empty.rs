//! Ballots that choose no option: blank ones, and those that are taken back.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use cookie::Cookie;
use support::{Answer, JSON, Services, Setup, get, poll, send};
use voting_core::{
    Ballot, CastError, PollStore, Receipt, StoreError, VoteSink,
    model::poll::{PollSettings, ShowResults},
};
use voting_testing::await_some;

fn with_polls(services: &Services) {
    for (id, blank, revote) in [("blank", true, true), ("strict", false, false)] {
        let mut settings = PollSettings::default();
        (settings.blank, settings.revote) = (blank, revote);
        let poll = poll(id, &[("a", "A"), ("b", "B")], 1);
        let poll = poll.with_settings(settings).expect("settings");
        services
            .block_on(services.memory.put_poll(&poll))
            .expect("stored");
    }
}

fn put(services: &Services, poll: &str, cookie: &str, choices: &str) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let body = format!(r#"{{"choices":{choices}}}"#);
    let headers = [JSON, ("cookie", cookie)];
    let sent = if cookie.is_empty() { 1 } else { 2 };
    send("PUT", &url, &headers[..sent], body.as_bytes())
}

fn delete(services: &Services, poll: &str, cookie: &str) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let headers = [("cookie", cookie)];
    let sent = usize::from(!cookie.is_empty());
    send("DELETE", &url, &headers[..sent], b"")
}

fn problem(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let kind = json["type"].as_str().expect("a problem");
    let kind = kind.trim_start_matches("urn:voting:problem:");
    (answer.status.as_u16(), kind.to_owned())
}

/// The tally, once it has so many voters and withdrawn ballots: a result may be a tick old.
fn tally(
    services: &Services,
    poll: &str,
    voters: u64,
    withdrawn: Option<u64>,
) -> serde_json::Value {
    services.settle();
    let url = format!("{}/v1/polls/{poll}/tally", services.result);
    await_some("the tally", || {
        let tally = get(&url, &[]).json();
        let is_so = tally["voters"] == voters && tally["withdrawn"].as_u64() == withdrawn;
        is_so.then_some(tally)
    })
}

#[test]
fn a_voter_votes_blank_takes_it_back_and_votes_again() {
    let services = Services::start();
    with_polls(&services);
    let first = put(&services, "blank", "", "[]");
    assert_eq!(first.status, 202);
    let cookie = first.cookie();
    assert_eq!(tally(&services, "blank", 1, None)["blank"], 1);

    let back = delete(&services, "blank", &cookie);
    assert_eq!(back.status, 202);
    let receipt = back.json()["receipt"]
        .as_str()
        .expect("a receipt")
        .to_owned();
    tally(&services, "blank", 0, Some(1));
    let state = get(&format!("{}/v1/receipts/{receipt}", services.result), &[]);
    assert_eq!(state.json()["state"], "counted");

    assert_eq!(put(&services, "blank", &cookie, r#"["b"]"#).status, 202);
    let counted = tally(&services, "blank", 1, None);
    assert_eq!(counted["blank"], 0);
    assert_eq!(counted["options"][1]["votes"], 1);
    let poll = get(&format!("{}/v1/polls/blank", services.vote), &[]);
    assert_eq!(poll.json()["blank"], true);
}

#[test]
fn a_poll_takes_no_empty_ballot_that_its_rules_do_not_allow() {
    let services = Services::start();
    with_polls(&services);
    let blank = put(&services, "strict", "", "[]");
    assert_eq!(problem(&blank), (422, "invalid-choice".to_owned()));
    let cookie = put(&services, "strict", "", r#"["a"]"#).cookie();
    let back = delete(&services, "strict", &cookie);
    assert_eq!(problem(&back), (422, "invalid-choice".to_owned()));
    let nobody = delete(&services, "blank", "");
    assert_eq!(problem(&nobody), (404, "nothing-to-take-back".to_owned()));
    tally(&services, "strict", 1, None);
    tally(&services, "blank", 0, None);
}

/// A log whose entries are not signed.
struct Unsigned(Arc<dyn VoteSink>);

#[async_trait]
impl VoteSink for Unsigned {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        self.0.cast(ballot).await
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        self.0.ready_to_cast().await
    }
}

#[test]
fn where_entries_are_not_signed_an_empty_ballot_is_refused_with_the_reason() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let services = Services::set_up(|memory| {
        let _within = runtime.enter();
        Setup {
            sink: Some(Arc::new(Unsigned(Arc::new(memory.sink())))),
            ..Setup::default()
        }
    });
    with_polls(&services);
    let blank = put(&services, "blank", "", "[]");
    let expected = (409, "empty-ballots-not-taken".to_owned());
    assert_eq!(problem(&blank), expected);
    let cookie = put(&services, "blank", "", r#"["a"]"#).cookie();
    let back = delete(&services, "blank", &cookie);
    assert_eq!(problem(&back), expected);
    let counted = tally(&services, "blank", 1, None);
    assert_eq!(counted["options"][0]["votes"], 1);
}

/// A browser without scripts, which keeps its cookies.
struct Browser<'a> {
    services: &'a Services,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let url = format!("{}{path}", self.services.vote);
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let headers = [
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", &cookies),
        ];
        let answer = match method {
            "GET" => get(&url, &headers),
            _ => send(method, &url, &headers, body.as_bytes()),
        };
        for set in answer.headers.get_all("set-cookie") {
            let set = Cookie::parse(set.to_str().expect("a text")).expect("a cookie");
            let (name, value) = set.name_value();
            match set.max_age() {
                Some(age) if age.is_zero() => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// The page of the poll.
    fn page(&mut self, poll: &str) -> String {
        self.ask("GET", &format!("/polls/{poll}"), "").body
    }

    /// Sends a form of the page, and follows to the page.
    fn send(&mut self, poll: &str, way: &str, fields: &str) -> String {
        let page = self.page(poll);
        let (_, voter) = page.split_once("data-voter=\"").expect("a voter's tag");
        let (voter, _) = voter.split_once('"').expect("its end");
        let path = format!("/polls/{poll}{way}");
        let answer = self.ask("POST", &path, &format!("voter={voter}&{fields}"));
        if answer.status != 303 {
            return answer.body;
        }
        assert_eq!(answer.header("location"), format!("/polls/{poll}"));
        self.page(poll)
    }
}

fn offers(page: &str, what: &str) -> bool {
    page.contains(&format!("<form class=\"forget\" id=\"{what}\""))
}

#[test]
fn the_page_offers_what_can_be_done_without_scripts() {
    let services = Services::start();
    with_polls(&services);
    let mut browser = Browser {
        services: &services,
        cookies: BTreeMap::new(),
    };
    let page = browser.page("blank");
    assert_eq!(
        [offers(&page, "blank"), offers(&page, "withdraw")],
        [true, false]
    );

    let page = browser.send("blank", "", "blank=yes");
    assert!(
        page.contains("Your last confirmed vote is blank."),
        "{page}"
    );
    assert_eq!(
        [offers(&page, "blank"), offers(&page, "withdraw")],
        [false, true]
    );
    assert_eq!(tally(&services, "blank", 1, None)["blank"], 1);

    let page = browser.send("blank", "", "vote=a&blank=yes");
    assert!(page.contains("either blank or for options"), "{page}");
    let page = browser.send("blank", "", "vote=a");
    assert!(
        page.contains("Your last confirmed vote is for A."),
        "{page}"
    );
    assert_eq!(
        [offers(&page, "blank"), offers(&page, "withdraw")],
        [true, true]
    );

    let page = browser.send("blank", "/withdraw", "");
    assert!(
        page.contains("You took your vote back. No vote of yours counts now."),
        "{page}"
    );
    assert!(page.contains("Pick one to vote."), "{page}");
    assert_eq!(
        [offers(&page, "blank"), offers(&page, "withdraw")],
        [true, false]
    );
    tally(&services, "blank", 0, Some(1));

    // Where the first vote counts, and no vote is blank, the page offers neither.
    let page = browser.send("strict", "", "vote=a");
    assert!(
        !page.contains("id=\"blank\"") && !page.contains("id=\"withdraw\""),
        "{page}"
    );
    let page = browser.send("strict", "/withdraw", "");
    assert!(
        page.contains("the first vote counts in this poll, so a vote cannot be taken back")
            || page.contains("The first vote counts in this poll, so a vote cannot be taken back."),
        "{page}"
    );
    tally(&services, "strict", 1, None);
}

#[test]
fn who_took_the_vote_back_has_no_right_to_a_result_for_voters() {
    let services = Services::start();
    let mut settings = PollSettings::default();
    settings.results = ShowResults::AfterVote;
    let poll = poll("after", &[("a", "A"), ("b", "B")], 1);
    let poll = poll.with_settings(settings).expect("settings");
    services
        .block_on(services.memory.put_poll(&poll))
        .expect("stored");
    let mut browser = Browser {
        services: &services,
        cookies: BTreeMap::new(),
    };
    let is_granted = |browser: &mut Browser<'_>| {
        let answer = browser.ask("GET", "/polls/after/result", "");
        answer.header("location").contains('?')
    };
    browser.send("after", "", "vote=a");
    assert!(is_granted(&mut browser));
    browser.send("after", "/withdraw", "");
    assert!(!is_granted(&mut browser));
    // Nor once the browser was asked to forget what it did.
    browser.send("after", "/forget", "");
    assert!(!is_granted(&mut browser));
}

#[test]
fn while_earlier_programs_may_be_at_work_no_ballot_is_taken_back() {
    let services = Services::start();
    let poll = poll("kept", &[("a", "A"), ("b", "B")], 1).keeping_ballots();
    services
        .block_on(services.memory.put_poll(&poll))
        .expect("stored");
    let cookie = put(&services, "kept", "", r#"["a"]"#).cookie();
    let back = delete(&services, "kept", &cookie);
    assert_eq!(problem(&back), (409, "empty-ballots-not-taken".to_owned()));
    let page = get(
        &format!("{}/polls/kept", services.vote),
        &[("accept", "text/html")],
    );
    assert!(!page.body.contains("id=\"withdraw\""));
    tally(&services, "kept", 1, None);
}
