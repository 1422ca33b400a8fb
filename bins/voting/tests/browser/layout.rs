//! The layout of the voting page on screens of all sizes, and its use with a keyboard.

use fantoccini::{
    actions::{InputSource, KeyAction, KeyActions},
    key::Key,
};
use serde_json::json;

use crate::{
    CATS,
    support::{Voting, browser::Browser},
    voting::start,
};

/// Adds up how far elements have moved without a user's action.
const WATCH: &str = "window.moved = 0;
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) { window.moved += shift.value; window.what = (window.what || '') + shift.sources.map((s) => s.node && (s.node.outerHTML || s.node.textContent || '').slice(0, 90) + JSON.stringify([s.previousRect, s.currentRect])).join(); }
    }).observe({ type: 'layout-shift' });";

/// Focuses every element that can have the focus, and returns those that are hidden then.
const HIDDEN_STOPS: &str = "const hidden = [];
    for (const stop of document.querySelectorAll('a[href], button, input:not([type=hidden])')) {
        if (!stop.checkVisibility({ visibilityProperty: true })) continue;
        stop.focus();
        const at = stop.closest('label') || stop;
        // An element that is higher than the window cannot be seen as a whole.
        const clip = (rect) => [Math.max(0, rect.left), Math.min(innerWidth, rect.right), Math.max(0, rect.top), Math.min(innerHeight, rect.bottom)];
        const seen = [...at.getClientRects()].some((rect) => [0.1, 0.5, 0.9].every((part) => {
            const [left, right, top, bottom] = clip(rect);
            if (bottom - top < Math.min(rect.height - 2, innerHeight / 2)) return false;
            const hit = document.elementFromPoint((left + right) / 2, top + (bottom - top) * part);
            return hit !== null && (at.contains(hit) || hit.contains(at));
        }));
        if (!seen) hidden.push(stop.outerHTML.slice(0, 80));
    }
    return hidden;";

async fn open(browser: &Browser, url: &str, width: u32, height: u32) {
    browser.look(width, height, false).await;
    browser.goto(url).await;
    browser.find("h1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_has_the_focus_is_hidden_at_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    // A desktop at 400 % and at 200 %, a phone on its side and upright, a desktop.
    for (width, height) in [(320, 225), (640, 450), (667, 375), (390, 844), (1280, 900)] {
        for poll in ["many", "one-of-many", "long"] {
            let what = format!("{poll} at {width}x{height}");
            open(
                &browser,
                &format!("{}/polls/{poll}", voting.vote),
                width,
                height,
            )
            .await;
            if poll == "long" {
                browser.click(CATS).await;
            } else {
                browser.run("const input = document.querySelector('input[value=o3]'); input.checked || input.click(); document.getElementById('send').click()").await;
            }
            browser.find("#status .notice.good").await;
            assert_eq!(browser.run(HIDDEN_STOPS).await, json!([]), "{what}");
            let beyond = "return document.documentElement.scrollWidth - innerWidth";
            assert!(browser.run(beyond).await.as_i64().unwrap() <= 0, "{what}");
            // The element that stays visible takes a small part of the window.
            let sticky = "const dock = document.querySelector('.dock');
                return getComputedStyle(dock).position === 'sticky' ? dock.offsetHeight / innerHeight : 0";
            let part = browser.run(sticky).await.as_f64().unwrap();
            assert!(part < 0.3, "{what}: {part}");
            if height < 500 {
                assert_eq!(part, 0.0, "{what}");
            }
            let inside = "const notice = document.querySelector('#status .notice');
                return [notice.scrollHeight - notice.clientHeight, getComputedStyle(notice.querySelector('p')).overflowY]";
            let inside = browser.run(inside).await;
            assert_eq!(inside, json!([0, "visible"]), "{what}: no box that scrolls");
            browser.click("#status .dismiss").await;
        }
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_when_the_answer_comes() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    for (width, height) in [(390, 844), (1280, 800)] {
        for poll in ["cats-vs-dogs", "long"] {
            open(
                &browser,
                &format!("{}/polls/{poll}", voting.vote),
                width,
                height,
            )
            .await;
            browser.run(WATCH).await;
            browser.click(CATS).await;
            browser.find("#status .notice.good").await;
            let moved = settled(&browser).await;
            assert_eq!(moved, json!(0), "{poll} at {width}");
            // The message is visible. A long label is in quotes and cut.
            let seen =
                "const box = document.querySelector('#status .notice').getBoundingClientRect();
                return box.top >= 0 && box.bottom <= innerHeight";
            assert_eq!(browser.run(seen).await, json!(true), "{poll} at {width}");
            if poll == "long" {
                browser
                    .reads(
                        "#status",
                        "Your vote for “One label of two hundred characters",
                    )
                    .await;
                assert!(browser.text("#status .words").await.contains("…” is in."));
            }
        }
        for poll in ["talks", "numbers", "many"] {
            open(
                &browser,
                &format!("{}/polls/{poll}", voting.vote),
                width,
                height,
            )
            .await;
            browser.run(WATCH).await;
            browser
                .run("const input = document.querySelector('li input'); input.checked || input.click()")
                .await;
            browser.click("#send").await;
            browser.find("#status .notice.good").await;
            let moved = settled(&browser).await;
            let what = browser.run("return window.what").await;
            assert_eq!(moved, json!(0), "{poll} at {width}: {what}");
        }
    }
    nothing_moves_on_a_slow_line(&browser, &voting).await;
    nothing_moves_when_a_poll_closes(&browser, &voting).await;
    browser.end().await;
}

/// The page says at once that the vote is on its way, takes no second one meanwhile, and keeps all in its place.
async fn nothing_moves_on_a_slow_line(browser: &Browser, voting: &Voting) {
    browser
        .goto(&format!("{}/polls/one-of-many", voting.vote))
        .await;
    browser.run(WATCH).await;
    let slow = |ms: u32| json!({ "offline": false, "latency": ms, "downloadThroughput": 20_000, "uploadThroughput": 20_000 });
    browser.devtools("Network.enable", json!({})).await;
    let set = "Network.emulateNetworkConditions";
    browser.devtools(set, slow(1_500)).await;
    browser
        .run("document.querySelector('input[value=o5]').click()")
        .await;
    browser.click("#send").await;
    let sending = browser
        .run("return document.getElementById('send').textContent")
        .await;
    assert_eq!(sending, json!("Sending…"));
    browser.click("#send").await;
    browser
        .reads("#status", "Your vote for Option number 5 is in.")
        .await;
    let moved = settled(browser).await;
    let what = browser.run("return window.what").await;
    assert_eq!(moved, json!(0), "{what}");
    browser.devtools(set, json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 })).await;
}

async fn nothing_moves_when_a_poll_closes(browser: &Browser, voting: &Voting) {
    browser
        .goto(&format!("{}/polls/numbers", voting.vote))
        .await;
    browser.click("input[value=three]").await;
    browser.run(WATCH).await;
    voting.close("numbers");
    // It has something to say, so it is not loaded again for the result.
    browser.reads("#status", "This poll has closed.").await;
    let moved = settled(browser).await;
    let what = browser.run("return window.what").await;
    assert_eq!(moved, json!(0), "{what}");
    browser.client.refresh().await.expect("loaded");
    browser.reads("#summary", "One wins with 1 of 1.").await;
    browser.reads(".yours .label", "One").await;
}

/// How far elements have moved, after two frames were drawn.
async fn settled(browser: &Browser) -> serde_json::Value {
    let frames = "const done = arguments[0];
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(window.moved), 100)))";
    let moved = browser.client.execute_async(frames, vec![]).await;
    moved.expect("the script runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_one_group_that_the_question_names() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    let group = "const group = document.querySelector('#ballot [role$=group]');
        const inputs = [...group.querySelectorAll('input')];
        return [group.getAttribute('role'), document.getElementById(group.getAttribute('aria-labelledby')).textContent,
            inputs.length, inputs.every((input) => input.type === inputs[0].type) && inputs[0].type]";
    browser.goto(&format!("{}/polls/many", voting.vote)).await;
    let expected = json!(["group", "Which of them?", 63, "checkbox"]);
    assert_eq!(browser.run(group).await, expected);
    let focused = "return document.activeElement.value || document.activeElement.id";
    browser
        .run("document.querySelector('li input').focus()")
        .await;
    press(&browser, Key::Down).await;
    assert_eq!(browser.run(focused).await, json!("o1"));
    press(&browser, Key::Up).await;
    press(&browser, Key::Up).await;
    assert_eq!(browser.run(focused).await, json!("o62"));

    browser
        .goto(&format!("{}/polls/one-of-many", voting.vote))
        .await;
    let expected = json!(["radiogroup", "Which one?", 63, "radio"]);
    assert_eq!(browser.run(group).await, expected);
    browser
        .run("document.querySelector('li input').focus()")
        .await;
    press(&browser, Key::Down).await;
    press(&browser, Key::Down).await;
    assert_eq!(browser.run(focused).await, json!("o2"));
    assert_eq!(
        browser
            .run("return document.querySelector('input:checked').value")
            .await,
        json!("o2")
    );
    // All options together are one stop.
    press(&browser, Key::Tab).await;
    assert_eq!(browser.run(focused).await, json!("send"));
    browser.click("#send").await;
    browser
        .reads("#status", "Your vote for Option number 2 is in.")
        .await;
    browser.end().await;
}

async fn press(browser: &Browser, key: Key) {
    let keys = KeyActions::new("keyboard".to_owned())
        .then(KeyAction::Down { value: key.into() })
        .then(KeyAction::Up { value: key.into() });
    browser
        .client
        .perform_actions(keys)
        .await
        .expect("the key is pressed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_skip_link_leads_to_the_content_and_draws_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    press(&browser, Key::Tab).await;
    assert_eq!(
        browser.run("return document.activeElement.className").await,
        json!("skip")
    );
    press(&browser, Key::Enter).await;
    let outline =
        "const at = document.activeElement; return [at.id, getComputedStyle(at).outlineStyle]";
    assert_eq!(browser.run(outline).await, json!(["main", "none"]));
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_not_broken_where_text_is_twice_as_large() {
    let folder = tempfile::tempdir().unwrap();
    let voting = start(folder.path());
    let browser = Browser::start(true).await;
    open(&browser, &voting.vote, 390, 844).await;
    browser
        .run("document.documentElement.style.fontSize = '200%'")
        .await;
    let lines = "return [...document.querySelectorAll('.tab')].map((tab) => {
        const range = document.createRange();
        range.selectNodeContents(tab);
        return range.getClientRects().length;
    })";
    assert_eq!(browser.run(lines).await, json!([1, 1]));
    let beyond = "return document.documentElement.scrollWidth - innerWidth";
    assert!(browser.run(beyond).await.as_i64().unwrap() <= 0);
    browser.end().await;
}
