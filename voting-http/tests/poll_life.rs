//! The operator's API for polls: their settings, their life, and lost updates.

mod support;

use serde_json::{Value, json};
use support::{Answer, JSON, OPERATOR_TOKEN, Services, get, send};
use voting_core::model::moment::Moment;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn bearer() -> String {
    format!("Bearer {OPERATOR_TOKEN}")
}

/// The operator's API of running services.
struct Host<'a>(&'a Services);

impl Host<'_> {
    fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Answer {
        let (url, token) = (format!("{}/v1/polls{path}", self.0.operator), bearer());
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(more);
        if method == "GET" {
            return get(&url, &headers);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            headers.push(JSON);
            body.to_string()
        };
        send(method, &url, &headers, body.as_bytes())
    }

    fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &[], &Value::Null)
    }

    fn put(&self, id: &str, form: &Value) -> Answer {
        self.ask("PUT", &format!("/{id}"), &[], form)
    }

    fn patch(&self, id: &str, patch: &Value) -> Answer {
        self.ask("PATCH", &format!("/{id}"), &[], patch)
    }

    fn poll(&self, id: &str) -> Value {
        self.ask("GET", &format!("/{id}"), &[], &Value::Null).json()
    }
}

fn lunch(more: &Value) -> Value {
    let mut form = json!({
        "id": "lunch", "title": "Lunch?",
        "options": [{"id": "x", "label": "X"}, {"id": "y", "label": "Y"}]
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        form[name] = value.clone();
    }
    form
}

fn later() -> String {
    Moment::now().plus(DAY).to_string()
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().expect("a text").to_owned()
}

#[test]
fn a_poll_has_all_its_settings_in_all_answers() {
    let services = Services::start();
    let host = Host(&services);
    let closes = later();
    let stored = host.put(
        "lunch",
        &lunch(&json!({
            "description": "For Friday.", "max_choices": 2, "revote": false, "closes_at": closes,
            "options": [{"id": "x", "label": "X", "description": "First"}, {"id": "y", "label": "Y"}],
            "time_zone": "europe/berlin", "results": "after_vote", "order": "shuffled",
            "listed": false, "language": "de", "retention_days": 30
        })),
    );
    assert_eq!(stored.status, 201, "{}", stored.body);
    assert_eq!(stored.header("etag"), "\"0\"");
    let expected = json!({
        "id": "lunch", "title": "Lunch?", "description": "For Friday.", "state": "open", "max_choices": 2,
        "options": [{"id": "x", "label": "X", "description": "First"}, {"id": "y", "label": "Y"}],
        "electorate": "open", "revote": false, "closes_at": closes, "time_zone": "Europe/Berlin",
        "results": "after_vote", "order": "shuffled", "listed": false, "language": "de", "retention_days": 30,
        "revision": 0
    });
    let with = |name: &str, value: Value| {
        let mut expected = expected.clone();
        expected[name] = value;
        expected
    };
    assert_eq!(stored.json(), with("published", true.into()));
    assert_eq!(host.poll("lunch"), with("voters", 0.into()));
    let all = host.ask("GET", "", &[], &Value::Null).json();
    assert_eq!(all["polls"][2], with("voters", 0.into()));
    let told = get(&format!("{}/v1/polls/lunch", services.vote), &[]);
    assert_eq!(told.json(), expected);
}

#[test]
fn settings_that_mean_nothing_or_have_passed_are_refused() {
    let services = Services::start();
    let host = Host(&services);
    for (more, status, says) in [
        (json!({"closes_at": "2020-01-01T00:00:00Z"}), 422, "passed"),
        (json!({"opens_at": "2020-01-01T00:00:00Z"}), 422, "passed"),
        (json!({"closes_at": "tomorrow"}), 422, "offset"),
        (json!({"time_zone": "Europe/Berlim"}), 422, "IANA"),
        (json!({"results": "never"}), 400, "results"),
        (json!({"retention_days": 0}), 422, "36500"),
        (json!({"colour": "red"}), 400, "unknown field"),
    ] {
        for method in ["PUT", "POST"] {
            let path = if method == "PUT" { "/lunch" } else { "" };
            let refused = host.ask(method, path, &[], &lunch(&more));
            assert_eq!(refused.status, status, "{more}: {}", refused.body);
            assert!(detail(&refused).contains(says), "{}", refused.body);
        }
    }
    assert_eq!(host.ask("GET", "/lunch", &[], &Value::Null).status, 404);
    // What opened a moment ago opens now.
    let now = Moment::now().to_string();
    let stored = host.put("lunch", &lunch(&json!({"opens_at": now})));
    assert_eq!(
        (stored.status.as_u16(), &stored.json()["state"]),
        (201, &"open".into())
    );
    let other = host.put("dinner", &lunch(&json!({})));
    assert_eq!(other.status, 422, "{}", other.body);
}

#[test]
fn a_draft_is_seen_by_the_host_only_until_it_is_published() {
    let services = Services::start();
    let host = Host(&services);
    let stored = host.put("lunch", &lunch(&json!({"draft": true})));
    assert_eq!(
        (stored.status.as_u16(), &stored.json()["state"]),
        (201, &"draft".into())
    );
    assert_eq!(stored.json()["published"], false);
    // Everything changes, and it stays a draft.
    let other = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let changed = host.put("lunch", &lunch(&json!({"options": other, "revote": false})));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.json()["state"], "draft");
    let opens = later();
    let patched = host.patch("lunch", &json!({"opens_at": opens, "revote": null}));
    let poll = patched.json();
    assert_eq!(
        (&poll["state"], &poll["revote"], &poll["opens_at"]),
        (&"draft".into(), &true.into(), &opens.into())
    );
    assert_eq!(host.post("/lunch/close").status, 409);
    let published = host.post("/lunch/publish").json();
    assert_eq!(published["state"], "scheduled", "{published}");
    assert_eq!(
        host.post("/lunch/publish").json()["revision"],
        published["revision"]
    );
    let again = host.patch("lunch", &json!({"draft": true}));
    assert_eq!(again.status, 409, "{}", again.body);
    let opened = host.post("/lunch/open").json();
    assert_eq!(opened["state"], "open", "{opened}");
    let vote = format!("{}/polls/lunch", services.vote);
    let voted = send("POST", &vote, &[support::FORM], b"vote=a");
    assert_eq!(voted.status, 200, "{}", voted.body);
}

#[test]
fn a_lost_update_is_refused() {
    let services = Services::start();
    let host = Host(&services);
    let path = "/cats-vs-dogs";
    let read = host.ask("GET", path, &[], &Value::Null);
    let tag = read.header("etag").to_owned();
    let change = |tag: &str, title: &str| {
        host.ask(
            "PATCH",
            path,
            &[("if-match", tag)],
            &json!({"title": title}),
        )
    };
    let first = change(&tag, "One?");
    assert_eq!(first.status, 200, "{}", first.body);
    let second = change(&tag, "Two?");
    assert_eq!(second.status, 412, "{}", second.body);
    assert_eq!(second.json()["type"], "urn:voting:problem:revision-changed");
    assert!(
        detail(&second).contains("its revision is 1, not 0"),
        "{}",
        second.body
    );
    assert_eq!(change(first.header("etag"), "Two?").status, 200);
    assert_eq!(change("*", "Three?").status, 200);
    assert_eq!(change("3", "Four?").status, 422);
    for (method, path) in [
        ("DELETE", "/cats-vs-dogs"),
        ("POST", "/cats-vs-dogs/open"),
        ("POST", "/cats-vs-dogs/publish"),
    ] {
        let late = host.ask(method, path, &[("if-match", "\"0\"")], &Value::Null);
        assert_eq!(late.status, 412, "{method} {path}: {}", late.body);
    }
    assert_eq!(host.poll("cats-vs-dogs")["title"], "Three?");

    let create = || {
        host.ask(
            "PUT",
            "/lunch",
            &[("if-none-match", "*")],
            &lunch(&json!({})),
        )
    };
    assert_eq!(create().status, 201);
    assert_eq!(create().status, 412);
    let none = host.ask(
        "PUT",
        "/dinner",
        &[("if-match", "*")],
        &lunch(&json!({"id": "dinner"})),
    );
    assert_eq!(none.status, 404, "{}", none.body);
}

#[test]
fn a_program_that_brings_its_polls_along_changes_texts_only() {
    let services = Services::start();
    let host = Host(&services);
    let bring = |more: Value| host.ask("POST", "", &[], &lunch(&more));
    let closes = later();
    assert_eq!(bring(json!({"closes_at": closes})).status, 201);
    let renamed = bring(json!({"title": "What for lunch?"}));
    assert_eq!(
        (renamed.status.as_u16(), &renamed.json()["closes_at"]),
        (200, &closes.clone().into())
    );
    assert_eq!(bring(json!({"closes_at": closes})).status, 200);
    let refused = bring(json!({"closes_at": closes, "results": "host"}));
    assert_eq!(refused.status, 409);
    assert!(detail(&refused).contains("PUT"), "{}", refused.body);
}

#[test]
fn a_change_that_does_not_say_who_sees_the_result_shows_it_to_nobody_else() {
    let services = Services::start();
    let host = Host(&services);
    assert_eq!(
        host.put("lunch", &lunch(&json!({"results": "host"})))
            .status,
        201
    );
    let results = || host.poll("lunch")["results"].clone();
    assert_eq!(host.put("lunch", &lunch(&json!({}))).status, 200);
    assert_eq!(results(), "host");
    assert_eq!(host.patch("lunch", &json!({"results": null})).status, 200);
    assert_eq!(results(), "host");
    let brought = host.ask("POST", "", &[], &lunch(&json!({"results": "always"})));
    assert_eq!(brought.status, 409, "{}", brought.body);
    assert_eq!(
        host.put("lunch", &lunch(&json!({"results": "after_close"})))
            .status,
        200
    );
    assert_eq!(results(), "after_close");
}

/// The result service has looked the poll up a moment before, when its result was for everybody and had no votes.
#[test]
fn a_result_that_is_hidden_before_the_poll_is_opened_at_once_is_never_shown() {
    let services = Services::start();
    let host = Host(&services);
    let opens = Moment::now().plus(DAY).to_string();
    assert_eq!(
        host.put("lunch", &lunch(&json!({"opens_at": opens})))
            .status,
        201
    );
    let tally = || get(&format!("{}/v1/polls/lunch/tally", services.result), &[]);
    assert_eq!(tally().status, 200);
    assert_eq!(host.patch("lunch", &json!({"results": "host"})).status, 200);
    assert_eq!(host.post("/lunch/open").status, 200);
    let ballot = format!("{}/v1/polls/lunch/ballot", services.vote);
    // Until then the tally has no votes.
    while tally().status == 200 {
        let cast = send("PUT", &ballot, &[JSON], br#"{"choices":["x"]}"#);
        if cast.status == 202 {
            services.settle();
        }
        let shown = tally();
        assert!(
            shown.status == 403 || shown.json()["voters"] == 0,
            "{}",
            shown.body
        );
    }
}

#[test]
fn a_final_poll_is_archived_and_deleted_and_its_id_is_gone() {
    let services = Services::start();
    let host = Host(&services);
    send("POST", &services.vote, &[support::FORM], b"vote=a");
    services.settle();
    assert_eq!(host.post("/cats-vs-dogs/archive").status, 409);
    let delete = |query: &str| {
        let path = format!("/cats-vs-dogs{query}");
        host.ask("DELETE", &path, &[], &Value::Null)
    };
    assert_eq!(delete("?confirm=cats-vs-dogs").status, 409, "it is open");
    assert_eq!(host.post("/cats-vs-dogs/close").status, 202);
    voting_testing::await_some("the poll is final", || {
        (host.poll("cats-vs-dogs")["state"] == "final").then_some(())
    });
    assert_eq!(host.post("/cats-vs-dogs/open").status, 409);
    assert_eq!(
        host.post("/cats-vs-dogs/archive").json()["state"],
        "archived"
    );
    assert_eq!(
        host.post("/cats-vs-dogs/unarchive").json()["state"],
        "final"
    );
    let refused = delete("");
    assert_eq!(refused.status, 409);
    assert!(detail(&refused).contains("1 voter"), "{}", refused.body);
    assert_eq!(delete("?confirm=lunch").status, 409);
    let deleted = delete("?confirm=cats-vs-dogs");
    assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (204, ""));
    assert_eq!(delete("").status, 404);
    let again = host.put("cats-vs-dogs", &lunch(&json!({"id": "cats-vs-dogs"})));
    assert_eq!(again.status, 409, "{}", again.body);
    // Nobody has voted in this one.
    host.put("lunch", &lunch(&json!({"draft": true})));
    assert_eq!(host.ask("DELETE", "/lunch", &[], &Value::Null).status, 204);
}

#[test]
fn the_voters_of_a_final_poll_are_forgotten_and_the_result_stays() {
    let services = Services::start();
    let host = Host(&services);
    let cast = voter_casts(&services, "a");
    services.settle();
    let forget = |query: &str| host.post(&format!("/cats-vs-dogs/forget-voters{query}"));
    let refused = forget("?confirm=cats-vs-dogs");
    assert_eq!(refused.status, 409, "it is open");
    assert!(
        detail(&refused).contains("once it is final"),
        "{}",
        refused.body
    );
    host.post("/cats-vs-dogs/close");
    voting_testing::await_some("the poll is final", || {
        (host.poll("cats-vs-dogs")["state"] == "final").then_some(())
    });
    let receipt = || {
        let url = format!("{}/v1/receipts/{cast}", services.result);
        get(&url, &[]).json()["state"].clone()
    };
    assert_eq!(receipt(), "counted");
    for wrong in ["", "?confirm=lunch"] {
        let refused = forget(wrong);
        assert_eq!(refused.status, 409, "{wrong}");
        assert!(
            detail(&refused).contains("cats-vs-dogs"),
            "{}",
            refused.body
        );
    }
    assert_eq!(receipt(), "counted");
    let recount = || host.post("/cats-vs-dogs/recount").json();
    let before = recount();
    let forgotten = forget("?confirm=cats-vs-dogs");
    assert_eq!(forgotten.status, 200, "{}", forgotten.body);
    assert!(forgotten.json()["voters_forgotten_at"].is_string());
    assert_eq!(receipt(), "forgotten");
    assert_eq!(recount(), before);
    assert_eq!(before["agrees"], true);
    let again = forget("");
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["revision"], forgotten.json()["revision"]);
    assert_eq!(forget("?confirm=nowhere").status, 200);
    voting_testing::await_that("its page says so", || {
        let page = get(&services.vote, &[support::BROWSER]).body;
        page.contains("The voters of this poll are forgotten")
    });
    host.ask(
        "DELETE",
        "/cats-vs-dogs?confirm=cats-vs-dogs",
        &[],
        &Value::Null,
    );
    assert_eq!(receipt(), "deleted");
}

/// The receipt of a new voter's vote.
fn voter_casts(services: &Services, option: &str) -> String {
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let body = json!({"choices": [option]}).to_string();
    let cast = send("PUT", &url, &[JSON], body.as_bytes());
    assert_eq!(cast.status, 202, "{}", cast.body);
    cast.json()["receipt"]
        .as_str()
        .expect("a receipt")
        .to_owned()
}

#[test]
fn a_patch_is_a_merge_patch() {
    let services = Services::start();
    let host = Host(&services);
    host.put("lunch", &lunch(&json!({"description": "For Friday."})));
    let url = format!("{}/v1/polls/lunch", services.operator);
    let token = bearer();
    let patch = |kind: &str, body: &str| {
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        send("PATCH", &url, &headers, body.as_bytes())
    };
    let merge = "application/merge-patch+json";
    let patched = patch(merge, r#"{"description":null,"listed":false}"#);
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(patched.json().get("description"), None);
    assert_eq!(patched.json()["listed"], false);
    assert_eq!(patch("application/json", "{}").json()["revision"], 1);
    assert_eq!(patch("application/json-patch+json", "[]").status, 415);
    for (bad, status) in [
        ("[]", 400),
        (r#"{"id":"dinner"}"#, 422),
        (r#"{"title":null}"#, 422),
        (r#"{"colour":1}"#, 422),
        (r#"{"options":[]}"#, 422),
        (r#"{"title":"a","title":"b"}"#, 400),
    ] {
        assert_eq!(patch(merge, bad).status, status, "{bad}");
    }
    let options = r#"{"options":[{"id":"x","label":"X"},{"id":"z","label":"Z"}]}"#;
    assert_eq!(patch(merge, options).status, 409, "it has opened");
}
