//! When very many new voters come, the page's script solves a challenge; without scripts the form waits.

use std::{path::Path, time::Duration};

use serde_json::json;

use crate::{
    CATS, DOGS, is_marked, mark,
    support::{Voting, browser::Browser},
    voting::{tally, voters},
};

const WAIT: &str = "Your vote was not counted. Very many people vote here for the first time just now. Keep this page \
                    open, and send your vote again from it.";

/// The system after the one new voter who is not asked.
fn crowded(folder: &Path) -> Voting {
    let settings = "[proof_of_work]\nabove_per_minute = 1\nburst = 1\nwait_s = 1\n\
        [[polls]]\nid = 'cats-vs-dogs'\ntitle = 'Cats vs Dogs!'\n\
        options = [{ id = 'a', label = 'Cats' }, { id = 'b', label = 'Dogs' }]\n\
        [[polls]]\nid = 'numbers'\ntitle = 'Which number?'\n\
        options = [{ id = 'one', label = 'One' }, { id = 'two', label = 'Two' }, { id = 'three', label = 'Three' }]\n";
    std::fs::write(folder.join("crowd.toml"), settings).expect("written");
    let voting = Voting::start_with(folder, &["--config", "crowd.toml"]);
    for (poll, choice) in [("cats-vs-dogs", "b"), ("numbers", "two")] {
        let url = format!("{}/v1/polls/{poll}/ballot", voting.vote);
        let body = json!({"choices": [choice]}).to_string();
        let request = voting_testing::agent().put(&url);
        let answer = request
            .header("content-type", "application/json")
            .send(&body);
        assert_eq!(answer.expect("an answer").status(), 202);
    }
    voting
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_solves_a_challenge_and_the_vote_is_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let voting = crowded(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    mark(&browser).await;
    browser.click(CATS).await;
    browser
        .patient_reads("#status", "Your vote for Cats is in.", 60)
        .await;
    assert!(is_marked(&browser).await, "the page was not left");
    // Who has voted is not asked.
    browser.click(DOGS).await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    assert_eq!(voters(&voting, "cats-vs-dogs"), 2);
    // The worker is from the page's own host, and the policy of the page lets it run.
    let complaints = browser.complaints().await;
    let of_policy = complaints
        .iter()
        .filter(|line| line.contains("Content Security Policy"));
    assert_eq!(of_policy.count(), 0, "{complaints:?}");
    let elsewhere = browser
        .run(
            "return performance.getEntriesByType('resource').map((entry) => entry.name)
                 .filter((name) => new URL(name).origin !== location.origin)",
        )
        .await;
    assert_eq!(elsewhere, json!([]));

    // A browser that lacks what the script needs sends the form, which waits.
    browser
        .goto(&format!("{}/polls/numbers", voting.vote))
        .await;
    browser.run("window.Worker = undefined").await;
    browser.click("input[value=three]").await;
    browser.click("#send").await;
    browser.reads("#status", WAIT).await;
    let ticked = browser.run("return document.querySelector('input:checked').value");
    assert_eq!(ticked.await, json!("three"));
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_form_waits_and_the_vote_is_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let voting = crowded(folder.path());
    let browser = Browser::start(false).await;
    browser.goto(&voting.vote).await;
    browser.click(CATS).await;
    browser.reads("#status", WAIT).await;
    assert_eq!(voters(&voting, "cats-vs-dogs"), 1);
    // A form that is sent too early says how long it still is, and keeps its place.
    let is_in = async {
        loop {
            browser.click(CATS).await;
            // The page may be replaced between the two commands.
            let Ok(status) = browser.find("#status").await.text().await else {
                continue;
            };
            if status.contains("Your last confirmed vote is for Cats.") {
                return;
            }
            assert!(status.contains(WAIT), "{status}");
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), is_in).await;
    in_time.expect("the vote is in once the form has waited");
    browser.click(DOGS).await;
    let told = "Your last confirmed vote is for Dogs.";
    browser.reads("#status", told).await;
    assert_eq!(tally(&voting, "cats-vs-dogs")["voters"], 2);
    browser.end().await;
}
