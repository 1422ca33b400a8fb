//! The voters' pages in each language: they say which, fit a phone, and have no barriers. With the variable `SCREENSHOTS`,
//! pictures of them are saved in `target/screenshots`.

use serde_json::json;

use crate::{
    barriers, pictures_are_asked_for,
    support::{Voting, browser::Browser},
};

/// The language, its direction, and what the page says after a vote for cats.
const LANGUAGES: [(&str, &str, &str); 6] = [
    ("en", "ltr", "Your vote for Cats is in."),
    ("de", "ltr", "Ihre Stimme für Cats ist angekommen."),
    ("es", "ltr", "Se ha recibido su voto por Cats."),
    ("ru", "ltr", "Ваш голос за вариант Cats принят."),
    ("ar", "rtl", "تم استلام صوتك لـ \u{2068}Cats\u{2069}."),
    ("ja", "ltr", "Cats への投票を受け付けました。"),
];

/// The sizes of windows, and whether the colours are dark.
const LOOKS: [(&str, u32, u32, bool); 3] = [
    ("small-phone", 320, 640, false),
    ("phone", 390, 844, true),
    ("desktop", 1280, 900, false),
];

/// The tour has the usual design. This deployment has a theme, whose colour is too light for text on white.
const POLLS: &str = r##"
[theme]
name = "Chess club"
colour = "#ffd400"

[[polls]]
id = "pets"
title = "Cats or dogs?"
language = "en"
closes_at = "2999-01-15T17:00:00Z"
time_zone = "Europe/Berlin"
options = [{ id = "a", label = "Cats" }, { id = "b", label = "Dogs" }]

[[polls]]
id = "food"
title = "ماذا نأكل اليوم؟"
language = "ar"
max_choices = 2
blank = true
options = [{ id = "a", label = "أرز" }, { id = "b", label = "سمك" }, { id = "c", label = "خضار" }]
"##;

/// What is wrong with the page that the browser shows.
async fn look(browser: &Browser, name: &str, tag: &str, dir: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let said = "const html = document.documentElement; return [html.lang, html.dir]";
    let said = browser.run(said).await;
    if said != json!([tag, dir]) {
        wrong.push(format!("{name} says {said}"));
    }
    // Bars are mirrored from right to left, but no text is.
    let mirrored = "return [...document.querySelectorAll('main *')].filter((element) =>
        element.textContent.trim() && getComputedStyle(element).scale !== 'none').length";
    if browser.run(mirrored).await != 0 {
        wrong.push(format!("{name} has mirrored text in {tag}"));
    }
    for (device, width, height, dark) in LOOKS {
        browser.look(width, height, dark).await;
        let beyond = "return document.documentElement.scrollWidth - innerWidth";
        let beyond = browser.run(beyond).await;
        if beyond.as_i64() > Some(0) {
            wrong.push(format!("{name} is {beyond} px too wide on a {device}"));
        }
        if pictures_are_asked_for() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");
            std::fs::create_dir_all(folder).expect("a folder");
            let whole = "return document.documentElement.scrollHeight";
            let whole = browser.run(whole).await.as_u64().expect("a number");
            let whole = u32::try_from(whole).expect("a height").max(height);
            browser.look(width, whole, dark).await;
            let picture = browser.client.screenshot().await.expect("a picture");
            let file = format!("{folder}/{name}-{tag}-{device}.png");
            std::fs::write(file, picture).expect("written");
        }
    }
    // In English also in dark colours: colours do not differ with the language.
    for dark in [false, true]
        .into_iter()
        .take(if tag == "en" { 2 } else { 1 })
    {
        browser.look(1280, 900, dark).await;
        let barriers = barriers::on(browser).await.into_iter();
        wrong.extend(barriers.map(|barrier| format!("{name}, {tag}, dark {dark}: {barrier}")));
    }
    browser.look(1280, 900, false).await;
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_speak_each_language_and_have_no_barriers_in_any() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("polls.toml"), POLLS).expect("written");
    let voting = Voting::start_with(folder.path(), &["--config", "polls.toml"]);
    let browser = Browser::start(true).await;
    let mut wrong = Vec::new();
    browser.goto(&format!("{}/polls/pets", voting.vote)).await;
    for (tag, dir, thanks) in LANGUAGES {
        // The link on the page; all that follows is by its cookie.
        if tag != "en" {
            browser.goto(&format!("{}/polls/pets", voting.vote)).await;
            browser
                .click(&format!(".languages a[hreflang={tag}]"))
                .await;
        }
        browser.find(&format!("html[lang={tag}]")).await;
        wrong.extend(look(&browser, "languages-vote", tag, dir).await);
        browser.click("button[value=a]").await;
        browser.reads("#status", thanks).await;
        wrong.extend(look(&browser, "languages-voted", tag, dir).await);
        browser.goto(&format!("{}/polls/pets", voting.result)).await;
        browser.find("#live[data-state=live]").await;
        wrong.extend(look(&browser, "languages-result", tag, dir).await);
        // Texts in another direction, or in another script.
        browser.goto(&format!("{}/polls/food", voting.vote)).await;
        wrong.extend(look(&browser, "languages-list", tag, dir).await);
        browser.goto(&format!("{}/polls/none", voting.vote)).await;
        wrong.extend(look(&browser, "languages-none", tag, dir).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    browser.end().await;
}
