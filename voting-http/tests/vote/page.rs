//! The voting page, as clients of all kinds get it.

use std::sync::Arc;

use voting_core::CastError;

use crate::{
    BALLOT, Failing, Panicking,
    support::{Answer, BROWSER, FORM, JSON, Services, Setup, get, send},
};

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");

/// A browser that keeps cookies and runs no scripts.
struct Visitor {
    vote: String,
    jar: Vec<(String, String)>,
    navigates: bool,
}

impl Visitor {
    fn new(services: &Services) -> Self {
        Self {
            vote: services.vote.clone(),
            jar: Vec::new(),
            navigates: true,
        }
    }

    fn cookies(&self) -> String {
        let cookies = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn ask(&mut self, path: &str, form: Option<&str>) -> Answer {
        let (url, cookies) = (format!("{}{path}", self.vote), self.cookies());
        let mut headers = vec![BROWSER, ("cookie", cookies.as_str())];
        if self.navigates {
            headers.push(NAVIGATES);
        }
        let answer = match form {
            Some(form) => send(
                "POST",
                &url,
                &[headers, vec![FORM]].concat(),
                form.as_bytes(),
            ),
            None => get(&url, &headers),
        };
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            let (name, rest) = set.split_once('=').expect("a cookie");
            self.jar.retain(|(known, _)| known != name);
            if !set.contains("Max-Age=0") {
                let value = rest.split(';').next().expect("a part").to_owned();
                self.jar.push((name.to_owned(), value));
            }
        }
        answer
    }

    /// Follows redirects.
    fn post(&mut self, path: &str, form: &str) -> Answer {
        let answer = self.ask(path, Some(form));
        match answer.status.as_u16() {
            303 => self.ask(answer.header("location"), None),
            _ => answer,
        }
    }
}

/// What is between the two.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).expect(before);
    rest.split(after).next().expect("a part")
}

/// The options that the page shows as the visitor's vote.
fn shown(page: &Answer) -> Vec<&str> {
    let chosen = page.body.split("class=\"option chosen\"").skip(1);
    chosen
        .map(|option| between(option, "value=\"", "\""))
        .collect()
}

fn ticked(page: &Answer) -> Vec<&str> {
    let inputs = page.body.split("<input type=\"checkbox\"").skip(1);
    inputs
        .map(|input| input.split('>').next().expect("a part"))
        .filter(|input| input.contains("checked"))
        .map(|input| between(input, "value=\"", "\""))
        .collect()
}

#[test]
fn a_browser_is_sent_back_to_the_page_which_shows_the_vote() {
    let services = Services::start();
    let mut visitor = Visitor::new(&services);
    let page = visitor.ask("/", None);
    assert_eq!(shown(&page), Vec::<&str>::new());
    let named = format!(
        "voter={}",
        between(&page.body, "name=\"voter\" value=\"", "\"")
    );
    for (vote, label) in [("a", "Cats"), ("b", "Dogs")] {
        let answer = visitor.ask("/polls/cats-vs-dogs", Some(&format!("{named}&vote={vote}")));
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location"), "/polls/cats-vs-dogs");
        let page = visitor.ask("/polls/cats-vs-dogs", None);
        let words = format!("Your last confirmed vote is for {label}. You can change");
        assert!(page.body.contains(&words), "{}", page.body);
        assert_eq!(shown(&page), [vote]);
    }
    // To load the first answer anew sends nothing again.
    assert_eq!(shown(&visitor.ask("/", None)), ["b"]);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    // Browsers of before 2023 do not say that they navigate; the form of the page does.
    visitor.navigates = false;
    let answer = visitor.ask("/polls/cats-vs-dogs", Some(&format!("{named}&vote=a")));
    assert_eq!(answer.status, 303);
    assert_eq!(
        visitor.ask("/polls/cats-vs-dogs", Some("vote=a")).status,
        200
    );
}

#[test]
fn programs_get_the_page_at_once() {
    let services = Services::start();
    let cookie = get(&services.vote, &[BROWSER]).cookie();
    for accept in [vec![], vec![("accept", "*/*")], vec![BROWSER]] {
        for known in [vec![], vec![("cookie", cookie.as_str())]] {
            let headers = [vec![FORM], accept.clone(), known.clone()].concat();
            let answer = send("POST", &services.vote, &headers, b"vote=b");
            assert_eq!(answer.status, 200, "{headers:?}");
            assert!(
                answer
                    .body
                    .contains("Your vote for Dogs is in. You can change")
            );
            // Who had no cookie may keep none, and would be another voter.
            assert_eq!(
                answer.body.contains("if you keep the cookie"),
                known.is_empty()
            );
            let remembers = answer.headers.get_all("set-cookie").iter();
            let remembers = remembers.filter(|set| set.to_str().unwrap().starts_with("ballot-"));
            assert_eq!(remembers.count(), 0, "it has no use for that");
        }
    }
}

#[test]
fn a_vote_is_shown_to_its_voter_only() {
    let services = Services::start();
    let (mut one, mut two) = (Visitor::new(&services), Visitor::new(&services));
    one.ask("/", None);
    two.ask("/", None);
    one.post("/polls/cats-vs-dogs", "vote=a");
    let others = one
        .jar
        .iter()
        .filter(|(name, _)| name.starts_with("ballot-"));
    two.jar.extend(others.cloned());
    assert_eq!(shown(&two.ask("/", None)), Vec::<&str>::new());
    assert_eq!(shown(&one.ask("/", None)), ["a"]);
    assert_eq!(shown(&one.ask("/polls/many", None)), Vec::<&str>::new());
}

#[test]
fn too_many_ticks_are_kept_for_the_voter_to_clear_one() {
    let services = Services::start();
    let mut visitor = Visitor::new(&services);
    visitor.ask("/polls/many", None);
    visitor.post("/polls/many", "vote=a&vote=b");
    let page = visitor.post("/polls/many", "vote=a&vote=b&vote=c&vote=d");
    assert_eq!(page.status, 422);
    assert!(page.body.contains("Your vote was not counted."));
    assert_eq!(ticked(&page), ["a", "b", "c", "d"]);
    assert_eq!(shown(&page), ["a", "b"], "that is still the vote");
    let page = visitor.post("/polls/many", "vote=b&vote=c&vote=d");
    assert_eq!(
        (ticked(&page), shown(&page)),
        (vec!["b", "c", "d"], vec!["b", "c", "d"])
    );
}

#[test]
fn a_browser_that_keeps_no_cookies_is_told_so_and_not_counted() {
    let services = Services::start();
    let page = get(&services.vote, &[BROWSER]);
    let tag = between(&page.body, "data-voter=\"", "\"").to_owned();
    for _ in 0..3 {
        let form = format!("voter={tag}&vote=a");
        let answer = send(
            "POST",
            &services.vote,
            &[FORM, BROWSER, NAVIGATES],
            form.as_bytes(),
        );
        assert_eq!(answer.status, 400);
        assert!(
            answer
                .body
                .contains("Your vote was not counted. Your browser did not send the cookie")
        );
        let url = services.vote.clone() + BALLOT;
        let answer = send(
            "PUT",
            &url,
            &[JSON, ("voter-tag", &tag)],
            br#"{"choices":["a"]}"#,
        );
        assert_eq!(answer.json()["type"], "urn:voting:problem:cookies-needed");
        let state = get(&format!("{}/polls/cats-vs-dogs/state", services.vote), &[]);
        assert_eq!(state.json()["voter"], serde_json::Value::Null);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
    // Without the page's word for it nobody can know: the clients of the course keep no cookies.
    assert_eq!(send("POST", &services.vote, &[FORM], b"vote=a").status, 200);
    // Another tab's cookie is as good as that of this page.
    let cookie = get(&services.vote, &[BROWSER]).cookie();
    let form = format!("voter={tag}&vote=a");
    let headers = [FORM, BROWSER, ("cookie", &cookie)];
    assert_eq!(
        send("POST", &services.vote, &headers, form.as_bytes()).status,
        303
    );
    assert_eq!(services.votes("cats-vs-dogs"), [2, 0]);
}

#[test]
fn an_answer_names_the_voter_for_whom_the_vote_is_remembered() {
    let services = Services::start();
    // Two tabs of a new browser: each page is given a cookie, and the second one stays.
    let first = get(&services.vote, &[BROWSER]);
    let mut visitor = Visitor::new(&services);
    let second = visitor.ask("/", None);
    let tag = |page: &Answer| between(&page.body, "data-voter=\"", "\"").to_owned();
    let cookies = visitor.cookies();
    let headers = [JSON, ("cookie", &cookies), ("voter-tag", &tag(&first))];
    let url = services.vote.clone() + BALLOT;
    let cast = send("PUT", &url, &headers, br#"{"choices":["b"]}"#);
    assert_eq!(cast.status, 202);
    assert_eq!(cast.json()["voter"], tag(&second));
    let cookies = format!("{cookies}; {}", cast.cookie());
    let page = get(&services.vote, &[BROWSER, ("cookie", &cookies)]);
    assert_eq!(shown(&page), ["b"]);
    // Programs are not given a cookie that they have no use for.
    let cast = send(
        "PUT",
        &url,
        &[JSON, ("cookie", &cookies)],
        br#"{"choices":["b"]}"#,
    );
    assert_eq!(cast.header("set-cookie"), "");
}

#[test]
fn the_state_of_the_poll_and_the_vote_is_there_for_the_page_to_follow() {
    let services = Services::start();
    let mut visitor = Visitor::new(&services);
    visitor.ask("/", None);
    let path = "/polls/cats-vs-dogs/state";
    let state = visitor.ask(path, None);
    assert_eq!(state.header("cache-control"), "private, no-cache");
    let voter = state.json()["voter"].as_str().unwrap().to_owned();
    let page = visitor.ask("/", None).body;
    let shape = state.json()["shape"].as_str().unwrap().to_owned();
    assert!(page.contains(&format!("data-shape=\"{shape}\"")), "{page}");
    let expected = serde_json::json!({
        "title": "Cats vs Dogs!", "state": "open", "shape": shape, "words": state.json()["words"],
        "opens": null, "closes": null, "ids": ["a", "b"], "labels": ["Cats", "Dogs"], "voter": voter,
        "choices": [], "ballot": null, "forgotten": false, "blank": false,
    });
    assert_eq!(state.json(), expected);
    assert_eq!(state.json()["words"]["before"], "Pick one to vote.");
    let etag = state.header("etag").to_owned();
    let again = |visitor: &Visitor| {
        let cookies = visitor.cookies();
        let headers = [("cookie", cookies.as_str()), ("if-none-match", &etag)];
        get(&format!("{}{path}", services.vote), &headers)
    };
    assert_eq!(
        (again(&visitor).status.as_u16(), again(&visitor).body),
        (304, String::new())
    );
    let cookies = visitor.cookies();
    let with = |tags: &[&str]| {
        let tags = tags.iter().map(|tag| ("if-none-match", *tag));
        let headers: Vec<_> = tags.chain([("cookie", cookies.as_str())]).collect();
        let answer = get(&format!("{}{path}", services.vote), &headers);
        answer.status.as_u16()
    };
    // A cache on the way may have made it a weak one, or have others as well.
    let weak = format!("W/{etag}");
    let several = format!("\"a,b\" , {weak},\"c\"");
    for known in [&[weak.as_str()][..], &[&several], &["\"a\"", &etag], &["*"]] {
        assert_eq!(with(known), 304, "{known:?}");
    }
    let bare = etag.trim_matches('"');
    for other in [bare, "\"\"", "W/", "W/\"*\"", ""] {
        assert_eq!(with(&[other]), 200, "{other}");
    }
    visitor.post("/polls/cats-vs-dogs", "vote=b");
    assert_eq!(again(&visitor).status, 200, "there is something new");
    let state = visitor.ask(path, None).json();
    assert_eq!(state["choices"], serde_json::json!(["b"]));
    // The same vote once more is another ballot.
    visitor.post("/polls/cats-vs-dogs", "vote=b");
    let later = visitor.ask(path, None).json();
    assert_eq!(later["choices"], state["choices"]);
    assert!(later["ballot"].is_string());
    assert_ne!(later["ballot"], state["ballot"]);
    assert_eq!(
        get(&format!("{}/polls/none/state", services.vote), &[]).status,
        404
    );
}

#[test]
fn a_vote_can_be_forgotten_in_this_browser_and_still_counts() {
    let services = Services::start();
    let mut visitor = Visitor::new(&services);
    visitor.ask("/", None);
    // Nothing to forget: it must not look as if somebody had voted.
    let page = visitor.post("/polls/cats-vs-dogs/forget", "");
    assert!(between(&page.body, "id=\"hint\"", "</p>").ends_with("Pick one to vote."));
    visitor.post("/polls/cats-vs-dogs", "vote=b");
    let page = visitor.post("/polls/cats-vs-dogs/forget", "");
    assert_eq!(shown(&page), Vec::<&str>::new());
    assert!(
        page.body
            .contains("Your vote is no longer shown in this browser. It still counts.")
    );
    let hint = between(&page.body, "id=\"hint\"", "</p>");
    assert!(
        hint.ends_with("If you vote now, your vote takes its place."),
        "{hint}"
    );
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    let elsewhere = [FORM, ("sec-fetch-site", "cross-site")];
    let url = format!("{}/polls/cats-vs-dogs/forget", services.vote);
    assert_eq!(send("POST", &url, &elsewhere, b"").status, 403);
}

#[test]
fn a_page_may_be_shown_again_by_going_back() {
    let services = Services::start();
    let page = get(&services.vote, &[BROWSER]);
    assert_eq!(page.header("cache-control"), "private, no-cache");
    assert_eq!(page.header("vary"), "accept, accept-language, cookie");
    let failed = send("POST", &services.vote, &[FORM, BROWSER], b"vote=z");
    assert_eq!(failed.header("cache-control"), "no-store");
}

#[test]
fn what_shows_a_vote_is_not_stored_by_the_browser() {
    let services = Services::start();
    let mut visitor = Visitor::new(&services);
    let asked = |visitor: &mut Visitor| {
        ["/", "/polls/cats-vs-dogs", "/polls/cats-vs-dogs/state"]
            .map(|path| visitor.ask(path, None).header("cache-control").to_owned())
    };
    assert_eq!(asked(&mut visitor), ["private, no-cache"; 3]);
    visitor.post("/polls/cats-vs-dogs", "vote=b");
    assert_eq!(asked(&mut visitor), ["no-store"; 3]);
    let other = visitor.ask("/polls/many", None);
    assert_eq!(other.header("cache-control"), "private, no-cache");
}

#[test]
fn a_page_that_fails_leads_back_to_the_same_address() {
    let services = Services::set_up(|_| Setup {
        sink: Some(Arc::new(Failing(|| CastError::Overloaded))),
        directory: Some(Arc::new(crate::Unreachable)),
        ..Setup::default()
    });
    let link = |page: &Answer| {
        let next = between(&page.body, "class=\"next\">", "</p>").to_owned();
        let (href, words) = (
            between(&next, "href=\"", "\""),
            between(&next, "\">", "</a>"),
        );
        (href.to_owned(), words.to_owned())
    };
    let again = |at: &str| (at.to_owned(), "Try again".to_owned());
    let page = get(&format!("{}/polls/five?x=y", services.vote), &[BROWSER]);
    assert_eq!(page.status, 503);
    assert_eq!(link(&page), again("/polls/five?x=y"));
    assert_eq!(link(&get(&services.vote, &[BROWSER])), again("/"));
    // A vote: what became of it is said.
    let url = format!("{}/polls/five", services.vote);
    let page = send("POST", &url, &[FORM, BROWSER], b"vote=a");
    assert_eq!(page.status, 503);
    assert!(
        page.body.contains("Your vote was not counted."),
        "{}",
        page.body
    );
    assert_eq!(link(&page).0, "/polls/five");
    let page = get(&format!("{}/nowhere", services.vote), &[BROWSER]);
    assert_eq!(
        link(&page),
        ("/polls".to_owned(), "See all polls".to_owned())
    );
    let page = get(&format!("{}//elsewhere.test/x", services.vote), &[BROWSER]);
    assert!(!page.body.contains("href=\"//elsewhere"), "{}", page.body);
}

#[test]
fn a_fault_in_the_middle_of_a_cast_leaves_the_outcome_unknown() {
    let services = Services::set_up(|_| Setup {
        sink: Some(Arc::new(Panicking)),
        ..Setup::default()
    });
    let page = send("POST", &services.vote, &[FORM, BROWSER], b"vote=a");
    assert_eq!(page.status, 500);
    let words = "We do not know whether your vote arrived. Trying again is safe: it counts once.";
    assert!(page.body.contains(words), "{}", page.body);
    assert!(!page.body.contains("not counted"), "{}", page.body);
}

#[test]
fn a_vote_that_comes_too_late_is_said_to_be_so_on_a_closed_page() {
    let services = Services::set_up(|_| Setup {
        sink: Some(Arc::new(Failing(|| {
            CastError::Closed("cats-vs-dogs".parse().unwrap())
        }))),
        ..Setup::default()
    });
    let page = send("POST", &services.vote, &[FORM, BROWSER], b"vote=a");
    assert_eq!(page.status, 409);
    assert!(
        page.body
            .contains("This poll closed before your vote arrived. It was not counted.")
    );
    assert!(between(&page.body, "id=\"lead\"", "</p>").contains("This poll is closed"));
    assert!(
        !page.body.contains("<button class=\"option"),
        "{}",
        page.body
    );
}
