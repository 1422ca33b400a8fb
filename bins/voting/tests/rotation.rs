//! The secret of the all-in-one is exchanged for another one.

mod support;

use std::{fs, path::Path, process::Command};

use serde_json::json;
use support::{Voting, command};
use voting_testing::{agent, await_that, text_of};

const NEW: &str = "the next secret of this test, 32 bytes or more";

/// The program with these secrets; without one it makes its own.
fn with(folder: &Path, secret: Option<&str>, others: Option<&str>) -> Command {
    let mut command = command(folder);
    for (name, value) in [
        ("VOTING_SECRET_FILE", secret),
        ("VOTING_OTHER_SECRET_FILES", others),
    ] {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

fn stop(voting: Voting) {
    voting.signal("TERM");
    assert!(voting.wait().success());
}

/// Votes with this cookie or code: the status.
fn vote(voting: &Voting, poll: &str, header: (&str, &str)) -> u16 {
    let url = format!("{}/v1/polls/{poll}/ballot", voting.vote);
    let ballot = agent().put(url).content_type("application/json");
    let ballot = ballot.header(header.0, header.1);
    let answer = ballot.send(r#"{"choices":["a"]}"#);
    answer.expect("an answer").status().as_u16()
}

/// What a browser with these cookies gets: the page's status, and the cookies that it sets.
fn page(voting: &Voting, cookies: &str) -> (u16, Vec<String>) {
    let page = agent().get(&voting.vote).header("accept", "text/html");
    let page = page.header("cookie", cookies).call().expect("an answer");
    let set = page.headers().get_all("set-cookie").iter();
    let set = set.map(|set| {
        let set = set.to_str().expect("text");
        set.split(';').next().expect("a cookie").to_owned()
    });
    (page.status().as_u16(), set.collect())
}

fn doctor(folder: &Path, secret: Option<&str>, others: Option<&str>) -> String {
    let told = with(folder, secret, others).arg("doctor").output();
    String::from_utf8_lossy(&told.expect("it starts").stdout).into_owned()
}

#[test]
fn the_secret_of_a_file_is_exchanged_and_its_voters_and_codes_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("new"), NEW).expect("written");
    let (old, new) = (Some("voting-data/secret"), Some("new"));
    let voting = Voting::start_as(folder, &mut with(folder, None, None));
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": "board", "title": "Board", "options": options, "voters": "codes"});
    let stored = voting.api().post_json("polls", &poll);
    assert!(stored.expect("an answer").status().is_success());
    let issued = voting
        .api()
        .post_json("polls/board/codes", &json!({"count": 1}))
        .expect("an answer");
    let issued = text_of(issued);
    let code = issued.split(['"', ',', '\n', '\r']);
    let mut codes = code.filter(|text| text.len() == 19 && text.matches('-').count() == 3);
    let code = codes.next().expect("a code").to_owned();
    let (status, set) = page(&voting, "a=b");
    let first = set.first().expect("the voter's cookie").clone();
    assert_eq!(
        (status, vote(&voting, "cats-vs-dogs", ("cookie", &first))),
        (200, 202)
    );
    await_that("the code is taken", || {
        vote(&voting, "board", ("voter-code", &code)) == 202
    });
    stop(voting);

    // Without the old secret the program does not start.
    let refused = with(folder, new, None).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(1));
    let told = doctor(folder, new, old);
    assert!(
        told.contains("step 2 of changing the secret begins"),
        "{told}"
    );
    assert!(told.contains("the next start wraps them"), "{told}");

    let voting = Voting::start_as(folder, &mut with(folder, new, old));
    let (status, set) = page(&voting, &first);
    assert_eq!(status, 200);
    let second = set.first().expect("the cookie under the new secret");
    assert_ne!(second.split('=').next(), first.split('=').next());
    for cookie in [&first, second] {
        assert_eq!(vote(&voting, "cats-vs-dogs", ("cookie", cookie)), 202);
    }
    assert_eq!(vote(&voting, "board", ("voter-code", &code)), 202);
    stop(voting);
    let told = doctor(folder, new, old);
    assert!(told.contains("Remove the old one"), "{told}");
    assert!(!told.contains("the next start wraps them"), "{told}");

    let voting = Voting::start_as(folder, &mut with(folder, new, None));
    assert_eq!(page(&voting, &first), (400, vec![]));
    assert_eq!(vote(&voting, "cats-vs-dogs", ("cookie", &first)), 400);
    assert_eq!(vote(&voting, "cats-vs-dogs", ("cookie", second)), 202);
    assert_eq!(vote(&voting, "board", ("voter-code", &code)), 202);
    voting.settled();
    await_that("one voter is counted", || voting.tally()["voters"] == 1);
    let recount = voting.api().recount("board").expect("a recount");
    assert_eq!(recount["counted"]["voters"], 1, "{recount}");
    stop(voting);
    let refused = with(folder, None, None).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(1));
}
