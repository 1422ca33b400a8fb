//! The voting page: its messages about a vote, and how it follows its poll.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};
use voting_testing::agent;

use crate::{
    CATS, DOGS, is_marked, mark,
    support::{
        Voting,
        browser::Browser,
        command_at,
        front::{Front, Votes, answer},
    },
};

pub(crate) const NOT_KNOWN: &str =
    "We do not know whether your vote arrived. Trying again is safe: it counts once.";

/// The same, where the page sends it again by itself.
/// How both of these begin. Which one is said depends on whether the page has loaded keep.js by then.
pub(crate) const UNSURE: &str = "We do not know whether your vote arrived.";
pub(crate) const KEPT: &str =
    "We do not know whether your vote arrived. It is sent again by itself, and counts once.";

/// A page notices changes of its poll within this time.
const NOTICED: Duration = Duration::from_secs(10);

/// Starts the system with several polls: the course's poll, and some with more options.
pub(crate) fn start(folder: &std::path::Path) -> Voting {
    let many = (0..63).map(|n| format!("{{ id = 'o{n}', label = 'Option number {n}' }}"));
    let many = many.collect::<Vec<_>>().join(",");
    let long = "One label of two hundred characters, as somebody writes it who has a whole sentence to \
                say, and then another one that says nearly the same in other words, so that it goes on";
    let polls = format!(
        "[[polls]]\nid = 'cats-vs-dogs'\ntitle = 'Cats vs Dogs!'\nblank = true\n\
         options = [{{ id = 'a', label = 'Cats' }}, {{ id = 'b', label = 'Dogs' }}]\n\
         [[polls]]\nid = 'numbers'\ntitle = 'Which number?'\n\
         options = [{{ id = 'one', label = 'One' }}, {{ id = 'two', label = 'Two' }}, {{ id = 'three', label = 'Three' }}]\n\
         [[polls]]\nid = 'talks'\ntitle = 'Which talks?'\nmax_choices = 3\n\
         options = [{{ id = 'a', label = 'A' }}, {{ id = 'b', label = 'B' }}, {{ id = 'c', label = 'C' }}, {{ id = 'd', label = 'D' }}]\n\
         [[polls]]\nid = 'many'\ntitle = 'Which of them?'\nmax_choices = 5\noptions = [{many}]\n\
         [[polls]]\nid = 'one-of-many'\ntitle = 'Which one?'\noptions = [{many}]\n\
         [[polls]]\nid = 'long'\ntitle = 'Long labels'\n\
         options = [{{ id = 'a', label = '{long} and on, to its end.' }}, {{ id = 'b', label = '{long} to the other end.' }}]\n"
    );
    std::fs::write(folder.join("polls.toml"), polls).expect("written");
    Voting::start_with(folder, &["--config", "polls.toml"])
}

pub(crate) fn page(voting: &Voting, poll: &str) -> String {
    format!("{}/polls/{poll}", voting.vote)
}

pub(crate) fn tally(voting: &Voting, poll: &str) -> Value {
    voting.settled();
    crate::support::get(&format!("{}/v1/polls/{poll}/tally", voting.result))
}

pub(crate) fn voters(voting: &Voting, poll: &str) -> u64 {
    tally(voting, poll)["voters"].as_u64().expect("a number")
}

pub(crate) fn tick(option: &str) -> String {
    format!("input[value={option}]")
}

impl Browser {
    pub(crate) async fn ticked(&self) -> Value {
        self.run("return [...document.querySelectorAll('#ballot input:checked')].map((input) => input.value)")
            .await
    }

    pub(crate) async fn chosen(&self) -> Value {
        self.run("return [...document.querySelectorAll('.option.chosen, .row.yours')].map((option) => option.dataset.option)")
            .await
    }

    /// The focused element: its value, id or class.
    async fn focus(&self) -> Value {
        self.run("const at = document.activeElement; return at.value || at.id || at.className")
            .await
    }

    /// Waits until the page has what it needs to send a vote again.
    pub(crate) async fn keeps(&self) {
        let is_there = "return performance.getEntriesByType('resource').some((one) => one.name.includes('/assets/keep') && one.responseEnd > 0)";
        for _ in 0..200 {
            if self.run(is_there).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the page has not loaded keep.js");
    }

    pub(crate) async fn offline(&self, offline: bool) {
        let network = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", network)
            .await;
        // The page notices the change some time after this answer.
        let is_so = format!("return navigator.onLine === {}", !offline);
        for _ in 0..400 {
            if self.run(&is_so).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the page does not notice that offline is {offline}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_cannot_be_stored_is_not_shown_as_taken() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    browser.keeps().await;
    browser.click(CATS).await;
    browser.reads("#status", "Your vote for Cats is in.").await;
    let address = voting.vote.clone();
    voting.kill();
    browser.click(DOGS).await;
    browser.reads("#status", KEPT).await;
    browser.reads("#status button", "Do not send it").await;
    browser.click("#status button.then").await;
    browser.reads("#status", NOT_KNOWN).await;
    browser.reads("#status button", "Try again").await;
    assert_eq!(browser.text("button.chosen .label").await, "Cats");
    browser
        .reads("button.chosen .action", "Last confirmed vote")
        .await;
    // The page of before also goes on with a service that was started after it.
    let address = address.strip_prefix("http://").expect("a URL");
    let again = command_at(
        folder.path(),
        [address.trim_end_matches('/'), "127.0.0.1:0", "127.0.0.1:0"],
    );
    let voting = Voting::start_as(folder.path(), &mut { again });
    browser.click("#status button.then").await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    assert_eq!(voters(&voting, "cats-vs-dogs"), 1);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_services_own_receipt_is_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    browser.goto(&front.url).await;
    let json = "application/json";
    let problem =
        r#"{"type":"urn:voting:problem:poll-closed","title":"x","status":409,"detail":"x"}"#;
    let moved = answer("307 Temporary Redirect\r\nLocation: /elsewhere", json, "{}");
    let answers = [
        answer("200 OK", "text/html", "<p>Please log in</p>"),
        answer("200 OK", json, r#"{"receipt":"x"}"#),
        answer("201 Created", json, r#"{"receipt":"x"}"#),
        answer("202 Accepted", json, r#"{"ok":true}"#),
        answer("202 Accepted", json, r#"{"receipt":7}"#),
        answer("202 Accepted", "text/html", "<p>Thanks</p>"),
        answer("204 No Content", json, ""),
        answer("403 Forbidden", "text/html", "<p>Blocked</p>"),
        answer(
            "404 Not Found",
            json,
            r#"{"type":"about:blank","status":404}"#,
        ),
        answer("408 Request Timeout", "text/html", "late"),
        answer("429 Too Many Requests", json, "{}"),
        answer("500 Internal Server Error", "text/html", "oops"),
        answer("502 Bad Gateway", json, problem),
        answer("504 Gateway Timeout", "text/html", "late"),
        moved,
        "HTTP/1.1 202 Accepted\r\nContent-Length: 90\r\n\r\n{\"receipt\":".to_owned(),
        String::new(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        front.votes_are(Votes::AnsweredInstead(answer.clone()));
        browser
            .click(if number % 2 == 0 { CATS } else { DOGS })
            .await;
        browser.reads("#status .bad", UNSURE).await;
        assert_eq!(browser.chosen().await, json!([]), "{answer}");
        browser.click("#status .dismiss").await;
    }
    assert_eq!(voters(&voting, "cats-vs-dogs"), 0);
    // The page knows the meaning of the service's own answers.
    let refused = r#"{"type":"urn:voting:problem:overloaded","title":"x","status":503,"detail":"Too many votes are arriving at once."}"#;
    let refused = answer(
        "503 Service Unavailable\r\nRetry-After: 2",
        "application/problem+json",
        refused,
    );
    front.votes_are(Votes::AnsweredInstead(refused));
    browser.client.refresh().await.unwrap();
    browser.click(CATS).await;
    let words = "Your vote was not counted. Too many votes are arriving at once. Please try again in 2 seconds.";
    browser.reads("#status .bad", words).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_whose_answer_is_lost_counts_once_when_it_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    browser.goto(&front.url).await;
    let late = answer("504 Gateway Timeout", "text/html", "late");
    front.votes_are(Votes::AnsweredAfter(late));
    browser.click(CATS).await;
    browser.reads("#status .bad", NOT_KNOWN).await;
    front.votes_are(Votes::PassedOn);
    browser.click("#status button.then").await;
    browser
        .reads("#status .good", "Your vote for Cats is in.")
        .await;
    assert_eq!(browser.focus().await, "a", "the focus is where the vote is");
    assert_eq!(voters(&voting, "cats-vs-dogs"), 1);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_cookies_are_blocked_the_page_says_so_before_it_casts() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::without_cookies(true).await;
    browser.goto(&voting.vote).await;
    browser
        .reads("#status .bad", "Allow cookies for this site")
        .await;
    for _ in 0..3 {
        browser.click(CATS).await;
        browser
            .reads("#status .bad", "Your vote was not counted.")
            .await;
    }
    assert_eq!(browser.chosen().await, json!([]));
    browser.end().await;
    let browser = Browser::without_cookies(false).await;
    browser.goto(&voting.vote).await;
    for _ in 0..3 {
        browser.click(CATS).await;
        browser
            .reads("#status .bad", "Your vote was not counted.")
            .await;
        browser
            .reads("#status .bad", "Allow cookies for this site")
            .await;
    }
    browser.end().await;
    assert_eq!(voters(&voting, "cats-vs-dogs"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ticked_is_shown_beside_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&page(&voting, "talks")).await;
    browser.click(&tick("a")).await;
    browser.click(&tick("b")).await;
    browser
        .reads("#count", "2 of 3 chosen. Not sent yet.")
        .await;
    browser.click("#send").await;
    browser.reads("#status", "Your 2 choices are in.").await;
    browser.click(&tick("b")).await;
    browser.click(&tick("c")).await;
    assert_eq!(browser.ticked().await, json!(["a", "c"]));
    assert_eq!(browser.text("[data-option=a] .action").await, "Your vote");
    assert_eq!(
        browser.text("[data-option=b] .action").await,
        "Your vote, until you send"
    );
    assert_eq!(
        browser.text("[data-option=c] .action").await,
        "Not sent yet"
    );
    browser
        .reads("#count", "2 of 3 chosen. Not sent yet.")
        .await;
    // The boxes are those of the browser.
    let seen = "return [...document.querySelectorAll('.options input')].every((box) => getComputedStyle(box).opacity === '1' && box.offsetWidth >= 24)";
    assert_eq!(browser.run(seen).await, json!(true));
    browser.click("#send").await;
    browser.reads("#status", "Your 2 choices are in.").await;
    assert_eq!(browser.chosen().await, json!(["a", "c"]));
    assert_eq!(browser.text("[data-option=b] .action").await, "");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_of_one_browser_show_the_same_vote() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&page(&voting, "numbers")).await;
    let first = browser.client.window().await.unwrap();
    browser.click(&tick("one")).await;
    browser.click("#send").await;
    browser.reads("#status", "Your vote for One is in.").await;
    // Notes in the storage that the other tab has followed, and whether it was visible then.
    let watch = "new MutationObserver((_, it) => { it.disconnect(); localStorage.setItem('followed', document.hidden); })
        .observe(document.querySelector('.options'), { subtree: true, attributes: true })";
    browser.run(watch).await;
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser
        .client
        .switch_to_window(second.clone())
        .await
        .unwrap();
    browser.goto(&page(&voting, "numbers")).await;
    assert_eq!(browser.chosen().await, json!(["one"]));
    browser.click(&tick("three")).await;
    browser.click("#send").await;
    let begun = Instant::now();
    browser.reads("#status", "Your vote for Three is in.").await;
    let followed = "return localStorage.getItem('followed')";
    while browser.run(followed).await == Value::Null {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the other tab does not follow"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let hidden =
        "const hidden = localStorage.getItem('followed'); localStorage.clear(); return hidden";
    assert_eq!(
        browser.run(hidden).await,
        "true",
        "it need not be shown for that"
    );
    browser.client.switch_to_window(first).await.unwrap();
    browser.reads(".chosen .label", "Three").await;
    browser.reads("#status", "Your vote for Three is in.").await;
    assert_eq!(browser.ticked().await, json!(["three"]));

    // No part of the vote stays where the next person at the device could read it.
    let kept = "return [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, JSON.stringify(history.state)]";
    assert_eq!(browser.run(kept).await, json!(["{}", "{}", "", "null"]));
    browser.click("#yours summary").await;
    browser
        .reads("#yours", "Whoever uses this browser sees your vote here")
        .await;
    browser.click("#forget button").await;
    browser.reads("#status", "It still counts.").await;
    browser
        .reads("#hint", "If you vote now, your vote takes its place.")
        .await;
    assert_eq!(
        (browser.chosen().await, browser.ticked().await),
        (json!([]), json!([]))
    );
    browser.client.switch_to_window(second).await.unwrap();
    browser
        .reads("#hint", "If you vote now, your vote takes its place.")
        .await;
    assert_eq!(browser.chosen().await, json!([]));
    assert_eq!(tally(&voting, "numbers")["options"][2]["votes"], 1);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_taken_back_and_can_be_blank() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    let is_off = async |form: &str| {
        let script = format!("return document.querySelector('{form}').classList.contains('off')");
        browser.run(&script).await
    };
    assert_eq!(
        (is_off("#blank").await, is_off("#withdraw").await),
        (json!(false), json!(true))
    );
    browser.click(CATS).await;
    browser.reads("#status", "Your vote for Cats is in.").await;
    assert_eq!(
        (is_off("#blank").await, is_off("#withdraw").await),
        (json!(false), json!(false))
    );
    browser.click("#yours summary").await;
    browser.click("#withdraw button").await;
    browser
        .reads("#status", "No vote of yours counts now.")
        .await;
    browser.reads("#hint", "Pick one to vote.").await;
    assert_eq!(browser.chosen().await, json!([]));
    assert_eq!(voters(&voting, "cats-vs-dogs"), 0);

    // Another tab follows.
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.goto(&voting.vote).await;
    browser.click("#blank button").await;
    browser
        .reads("#status", "Your last confirmed vote is blank.")
        .await;
    assert_eq!(
        (is_off("#blank").await, is_off("#withdraw").await),
        (json!(true), json!(false))
    );
    browser.client.switch_to_window(first).await.unwrap();
    browser.patient_reads("#hint", "You voted blank.", 20).await;
    browser.click(DOGS).await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    let counted = tally(&voting, "cats-vs-dogs");
    assert_eq!(
        (&counted["voters"], &counted["blank"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_versions_kept_of_a_vote_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    browser
        .run("localStorage.setItem('voting:cats-vs-dogs:AbCd1234', '{\"choices\":[\"a\"]}')")
        .await;
    browser.client.refresh().await.unwrap();
    browser.find(CATS).await;
    assert_eq!(browser.run("return localStorage.length").await, json!(0));
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_remembered_for_the_voter_that_the_answer_names() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&page(&voting, "numbers")).await;
    let first = browser.client.window().await.unwrap();
    // This simulates two pages that were requested at the same moment: each gets a cookie, and this one is kept.
    browser.client.delete_all_cookies().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.goto(&voting.vote).await;
    browser.client.switch_to_window(first).await.unwrap();
    browser.click(&tick("two")).await;
    browser.click("#send").await;
    browser.reads("#status", "Your vote for Two is in.").await;
    browser.client.refresh().await.unwrap();
    browser.reads(".chosen .label", "Two").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_on_a_poll_that_has_just_closed_says_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let front = Front::start(&voting.vote);
    front.mute(true);
    let (fresh, voted) = (Browser::start(true).await, Browser::start(true).await);
    // The address ends in the target of the page's own skip link.
    fresh.goto(&format!("{}/#main", front.url)).await;
    voted.goto(&format!("{}/polls/talks", front.url)).await;
    voted.click(&tick("a")).await;
    voted.click("#send").await;
    voted.reads("#status", "Your vote for A is in.").await;
    voted.click(&tick("b")).await;
    for browser in [&fresh, &voted] {
        mark(browser).await;
    }
    for poll in ["cats-vs-dogs", "talks"] {
        voting.close(poll);
        let state =
            || crate::support::get(&format!("{}/v1/polls/{poll}", voting.vote))["state"].clone();
        // Until the poll is sealed, votes still count.
        while state() == "open" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let words = "This poll closed before your vote arrived. It was not counted.";
    fresh.click(CATS).await;
    voted.click("#send").await;
    fresh.reads("#status[role=status]", words).await;
    voted
        .reads(
            "#status",
            &format!("{words} The vote that was confirmed before counts."),
        )
        .await;
    for (browser, focus) in [(&fresh, "a"), (&voted, "send")] {
        browser.reads(".lead", "This poll is closed").await;
        assert_eq!(browser.focus().await, focus);
        assert!(is_marked(browser).await);
    }
    assert_eq!(voted.chosen().await, json!(["a"]));
    fresh.click(DOGS).await;
    assert_eq!(front.seen(), 3, "nothing is sent to a closed poll");
    assert_eq!(voters(&voting, "cats-vs-dogs"), 0);
    fresh.end().await;
    voted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_open_follows_its_poll() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    mark(&browser).await;
    browser
        .run("document.querySelector('button[value=b]').focus()")
        .await;
    let texts = json!({
        "id": "cats-vs-dogs", "title": "Cats or dogs?",
        "options": [{ "id": "a", "label": "Kittens" }, { "id": "b", "label": "Dogs" }],
    });
    let bearer = format!("Bearer {}", voting.operator_token());
    let put = agent()
        .post(format!("{}/v1/polls", voting.operator))
        .header("authorization", &bearer)
        .header("content-type", "application/json");
    assert!(put.send(texts.to_string()).unwrap().status().is_success());
    let begun = Instant::now();
    browser.reads("[data-option=a] .label", "Kittens").await;
    assert!(begun.elapsed() < NOTICED, "{:?}", begun.elapsed());
    assert_eq!(browser.text("h1").await, "Cats or dogs?");
    assert_eq!(browser.client.title().await.unwrap(), "Cats or dogs?");
    browser
        .reads("#status", "The texts of this poll have been changed.")
        .await;

    assert_eq!(browser.focus().await, "b", "the focus stays");
    assert!(is_marked(&browser).await, "it was drawn in place");

    // Nothing is left to send or to say, so the page is loaded again and has the result.
    voting.close("cats-vs-dogs");
    let begun = Instant::now();
    browser.reads(".lead", "This poll is closed").await;
    assert!(begun.elapsed() < NOTICED, "{:?}", begun.elapsed());
    browser
        .reads("#summary", "The poll closed without any votes.")
        .await;

    // A hidden tab notices the change when it becomes visible.
    let other = Browser::start(true).await;
    other.goto(&page(&voting, "numbers")).await;
    let first = other.client.window().await.unwrap();
    let second = other.client.new_window(true).await.unwrap().handle;
    other.client.switch_to_window(second).await.unwrap();
    voting.close("numbers");
    voting.settled();
    tokio::time::sleep(Duration::from_millis(1_500)).await; // a poll at hand may be a second old
    other.client.switch_to_window(first).await.unwrap();
    let begun = Instant::now();
    other.reads(".lead", "This poll is closed").await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    browser.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_the_vote_is_shown_and_a_reload_sends_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(false).await;
    browser.goto(&voting.vote).await;
    browser.click(CATS).await;
    browser
        .reads("#status", "Your last confirmed vote is for Cats.")
        .await;
    browser.click(DOGS).await;
    browser
        .reads("#status", "Your last confirmed vote is for Dogs.")
        .await;
    browser.client.back().await.unwrap();
    browser.client.refresh().await.unwrap();
    browser.reads("button.chosen .label", "Dogs").await;
    assert_eq!(tally(&voting, "cats-vs-dogs")["options"][1]["votes"], 1);
    // The visitor comes back.
    browser.goto(&voting.vote).await;
    browser.reads("button.chosen .label", "Dogs").await;
    browser.reads("#hint", "To change your vote,").await;

    browser.goto(&page(&voting, "talks")).await;
    for option in ["a", "b", "c", "d"] {
        browser.click(&tick(option)).await;
    }
    browser.click("#send").await;
    browser.reads("#status", "Your vote was not counted.").await;
    let ticked = browser.client.find_all(Locator::Css("input:checked")).await;
    assert_eq!(ticked.unwrap().len(), 4, "the ticks are kept");
    browser.click(&tick("d")).await;
    browser.click("#send").await;
    browser
        .reads("#status", "Your last confirmed vote has 3 choices.")
        .await;
    browser.click("#yours summary").await;
    browser.click("#forget button").await;
    browser.reads("#status", "It still counts.").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_did_not_get_through_is_sent_once_more_when_there_is_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    browser.goto(&front.url).await;
    browser.keeps().await;
    browser.offline(true).await;
    browser.click(DOGS).await;
    browser.reads("#status", "You are offline.").await;
    browser
        .reads("#status", "It is sent again when you are online")
        .await;
    assert_eq!(front.seen(), 0);
    front.votes_are(Votes::Held(Duration::from_secs(1)));
    browser.offline(false).await;
    browser
        .reads(
            "#status",
            "You are online again. Your vote is being sent once more",
        )
        .await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    assert_eq!(front.seen(), 1, "once");
    assert_eq!(voters(&voting, "cats-vs-dogs"), 1);

    // The service cannot be reached, although there is a network: as while it is started anew.
    front.votes_are(Votes::AnsweredInstead(String::new()));
    browser.click(CATS).await;
    browser.reads("#status", KEPT).await;
    front.votes_are(Votes::PassedOn);
    browser.reads("#status", "Your vote for Cats is in.").await;

    // A newer vote of another tab is not replaced by the kept one.
    let first = browser.client.window().await.unwrap();
    front.votes_are(Votes::AnsweredInstead(String::new()));
    browser.click(DOGS).await;
    browser.reads("#status", KEPT).await;
    browser
        .client
        .execute("window.open(location.href)", Vec::new())
        .await
        .unwrap();
    let tabs = browser.client.windows().await.unwrap();
    let second = tabs.into_iter().find(|tab| *tab != first).expect("a tab");
    browser
        .client
        .switch_to_window(second.clone())
        .await
        .unwrap();
    browser.keeps().await;
    browser.click(CATS).await;
    browser.reads("#status", KEPT).await;
    browser.client.switch_to_window(first).await.unwrap();
    browser.reads("#status", NOT_KNOWN).await;
    front.votes_are(Votes::PassedOn);
    browser.client.switch_to_window(second).await.unwrap();
    browser.reads("#status", "Your vote for Cats is in.").await;
    assert_eq!(tally(&voting, "cats-vs-dogs")["options"][0]["votes"], 1);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_that_were_not_sent_are_there_after_a_look_at_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    for scripts in [true, false] {
        let browser = Browser::start(scripts).await;
        browser.goto(&page(&voting, "many")).await;
        for option in ["o1", "o30", "o2"] {
            browser.click(&tick(option)).await;
        }
        browser.click(".tabs a").await;
        browser.reads("#total", "0 ").await;
        browser.client.back().await.unwrap();
        browser.reads("h1", "Which of them?").await;
        let ticked = browser.client.find_all(Locator::Css("input:checked")).await;
        assert_eq!(ticked.unwrap().len(), 3, "scripts: {scripts}");
        browser.end().await;
    }
}
