//! The host's pages, as a browser without scripts uses them.

mod support;

use std::time::Duration;

use support::{Answer, BROWSER, FORM, OPERATOR_TOKEN, Services, Setup, get, send};
use voting_core::{
    PollStore,
    backends::memory::Memory,
    model::{
        moment::Moment,
        poll::{PollChange, PollSettings},
    },
};
use voting_http::{PeerLink, Site};

/// A browser at the host's pages.
struct Browser {
    services: Services,
    cookie: String,
}

fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish().into_bytes()
}

impl Browser {
    fn new(services: Services) -> Self {
        Self {
            services,
            cookie: String::new(),
        }
    }

    /// Somebody who has just signed in.
    fn signed_in() -> Self {
        let mut browser = Self::new(Services::start());
        browser.sign_in();
        browser
    }

    fn sign_in(&mut self) {
        let answer = self.post("/sign-in", &[("sign_in_token", OPERATOR_TOKEN)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        self.cookie = answer.cookie();
    }

    fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        get(&url, &[BROWSER, ("cookie", &self.cookie)])
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[("sec-fetch-site", "same-origin")])
    }

    fn post_with(&self, path: &str, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        let headers = [&[FORM, BROWSER, ("cookie", &*self.cookie)], more].concat();
        send("POST", &url, &headers, &encoded(fields))
    }

    /// Stores a poll with these settings.
    fn poll(&self, id: &str, set: impl FnOnce(&mut PollSettings), is_draft: bool) {
        let mut settings = PollSettings::default();
        set(&mut settings);
        let poll = support::poll(id, &[("a", "A"), ("b", "B")], 1);
        let mut poll = poll.with_settings(settings).expect("a poll");
        if is_draft {
            poll = poll.as_draft();
        }
        let change = PollChange::put(poll);
        let stored = self.services.memory.change_poll(&change, "operator");
        self.services.block_on(stored).expect("stored");
    }
}

fn in_an_hour() -> Option<Moment> {
    Some(Moment::now().plus(Duration::from_hours(1)))
}

#[test]
fn who_is_not_signed_in_is_asked_to_and_comes_back() {
    let mut browser = Browser::new(Services::start());
    let answer = browser.get("/polls/many?x=1");
    assert_eq!(answer.status, 303);
    let there = answer.header("location").to_owned();
    assert_eq!(there, "/sign-in?next=%2Fpolls%2Fmany%3Fx%3D1");
    let page = browser.get(&there);
    assert_eq!(page.status, 200);
    assert!(page.body.contains(r#"name="next" value="/polls/many?x=1""#));

    let fields = [
        ("sign_in_token", OPERATOR_TOKEN),
        ("next", "/polls/many?x=1"),
    ];
    let answer = browser.post("/sign-in", &fields);
    assert_eq!(answer.header("location"), "/polls/many?x=1");
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["host=", "; HttpOnly", "; SameSite=Strict", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    browser.cookie = answer.cookie();
    assert_eq!(browser.get("/polls/many").status, 200);
    // Who is signed in is not asked again.
    assert_eq!(browser.get("/sign-in").header("location"), "/");

    let answer = browser.post("/sign-out", &[]);
    assert_eq!(answer.header("location"), "/sign-in?done=signed-out");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    let page = browser.get("/sign-in?done=signed-out");
    assert_eq!(page.status, 303, "the cookie is still there in this test");
}

#[test]
fn signing_in_leads_to_no_other_site() {
    let browser = Browser::new(Services::start());
    for next in [
        "//evil.test/",
        "https://evil.test/",
        "/\\evil.test",
        "/\tevil",
        "x",
    ] {
        let fields = [("sign_in_token", OPERATOR_TOKEN), ("next", next)];
        let answer = browser.post("/sign-in", &fields);
        assert_eq!(answer.header("location"), "/", "{next}");
    }
}

#[test]
fn a_wrong_token_is_told_and_makes_its_sender_wait_but_not_the_host() {
    let browser = Browser::new(Services::start());
    let wrong = browser.post("/sign-in", &[("sign_in_token", "wrong")]);
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("This is not the operator"));
    assert!(!wrong.body.contains("value=\"wrong\""));
    assert_eq!(wrong.header("set-cookie"), "");
    let mut tries = 0;
    let slowed = loop {
        let answer = browser.post("/sign-in", &[("sign_in_token", "wrong")]);
        tries += 1;
        assert!(tries < 1_000, "nobody is slowed down");
        if answer.status != 401 {
            break answer;
        }
    };
    assert_eq!(slowed.status, 429);
    assert_ne!(slowed.header("retry-after"), "");
    let right = browser.post("/sign-in", &[("sign_in_token", OPERATOR_TOKEN)]);
    assert_eq!(right.status, 303);
}

#[test]
fn what_another_site_sends_is_refused() {
    let browser = Browser::signed_in();
    for from in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.test"),
    ] {
        let token = [("sign_in_token", OPERATOR_TOKEN)];
        let answer = browser.post_with("/sign-in", &token, &[from]);
        assert_eq!(answer.status, 403, "{from:?}");
        assert_eq!(answer.header("set-cookie"), "");
        let answer = browser.post_with("/sign-out", &[], &[from]);
        assert_eq!(answer.status, 403, "{from:?}");
    }
}

#[test]
fn a_cookie_of_another_token_is_over_and_somebody_is_told() {
    let browser = Browser::signed_in();
    let mut other = Browser::new(Services::set_up(|memory: &Memory| {
        let _ = memory;
        Setup {
            operator: |builder| builder.site(Site::default()),
            ..Setup::default()
        }
    }));
    // The same token: the session holds in every process that has it.
    other.cookie.clone_from(&browser.cookie);
    assert_eq!(other.get("/").status, 200);
    other.cookie = format!("{}x", browser.cookie);
    let answer = other.get("/");
    assert_eq!(answer.header("location"), "/sign-in?ended=1");
    let page = other.get("/sign-in?ended=1");
    assert!(page.body.contains("You are no longer signed in"));
}

#[test]
fn a_host_without_polls_is_led_to_the_first_one() {
    let mut browser = Browser::new(Services::set_up(|_| Setup {
        polls: false,
        ..Setup::default()
    }));
    browser.sign_in();
    let page = browser.get("/");
    assert!(page.body.contains("There is no poll yet."));
    assert!(page.body.contains(r#"href="/polls/new">Make a poll"#));
}

#[test]
fn polls_are_listed_with_their_state_and_drafts_apart() {
    let browser = Browser::signed_in();
    browser.poll("later", |set| set.opens_at = in_an_hour(), false);
    browser.poll("ends", |set| set.closes_at = in_an_hour(), false);
    browser.poll("new", |_| (), true);
    let vote = format!("{}/polls/cats-vs-dogs", browser.services.vote);
    send("POST", &vote, &[FORM], b"vote=a");
    browser.services.settle();
    let page = browser.get("/").body;
    for text in [
        "Scheduled",
        "Opens in ",
        "Closes in ",
        "1 voter",
        "All ballots are counted.",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("/polls/new\">\n"));
    assert!(!page.contains("pill draft"));
    let drafts = browser.get("/?show=drafts").body;
    assert!(drafts.contains("pill draft") && !drafts.contains("pill open"));
    let archive = browser.get("/?show=archived").body;
    assert!(archive.contains("The archive is empty."));
}

#[test]
fn the_page_of_a_poll_has_its_figures_also_where_voters_do_not_see_them() {
    let browser = Browser::signed_in();
    let hide = |set: &mut PollSettings| {
        set.results = voting_core::model::poll::ShowResults::AfterClose;
        set.description = "One.\n\nTwo <b>.".to_owned();
    };
    browser.poll("hidden", hide, false);
    let vote = format!("{}/polls/hidden", browser.services.vote);
    send("POST", &vote, &[FORM], b"vote=a");
    browser.services.settle();
    let page = browser.get("/polls/hidden").body;
    for text in [
        "1 voter",
        "1 vote<",
        "100%",
        "Only hosts see these figures now.",
        "Two &#60;b&#62;.",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let ends = |set: &mut PollSettings| {
        set.closes_at = Some("2100-01-15T17:00:00Z".parse().expect("a moment"));
        set.time_zone = Some("Europe/Berlin".to_owned());
    };
    browser.poll("ends", ends, false);
    let page = browser.get("/polls/ends").body;
    let shown = "Friday, 15 January 2100, 18:00 (Europe/Berlin, UTC+01:00)";
    assert!(page.contains(shown), "{page}");
    assert_eq!(browser.get("/polls/none").status, 404);
    assert_eq!(browser.get("/polls/NONE%FF").status, 404);
}

#[test]
fn the_address_for_voters_can_be_copied_and_scanned() {
    let mut browser = Browser::new(Services::set_up(|_| Setup {
        operator: |builder| {
            let url = "https://vote.example.org".parse().expect("a URL");
            builder.site(Site::default().with_peer(PeerLink::Url(url)))
        },
        ..Setup::default()
    }));
    browser.sign_in();
    let page = browser.get("/polls/many").body;
    assert!(page.contains(r#"value="https://vote.example.org/polls/many""#));
    assert!(page.contains(r#"<svg class="qr""#));
    // Where the address is not known, none is made up.
    let browser = Browser::signed_in();
    let page = browser.get("/polls/many").body;
    assert!(!page.contains("class=\"qr\""));
}

#[test]
fn over_https_the_cookie_is_bound_to_the_host() {
    let browser = Browser::new(Services::set_up(|_| Setup {
        operator: |builder| {
            let url: voting_http::PublicUrl = "https://host.example.org".parse().expect("a URL");
            builder.site(Site::default().with_public_url(url))
        },
        ..Setup::default()
    }));
    let fields = [("sign_in_token", OPERATOR_TOKEN)];
    let from = ("origin", "https://host.example.org");
    let answer = browser.post_with("/sign-in", &fields, &[from]);
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-host=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert_ne!(answer.header("strict-transport-security"), "");
}

#[test]
fn the_pages_have_no_inline_script_and_no_inline_style() {
    let browser = Browser::signed_in();
    for path in ["/", "/polls/many", "/sign-in"] {
        let page = browser.get(path);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && policy.contains("style-src 'self';"));
        assert!(!page.body.contains("<script>") && !page.body.contains("style="));
        assert_eq!(page.header("cache-control"), "no-store");
    }
}
