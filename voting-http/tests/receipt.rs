//! What a voter got for a vote, on a page, and what became of the vote. Without scripts.

mod support;

use support::{Answer, BROWSER, FORM, Services, get, poll, send};
use voting_core::{
    PollStore,
    model::poll::{PollChange, PollSettings},
};
use voting_testing::await_that;

const POLL: &str = "cats-vs-dogs";

/// A browser without scripts, with all its cookies.
struct Browser<'a> {
    services: &'a Services,
    jar: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    fn at(services: &'a Services, poll: &str) -> Self {
        let mut browser = Self {
            services,
            jar: Vec::new(),
        };
        await_that("the poll is found", || {
            browser.get(&format!("/polls/{poll}")).status == 200
        });
        browser
    }

    fn cookies(&self) -> String {
        let cookies = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a text");
            let (cookie, _) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = cookie.split_once('=').expect("a cookie");
            self.jar.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.jar.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        let url = format!("{}{path}", self.services.vote);
        let answer = get(&url, &[BROWSER, ("cookie", &self.cookies())]);
        self.keep(&answer);
        answer
    }

    fn votes(&mut self, poll: &str, option: &str) {
        self.posts(&format!("/polls/{poll}"), &format!("vote={option}"));
    }

    fn posts(&mut self, path: &str, form: &str) {
        let url = format!("{}{path}", self.services.vote);
        let cookies = self.cookies();
        let headers = [
            BROWSER,
            FORM,
            ("cookie", cookies.as_str()),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
        ];
        let answer = send("POST", &url, &headers, form.as_bytes());
        assert_eq!(answer.status, 303, "{}", answer.body);
        self.keep(&answer);
    }

    /// The code on the page of this browser's receipt.
    fn code(&mut self, poll: &str) -> String {
        let page = self.get(&format!("/polls/{poll}/receipt"));
        assert_eq!(page.status, 200, "{}", page.body);
        let (_, code) = page.body.split_once("<code>").expect("a code");
        code.split_once("</code>").expect("its end").0.to_owned()
    }
}

/// Sends the form of the result service.
fn check(services: &Services, code: &str) -> Answer {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("receipt", code);
    let url = format!("{}/receipt", services.result);
    send("POST", &url, &[BROWSER, FORM], form.finish().as_bytes())
}

#[test]
fn a_voter_finds_a_receipt_and_checks_it_without_scripts() {
    let services = Services::start();
    let mut browser = Browser::at(&services, POLL);
    let away = browser.get("/polls/cats-vs-dogs/receipt");
    assert_eq!(away.status, 303, "who has not voted has none");
    assert_eq!(away.header("location"), "/polls/cats-vs-dogs");
    browser.votes(POLL, "a");
    services.settle();
    let page = browser.get("/polls/cats-vs-dogs");
    assert!(page.body.contains(r#"<p class="forget" id="receipt">"#));

    let page = browser.get("/polls/cats-vs-dogs/receipt");
    let host = services.result.strip_prefix("http://").expect("a URL");
    let form = format!("action=\"//{host}/receipt\"");
    assert!(page.body.contains(&form), "{}", page.body);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains(&format!("form-action 'self' {host};")),
        "{policy}"
    );
    for (header, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(page.header(header), value);
    }
    let code = browser.code(POLL);
    assert!(
        !page.body.replace("Cats vs Dogs", "").contains("Cats"),
        "it shows no choice"
    );

    let file = browser.get("/polls/cats-vs-dogs/receipt.txt");
    assert_eq!(
        file.header("content-disposition"),
        "attachment; filename=\"receipt-cats-vs-dogs.txt\""
    );
    assert!(file.body.lines().any(|line| line == code), "{}", file.body);
    assert!(
        file.body.contains(&format!("http://{host}/receipt\r\n")),
        "{}",
        file.body
    );

    let asked = get(&format!("{}/receipt", services.result), &[BROWSER]);
    assert!(asked.body.contains(r#"<input id="receipt" name="receipt""#));
    let counted = check(&services, &format!(" {}\r\n{}", &code[..20], &code[20..]));
    assert_eq!(counted.status, 200, "{}", counted.body);
    assert!(
        counted.body.contains("it is the one of yours that counts"),
        "{}",
        counted.body
    );
    assert!(counted.body.contains("It was cast on "), "{}", counted.body);
    assert!(
        !counted.body.contains(&code),
        "the code is in no page that is gone back to"
    );
    assert_eq!(counted.header("cache-control"), "no-store");

    let wrong = check(&services, &code[..30]);
    assert_eq!(wrong.status, 404);
    assert!(
        wrong.body.contains("This is not the code of a receipt"),
        "{}",
        wrong.body
    );

    // The vote's choices are forgotten on this device; its receipt is not.
    browser.votes(POLL, "b");
    services.settle();
    let older = check(&services, &code);
    assert!(
        older
            .body
            .contains("A newer vote of yours has taken its place."),
        "{}",
        older.body
    );
    browser.posts("/polls/cats-vs-dogs/forget", "");
    let newer = browser.code(POLL);
    assert_ne!(newer, code);
    assert!(check(&services, &newer).body.contains("that counts"));
}

#[test]
fn where_the_first_vote_counts_a_later_receipt_says_so() {
    let services = Services::start();
    let mut settings = PollSettings::default();
    settings.revote = false;
    let once = poll("once", &[("a", "A"), ("b", "B")], 1).with_settings(settings);
    let change = PollChange::put(once.expect("a poll"));
    let stored = services.memory.change_poll(&change, "test");
    services.block_on(stored).expect("stored");
    let mut browser = Browser::at(&services, "once");
    let cookies = browser.cookies();
    browser.votes("once", "a");
    let url = format!("{}/v1/polls/once/ballot", services.vote);
    let again = send(
        "PUT",
        &url,
        &[support::JSON, ("cookie", &cookies)],
        br#"{"choices":["b"]}"#,
    );
    services.settle();
    let later = again.json()["receipt"].as_str().expect("one").to_owned();
    let said = check(&services, &later).body;
    assert!(
        said.contains("In this poll the first vote counts"),
        "{said}"
    );
    let first = browser.code("once");
    assert!(check(&services, &first).body.contains("that counts"));
}

#[test]
fn what_is_no_form_with_a_code_shows_nothing() {
    let services = Services::start();
    let url = format!("{}/receipt", services.result);
    let long = check(&services, &"2".repeat(10_000));
    assert_eq!(long.status, 404);
    assert_eq!(check(&services, &"2".repeat(20_000)).status, 413);
    let no_form = send("POST", &url, &[BROWSER], b"receipt=x");
    assert_eq!(no_form.status, 415, "{}", no_form.body);
    let in_address = get(&format!("{url}?receipt=2.abc"), &[BROWSER]);
    assert!(
        !in_address.body.contains("2.abc"),
        "an address with a code does nothing"
    );
    let deleted = send("DELETE", &url, &[], b"");
    assert_eq!(deleted.status, 405);
    assert_eq!(deleted.header("allow"), "GET, HEAD, POST");
}
