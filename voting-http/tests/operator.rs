//! The operator's API.

mod support;

use std::{
    io::{BufRead, Read, Write},
    time::{Duration, Instant},
};

use support::{BROWSER, FORM, JSON, OPERATOR_TOKEN, Services, connect, events, get, send};
use voting_core::{Ballot, Choices, VoterId, log::entry};
use voting_testing::await_some;

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
    services.push(b"poison");
    services.settle();
    let url = format!("{}/v1/pipeline", services.operator);
    let pipeline = get(&url, &[("authorization", &bearer())]).json();
    let numbers = ["accepted", "pending", "counted", "superseded", "rejected"];
    assert_eq!(
        numbers.map(|name| pipeline[name].as_u64().unwrap()),
        [4, 0, 2, 1, 1]
    );
    assert_eq!(pipeline["worker"].get("trouble"), None);

    assert_eq!(pipeline["lag_ms"], 0);

    // Asked for once a second.
    let metrics = await_some("metrics", || {
        let metrics = get(&format!("{}/metrics", services.operator), &[]).body;
        metrics
            .contains("voting_accepted_ballots_total 4")
            .then_some(metrics)
    });
    for line in [
        "voting_pending_ballots 0",
        "voting_counted_ballots 2",
        "voting_superseded_ballots_total 1",
        "voting_rejected_ballots_total 1",
        "voting_lost_entries_total 0",
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
    let letter = get(
        &format!("{url}/{position}"),
        &[("authorization", &bearer())],
    )
    .json();
    assert_eq!(letter["payload"], "cG9pc29u");
    assert_eq!(
        (&letter["count"], &letter["ballots"]),
        (&1.into(), &serde_json::json!([]))
    );

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
    std::thread::sleep(Duration::from_millis(150));
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
    // Nor texts that mislead, each with the reason.
    for (old, new, reason) in [
        ("\"X\"", r#""\u200b""#, "option x"),
        ("\"X\"", r#""\u2800""#, "no visible character"),
        ("\"X\"", r#""\u3164""#, "U+3164"),
        ("\"X\"", r#""\ufeff""#, "U+FEFF"),
        ("\"X\"", r#""\u202eCats""#, "direction"),
        ("\"X\"", r#""a\u2028b""#, "U+2028"),
        ("\"X\"", "\"Y\"", "look the same"),
        ("\"X\"", "\" Y \"", "look the same"),
        ("Lunch?", r#"\u202eLunch?"#, "title"),
    ] {
        let refused = put(&lunch.replace(old, new));
        let detail = refused.json()["detail"].to_string();
        assert!(
            refused.status == 422 && detail.contains(reason),
            "{new}: {detail}"
        );
    }
    let stored = put(&lunch.replace("\"X\"", r#""Cafe\u0301""#));
    assert_eq!(stored.json()["options"][0]["label"], "Café");
    let vote = format!("{}/polls/lunch", services.vote);
    assert_eq!(
        send("POST", &vote, &[FORM], b"vote=y").status,
        200,
        "at once"
    );
    assert_eq!(services.votes("lunch"), [0, 1]);
}

#[test]
fn a_dead_letter_is_counted_once_its_poll_is_stored() {
    let services = Services::start();
    let mut vote = entry::EntryBuilder::default();
    vote.push(&Ballot {
        poll: "lunch".parse().unwrap(),
        voter: VoterId::issue(),
        choices: Choices::from_bits(0b10).unwrap(),
        rules: None,
    });
    services.push(&vote.finish().payload);
    services.settle();
    let (token, at) = (bearer(), format!("{}/v1/dead-letters", services.operator));
    let authorized = [("authorization", token.as_str())];
    let letters = get(&at, &authorized).json();
    let position = letters["dead_letters"][0]["position"].as_str().unwrap();
    let at = format!("{at}/{position}");
    let letter = get(&at, &authorized).json();
    assert_eq!(letter["reason"], "unknown-poll");
    assert_eq!(
        letter["ballots"],
        serde_json::json!([{"position": position, "poll": "lunch", "choices": [1]}])
    );
    let replay = || send("POST", &format!("{at}/replay"), &authorized, b"");
    let still = replay();
    assert_eq!(still.status, 409);
    assert!(still.body.contains("unknown-poll"), "{}", still.body);
    let lunch = br#"{"id":"lunch","title":"Lunch?","options":[{"id":"x","label":"X"},{"id":"y","label":"Y"}]}"#;
    let polls = format!("{}/v1/polls", services.operator);
    send("POST", &polls, &[JSON, authorized[0]], lunch);
    assert_eq!(
        replay().json(),
        serde_json::json!({"counted": 1, "superseded": 0, "rejected": 0})
    );
    assert_eq!(services.votes("lunch"), [0, 1]);
    assert_eq!(replay().status, 404);
    assert_eq!(get(&at, &authorized).status, 404);
    for bad in ["x", "1-2", "1-2-3-4"] {
        let url = format!("{}/v1/dead-letters/{bad}", services.operator);
        assert_eq!(get(&url, &authorized).status, 422);
        assert_eq!(
            send("POST", &format!("{url}/replay"), &authorized, b"").status,
            422
        );
    }
}

#[test]
fn a_poll_that_is_closed_takes_no_more_votes_and_its_result_becomes_final() {
    let services = Services::start();
    let cookie = send("POST", &services.vote, &[FORM], b"vote=a").cookie();
    let watched = events(&services.result, "/v1/polls/cats-vs-dogs/tally/events");
    let token = bearer();
    let authorized = [("authorization", token.as_str())];
    let close = format!("{}/v1/polls/cats-vs-dogs/close", services.operator);
    let closing = send("POST", &close, &authorized, b"");
    assert_eq!(closing.status, 202);
    assert_eq!(closing.json()["state"], "closing");
    let tally = await_some("the result is final", || {
        let tally = get(
            &format!("{}/v1/polls/cats-vs-dogs/tally", services.result),
            &[],
        );
        let tally = tally.json();
        (tally["state"] == "final").then_some(tally)
    });
    assert_eq!(tally["options"][0]["votes"], 1);
    let again = send("POST", &close, &authorized, b"");
    assert_eq!(
        (again.status.as_u16(), again.json()["state"].as_str()),
        (200, Some("final"))
    );

    // Its voters have read its texts, so they stay.
    let labels = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}]}"#;
    let polls = format!("{}/v1/polls", services.operator);
    let put = |body: &str| send("POST", &polls, &[JSON, authorized[0]], body.as_bytes());
    let swapped = labels
        .replace("Cats", "x")
        .replace("Dogs", "Cats")
        .replace("\"x\"", "\"Dogs\"");
    for other in [labels, &swapped] {
        let refused = put(other);
        assert_eq!(refused.status, 409, "{other}");
        let detail = refused.json()["detail"].to_string();
        assert!(
            detail.contains("closed") && detail.contains("labels"),
            "{detail}"
        );
    }
    let same = put(&labels.replace("Cats or dogs?", "Cats vs Dogs!"));
    assert_eq!(
        (same.status.as_u16(), same.json()["state"].as_str()),
        (200, Some("final"))
    );

    // Whoever comes now is told so, in each way of voting.
    let form = send(
        "POST",
        &services.vote,
        &[FORM, ("cookie", &cookie)],
        b"vote=b",
    );
    assert_eq!(form.status, 409);
    assert_eq!(form.json()["type"], "urn:voting:problem:poll-closed");
    let ballot = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let put = send(
        "PUT",
        &ballot,
        &[JSON, ("cookie", &cookie)],
        br#"{"choices":["b"]}"#,
    );
    assert_eq!(put.status, 409);
    let poll = get(&format!("{}/v1/polls/cats-vs-dogs", services.vote), &[]);
    assert_eq!(poll.json()["state"], "final");
    let page = get(&services.vote, &[BROWSER]).body;
    assert!(page.contains("This poll is closed"), "{page}");
    assert!(!page.contains("<button class=\"option"), "{page}");
    let page = get(&services.result, &[BROWSER]).body;
    assert!(
        page.contains("<span id=\"live-text\">Final</span>"),
        "{page}"
    );
    // Whoever watches is told as well, though the votes are the same.
    let seen = watched
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("\"final\""));
    assert!(seen.is_some());

    // The other poll goes on.
    let many = format!("{}/polls/many", services.vote);
    assert_eq!(send("POST", &many, &[FORM], b"vote=a").status, 200);
    services.settle();
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
    let none = format!("{}/v1/polls/none/close", services.operator);
    assert_eq!(send("POST", &none, &authorized, b"").status, 404);
}

#[test]
fn nothing_is_shown_or_done_without_the_operators_token() {
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
            get(&at("/v1/dead-letters/0-1-0"), &headers),
            send("POST", &at("/v1/dead-letters/0-1-0/replay"), &headers, b""),
            send("POST", &at("/v1/polls/cats-vs-dogs/close"), &headers, b""),
            send("POST", &at("/v1/polls/cats-vs-dogs/recount"), &headers, b""),
            send("POST", &at("/v1/polls"), &json, lunch),
        ] {
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert_eq!(answer.json()["type"], "urn:voting:problem:unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    // Of two, neither is taken, in whatever order.
    let (right, wrong) = (bearer(), "Bearer x".to_owned());
    for two in [[&right, &wrong], [&wrong, &right], [&right, &right]] {
        let two = two.map(|token| ("authorization", token.as_str()));
        let answer = get(&at("/v1/pipeline"), &two);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains("two headers Authorization"));
    }
    assert_eq!(get(&at("/healthz"), &[]).status, 200);
    assert_eq!(get(&at("/readyz"), &[]).status, 200);
}

#[test]
fn who_tries_tokens_is_slowed_down_and_the_right_one_opens_all_the_same() {
    let services = Services::start();
    let url = format!("{}/v1/pipeline", services.operator);
    let with = |token: &str| get(&url, &[("authorization", &format!("Bearer {token}"))]);
    let answers: Vec<_> = (0..30)
        .map(|number| with(&format!("wrong {number}")))
        .collect();
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses[..20], [401; 20]);
    // One more may have come due.
    assert_eq!(statuses[21..], [429; 9]);
    let slowed = &answers[29];
    assert_eq!(slowed.json()["type"], "urn:voting:problem:too-many-tokens");
    let wait: u64 = slowed.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    // Whoever tries does not lock the operator out, though both come from one address.
    assert_eq!(with(OPERATOR_TOKEN).status, 200);
    assert_eq!(get(&url, &[]).status, 401, "none is no wrong one");
    let told = get(&format!("{}/metrics", services.operator), &[]).body;
    let line = "voting_turned_away_total{reason=\"wrong_token\"} 30";
    assert!(told.contains(line), "{told}");
}

#[test]
fn a_strangers_body_is_neither_waited_for_nor_read() {
    let services = Services::start();
    let begun = Instant::now();
    for (path, length) in [
        ("/v1/polls", "100000000"),
        ("/v1/polls", "20"),
        ("/v1/none", "5"),
    ] {
        for authorization in [
            "",
            "Authorization: Bearer x\r\n",
            "Authorization: Basic eA==\r\n",
        ] {
            let mut stranger = connect(&services.operator);
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n{authorization}\r\n"
            );
            // And nothing of the body.
            stranger.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 12];
            stranger.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 401", "{path} {authorization}");
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let url = format!("{}/v1/polls", services.operator);
    let bad = send("POST", &url, &[JSON, ("authorization", "Bearer x")], b"{");
    assert_eq!(bad.status, 401);
}

#[test]
fn a_polls_definition_says_one_thing() {
    let services = Services::start();
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
    for (bad, says) in [
        (
            lunch.replace(r#""id":"lunch""#, r#""id":"lunch","id":"supper""#),
            "field `id` is there twice",
        ),
        (
            lunch.replace(r#""label":"Y""#, r#""label":"Y","label":"Z""#),
            "field `label` is there twice",
        ),
        (
            lunch.replace(r#""X""#, "1"),
            "options[0].label: it is the number 1, and must be a text.",
        ),
        (
            lunch.replace(r#""Lunch?""#, "true"),
            "title: it is true, and must be a text.",
        ),
        (
            lunch.replace(r#""title""#, r#""max_choices":"2","title""#),
            "max_choices: it is \"2\", and must be a whole number, 0 or more.",
        ),
        (
            lunch.replace(r#""label":"Y""#, r#""label":"Y","colour":"red""#),
            "options[1].colour: unknown field",
        ),
        (
            r#"["lunch","Lunch?",1,[]]"#.to_owned(),
            "The body: it is a list, and must be an object.",
        ),
    ] {
        let answer = put(&bad);
        assert_eq!(answer.status, 400, "{bad}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{bad}: {detail}");
    }
    assert_eq!(put(&format!("\u{feff}{lunch}")).status, 201);
}

#[test]
fn a_list_of_dead_letters_is_short_however_large_they_are() {
    let services = Services::start();
    let sizes = [3_000_000, 6 * 1024 * 1024];
    for size in sizes {
        services.push(&vec![b'x'; size]);
    }
    services.settle();
    let (token, at) = (bearer(), format!("{}/v1/dead-letters", services.operator));
    let authorized = [("authorization", token.as_str())];
    let list = get(&at, &authorized);
    assert!(list.body.len() < 10_000, "{} bytes", list.body.len());
    let letters = list.json();
    let letters = letters["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert_eq!(
            letter["payload"].as_str().unwrap().len(),
            1_024_usize.div_ceil(3) * 4
        );
        assert_eq!(letter["payload_cut"], true);
    }
    let whole = |letter: &serde_json::Value| {
        let position = letter["position"].as_str().unwrap();
        get(&format!("{at}/{position}"), &authorized).json()
    };
    let kept = whole(&letters[0]);
    assert_eq!(
        kept["payload"].as_str().unwrap().len(),
        sizes[0].div_ceil(3) * 4
    );
    assert_eq!(kept["payload_cut"], false);
    let cut = whole(&letters[1]);
    assert!(cut["payload"].as_str().unwrap().len() < 100_000);
    let detail = cut["detail"].as_str().unwrap();
    assert!(
        detail.contains("of 6291456 bytes the first 65536 are kept; SHA-256"),
        "{detail}"
    );
}
