//! The result page.

use std::time::{Duration, Instant};

use serde_json::json;
use voting_testing::agent;

use crate::{
    CATS, is_marked, mark,
    support::{Voting, browser::Browser, line::Line},
};

/// Casts a vote as a program does. Each vote is from a new voter.
fn vote(voting: &Voting, poll: &str, choice: &str) {
    let post = agent().post(format!("{}/polls/{poll}", voting.vote));
    let sent = post.send_form([("vote", choice)]).expect("an answer");
    assert_eq!(sent.status(), 200);
}

fn sql(voting: &Voting, statement: &str) {
    let file = voting.folder.join("voting-data/voting.db");
    let database = rusqlite::Connection::open(file).expect("the database");
    let patience = Duration::from_secs(10);
    database.busy_timeout(patience).expect("set");
    database.execute_batch(statement).expect("done");
}

/// Waits until the state pill has this kind.
async fn shown_as(browser: &Browser, kind: &str) {
    browser.find(&format!("#live[data-state={kind}]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_stands_still_says_so_and_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let (viewer, plain) = (Browser::start(true).await, Browser::start(false).await);
    viewer.goto(&voting.result).await;
    viewer.reads("#live-text", "Live").await;
    mark(&viewer).await;
    sql(&voting, "ALTER TABLE tallies RENAME TO elsewhere");
    viewer.reads("#live-text", "Not updated since").await;
    shown_as(&viewer, "stalled").await;
    let hour = viewer.text("#live-text").await;
    assert!(hour.contains(':'), "{hour}");
    plain.goto(&voting.result).await;
    plain.reads("#live-text", " UTC on ").await;
    sql(&voting, "ALTER TABLE elsewhere RENAME TO tallies");
    viewer.reads("#live-text", "Live").await;
    vote(&voting, "cats-vs-dogs", "a");
    viewer.reads("#total", "1 voter").await;
    assert!(is_marked(&viewer).await);
    // The page reloads itself.
    plain.reads("#total", "1 voter").await;
    plain.reads("#live-text", "Refreshes every 5 seconds").await;
    viewer.end().await;
    plain.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_is_noticed_and_left_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let line = Line::to(&voting.result);
    let viewer = Browser::start(true).await;
    viewer.goto(&line.url).await;
    viewer.reads("#live-text", "Live").await;
    line.is_silent(true);
    let begun = Instant::now();
    viewer.patient_reads("#live-text", "Reconnecting", 60).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(50), "{took:?}");
    vote(&voting, "cats-vs-dogs", "a");
    line.is_silent(false);
    viewer.patient_reads("#total", "1 voter", 60).await;
    viewer.patient_reads("#live-text", "Live", 60).await;
    viewer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_or_a_tab_that_comes_back_connects_anew_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let line = Line::to(&voting.result);
    let viewer = Browser::start(true).await;
    viewer.goto(&line.url).await;
    viewer.reads("#live-text", "Live").await;
    for (event, voters) in [
        ("window.dispatchEvent(new Event('online'))", "1 voter"),
        (
            "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
             document.dispatchEvent(new Event('visibilitychange'));
             Object.defineProperty(document, 'hidden', { configurable: true, get: () => false });
             document.dispatchEvent(new Event('visibilitychange'))",
            "2 voters",
        ),
    ] {
        // The open connection is dead, and the browser does not know it.
        line.is_silent(true);
        vote(&voting, "cats-vs-dogs", "a");
        voting.settled();
        // The event was sent, and was lost.
        tokio::time::sleep(Duration::from_millis(600)).await;
        line.is_silent(false);
        let begun = Instant::now();
        viewer.run(event).await;
        viewer.reads("#total", voters).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        viewer.reads("#live-text", "Live").await;
    }
    viewer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_stream_comes_through_the_result_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let line = Line::to(&voting.result);
    line.holds_streams(true);
    let viewer = Browser::start(true).await;
    viewer.goto(&line.url).await;
    mark(&viewer).await;
    viewer
        .reads("#live-text", "Refreshes every 5 seconds")
        .await;
    vote(&voting, "cats-vs-dogs", "b");
    viewer.reads("#total", "1 voter").await;
    viewer.reads("[data-option=b] .percent", "100%").await;
    assert!(is_marked(&viewer).await, "not by a reload");
    // The same holds while the tally cannot be read.
    sql(&voting, "ALTER TABLE tallies RENAME TO elsewhere");
    viewer.reads("#live-text", "Not updated since").await;
    sql(&voting, "ALTER TABLE elsewhere RENAME TO tallies");
    viewer
        .reads("#live-text", "Refreshes every 5 seconds")
        .await;
    // Once streams arrive, the page follows them.
    line.holds_streams(false);
    viewer
        .run("window.dispatchEvent(new Event('online'))")
        .await;
    viewer.reads("#live-text", "Live").await;
    viewer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_script_is_missing_reloads_itself() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let line = Line::to(&voting.result);
    line.loses_the_script();
    let viewer = Browser::start(true).await;
    viewer.goto(&line.url).await;
    viewer
        .reads("#live-text", "Refreshes every 5 seconds")
        .await;
    vote(&voting, "cats-vs-dogs", "a");
    viewer.reads("#total", "1 voter").await;
    viewer.end().await;
}

/// Syntax that televisions and phones of ten years ago cannot read.
#[test]
fn the_script_is_written_for_old_browsers() {
    let script = include_str!("../../../../voting-http/assets/result.js");
    let code: Vec<_> = script
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .map(|line| line.split("/*").next().unwrap_or_default())
        .collect();
    let newer = [
        "=>",
        "`",
        "const ",
        "let ",
        "class ",
        "...",
        "?.",
        "??",
        "async ",
        "await ",
        " of ",
        ".forEach",
        ".includes(",
        "Object.entries",
        "Promise",
        "fetch(",
        "new Map",
        "new Set",
        "replaceChildren",
        ".closest(",
        ".padStart",
        ".toggle(",
        ".remove()",
        ".append(",
        "_000",
        "catch {",
        "Array.from",
    ];
    for (number, line) in code.iter().enumerate() {
        for word in newer {
            assert!(
                !line.contains(word),
                "line {}: {word:?} in {line:?}",
                number + 1
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_change_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let viewer = Browser::start(true).await;
    viewer.goto(&voting.result).await;
    viewer.reads("#live-text", "Live").await;
    mark(&viewer).await;
    let put = agent().post(format!("{}/v1/polls", voting.operator));
    let put = put.header(
        "authorization",
        format!("Bearer {}", voting.operator_token()),
    );
    let renamed = json!({
        "id": "cats-vs-dogs", "title": "Cats or dogs?", "max_choices": 1,
        "options": [{ "id": "a", "label": "Felines" }, { "id": "b", "label": "Canines" }],
    });
    let put = put.header("content-type", "application/json");
    let put = put.send(renamed.to_string()).expect("an answer");
    assert!(put.status().is_success(), "{}", put.status());
    viewer.reads("h1", "Cats or dogs?").await;
    viewer.reads("[data-option=a] .label", "Felines").await;
    viewer.reads("[data-option=b] .label", "Canines").await;
    assert_eq!(
        viewer.run("return document.title").await,
        "Results: Cats or dogs?"
    );
    assert!(is_marked(&viewer).await);
    viewer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_aloud_can_be_stopped_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let viewer = Browser::start(true).await;
    viewer.goto(&voting.result).await;
    viewer.reads("#live-text", "Live").await;
    vote(&voting, "cats-vs-dogs", "a");
    let said = "return document.getElementById('announce').textContent";
    viewer.reads("#announce", "1 voter. Cats 100%").await;
    // Uses the keyboard, as some readers do. The button is visible while it has the focus.
    let focused = "const b = document.getElementById('mute'); b.focus();
        const r = b.getBoundingClientRect();
        return b.textContent + (r.width > 40 && r.height >= 44 ? '' : ' is hidden')";
    assert_eq!(viewer.run(focused).await, "Stop reading changes aloud");
    viewer.run("document.activeElement.click()").await;
    vote(&voting, "cats-vs-dogs", "b");
    viewer.reads("#total", "2 voters").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(viewer.run(said).await, "1 voter. Cats 100%, Dogs 0%.");
    viewer.client.refresh().await.unwrap();
    viewer.reads("#live-text", "Live").await;
    assert_eq!(viewer.run(focused).await, "Read changes aloud");
    viewer.run("document.activeElement.click()").await;
    vote(&voting, "cats-vs-dogs", "b");
    viewer
        .reads("#announce", "3 voters. Dogs 66.7%, Cats 33.3%.")
        .await;
    viewer.end().await;
}

/// Changed numbers move no element: neither the first vote, nor a leader, nor longer numbers.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_when_numbers_come() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let viewer = Browser::start(true).await;
    let mut voters = 0;
    let screen = format!("{}/polls/cats-vs-dogs/present", voting.result);
    for (width, page) in [
        (390, &voting.result),
        (1280, &voting.result),
        (1920, &screen),
    ] {
        viewer.look(width, 844, false).await;
        viewer.goto(page).await;
        viewer
            .run(
                "window.shifts = [];
                 const place = (r) => [r.x, r.y, r.width, r.height].map(Math.round).join(' ');
                 new PerformanceObserver((list) => {
                   for (const entry of list.getEntries()) {
                     for (const { node, previousRect, currentRect } of entry.sources) {
                       const name = node && (node.id || node.className || node.nodeName);
                       shifts.push(`${name}: ${place(previousRect)} -> ${place(currentRect)}`);
                     }
                   }
                 }).observe({ type: 'layout-shift', buffered: true })",
            )
            .await;
        viewer.reads("#live-text", "Live").await;
        for choice in ["a", "b", "b"] {
            vote(&voting, "cats-vs-dogs", choice);
            voters += 1;
            viewer.reads("#total", &format!("{voters} voter")).await;
        }
        if page != &screen {
            // Only the visibility of this mark shows which option leads.
            let marked = "return [...document.querySelectorAll('.row')].map((row) =>
                getComputedStyle(row.querySelector('.lead-mark')).visibility)";
            let marked = viewer.run(marked).await;
            assert_eq!(marked, json!(["hidden", "visible"]));
        }
        let set = "UPDATE polls SET voters = voters + 123456, version = version + 1;
                   UPDATE tallies SET votes = votes + 123456 WHERE option = 1";
        sql(&voting, set);
        viewer.reads("#total", "123,4").await;
        assert_eq!(
            viewer.run("return window.shifts").await,
            json!([]),
            "{width} px"
        );
        sql(
            &voting,
            "UPDATE polls SET voters = voters - 123456, version = version + 1;
             UPDATE tallies SET votes = votes - 123456 WHERE option = 1",
        );
    }
    viewer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_one_goes_back_to_is_live_again() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let viewer = Browser::start(true).await;
    viewer.goto(&voting.result).await;
    viewer.reads("#live-text", "Live").await;
    viewer.click("nav.tabs a").await;
    viewer.click(CATS).await;
    viewer.reads("#status", "Your vote for Cats is in.").await;
    viewer.client.back().await.unwrap();
    viewer.reads("#total", "1 voter").await;
    viewer.reads("#live-text", "Live").await;
    // Also if the browser shows the page as it was before the vote.
    viewer.reads(".yours .label", "Cats").await;
    viewer.end().await;
}
