//! The operator's API.

mod support;

use support::{FORM, JSON, OPERATOR_TOKEN, Services, get, send};
use voting_core::{BallotLog, position::ShardId};

fn bearer() -> String {
    format!("Bearer {OPERATOR_TOKEN}")
}

#[test]
fn the_pipeline_says_where_all_ballots_are() {
    let services = Services::start();
    let cookie = send("POST", &services.vote, &[FORM], b"vote=a").cookie();
    send(
        "POST",
        &services.vote,
        &[FORM, ("cookie", &cookie)],
        b"vote=b",
    );
    send("POST", &services.vote, &[FORM], b"vote=b");
    let poison = services.memory.append(ShardId(0), b"poison".to_vec(), 1);
    services.block_on(poison).expect("appended");
    services.settle();
    let url = format!("{}/v1/pipeline", services.operator);
    let pipeline = get(&url, &[("authorization", &bearer())]).json();
    let numbers = ["accepted", "pending", "counted", "superseded", "rejected"];
    assert_eq!(
        numbers.map(|name| pipeline[name].as_u64().unwrap()),
        [4, 0, 2, 1, 1]
    );
    assert_eq!(pipeline["worker"].get("trouble"), None);

    let metrics = get(&format!("{}/metrics", services.operator), &[]).body;
    for line in [
        "voting_accepted_ballots_total 4",
        "voting_pending_ballots 0",
        "voting_counted_ballots 2",
        "voting_superseded_ballots_total 1",
        "voting_rejected_ballots_total 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let oldest = metrics
        .lines()
        .find(|line| line.starts_with("voting_oldest_unprocessed"));
    assert!(
        oldest.is_some_and(|line| !line.ends_with(" 0")),
        "{metrics}"
    );

    let url = format!("{}/v1/dead-letters", services.operator);
    let letters = get(&url, &[("authorization", &bearer())]).json();
    assert_eq!(letters["dead_letters"][0]["reason"], "malformed");
    assert_eq!(letters["dead_letters"][0]["payload"], "cG9pc29u");
    let position = letters["dead_letters"][0]["position"].as_str().unwrap();
    let after = get(
        &format!("{url}?after={position}"),
        &[("authorization", &bearer())],
    );
    assert_eq!(after.json()["dead_letters"].as_array().unwrap().len(), 0);
    let bad = get(&format!("{url}?after=x"), &[("authorization", &bearer())]);
    assert_eq!(bad.status, 422);

    let url = format!("{}/v1/polls/cats-vs-dogs/recount", services.operator);
    let recount = send("POST", &url, &[("authorization", &bearer())], b"").json();
    assert_eq!(recount["agrees"], true);
    assert_eq!(
        recount["counted"]["options"],
        serde_json::json!([{"id": "a", "votes": 0}, {"id": "b", "votes": 2}])
    );
}

#[test]
fn a_poll_can_be_added_and_renamed_but_not_given_other_options() {
    let services = Services::start();
    // The vote service knows polls, and this one is not among them.
    get(&format!("{}/v1/polls", services.vote), &[]);
    std::thread::sleep(std::time::Duration::from_millis(150));
    let url = format!("{}/v1/polls", services.operator);
    let token = bearer();
    let put = |body: &str| {
        send(
            "POST",
            &url,
            &[JSON, ("authorization", &token)],
            body.as_bytes(),
        )
    };
    let lunch = r#"{"id":"lunch","title":"Lunch?","options":[{"id":"x","label":"X"},{"id":"y","label":"Y"}]}"#;
    assert_eq!(put(lunch).status, 201);
    assert_eq!(put(&lunch.replace("Lunch?", "What for lunch?")).status, 200);
    assert_eq!(put(&lunch.replace("\"y\"", "\"z\"")).status, 409);
    for bad in [
        "{",
        r#"{"id":"lunch"}"#,
        &lunch.replace("lunch", "A B"),
        &lunch.replace("\"y\"", "\"x\""),
    ] {
        assert!(put(bad).status.is_client_error(), "{bad}");
    }
    let vote = format!("{}/polls/lunch", services.vote);
    assert_eq!(
        send("POST", &vote, &[FORM], b"vote=y").status,
        200,
        "at once"
    );
    assert_eq!(services.votes("lunch"), [0, 1]);
}

#[test]
fn nothing_is_told_or_done_without_the_operators_token() {
    let services = Services::start();
    let at = |path: &str| format!("{}{path}", services.operator);
    let almost = format!("{}x", bearer());
    for headers in [
        vec![],
        vec![("authorization", "Bearer x")],
        vec![("authorization", almost.as_str())],
    ] {
        let lunch = br#"{"id":"lunch","title":"Lunch?","options":[{"id":"x","label":"X"},{"id":"y","label":"Y"}]}"#;
        let json: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        for answer in [
            get(&at("/v1/pipeline"), &headers),
            get(&at("/v1/dead-letters"), &headers),
            send("POST", &at("/v1/polls/cats-vs-dogs/recount"), &headers, b""),
            send("POST", &at("/v1/polls"), &json, lunch),
        ] {
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert_eq!(answer.json()["type"], "urn:voting:problem:unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(get(&at("/healthz"), &[]).status, 200);
    assert_eq!(get(&at("/readyz"), &[]).status, 200);
}
