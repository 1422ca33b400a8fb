//! The host's pages, as a host uses them who has never seen them.

use serde_json::json;

use crate::{
    pictures_are_asked_for,
    support::{Voting, browser::Browser},
};

async fn fill(browser: &Browser, css: &str, text: &str) {
    let field = browser.find(css).await;
    field.clear().await.expect("cleared");
    field.send_keys(text).await.expect("typed");
}

async fn sign_in(browser: &Browser, voting: &Voting) {
    browser.goto(&voting.operator).await;
    fill(browser, "#token", &voting.operator_token()).await;
    browser.click("main button").await;
    browser.reads("h1", "Polls").await;
}

/// Checks that the page fits a phone and a desktop. With the variable `SCREENSHOTS`, pictures of it are saved in
/// `target/screenshots`.
pub(crate) async fn look_at(browser: &Browser, name: &str) {
    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 900)] {
        for dark in [false, true] {
            // Colours do not change what fits.
            if dark && !pictures_are_asked_for() {
                continue;
            }
            browser.look(width, height, dark).await;
            let beyond = "return document.documentElement.scrollWidth - innerWidth";
            let beyond = browser.run(beyond).await.as_i64().expect("a number");
            assert!(beyond <= 0, "{name} is {beyond} px too wide at {width}");
            if pictures_are_asked_for() {
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");
                std::fs::create_dir_all(folder).expect("a folder");
                let whole = "return document.documentElement.scrollHeight";
                let whole = browser.run(whole).await.as_u64().expect("a number");
                let whole = u32::try_from(whole).expect("a height");
                browser.look(width, whole.max(height), dark).await;
                let picture = browser.client.screenshot().await.expect("a picture");
                let colours = if dark { "dark" } else { "light" };
                let file = format!("{folder}/host-{name}-{device}-{colours}.png");
                std::fs::write(file, picture).expect("written");
            }
        }
    }
    browser.look(1280, 900, false).await;
}

/// Loads the page again until the last votes are counted.
async fn is_closed_after_some_looks(browser: &Browser) {
    for _ in 0..200 {
        let state = browser.find("#live .pill").await.text().await;
        if state.expect("a text") == "Closed" {
            return;
        }
        browser.click(".refresh a").await;
    }
}

async fn makes_a_poll(scripts: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let voting = Voting::start(folder.path());
    let browser = Browser::start(scripts).await;
    browser.goto(&voting.operator).await;
    browser.reads("h1", "Sign in").await;
    if scripts {
        look_at(&browser, "sign-in").await;
    }
    sign_in(&browser, &voting).await;
    if scripts {
        look_at(&browser, "list").await;
    }
    browser.click(".headline .primary").await;
    fill(&browser, "#title", "What is for lunch?").await;
    fill(&browser, "#label-0", "Rice").await;
    fill(&browser, "#label-1", "Soup").await;
    browser.click("#add").await;
    browser.find("#label-2").await;
    if scripts {
        let focused = "return document.activeElement.id";
        assert_eq!(browser.run(focused).await, json!("label-2"));
        let later = "document.getElementById('closes_at').value = '2100-01-01T12:00'";
        browser.run(later).await;
    }
    fill(&browser, "#label-2", "Salad").await;
    if scripts {
        look_at(&browser, "new").await;
    }
    browser.click("button.primary[name=do]").await;
    browser.reads(".done", "The draft is saved.").await;
    if scripts {
        look_at(&browser, "draft").await;
    }
    browser.click("form[action$=publish] button").await;
    browser.reads(".done", "The poll is published.").await;
    browser.reads("#live .pill", "Open").await;

    let voter = Browser::start(true).await;
    voter
        .goto(&format!("{}/polls/what-is-for-lunch", voting.vote))
        .await;
    voter.click("label.option:has([value=soup])").await;
    voter.click("#send").await;
    voter.reads("#status", "is in.").await;
    voter.end().await;
    if scripts {
        browser.reads(".turnout", "1 voter").await;
    } else {
        voting.settled();
        browser.click(".refresh a").await;
    }
    browser.reads(".figures", "100%").await;
    if scripts {
        look_at(&browser, "open").await;
    }

    browser.click("a[href$='/close']").await;
    browser.reads("h1", "Close this poll now").await;
    if scripts {
        look_at(&browser, "close").await;
    }
    fill(&browser, "#confirm", "what-is-for-lunch").await;
    browser.click("button.danger").await;
    browser.reads(".done", "Voting has ended.").await;
    if !scripts {
        is_closed_after_some_looks(&browser).await;
    }
    browser.reads("#live .pill", "Closed").await;
    browser.click("form[action$=recount] button").await;
    browser.reads(".done", "The result is the same.").await;
    browser.click(".host-nav a[href$=audit]").await;
    browser.reads(".entries", "Draft made").await;
    if scripts {
        look_at(&browser, "audit").await;
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_host_makes_a_poll_publishes_and_closes_it() {
    makes_a_poll(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_needs_no_scripts() {
    makes_a_poll(false).await;
}
