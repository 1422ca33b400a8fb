//! What the log says of people who may not do what they try.

mod support;

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use support::{JSON, OPERATOR_TOKEN, Services, Setup, get, host_browser::Browser, send};
use voting_http::{Limits, NewVoters};

/// The lines that were logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The fields of those with this message.
    fn with(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("sound").clone()).expect("a text");
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let events = lines.map(|line: Value| line["fields"].clone());
        events.filter(|event| event["message"] == message).collect()
    }
}

/// One test, since the lines of the whole process are read.
#[test]
fn who_is_refused_is_logged_with_what_and_from_where_and_without_the_token() {
    let log = Lines::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .init();
    let services = Services::set_up(|_| Setup {
        limits: Limits {
            trusted_proxies: "127.0.0.1".parse().expect("a proxy"),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let url = services.operator.clone();
    let at = |path: &str| format!("{url}{path}");
    let bearer = |token: &str| format!("Bearer {token}");

    let operator = bearer(OPERATOR_TOKEN);
    let operator = [JSON, ("authorization", operator.as_str())];
    let new = json!({"name": "anna", "role": "auditor"}).to_string();
    let added = send("POST", &at("/v1/tokens"), &operator, new.as_bytes());
    assert_eq!(added.status, 201, "{}", added.body);
    let anna = added.json()["token"].as_str().unwrap().to_owned();
    let close = at("/v1/polls/cats-vs-dogs/close?why=secret-words");
    let as_anna = bearer(&anna);
    let refused = send("POST", &close, &[("authorization", as_anna.as_str())], b"");
    assert_eq!(refused.status, 403);
    let read = get(&at("/v1/polls"), &[("authorization", &as_anna)]);
    assert_eq!(read.status, 200);
    let lines = log.with("refused: the token's role may not do this");
    let expected = json!({
        "message": "refused: the token's role may not do this", "name": "anna", "role": "auditor",
        "method": "POST", "path": "/v1/polls/cats-vs-dogs/close", "address": "127.0.0.1",
    });
    assert_eq!(lines, [expected]);

    // On the host's pages, behind a proxy whose word is taken.
    let mut browser = Browser::new(services);
    let from = ("x-forwarded-for", "203.0.113.7");
    let form = [("sign_in_token", anna.as_str())];
    let signed = browser.post_with("/sign-in", &form, &[from]);
    assert_eq!(signed.status, 303);
    browser.cookie = signed.cookie();
    let refused = browser.post_with("/polls/many/close?why=secret-words", &[], &[from]);
    assert_eq!(refused.status, 403);
    let read = browser.post_with("/polls/many/recount", &[], &[from]);
    assert_eq!(read.status, 200);
    browser.post_with("/sign-out", &[], &[from]);
    let lines = log.with("refused: the token's role may not do this");
    let expected = json!({
        "message": "refused: the token's role may not do this", "name": "anna", "role": "auditor",
        "method": "POST", "path": "/polls/many/close", "address": "203.0.113.7",
    });
    assert_eq!(lines[1..], [expected]);
    for message in ["signed in", "signed out"] {
        let expected = json!({
            "message": message, "name": "anna", "role": "auditor", "address": "203.0.113.7",
        });
        assert_eq!(log.with(message), [expected]);
    }

    for number in 0..40 {
        let wrong = bearer(&format!("wrong {number}"));
        get(&at("/v1/pipeline"), &[("authorization", &wrong)]);
    }
    let lines = log.with("somebody shows wrong operator's tokens");
    assert_eq!(lines.len(), 30, "so many a minute");
    assert!(lines.iter().all(|line| line["address"] == "127.0.0.1"));

    // A poll that is full is named, and no address.
    let one = 1.try_into().expect("not zero");
    let limit = NewVoters {
        burst: one,
        per_minute: one,
    };
    let full = Services::set_up(|_| Setup {
        limits: Limits {
            new_voters_of_poll: Some(limit),
            ..Limits::default()
        },
        ..Setup::default()
    });
    let url = format!("{}/v1/polls/many/ballot", full.vote);
    let statuses = [(); 3].map(|()| send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#).status);
    assert_eq!(statuses.map(|status| status.as_u16()), [202, 429, 429]);
    let message = "votes are refused because too many new voters came to one poll. If they are people, raise \
                   new_voters.poll_per_minute, or name the poll in new_voters.unlimited_polls";
    let expected = json!({
        "message": message, "poll": "many", "times": 1, "reason": "new_voters_of_poll",
    });
    assert_eq!(log.with(message), [expected]);

    let all = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in [
        OPERATOR_TOKEN,
        &anna,
        "wrong 1",
        "secret-words",
        &browser.cookie,
    ] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
