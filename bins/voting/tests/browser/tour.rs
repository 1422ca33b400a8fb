//! All pages in all their states: they fit a phone and a desktop, and have no barriers. With the variable `SCREENSHOTS`,
//! pictures of them are saved in `target/screenshots`.

use serde_json::{Value, json};
use voting_testing::agent;

use crate::{
    barriers, pictures_are_asked_for,
    support::{Voting, browser::Browser},
};

const LONG: &str = "Which of the many proposals for the rebuilding of the old town hall, also the late one and the one of \
                    Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft?";

/// What is looked at, and what was wrong with it.
struct Tour {
    browser: Browser,
    voting: Voting,
    scripts: bool,
    wrong: Vec<String>,
}

impl Tour {
    async fn start(folder: &std::path::Path, scripts: bool) -> Self {
        let settings = "embed_origins = ['https://www.example.org']\n";
        std::fs::write(folder.join("settings.toml"), settings).expect("written");
        let voting = Voting::start_with(folder, &["--config", "settings.toml"]);
        let browser = Browser::start(scripts).await;
        Self {
            browser,
            voting,
            scripts,
            wrong: Vec::new(),
        }
    }

    /// Looks at the page that the browser shows: on a phone in dark and on a desktop in light colours. With pictures, in all
    /// four ways.
    async fn look(&mut self, name: &str) {
        let pictures = pictures_are_asked_for();
        for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 900)] {
            for (colours, dark) in [("light", false), ("dark", true)] {
                let is_usual = dark == (device == "phone");
                if !self.scripts && (dark || device == "desktop") {
                    continue;
                }
                if self.scripts && !pictures && !is_usual {
                    continue;
                }
                self.browser.look(width, height, dark).await;
                let beyond = "return document.documentElement.scrollWidth - innerWidth";
                let beyond = self.browser.run(beyond).await.as_i64().expect("a number");
                if beyond > 0 {
                    let wrong = format!("{name} is {beyond} px too wide on a {device}");
                    self.wrong.push(wrong);
                }
                if self.scripts {
                    let barriers = barriers::on(&self.browser).await;
                    let barriers = barriers
                        .into_iter()
                        .map(|barrier| format!("{name} on a {device} ({colours}): {barrier}"));
                    self.wrong.extend(barriers);
                }
                if pictures {
                    self.picture(name, (device, width, height), colours).await;
                }
            }
        }
        self.browser.look(1280, 900, false).await;
    }

    /// Searches among the 63 options of a result.
    async fn search(&mut self, url: &str) {
        self.browser.goto(url).await;
        let shown = "return [...document.querySelectorAll('.row')].filter((row) => row.offsetParent).length";
        let rows = self.browser.run(shown).await;
        // The first ten, and the one that this browser has voted for if it is not among them.
        if rows != json!(10) && rows != json!(11) {
            self.wrong.push(format!("{rows} rows are shown at first"));
        }
        self.fill("#find-text", "number 63").await;
        if !self.scripts {
            self.browser.click("#find button").await;
        }
        self.browser.find("[data-option=o61][hidden]").await;
        let rows = self.browser.run(shown).await;
        if rows != json!(1) {
            self.wrong.push(format!("{rows} rows are found"));
        }
        self.look("result-many-searched").await;
    }

    /// Saves a picture of the whole page.
    async fn picture(&self, name: &str, of: (&str, u32, u32), colours: &str) {
        let (device, width, height) = of;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");
        std::fs::create_dir_all(folder).expect("a folder");
        let whole = "return document.documentElement.scrollHeight";
        let whole = self.browser.run(whole).await.as_u64().expect("a number");
        let whole = u32::try_from(whole).expect("a height");
        let dark = colours == "dark";
        self.browser.look(width, whole.max(height), dark).await;
        let picture = self.browser.client.screenshot().await.expect("a picture");
        let plain = if self.scripts { "" } else { "-plain" };
        let file = format!("{folder}/tour-{name}{plain}-{device}-{colours}.png");
        std::fs::write(file, picture).expect("written");
    }

    async fn at(&mut self, name: &str, url: &str) {
        self.browser.goto(url).await;
        self.browser.find("main").await;
        self.look(name).await;
    }

    async fn host(&mut self, name: &str, path: &str) {
        let url = format!("{}{path}", self.voting.operator);
        self.at(name, &url).await;
    }

    async fn fill(&self, css: &str, text: &str) {
        let field = self.browser.find(css).await;
        field.clear().await.expect("cleared");
        field.send_keys(text).await.expect("typed");
    }

    /// Sends something to the operator's API.
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.voting.operator);
        let token = format!("Bearer {}", self.voting.operator_token());
        let request = match method {
            "PUT" => agent().put(&url),
            _ => agent().post(&url),
        };
        let sent = request
            .header("authorization", &token)
            .header("content-type", "application/json")
            .send(body.to_string());
        let mut answer = sent.expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a text");
        assert!(answer.status().is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Stores a poll with so many options, and these settings.
    fn poll(&self, id: &str, title: &str, labels: &[String], more: &Value) {
        let options = labels.iter().enumerate();
        let options =
            options.map(|(index, label)| json!({"id": format!("o{index}"), "label": label}));
        let mut poll = json!({"id": id, "title": title, "options": options.collect::<Vec<_>>()});
        let fields = more.as_object().expect("fields").clone();
        poll.as_object_mut().expect("a poll").extend(fields);
        self.send("PUT", &format!("/v1/polls/{id}"), &poll);
    }

    fn vote(&self, poll: &str, option: &str) {
        let url = format!("{}/v1/polls/{poll}/ballot", self.voting.vote);
        let sent = agent()
            .put(&url)
            .header("content-type", "application/json")
            .send(json!({"choices": [option]}).to_string());
        assert!(sent.expect("an answer").status().is_success(), "{poll}");
    }

    fn close(&self, poll: &str) {
        self.voting.close(poll);
    }

    async fn end(self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        self.browser.end().await;
    }
}

fn labels(number: usize, word: &str) -> Vec<String> {
    (1..=number).map(|nth| format!("{word} {nth}")).collect()
}

fn far() -> &'static str {
    "2999-01-15T17:00:00Z"
}

/// Stores polls in all states.
fn store_polls(tour: &Tour) {
    let long: Vec<_> = (1..=5).map(|nth| format!("{nth}. {LONG}")).collect();
    let about =
        json!({"description": "One line.\n\nAnother paragraph, with https://example.org/ in it."});
    let blank = json!({"blank": true});
    tour.poll("two", "Tea or coffee?", &labels(2, "Cup"), &blank);
    tour.poll("five", "What shall we eat?", &labels(5, "Dish"), &about);
    let several =
        json!({"blank": true, "max_choices": 3, "closes_at": far(), "time_zone": "Europe/Berlin"});
    tour.poll("several", "Which talks?", &labels(5, "Talk"), &several);
    tour.poll(
        "many",
        "Which number?",
        &labels(63, "Number"),
        &json!({"max_choices": 63}),
    );
    tour.poll(
        "long",
        LONG,
        &long,
        &json!({"max_choices": 2, "description": LONG.repeat(5)}),
    );
    let once = json!({"revote": false});
    tour.poll("once", "Only once?", &labels(2, "Answer"), &once);
    let hidden =
        json!({"results": "after_close", "closes_at": far(), "time_zone": "America/New_York"});
    tour.poll("hidden", "Who is it?", &labels(5, "Name"), &hidden);
    let scheduled = json!({"opens_at": far(), "time_zone": "Europe/Berlin"});
    tour.poll("scheduled", "Later?", &labels(2, "Answer"), &scheduled);
    tour.poll(
        "draft",
        "Not yet?",
        &labels(3, "Answer"),
        &json!({"draft": true}),
    );
    tour.poll("closed", "Over?", &labels(2, "Answer"), &json!({}));
    tour.poll("archived", "Long over?", &labels(2, "Answer"), &json!({}));
    for (poll, option) in [
        ("two", "o0"),
        ("five", "o1"),
        ("many", "o7"),
        ("long", "o2"),
        ("closed", "o0"),
        ("hidden", "o0"),
    ] {
        tour.vote(poll, option);
    }
    tour.close("closed");
    tour.close("archived");
    tour.voting.settled();
}

async fn voters_pages(scripts: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tour = Tour::start(folder.path(), scripts).await;
    store_polls(&tour);
    let (vote, result) = (tour.voting.vote.clone(), tour.voting.result.clone());
    for poll in [
        "two",
        "five",
        "several",
        "many",
        "long",
        "once",
        "hidden",
        "scheduled",
        "closed",
    ] {
        tour.at(&format!("vote-{poll}"), &format!("{vote}/polls/{poll}"))
            .await;
    }
    for (poll, choose, send) in [
        ("two", "button[value=o0]", None),
        ("once", "button[value=o0]", None),
        ("hidden", "label.option:has([value=o1])", Some("#send")),
        ("several", "label.option:has([value=o1])", Some("#send")),
        ("many", "label.option:has([value=o1])", Some("#send")),
        ("long", "label.option:has([value=o1])", Some("#send")),
    ] {
        tour.browser.goto(&format!("{vote}/polls/{poll}")).await;
        // The dock may lie on an option that is at the end of the window.
        let centre =
            format!("document.querySelector('{choose}').scrollIntoView({{ block: 'center' }})");
        tour.browser.run(&centre).await;
        tour.browser.click(choose).await;
        if let Some(send) = send {
            tour.browser.click(send).await;
        }
        tour.browser.reads("#status", "o").await;
        tour.look(&format!("voted-{poll}")).await;
    }
    for (poll, form, said) in [
        ("two", "#withdraw", "No vote of yours counts now."),
        ("several", "#blank", "Your last confirmed vote is blank."),
    ] {
        tour.browser.goto(&format!("{vote}/polls/{poll}")).await;
        if form == "#withdraw" {
            tour.browser.click("#yours summary").await;
            tour.look(&format!("voted-{poll}-more")).await;
        }
        tour.browser.click(&format!("{form} button")).await;
        tour.browser.reads("#status", said).await;
        tour.look(&format!("voted-{poll}-{}", &form[1..])).await;
    }
    tour.voting.settled();
    receipt_pages(&mut tour, &vote, &result).await;
    for poll in [
        "two",
        "five",
        "several",
        "many",
        "long",
        "hidden",
        "scheduled",
        "closed",
    ] {
        tour.at(&format!("result-{poll}"), &format!("{result}/polls/{poll}"))
            .await;
    }
    for poll in ["two", "many", "hidden", "closed"] {
        let screen = format!("{result}/polls/{poll}/present");
        tour.at(&format!("screen-{poll}"), &screen).await;
    }
    for poll in ["five", "hidden"] {
        let frame = format!("{result}/embed/polls/{poll}");
        tour.at(&format!("frame-{poll}"), &frame).await;
        tour.browser.find(".embedded").await;
    }
    if scripts {
        screen_is_live_and_covers_figures(&tour, &result).await;
    }
    tour.search(&format!("{result}/polls/many")).await;
    tour.at("vote-list", &format!("{vote}/polls")).await;
    tour.at("result-list", &format!("{result}/polls")).await;
    tour.at("vote-none", &format!("{vote}/polls/none")).await;
    tour.end().await;
}

/// The receipt of a vote, and what the result service says of it.
async fn receipt_pages(tour: &mut Tour, vote: &str, result: &str) {
    let page = format!("{vote}/polls/many/receipt");
    tour.at("receipt", &page).await;
    tour.browser.click("main form button").await;
    tour.browser
        .reads(".told", "it is the one of yours that counts")
        .await;
    tour.look("check-counted").await;
    tour.at("check", &format!("{result}/receipt")).await;
    tour.fill("#receipt", "not-a-receipt").await;
    tour.browser.click("main form button").await;
    tour.browser.find(".notice.bad").await;
    tour.look("check-wrong").await;
}

async fn screen_is_live_and_covers_figures(tour: &Tour, result: &str) {
    let screen = format!("{result}/polls/five/present");
    tour.browser.goto(&screen).await;
    tour.browser.reads("#live-text", "Live").await;
    tour.vote("five", "o1");
    tour.browser
        .reads("[data-option=o1] .count", "2 votes")
        .await;
    let press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'h'}));
        var share = document.querySelector('[data-option=o1] .share');
        return getComputedStyle(share).visibility + ' ' + location.search";
    let covered = tour.browser.run(press).await;
    assert_eq!(covered, "hidden ?figures=hidden");
    let shown = tour.browser.run(press).await;
    assert_eq!(shown, "visible ");
}

async fn hosts_pages(scripts: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tour = Tour::start(folder.path(), scripts).await;
    tour.host("sign-in", "/").await;
    tour.fill("#token", "wrong").await;
    tour.browser.click("main button").await;
    tour.browser.reads("#error", "not known here").await;
    tour.look("sign-in-wrong").await;
    let token = tour.voting.operator_token();
    tour.fill("#token", &token).await;
    tour.browser.click("main button").await;
    tour.browser.reads("h1", "Polls").await;
    store_polls(&tour);
    tour.host("list", "/").await;
    tour.host("drafts", "/?show=drafts").await;
    tour.host("archive-empty", "/?show=archived").await;
    tour.send("POST", "/v1/polls/archived/archive", &json!({}));
    tour.host("archive", "/?show=archived").await;
    tour.host("new", "/polls/new").await;
    tour.browser.click("button.primary[name=do]").await;
    tour.browser.reads("#summary", "was not saved").await;
    tour.look("new-wrong").await;
    for poll in [
        "two",
        "several",
        "many",
        "long",
        "hidden",
        "scheduled",
        "draft",
        "closed",
        "archived",
    ] {
        tour.host(&format!("poll-{poll}"), &format!("/polls/{poll}"))
            .await;
    }
    for poll in ["draft", "two", "many", "long", "closed"] {
        tour.host(&format!("edit-{poll}"), &format!("/polls/{poll}/edit"))
            .await;
    }
    // Somebody else changes it meanwhile.
    tour.host("edit-newer", "/polls/five/edit").await;
    let labels = labels(5, "Dish");
    tour.poll("five", "What shall we cook?", &labels, &json!({}));
    tour.fill("#title", "What shall we bake?").await;
    tour.browser.click("button.primary[name=do]").await;
    tour.browser.reads("#newer", "Somebody else").await;
    tour.look("edit-newer").await;
    tour.host("preview", "/polls/draft/preview").await;
    tour.host("close", "/polls/two/close").await;
    tour.fill("#confirm", "tow").await;
    tour.browser.click("button.danger").await;
    tour.browser.reads("#error", "enter two").await;
    tour.look("close-wrong").await;
    tour.host("delete", "/polls/closed/delete").await;
    tour.host("export", "/polls/closed/export").await;
    tour.host("recount", "/polls/closed").await;
    tour.browser.click("form[action$=recount] button").await;
    tour.browser.reads(".done", "The result is the same.").await;
    tour.look("recount").await;
    tour.host("audit", "/audit").await;
    tour.host("dead-letters", "/dead-letters").await;
    tour.host("people-none", "/people").await;
    tour.fill("#name", "ada").await;
    tour.browser.click("input[value=auditor]").await;
    tour.browser.click("main form.fields button").await;
    tour.browser
        .reads("#made", "The token of ada is made.")
        .await;
    tour.look("people-made").await;
    let token = tour.browser.find("#address").await;
    let token = token
        .prop("value")
        .await
        .expect("a value")
        .expect("a token");
    tour.host("people", "/people").await;
    tour.fill("#name", "ada").await;
    tour.browser.click("main form.fields button").await;
    tour.browser.reads("#error", "already").await;
    tour.look("people-wrong").await;
    tour.host("none", "/polls/none").await;
    webhook_pages(&mut tour).await;
    // As an auditor.
    tour.browser.click(".host-nav form button").await;
    tour.browser.reads(".done", "You are signed out.").await;
    tour.look("signed-out").await;
    tour.fill("#token", &token).await;
    tour.browser.click("main button").await;
    tour.browser.reads(".host-nav .who", "ada").await;
    tour.host("poll-hidden-from-auditor", "/polls/hidden").await;
    tour.host("forbidden", "/polls/new").await;
    tour.end().await;
}

async fn webhook_pages(tour: &mut Tour) {
    tour.host("webhooks-none", "/webhooks").await;
    tour.fill("main [name=url]", "ftp://example.org/").await;
    tour.browser.click("main form.fields button").await;
    tour.look("webhooks-wrong").await;
    tour.fill("main [name=url]", "https://example.org/hook")
        .await;
    tour.browser.click("main form.fields button").await;
    tour.browser.reads("#made", "Copy it now").await;
    tour.look("webhooks-made").await;
    tour.host("webhooks", "/webhooks").await;
    tour.browser.click("main .entries a").await;
    tour.browser.find("form[action$=test]").await;
    tour.look("webhook").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn voters_meet_no_barriers() {
    voters_pages(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_meet_no_barriers() {
    hosts_pages(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_scripts_fit_a_phone() {
    voters_pages(false).await;
    hosts_pages(false).await;
}
