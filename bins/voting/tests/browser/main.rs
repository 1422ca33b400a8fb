//! The pages in a real browser. This file has the tests of the two pages for voters; each page has a file of its own.

mod barriers;
mod crowd;
mod host;
mod host_login;
mod languages;
mod layout;
mod life;
mod results;
#[path = "../support/mod.rs"]
mod support;
mod tour;
mod unsure;
mod voting;

use serde_json::json;
use support::{Voting, browser::Browser};

const CATS: &str = "button[value=a]";
const DOGS: &str = "button[value=b]";

/// Pictures take most of a test's time, and only people look at them.
fn pictures_are_asked_for() -> bool {
    std::env::var_os("SCREENSHOTS").is_some()
}

/// Sets a mark on the page's window, which a reload would remove.
async fn mark(browser: &Browser) {
    browser.run("window.marked = true").await;
}

async fn is_marked(browser: &Browser) -> bool {
    browser.run("return window.marked === true").await == json!(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_shows_on_the_live_result_and_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let viewer = Browser::start(true).await;
    viewer.goto(&voting.result).await;
    viewer.reads("#total", "0 voters").await;
    viewer.reads("#live-text", "Live").await;
    mark(&viewer).await;

    let voter = Browser::start(true).await;
    voter.goto(&voting.vote).await;
    mark(&voter).await;
    voter.click(CATS).await;
    voter.reads("#status", "Your vote for Cats is in.").await;
    assert!(
        is_marked(&voter).await,
        "the vote was sent without a reload"
    );
    viewer.reads("#total", "1 voter").await;
    viewer.reads("[data-option=a] .percent", "100%").await;

    voter.click(DOGS).await;
    voter.reads("#status", "Your vote for Dogs is in.").await;
    viewer.reads("[data-option=b] .percent", "100%").await;
    assert_eq!(
        viewer.text("#total").await,
        "1 voter",
        "a changed vote is no second one"
    );
    viewer.reads("[data-option=a] .percent", "0%").await;
    assert!(
        is_marked(&viewer).await,
        "the result changed without a reload"
    );

    voter.client.refresh().await.unwrap();
    voter.reads("button.chosen .label", "Dogs").await;

    // The links between the pages lead to the same poll.
    voter.click("nav.tabs a").await;
    voter.reads("#total", "1 voter").await;
    voter.click("nav.tabs a").await;
    voter.reads("h1", "Cats vs Dogs!").await;

    for browser in [&viewer, &voter] {
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        let elsewhere = browser
            .run(
                "return performance.getEntriesByType('resource').map((entry) => entry.name)
                     .filter((name) => new URL(name).origin !== location.origin)",
            )
            .await;
        assert_eq!(elsewhere, json!([]), "no request leaves the site");
    }
    viewer.end().await;
    voter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_without_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::start(false).await;
    browser.goto(&voting.vote).await;
    browser.click(DOGS).await;
    browser
        .reads("#status", "Your last confirmed vote is for Dogs.")
        .await;
    browser.click(CATS).await;
    browser
        .reads("#status", "Your last confirmed vote is for Cats.")
        .await;
    browser.reads("button.chosen .label", "Cats").await;
    voting.settled();
    browser.goto(&voting.result).await;
    assert_eq!(browser.text("#total").await, "1 voter");
    assert_eq!(browser.text("[data-option=a] .percent").await, "100%");
    browser.end().await;
}

/// Opens each page on a phone and a desktop, in both colour schemes, and saves screenshots in `target/screenshots`.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let polls = "[[polls]]\nid = 'cats-vs-dogs'\ntitle = 'Cats vs Dogs!'\n\
         options = [{ id = 'a', label = 'Cats' }, { id = 'b', label = 'Dogs' }]\n\
         [[polls]]\nid = 'talks'\ntitle = 'Which talks do you want to hear?'\nmax_choices = 2\n\
         options = [{ id = 'a', label = 'Postgres as a queue' },\n\
                    { id = 'b', label = 'What a load balancer really does' },\n\
                    { id = 'c', label = 'Typed errors' }]";
    std::fs::write(folder.path().join("polls.toml"), polls).unwrap();
    let voting = Voting::start_with(folder.path(), &["--config", "polls.toml"]);
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    browser.click(CATS).await;
    browser.reads("#status", "is in.").await;
    voting.settled();
    let pages = [
        ("vote", voting.vote.clone(), "h1"),
        (
            "vote-several",
            format!("{}/polls/talks", voting.vote),
            "#send",
        ),
        ("result", voting.result.clone(), "#live"),
        ("not-found", format!("{}/polls/none", voting.vote), "h1"),
        ("docs", format!("{}/docs/", voting.operator), ".opblock"),
    ];
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
    std::fs::create_dir_all(&pictures).unwrap();
    for (name, url, waits_for) in pages {
        browser.goto(&url).await;
        browser.find(waits_for).await;
        for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 800)] {
            for (colours, dark) in [("light", false), ("dark", true)] {
                // Colours do not change what fits.
                if dark && !pictures_are_asked_for() {
                    continue;
                }
                browser.look(width, height, dark).await;
                let beyond = "return document.documentElement.scrollWidth - window.innerWidth";
                let beyond = browser.run(beyond).await.as_i64().unwrap();
                // Swagger UI is not our code.
                assert!(
                    beyond <= 0 || name == "docs",
                    "{name} on a {device}: {beyond} px"
                );
                if pictures_are_asked_for() {
                    let picture = browser.client.screenshot().await.unwrap();
                    let file = format!("{name}-{device}-{colours}.png");
                    std::fs::write(pictures.join(file), picture).unwrap();
                }
            }
        }
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_closes_is_seen_to_be_closed_without_a_reload_and_the_vote_stays() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let (viewer, voter) = (Browser::start(true).await, Browser::start(true).await);
    viewer.goto(&voting.result).await;
    voter.goto(&voting.vote).await;
    voter.click(CATS).await;
    voter.reads("#status", "Your vote for Cats is in.").await;
    viewer.reads("#total", "1 voter").await;
    mark(&viewer).await;

    voting.close("cats-vs-dogs");
    viewer.reads("#live-text", "Final").await;
    viewer.reads("#summary", "Cats wins with 1 of 1.").await;
    viewer.reads(".leading .lead-word", "Most votes").await;
    assert!(is_marked(&viewer).await);
    viewer
        .reads("#announce", "Cats wins with 1 of 1. 1 voter.")
        .await;

    // The voter's page may not know of the closing yet. If it does, it has the result in place of the buttons.
    let try_again =
        "const dogs = document.querySelector('button[value=b]'); if (dogs) dogs.click()";
    voter.run(try_again).await;
    voter.reads(".lead", "This poll is closed").await;
    voter.reads(":is(.chosen, .yours) .label", "Cats").await;
    voting.settled();
    assert_eq!(voting.tally()["options"][0]["votes"], 1);
    viewer.end().await;
    voter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_cookie_that_cannot_be_read_is_asked_before_they_start_over() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    for scripts in [true, false] {
        let browser = Browser::start(scripts).await;
        // This page sets no cookie.
        browser.goto(&format!("{}/healthz", voting.vote)).await;
        browser.run("document.cookie = 'voter=x; path=/'").await;
        browser
            .goto(&format!("{}/polls/cats-vs-dogs", voting.vote))
            .await;
        browser
            .reads("h1", "Your voter cookie cannot be read")
            .await;
        browser.look(390, 844, false).await;
        browser.click("button[type=submit]").await;
        browser.reads("h1", "Cats vs Dogs!").await;
        let at = browser.client.current_url().await.unwrap();
        assert_eq!(at.path(), "/polls/cats-vs-dogs");
        browser.click(CATS).await;
        browser.reads("#status", "vote").await;
        browser.reads("button.chosen .label", "Cats").await;
        browser.end().await;
    }
    voting.settled();
    assert_eq!(voting.tally()["voters"], 2);
}
