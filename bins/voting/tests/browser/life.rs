//! Polls with times, with results that are hidden, and with one vote only.

use std::path::Path;

use serde_json::json;
use voting_core::model::moment::Moment;
use voting_testing::agent;

use crate::{
    CATS, DOGS, is_marked, mark, pictures_are_asked_for,
    support::{Voting, browser::Browser},
    voting::{page, tally, tick},
};

const RECEIVED: &str = "Received. If you voted before, your first vote counts.";

/// Starts the system with one poll of two options, and with these settings.
fn start(folder: &Path, settings: &str) -> Voting {
    start_with(
        folder,
        settings,
        "{ id = 'a', label = 'Cats' }, { id = 'b', label = 'Dogs' }",
    )
}

fn start_with(folder: &Path, settings: &str, options: &str) -> Voting {
    let poll = format!(
        "[[polls]]\nid = 'pets'\ntitle = 'Cats or dogs?'\noptions = [{options}]\n{settings}\n"
    );
    std::fs::write(folder.join("polls.toml"), poll).expect("written");
    Voting::start_with(folder, &["--config", "polls.toml"])
}

/// This moment, and so many seconds.
fn in_seconds(seconds: u64) -> String {
    let now = Moment::now().unix_ms();
    let at = Moment::from_unix_ms(now + seconds * 1_000).expect("a moment");
    at.to_string()
}

fn result(voting: &Voting) -> String {
    format!("{}/polls/pets", voting.result)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_opens_while_its_page_stands() {
    for options in [
        "{ id = 'a', label = 'Cats' }, { id = 'b', label = 'Dogs' }",
        "{ id = 'a', label = 'Cats' }, { id = 'b', label = 'Dogs' }, { id = 'c', label = 'Cows' }",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let times = format!(
            "opens_at = '{}'\ntime_zone = 'Europe/Berlin'",
            in_seconds(15)
        );
        let voting = start_with(folder.path(), &times, options);
        let (browser, plain) = (Browser::start(true).await, Browser::start(false).await);
        for each in [&browser, &plain] {
            each.goto(&page(&voting, "pets")).await;
            each.reads("#lead", "Not open yet").await;
            each.reads("#lead", "This poll opens on ").await;
            each.reads("#lead", "(Europe/Berlin).").await;
        }
        for each in [&browser, &plain] {
            each.reads("#countdown", "Opens in ").await;
        }
        plain.find("#ballot :disabled").await;
        mark(&browser).await;
        // The log decides, whatever the page shows.
        let ballot = format!("{}/v1/polls/pets/ballot", voting.vote);
        let early = agent()
            .put(&ballot)
            .header("content-type", "application/json");
        let mut early = early.send(r#"{"choices":["a"]}"#).expect("an answer");
        assert_eq!(early.status(), 409);
        let problem = early.body_mut().read_to_string().expect("a text");
        assert!(
            problem.contains("urn:voting:problem:poll-not-open"),
            "{problem}"
        );

        browser
            .patient_reads("#status", "This poll is open now.", 40)
            .await;
        assert!(is_marked(&browser).await, "without a reload");
        plain.find("#ballot :enabled[name=vote]").await;
        if browser
            .run("return !!document.getElementById('send')")
            .await
            == json!(true)
        {
            browser.click(&tick("a")).await;
            browser.click("#send").await;
        } else {
            browser.click(CATS).await;
        }
        browser.reads("#status", "Your vote for Cats is in.").await;
        assert_eq!(tally(&voting, "pets")["options"][0]["votes"], 1);
        browser.end().await;
        plain.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_result_shows_the_turnout_and_then_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "results = 'after_close'\ncloses_at = '2999-11-27T18:00:00+01:00'\n\
                    time_zone = 'Europe/Berlin'";
    let voting = start(folder.path(), settings);
    let (viewer, plain) = (Browser::start(true).await, Browser::start(false).await);
    for each in [&viewer, &plain] {
        each.goto(&result(&voting)).await;
        each.reads("#total", "0 voters").await;
        each.reads("#reason", "The result is shown when the poll has closed.")
            .await;
        each.reads("#reason", "27 November 2999, 18:00 (Europe/Berlin)")
            .await;
    }
    mark(&viewer).await;
    let voter = Browser::start(true).await;
    voter.goto(&page(&voting, "pets")).await;
    voter
        .reads("#deadline", "You can vote and change your vote until ")
        .await;
    voter
        .reads("#deadline", "Your vote is stored without your name.")
        .await;
    voter.reads("#countdown", "Closes in ").await;
    voter.click(CATS).await;
    voter.reads("#status", "Your vote for Cats is in.").await;
    voter
        .reads("#deadline", "You can change your vote until ")
        .await;
    viewer.reads("#total", "1 voter").await;
    assert!(is_marked(&viewer).await, "without a reload");
    plain.reads("#total", "1 voter").await;
    for each in [&viewer, &plain] {
        let html = each.client.source().await.unwrap();
        assert!(!html.contains('%') && !html.contains("1 vote<"), "{html}");
    }
    voting.close("pets");
    for each in [&viewer, &plain] {
        each.reads("#live-text", "Final").await;
        each.reads("[data-option=a] .percent", "100%").await;
    }
    for browser in [viewer, plain, voter] {
        browser.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_voted_sees_the_result_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path(), "results = 'after_vote'");
    for (scripts, voters) in [(true, "1 voter"), (false, "2 voters")] {
        let browser = Browser::start(scripts).await;
        browser.goto(&result(&voting)).await;
        browser
            .reads("#reason", "The result is shown to people who have voted.")
            .await;
        // Nobody has voted in this browser.
        browser.click("#hidden a.quiet").await;
        browser
            .reads("#reason", "The result is shown to people who have voted.")
            .await;
        browser.goto(&page(&voting, "pets")).await;
        browser.click(CATS).await;
        browser.reads("#status", "See results").await;
        voting.settled();
        browser.click("#status a").await;
        browser.reads("#total", voters).await;
        browser.reads("[data-option=a] .percent", "100%").await;
        let at = browser.client.current_url().await.unwrap();
        assert_eq!((at.path(), at.query()), ("/polls/pets", None));
        let referrer = browser.run("return document.referrer").await;
        assert!(!referrer.to_string().contains("grant"), "{referrer}");
        if scripts {
            browser.reads("#live-text", "Live").await;
        }
        // The cookie of this browser shows the result from now on.
        browser.goto(&result(&voting)).await;
        browser.reads("[data-option=a] .percent", "100%").await;
        browser.end().await;
    }
    let other = Browser::start(true).await;
    other.goto(&result(&voting)).await;
    other
        .reads("#reason", "The result is shown to people who have voted.")
        .await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_first_vote_counts_a_second_one_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path(), "revote = false");
    for (scripts, voters) in [(true, 1), (false, 2)] {
        let browser = Browser::start(scripts).await;
        browser.goto(&page(&voting, "pets")).await;
        browser.reads("#lead", "Your first vote counts.").await;
        browser.click(CATS).await;
        browser.reads("#status", RECEIVED).await;
        browser.reads(".option.chosen .action", "Received").await;
        let dogs = browser.find(DOGS).await;
        assert_eq!(dogs.text().await.unwrap(), "Dogs");
        let disabled = browser.find("button[value=b]:is(:disabled, [aria-disabled=true])");
        disabled.await;
        let words =
            "return document.body.innerText + document.getElementById('ballot').dataset.words";
        let words = browser.run(words).await.to_string();
        assert!(!words.to_lowercase().contains("change"), "{words}");
        // Another page of this browser may be older than the vote.
        let again = "const form = document.getElementById('ballot');
                     return fetch(form.dataset.url, { method: 'PUT', body: '{\"choices\":[\"b\"]}',
                       headers: { 'Content-Type': 'application/json', 'Voter-Tag': form.dataset.voter } })
                       .then((answer) => answer.json()).then((answer) => answer.note)";
        assert_eq!(browser.run(again).await, json!(RECEIVED));
        browser.client.refresh().await.unwrap();
        browser.reads(".option.chosen .label", "Cats").await;
        assert_eq!(tally(&voting, "pets")["options"][0]["votes"], voters);
        assert_eq!(tally(&voting, "pets")["voters"], voters);
        browser.end().await;
    }
}

/// Polls in all states, with 2, 5 and 63 options and long texts.
fn many_states(folder: &Path) -> Voting {
    let long = "One label of two hundred characters, as somebody writes it who has a whole sentence to \
                say, and then another one that says nearly the same in other words, so that it goes on";
    let about = "Read [https://example.org/a/long/address/of/a/page] first.\nA second line.\n\n\
                 A second paragraph: (see https://example.org/x_(y)).";
    let option = |id: usize, label: &str, more: bool| {
        let more = match more {
            true => {
                ", description = 'What stands below the label, for who wants to know more of it.'"
            }
            false => "",
        };
        format!("{{ id = 'o{id}', label = '{label}'{more} }}")
    };
    let sets = [
        (
            "two",
            vec![option(0, "Cats", false), option(1, "Dogs", false)],
        ),
        (
            "twomore",
            vec![option(0, "Cats", true), option(1, "Dogs", false)],
        ),
        (
            "five",
            (0..5)
                .map(|n| option(n, &format!("Option number {n}"), n % 2 == 0))
                .collect(),
        ),
        (
            "sixty",
            (0..63)
                .map(|n| option(n, &format!("Option number {n}"), false))
                .collect(),
        ),
        (
            "long",
            vec![
                option(0, &format!("{long} and on."), true),
                option(1, &format!("{long} to the end."), true),
            ],
        ),
    ];
    let states = [
        (
            "scheduled",
            format!(
                "opens_at = '{}'\ntime_zone = 'America/Argentina/Buenos_Aires'",
                in_seconds(90_000)
            ),
        ),
        (
            "until",
            format!(
                "closes_at = '{}'\ntime_zone = 'Europe/Berlin'\ndescription = '''{about}'''",
                in_seconds(90_000)
            ),
        ),
        ("first", "revote = false\nresults = 'host'".to_owned()),
        (
            "after",
            "results = 'after_vote'\nlanguage = 'ar'\nmax_choices = 2".to_owned(),
        ),
        ("closed", "results = 'after_close'".to_owned()),
    ];
    let mut polls = String::new();
    for (set, options) in &sets {
        for (state, settings) in &states {
            let settings = match *set {
                "two" | "twomore" | "long" => settings.replace("\nmax_choices = 2", ""),
                _ => settings.clone(),
            };
            let title = match *set {
                "long" => long,
                _ => "Which of them do you like?",
            };
            let options = options.join(", ");
            polls.push_str(&format!(
                "[[polls]]\nid = '{set}-{state}'\ntitle = '{title}'\noptions = [{options}]\n{settings}\n"
            ));
        }
    }
    std::fs::write(folder.join("polls.toml"), polls).expect("written");
    let voting = Voting::start_with(folder, &["--config", "polls.toml"]);
    for (set, _) in &sets {
        voting.close(&format!("{set}-closed"));
    }
    voting
}

/// Opens the pages of polls in all states. With the variable `SCREENSHOTS`, pictures of them are saved in
/// `target/screenshots/life`.
#[tokio::test(flavor = "multi_thread")]
async fn every_state_fits_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let voting = many_states(folder.path());
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots/life");
    std::fs::create_dir_all(&pictures).unwrap();
    for scripts in [true, false] {
        let browser = Browser::start(scripts).await;
        browser.look(1280, 800, false).await;
        for set in ["two", "twomore", "five", "sixty", "long"] {
            for state in ["scheduled", "until", "first", "after", "closed"] {
                let poll = format!("{set}-{state}");
                let vote = page(&voting, &poll);
                browser.goto(&vote).await;
                let is_open = ["until", "first", "after"].contains(&state);
                if is_open {
                    match set {
                        "five" | "sixty" => {
                            browser
                                .run("document.querySelector('input[name=vote]').click()")
                                .await;
                            browser.run("document.getElementById('send').click()").await;
                        }
                        _ => browser.click("button.option").await,
                    }
                    browser.find("#status .notice").await;
                }
                let result = format!("{}/polls/{poll}", voting.result);
                for (name, url) in [("vote", vote), ("result", result)] {
                    browser.goto(&url).await;
                    browser.find("h1").await;
                    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 800)] {
                        for dark in [false, true] {
                            // Colours do not change what fits.
                            if dark && !pictures_are_asked_for() {
                                continue;
                            }
                            browser.look(width, height, dark).await;
                            let beyond =
                                "return document.documentElement.scrollWidth - window.innerWidth";
                            let beyond = browser.run(beyond).await.as_i64().unwrap();
                            assert!(beyond <= 0, "{name} {poll} on a {device}: {beyond} px");
                            if pictures_are_asked_for() {
                                let picture = browser.client.screenshot().await.unwrap();
                                let scripts = if scripts { "scripts" } else { "plain" };
                                let colours = if dark { "dark" } else { "light" };
                                let file =
                                    format!("{poll}-{name}-{device}-{colours}-{scripts}.png");
                                std::fs::write(pictures.join(file), picture).unwrap();
                            }
                        }
                    }
                }
            }
        }
        browser.end().await;
    }
}
