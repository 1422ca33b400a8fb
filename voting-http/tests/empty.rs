//! Ballots that choose no option: blank ones, and those that are taken back.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use support::{Answer, JSON, Services, Setup, get, poll, send};
use voting_core::{
    Ballot, CastError, PollStore, Receipt, StoreError, VoteSink, model::poll::PollSettings,
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
    assert_eq!(problem(&nobody), (400, "cookies-needed".to_owned()));
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
