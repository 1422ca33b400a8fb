//! What the voting page says when the outcome of a vote is unknown, or when the voter's cookie is lost.

use std::time::Duration;

use fantoccini::{Locator, wd::WindowHandle};
use serde_json::json;

use crate::{
    CATS, DOGS,
    support::{
        Voting,
        browser::Browser,
        front::{Front, Votes, answer},
    },
    voting::{UNSURE, page, start, tally, tick, voters},
};

const LAST_TRY: &str = "We do not know whether your last try arrived.";

/// The answer of a proxy whose time-out is over. The ballot is stored all the same.
fn lost() -> Votes {
    Votes::AnsweredAfter(answer("504 Gateway Timeout", "text/html", "no"))
}

/// Opens another tab and goes there.
async fn new_tab(browser: &Browser, url: &str) -> WindowHandle {
    let tab = browser.client.new_window(true).await.expect("a tab").handle;
    browser
        .client
        .switch_to_window(tab.clone())
        .await
        .expect("it is there");
    browser.goto(url).await;
    tab
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_try_is_not_sent_by_itself_after_a_newer_vote() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    for is_dismissed in [true, false] {
        browser.goto(&front.url).await;
        let first = browser.client.window().await.unwrap();
        // The connection breaks, although the browser believes that it is online.
        front.votes_are(Votes::AnsweredInstead(String::new()));
        browser.click(CATS).await;
        browser
            .reads("#status", "We do not know whether your vote arrived.")
            .await;
        if is_dismissed {
            browser.click("#status .dismiss").await;
        }
        front.votes_are(Votes::PassedOn);
        new_tab(&browser, &front.url).await;
        browser.click(DOGS).await;
        browser.reads("#status", "Your vote for Dogs is in.").await;
        let sent = front.seen();
        browser.client.close_window().await.unwrap();
        browser.client.switch_to_window(first).await.unwrap();
        browser.reads("button.chosen .label", "Dogs").await;
        browser.offline(true).await;
        browser.offline(false).await;
        // There is no sign of an event that does not occur.
        browser
            .run("return new Promise((done) => setTimeout(done, 500))")
            .await;
        assert_eq!(front.seen(), sent);
        assert_eq!(tally(&voting, "cats-vs-dogs")["options"][1]["votes"], 1);
        assert_eq!(voters(&voting, "cats-vs-dogs"), 1);
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_page_does_not_say_that_the_vote_before_a_lost_one_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    browser.goto(&front.url).await;
    browser.click(CATS).await;
    browser.reads("#status", "Your vote for Cats is in.").await;
    // The answer is lost, or the page is loaded again before the answer arrives.
    for (votes, waits) in [
        (lost(), true),
        (Votes::AnsweredLate(Duration::from_secs(5)), false),
    ] {
        front.votes_are(votes);
        browser.click(DOGS).await;
        if waits {
            browser.reads("#status", UNSURE).await;
        } else {
            browser.reads(&format!("{DOGS} .action"), "Sending").await;
        }
        browser.client.refresh().await.unwrap();
        browser.reads("#status", LAST_TRY).await;
        browser
            .reads("button.chosen .action", "Last confirmed vote")
            .await;
        assert!(!browser.text("main").await.contains("is in."));
        front.votes_are(Votes::PassedOn);
        browser.click(CATS).await;
        browser.reads("#status", "Your vote for Cats is in.").await;
        browser.client.refresh().await.unwrap();
        browser
            .reads("#status", "Your last confirmed vote is for Cats.")
            .await;
    }
    // A visitor without any earlier vote.
    let fresh = Browser::start(true).await;
    fresh.goto(&front.url).await;
    front.votes_are(lost());
    fresh.click(DOGS).await;
    fresh.reads("#status", UNSURE).await;
    fresh.client.refresh().await.unwrap();
    fresh.reads("#status", LAST_TRY).await;
    fresh.end().await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_the_newer_vote_is_shown_though_its_answer_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    let url = format!("{}/polls/cats-vs-dogs", front.url);
    browser.goto(&url).await;
    let first = browser.client.window().await.unwrap();
    front.votes_are(Votes::AnsweredLate(Duration::from_secs(4)));
    browser.click(CATS).await;
    browser.reads(&format!("{CATS} .action"), "Sending").await;
    // This vote is stored before the other one is cast.
    while voters(&voting, "cats-vs-dogs") == 0 {}
    front.votes_are(Votes::PassedOn);
    let second = new_tab(&browser, &url).await;
    browser.click(DOGS).await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    browser.client.switch_to_window(first).await.unwrap();
    browser.reads("button.chosen .label", "Dogs").await;
    browser.client.switch_to_window(second).await.unwrap();
    browser.client.refresh().await.unwrap();
    browser.reads("button.chosen .label", "Dogs").await;
    let kept = browser.client.get_all_cookies().await.unwrap();
    let kept = kept
        .iter()
        .filter(|cookie| cookie.name().starts_with("ballot-"));
    assert_eq!(kept.count(), 1, "the older ones are dropped");
    assert_eq!(tally(&voting, "cats-vs-dogs")["options"][1]["votes"], 1);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_confirmed_is_shown_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let front = Front::start(&voting.vote);
    let browser = Browser::start(true).await;
    browser.goto(&format!("{}/polls/numbers", front.url)).await;
    browser.click(&tick("one")).await;
    browser.click("#send").await;
    browser.reads("#status", "Your vote for One is in.").await;
    front.votes_are(lost());
    browser.click(&tick("two")).await;
    browser
        .reads("[data-option=two] .action", "Not sent yet")
        .await;
    browser.click("#send").await;
    browser.reads("#status", UNSURE).await;
    for _ in 0..2 {
        let of = |option| format!("[data-option={option}] .action");
        browser.reads(&of("two"), "Sent, not confirmed").await;
        browser.reads(&of("one"), "Last confirmed vote").await;
        // The same holds when the message is gone.
        if let Ok(dismiss) = browser.client.find(Locator::Css("#status .dismiss")).await {
            dismiss.click().await.unwrap();
            browser.reads("#count", "Sent, but not confirmed.").await;
        }
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_cookie_after_a_vote_is_asked_before_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    browser.click(CATS).await;
    browser.reads("#status", "Your vote for Cats is in.").await;
    browser.client.delete_all_cookies().await.unwrap();
    for _ in 0..2 {
        browser.click(DOGS).await;
        browser
            .reads(
                "#status .bad",
                "This browser has lost the cookie of your vote",
            )
            .await;
    }
    browser
        .reads("#status button.then", "Vote as a new voter")
        .await;
    assert_eq!(browser.chosen().await, json!([]));
    assert_eq!(voters(&voting, "cats-vs-dogs"), 1);
    browser.click("#status button.then").await;
    browser.reads("#status", "Your vote for Dogs is in.").await;
    // The result service may use a tally that is a moment old.
    while voters(&voting, "cats-vs-dogs") == 1 {}
    assert_eq!(voters(&voting, "cats-vs-dogs"), 2);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_closed_shows_the_vote_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&page(&voting, "talks")).await;
    for option in ["a", "b"] {
        browser.click(&tick(option)).await;
    }
    browser.click("#send").await;
    browser.reads("#status", "Your 2 choices are in.").await;
    browser.click(&tick("b")).await;
    browser.click(&tick("c")).await;
    voting.close("talks");
    browser.reads("#status", "This poll has closed.").await;
    assert_eq!(browser.ticked().await, json!(["a", "b"]));
    for _ in 0..2 {
        assert_eq!(browser.chosen().await, json!(["a", "b"]));
        let marks =
            "return document.querySelectorAll('[data-option=c]:is(.chosen, .yours)').length";
        assert_eq!(browser.run(marks).await, json!(0));
        browser.client.refresh().await.unwrap();
        browser.reads("#lead", "This poll is closed").await;
    }
    let dock = browser.client.find(Locator::Css("#send")).await;
    assert!(dock.is_err(), "nothing is left to send");
    browser.end().await;
}
