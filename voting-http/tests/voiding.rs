//! An operator voids ballots of a poll, and lets them count again.

mod support;

use serde_json::{Value, json};
use support::{
    Answer, BROWSER, FORM, JSON, OPERATOR_TOKEN, Services, Setup, get, host_browser::Browser,
    secret, send,
};
use voting_core::{
    Poll, PollStore,
    model::{
        moment::Moment,
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters},
        poll_key::PollKeyWrap,
    },
    pipeline::poll_keys::KeyedPolls,
};
use voting_testing::await_some;

const POLL: &str = "cats-vs-dogs";

fn ask(services: &Services, method: &str, path: &str, body: &Value) -> Answer {
    let url = format!("{}/v1/polls/{path}", services.operator);
    let token = format!("Bearer {OPERATOR_TOKEN}");
    let headers = [("authorization", token.as_str()), JSON];
    match body {
        Value::Null if method == "GET" => get(&url, &headers[..1]),
        Value::Null => send(method, &url, &headers[..1], b""),
        body => send(method, &url, &headers, body.to_string().as_bytes()),
    }
}

/// Casts as a new voter, and returns the receipt.
fn cast(services: &Services, headers: &[(&str, &str)], poll: &str, choice: &str) -> String {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    let body = json!({"choices": [choice]}).to_string();
    let cast = send("PUT", &url, &headers, body.as_bytes());
    assert_eq!(cast.status, 202, "{}", cast.body);
    services.settle();
    cast.json()["receipt"].as_str().expect("one").to_owned()
}

fn state(services: &Services, receipt: &str) -> String {
    let url = format!("{}/v1/receipts/{receipt}", services.result);
    let answer = get(&url, &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["state"].as_str().expect("a state").to_owned()
}

/// A moment after all that was done so far, which has passed.
fn now() -> String {
    let then = Moment::now().unix_ms();
    while Moment::now().unix_ms() <= then {
        std::thread::yield_now();
    }
    Moment::now().to_string()
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_votes_of_a_span_are_voided_and_count_again() {
    let services = Services::start();
    let before = cast(&services, &[], POLL, "a");
    let from = now();
    let script = cast(&services, &[], POLL, "b");
    let until = now();
    let after = cast(&services, &[], POLL, "a");
    let span = json!({"reason": "A script voted.", "from": from, "until": until});
    let voidings = format!("{POLL}/voidings");
    let voided = ask(&services, "POST", &voidings, &span);
    assert_eq!(voided.status, 200, "{}", voided.body);
    let listed = ask(&services, "GET", &voidings, &Value::Null).json();
    assert_eq!(listed, voided.json());
    assert_eq!(
        (&listed["voters"], &listed["voided"]),
        (&json!(2), &json!(1))
    );
    let rule = &listed["voidings"][0];
    assert_eq!(
        (&rule["number"], &rule["reason"]),
        (&json!(1), &span["reason"])
    );
    assert_eq!(
        (&rule["from"], &rule["until"]),
        (&span["from"], &span["until"])
    );
    assert_eq!(rule.get("codes"), None);
    let states = || [&before, &script, &after].map(|receipt| state(&services, receipt));
    assert_eq!(states(), ["counted", "voided", "counted"]);
    let tally = await_some("the tally has moved", || {
        let tally = get(&format!("{}/v1/polls/{POLL}/tally", services.result), &[]).json();
        (tally["voided"] == 1).then_some(tally)
    });
    assert_eq!(tally["voters"], 2);
    assert_eq!(tally["options"][1]["votes"], 0);
    let recount = ask(&services, "POST", &format!("{POLL}/recount"), &Value::Null).json();
    assert_eq!(recount["agrees"], true, "{recount}");
    let export = ask(
        &services,
        "GET",
        &format!("{POLL}/export/tally.json"),
        &Value::Null,
    );
    assert_eq!(export.json()["voided"], 1, "{}", export.body);

    let undone = ask(&services, "DELETE", &format!("{voidings}/1"), &Value::Null);
    assert_eq!(undone.status, 200, "{}", undone.body);
    assert_eq!(
        undone.json(),
        json!({"voters": 3, "voided": 0, "voidings": []})
    );
    assert_eq!(states(), ["counted"; 3]);
    let again = ask(&services, "DELETE", &format!("{voidings}/1"), &Value::Null);
    assert_eq!(again.status, 409, "{}", again.body);
    let log = get(
        &format!("{}/v1/audit", services.operator),
        &[("authorization", &format!("Bearer {OPERATOR_TOKEN}"))],
    )
    .json();
    let entries = log["entries"].as_array().expect("entries");
    let actions: Vec<_> = entries.iter().map(|entry| &entry["action"]).collect();
    let last = &actions[actions.len() - 2..];
    assert_eq!(last, ["ballots.voided", "ballots.voiding-undone"]);
}

#[test]
fn what_cannot_be_voided_is_reported() {
    let services = Services::start();
    let span = |from: &str, until: &str| json!({"reason": "Why", "from": from, "until": until});
    let (past, then) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00");
    let void = |body: &Value| ask(&services, "POST", &format!("{POLL}/voidings"), body);
    for (body, status, words) in [
        (span(past, then), 422, "begin before it ends"),
        (span(past, "9000-01-01T00:00:00Z"), 422, "in the future"),
        (span("yesterday", past), 422, "not a date and time"),
        (json!({"reason": "Why"}), 422, "in one way"),
        (json!({"reason": "Why", "from": past}), 422, "in one way"),
        (
            json!({"reason": "Why", "revoked_codes": true, "codes": [{"serial": 1}]}),
            422,
            "in one way",
        ),
        (
            json!({"reason": "", "from": past, "until": past}),
            422,
            "The reason",
        ),
        (
            json!({"reason": "Why", "revoked_codes": true}),
            409,
            "none of its codes",
        ),
        (
            json!({"reason": "Why", "codes": [{"serial": 0}]}),
            409,
            "no codes",
        ),
    ] {
        let refused = void(&body);
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
        assert!(detail(&refused).contains(words), "{body}: {}", refused.body);
    }
    let nowhere = ask(
        &services,
        "POST",
        "nowhere/voidings",
        &span(past, "2026-02-01T00:00:00Z"),
    );
    assert_eq!(nowhere.status, 404, "{}", nowhere.body);
    ask(&services, "POST", &format!("{POLL}/close"), &Value::Null);
    let refused = await_some("the poll is final", || {
        let refused = void(&span(past, "2026-02-01T00:00:00Z"));
        (refused.status == 409).then_some(refused)
    });
    assert!(
        detail(&refused).contains("until it is final"),
        "{}",
        refused.body
    );
}

#[test]
fn the_votes_of_revoked_codes_are_voided() {
    let wrap = || PollKeyWrap::new(&secret());
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.poll_keys(PollKeyWrap::new(&secret())),
        operator: |builder| builder.poll_keys(PollKeyWrap::new(&secret())),
        ..Setup::default()
    });
    let mut settings = PollSettings::default();
    settings.voters = Voters::Codes;
    let poll = Poll::builder("board", "Who?")
        .option("a", "A")
        .option("b", "B");
    let poll = poll.settings(settings).build().expect("a poll");
    let keyed = KeyedPolls::new(services.memory.clone(), Some(wrap()));
    let change = |codes| {
        let change = PollChange::new(poll.id().clone(), ChangeTo::Codes(codes));
        let changed = services.block_on(keyed.change_poll(&change, "test"));
        changed.expect("changed").expect("the poll")
    };
    services.block_on(keyed.put_poll(&poll)).expect("stored");
    let stored = change(CodeChange::Issue(4));
    let wrapped = stored.wrapped_key().expect("a key");
    let key = wrap().open(stored.id(), wrapped).expect("the key");
    await_some("the vote service has the codes", || {
        let url = format!("{}/v1/polls/board", services.vote);
        (get(&url, &[]).json()["revision"] == stored.revision()).then_some(())
    });
    let receipts = [0, 1, 2].map(|serial| {
        let code = key.codes().code(serial, 0).to_string();
        cast(&services, &[("voter-code", &code)], "board", "a")
    });
    let void = |body: &Value| ask(&services, "POST", "board/voidings", body);
    let refused = void(&json!({"reason": "Stolen.", "codes": [{"serial": 1}]}));
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(
        detail(&refused).contains("revoke the codes first"),
        "{}",
        refused.body
    );
    for serial in [1, 2, 3] {
        change(CodeChange::Revoke(serial));
    }
    let one = void(&json!({"reason": "Stolen.", "codes": [{"serial": 1}]}));
    assert_eq!(one.status, 200, "{}", one.body);
    assert_eq!(
        (&one.json()["voters"], &one.json()["voided"]),
        (&json!(2), &json!(1))
    );
    let rest = void(&json!({"reason": "Stolen, too.", "revoked_codes": true})).json();
    assert_eq!((&rest["voters"], &rest["voided"]), (&json!(1), &json!(2)));
    assert_eq!(rest["voidings"][1]["codes"], 2, "{rest}");
    let states = receipts.map(|receipt| state(&services, &receipt));
    assert_eq!(states, ["counted", "voided", "voided"]);
    // Nobody else reads whose votes they were.
    let published = get(&format!("{}/v1/polls/board", services.vote), &[]).body;
    for answer in [rest.to_string(), published] {
        assert!(!answer.contains(&format!(
            "{:032x}",
            u128::from_be_bytes(key.holder(1).to_bytes())
        )));
    }
}

#[test]
fn the_minutes_in_which_voters_came_are_reported() {
    let browser = Browser::signed_in();
    let services = &browser.services;
    let path = format!("{POLL}/new-voters");
    let none = ask(services, "GET", &path, &Value::Null);
    assert_eq!(none.json(), json!({"minutes": []}));
    assert!(
        !browser
            .get(&format!("/polls/{POLL}"))
            .body
            .contains("by the minute")
    );
    cast(services, &[], POLL, "a");
    cast(services, &[], POLL, "b");
    let told = ask(services, "GET", &path, &Value::Null).json();
    let minutes = told["minutes"].as_array().expect("minutes");
    // The minute may have changed meanwhile.
    let voters = minutes
        .iter()
        .map(|minute| minute["voters"].as_u64().expect("a number"));
    assert_eq!(voters.sum::<u64>(), 2, "{told}");
    let newest = minutes[0]["minute"].as_str().expect("a moment");
    assert!(newest.ends_with(":00Z"), "{told}");
    let one = ask(services, "GET", &format!("{path}?limit=1"), &Value::Null).json();
    assert_eq!(one["next"], newest, "{one}");
    let before = format!("{path}?before=2026-01-01T00:00:00Z");
    let before = ask(services, "GET", &before, &Value::Null).json();
    assert_eq!(before, json!({"minutes": []}));
    for query in ["?limit=0", "?limit=1441", "?before=now"] {
        let refused = ask(services, "GET", &format!("{path}{query}"), &Value::Null);
        assert!(
            refused.status.is_client_error(),
            "{query}: {}",
            refused.body
        );
    }
    let nowhere = ask(services, "GET", "nowhere/new-voters", &Value::Null);
    assert_eq!(nowhere.status, 404);
    let page = browser.get(&format!("/polls/{POLL}")).body;
    assert!(page.contains("New voters by the minute"), "{page}");
    assert!(page.contains(&newest[..16].replace('T', " ")), "{page}");
}

#[test]
fn an_operator_voids_votes_on_the_hosts_page() {
    let browser = Browser::signed_in();
    let services = &browser.services;
    send("POST", &services.vote, &[FORM, BROWSER], b"vote=a");
    services.settle();
    let page = browser.get(&format!("/polls/{POLL}")).body;
    assert!(page.contains("Void votes"), "{page}");
    let path = format!("/polls/{POLL}/voidings");
    let empty = browser.get(&path).body;
    assert!(
        empty.contains("No votes of this poll are voided."),
        "{empty}"
    );
    let until = now();
    let until = until.trim_end_matches('Z');
    let form = |confirm| {
        [
            ("what", "span"),
            ("from", "2026-01-01T00:00"),
            ("until", until),
            ("reason", "A <script> voted"),
            ("confirm", confirm),
        ]
    };
    let refused = browser.post(&path, &form("many"));
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(
        refused.body.contains("enter the identifier"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains(&format!("value=\"{until}\"")),
        "what was typed stays"
    );
    let made = browser.post(&path, &form(POLL));
    assert_eq!(
        made.header("location"),
        format!("{path}?done=voided"),
        "{}",
        made.body
    );
    let page = browser.get(&format!("{path}?done=voided")).body;
    assert!(page.contains("0 voters, 1 vote voided."), "{page}");
    assert!(page.contains("A &#60;script&#62; voted"), "{page}");
    let page = browser.get("/audit").body;
    assert!(
        page.contains("Votes voided: A &#60;script&#62; voted"),
        "{page}"
    );
    let undone = browser.post(&format!("{path}/1/undo"), &[]);
    assert_eq!(undone.header("location"), format!("{path}?done=undone"));
    let page = browser.get(&path).body;
    assert!(page.contains("1 voter, 0 votes voided."), "{page}");
    let again = browser.post(&format!("{path}/1/undo"), &[]);
    assert_eq!(again.status, 409, "{}", again.body);
}
