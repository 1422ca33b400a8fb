//! Named tokens of the operator's API, the roles of its routes, and the audit log that says who did what.

mod support;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use support::{Answer, JSON, NDJSON, OPERATOR_TOKEN, Services, get, send};
use voting_core::store::{AuditLog, TokenStore, audit::AuditNote};

fn ask(services: &Services, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let url = format!("{}{path}", services.operator);
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
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

fn add(services: &Services, name: &str, role: &str) -> String {
    let new = json!({"name": name, "role": role});
    let added = ask(services, OPERATOR_TOKEN, "POST", "/v1/tokens", &new);
    assert_eq!(added.status, 201, "{}", added.body);
    added.json()["token"].as_str().expect("a token").to_owned()
}

fn audit_log(services: &Services, query: &str) -> Value {
    let path = format!("/v1/audit{query}");
    let log = ask(services, OPERATOR_TOKEN, "GET", &path, &Value::Null);
    assert_eq!(log.status, 200, "{}", log.body);
    log.json()
}

/// The roles that may do an operation, in short: H, A, C and O. A new one must be added here.
fn roles(operation: &str) -> &'static str {
    match operation {
        "getPipeline" | "listPolls" | "getPoll" | "getCodes" | "exportTallyCsv" | "exportTally"
        | "exportBallotsCsv" | "exportBallots" | "listVoidings" | "listNewVoters"
        | "listEvents" | "streamEvents" => "HAO",
        "putPoll" | "replacePoll" | "patchPoll" | "deletePoll" | "publishPoll" | "openPoll"
        | "closePoll" | "archivePoll" | "unarchivePoll" | "forgetVoters" | "issueCodes"
        | "revokeCode" | "replaceCode" | "listWebhooks" | "addWebhook" | "changeWebhook"
        | "removeWebhook" | "enableWebhook" | "disableWebhook" | "renewWebhookSecret"
        | "testWebhook" | "sendEventsAgain" | "listDeliveries" | "sendAgain" => "HO",
        "castBallots" => "CO",
        "recountPoll" | "listAuditLog" | "exportAuditLog" => "AO",
        "listDeadLetters" | "getDeadLetter" | "replayDeadLetter" | "listTokens" | "addToken"
        | "revokeToken" | "voidBallots" | "undoVoiding" => "O",
        other => panic!("who may do {other}?"),
    }
}

#[test]
fn each_operation_is_for_the_roles_that_are_known_here() {
    let services = Services::start();
    let tokens = [
        ("H", "host"),
        ("A", "auditor"),
        ("C", "caster"),
        ("O", "operator"),
    ]
    .map(|(short, role)| (short, add(&services, &format!("{role}-1"), role)));
    let document = get(&format!("{}/openapi.json", services.operator), &[]).json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !path.starts_with("/v1/") {
                continue;
            }
            seen += 1;
            let id = operation["operationId"].as_str().unwrap();
            let allowed = roles(id);
            let content = &operation["requestBody"]["content"];
            let lines = &content["application/x-ndjson"]["example"];
            let body = content["application/json"]["example"].clone();
            // Nothing is there, so that nothing is changed.
            let path = path
                .replace("{poll}", "nowhere")
                .replace("{position}", "0-1-0-0")
                .replace("{serial}", "0")
                .replace("{name}", "nobody")
                // Without it, the stream goes on and on.
                .replace("/events/stream", "/events/stream?after=1000000");
            let url = format!("{}{path}", services.operator);
            let nobody = match method.as_str() {
                "get" => get(&url, &[]),
                method => send(&method.to_uppercase(), &url, &[JSON], b"{}"),
            };
            assert_eq!(nobody.status, 401, "{id} without a token: {}", nobody.body);
            for (short, token) in &tokens {
                let answer = match lines.as_str() {
                    Some(lines) => {
                        let bearer = format!("Bearer {token}");
                        let headers = [("authorization", bearer.as_str()), NDJSON];
                        send("POST", &url, &headers, lines.as_bytes())
                    }
                    None => ask(&services, token, &method.to_uppercase(), &path, &body),
                };
                let is_refused = answer.status == 403;
                assert_eq!(
                    is_refused,
                    !allowed.contains(short),
                    "{id} as {short}: {}",
                    answer.body
                );
                if is_refused {
                    assert_eq!(answer.json()["type"], "urn:voting:problem:forbidden");
                } else {
                    assert_ne!(answer.status, 401, "{id} as {short}: {}", answer.body);
                }
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn a_token_is_shown_once_and_is_of_no_use_once_it_is_revoked() {
    let services = Services::start();
    let anna = add(&services, "anna", "host");
    assert_ne!(anna, add(&services, "bert", "host"));
    let kept = services.block_on(services.memory.tokens()).unwrap();
    assert!(!format!("{kept:?}").contains(&anna));
    let listed = ask(&services, OPERATOR_TOKEN, "GET", "/v1/tokens", &Value::Null);
    assert!(!listed.body.contains(&anna), "{}", listed.body);
    let names: Vec<_> = listed.json()["tokens"].as_array().unwrap().clone();
    let names: BTreeSet<_> = names
        .iter()
        .map(|token| token["name"].to_string())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["\"anna\"".into(), "\"bert\"".into()])
    );

    let polls = |token: &str| ask(&services, token, "GET", "/v1/polls", &Value::Null).status;
    assert_eq!(polls(&anna), 200);
    let revoke = || {
        let path = "/v1/tokens/anna";
        ask(&services, OPERATOR_TOKEN, "DELETE", path, &Value::Null)
    };
    assert_eq!(revoke().status, 204);
    assert_eq!(polls(&anna), 401, "at once");
    let again = revoke();
    assert_eq!(again.status, 404);
    assert_eq!(again.json()["type"], "urn:voting:problem:unknown-token");
    // Its name is free.
    let second = add(&services, "anna", "auditor");
    assert_eq!(
        (polls(&second), polls(&anna)),
        (200.try_into().unwrap(), 401.try_into().unwrap())
    );
    for (new, status) in [
        (json!({"name": "anna", "role": "host"}), 409),
        (json!({"name": "operator", "role": "host"}), 422),
        (json!({"name": "schedule", "role": "host"}), 422),
        (json!({"name": "A B", "role": "host"}), 422),
        (json!({"name": "carl", "role": "king"}), 400),
    ] {
        let refused = ask(&services, OPERATOR_TOKEN, "POST", "/v1/tokens", &new);
        assert_eq!(refused.status, status, "{new}: {}", refused.body);
    }
}

#[test]
fn what_another_process_revokes_is_of_no_use_after_a_second() {
    let services = Services::start();
    let anna = add(&services, "anna", "host");
    let polls = || ask(&services, &anna, "GET", "/v1/polls", &Value::Null).status;
    assert_eq!(polls(), 200);
    let name = "anna".parse().unwrap();
    let revoked = services.memory.revoke_token(&name, "another process");
    assert!(services.block_on(revoked).unwrap());
    let since = std::time::Instant::now();
    voting_testing::await_some("the token is not taken", || (polls() == 401).then_some(()));
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn the_audit_log_says_who_did_what() {
    let services = Services::start();
    let anna = add(&services, "anna", "host");
    let lunch = json!({
        "id": "lunch", "title": "Lunch?", "options": [{"id": "x", "label": "X"}, {"id": "y", "label": "Y"}]
    });
    let stored = ask(&services, &anna, "PUT", "/v1/polls/lunch", &lunch);
    assert_eq!(stored.status, 201, "{}", stored.body);
    let title = json!({"title": "What for lunch?"});
    ask(&services, &anna, "PATCH", "/v1/polls/lunch", &title);
    ask(
        &services,
        OPERATOR_TOKEN,
        "POST",
        "/v1/polls/lunch/close",
        &Value::Null,
    );
    ask(
        &services,
        OPERATOR_TOKEN,
        "DELETE",
        "/v1/tokens/anna",
        &Value::Null,
    );
    let log = audit_log(&services, "");
    let told: Vec<_> = log["entries"].as_array().unwrap().iter().collect();
    let told = |action: &str, by: &str| {
        let is_it = |entry: &&&Value| entry["action"] == action && entry["by"] == by;
        let found = told.iter().find(is_it);
        (**found.unwrap_or_else(|| panic!("{action} by {by} in {log}"))).clone()
    };
    let added = told("token.added", "operator");
    assert_eq!(added["after"], r#"{"name":"anna","role":"host"}"#);
    assert_eq!(added.get("poll"), None);
    told("token.revoked", "operator");
    assert_eq!(told("poll.created", "anna")["poll"], "lunch");
    let changed = told("poll.changed", "anna");
    let after: Value = serde_json::from_str(changed["after"].as_str().unwrap()).unwrap();
    assert_eq!(after["title"], "What for lunch?");
    told("poll.closing", "operator");
    assert!(!log.to_string().contains(&anna));
}

#[test]
fn the_audit_log_is_read_in_pages_and_as_a_table() {
    let services = Services::start();
    let note = |number: u32| AuditNote {
        by: "=HYPERLINK(\"x\")".to_owned(),
        action: format!("test.{number}"),
        poll: (number % 300 == 7).then(|| "lunch".parse().unwrap()),
        before: None,
        after: Some("{\"a\":1,\"b\":2}".to_owned()),
    };
    for number in 0..650 {
        let note = note(number);
        let added = services.memory.add_to_audit_log(&note);
        services.block_on(added).unwrap();
    }
    let read = |query: &str| {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = audit_log(&services, &format!("?after={after}{query}"));
            let entries = page["entries"].as_array().unwrap();
            assert!(entries.len() <= 200);
            all.extend(entries.iter().map(|entry| entry["action"].to_string()));
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => break all,
            }
        }
    };
    let expected: Vec<_> = (0..650)
        .map(|number| format!("\"test.{number}\""))
        .collect();
    for query in ["", "&limit=37", "&limit=1&poll=none"] {
        let mut all = read(query);
        all.retain(|action| action.starts_with("\"test."));
        if query.ends_with("none") {
            assert_eq!(all, Vec::<String>::new());
        } else {
            assert_eq!(all, expected, "{query}");
        }
    }
    let of_lunch = ["\"test.7\"", "\"test.307\"", "\"test.607\""];
    assert_eq!(read("&poll=lunch"), of_lunch);
    assert_eq!(read("&poll=lunch&limit=2"), of_lunch);
    for bad in ["?limit=0", "?limit=201", "?poll=A%20B", "?after=x"] {
        let path = format!("/v1/audit{bad}");
        let refused = ask(&services, OPERATOR_TOKEN, "GET", &path, &Value::Null);
        assert!(refused.status.is_client_error(), "{bad}: {}", refused.body);
    }
    let path = "/v1/audit.csv?poll=lunch";
    let table = ask(&services, OPERATOR_TOKEN, "GET", path, &Value::Null);
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    let rows: Vec<_> = table.body.split("\r\n").collect();
    assert_eq!(rows.len(), 5, "{}", table.body);
    assert_eq!(rows[0], "number,at,by,action,poll,before,after");
    let end = r#","'=HYPERLINK(""x"")",test.7,lunch,,"{""a"":1,""b"":2}""#;
    assert!(rows[1].ends_with(end), "{}", rows[1]);
    let path = "/v1/audit.csv";
    let table = ask(&services, OPERATOR_TOKEN, "GET", path, &Value::Null);
    let whole = read("");
    assert_eq!(table.body.split("\r\n").count(), whole.len() + 2);
}
