//! The language of a page: who chooses it, and what is in it.

mod support;

use support::{Answer, BROWSER, FORM, JSON, Services, Setup, any_event, events, get, poll, send};
use voting_core::{PollStore, model::poll::PollSettings};
use voting_http::PublicUrl;

/// The languages, with their directions.
const LANGUAGES: [(&str, &str); 6] = [
    ("en", "ltr"),
    ("de", "ltr"),
    ("es", "ltr"),
    ("ru", "ltr"),
    ("ar", "rtl"),
    ("ja", "ltr"),
];

/// Services with a poll whose texts are Russian, too.
fn start() -> Services {
    Services::set_up(|memory| {
        let mut settings = PollSettings::default();
        settings.language = Some("ru".to_owned());
        let russian = poll("russian", &[("a", "Чай"), ("b", "Кофе")], 1);
        let russian = russian.with_settings(settings).expect("settings");
        let memory = memory.clone();
        let put = async move { memory.put_poll(&russian).await };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(put).expect("stored");
        Setup::default()
    })
}

/// A page as a browser asks for it, with these further headers.
fn page(url: &str, headers: &[(&str, &str)]) -> Answer {
    get(url, &[&[BROWSER], headers].concat())
}

/// The language of a page, of which everything in the answer says the same.
fn language(page: &Answer) -> &str {
    let tag = page.header("content-language");
    let dir = LANGUAGES.iter().find(|(known, _)| *known == tag);
    let (_, dir) = dir.unwrap_or_else(|| panic!("{tag:?}: {}", page.body));
    let begin = format!("<html lang=\"{tag}\" dir=\"{dir}\">");
    assert!(page.body.contains(&begin), "{}", page.body);
    let vary = page.headers.get_all("vary").into_iter();
    let vary: Vec<_> = vary.map(|line| line.to_str().expect("a text")).collect();
    assert!(vary.join(",").contains("accept-language"), "{vary:?}");
    assert!(vary.join(",").contains("cookie"), "{vary:?}");
    tag
}

#[test]
fn a_page_is_in_the_language_that_was_chosen_or_asked_for_or_of_the_poll() {
    let services = start();
    let asks = |language| ("accept-language", language);
    for service in [&services.vote, &services.result] {
        let at = |path: &str, headers: &[(&str, &str)]| {
            language(&page(&format!("{service}{path}"), headers)).to_owned()
        };
        assert_eq!(at("/polls/many", &[]), "en");
        assert_eq!(at("/polls/russian", &[]), "ru");
        assert_eq!(
            at("/polls/russian", &[asks("de-AT,de;q=0.9,en;q=0.8")]),
            "de"
        );
        assert_eq!(at("/polls/many", &[asks("fr, ja;q=0.2, es;q=0.7")]), "es");
        assert_eq!(at("/polls/russian", &[asks("fr, en;q=0, *;q=0.5")]), "ru");
        let cookie = ("cookie", "a=b; voting-lang=ar");
        assert_eq!(at("/polls/many", &[cookie, asks("de")]), "ar");
        assert_eq!(at("/polls/many?lang=ja", &[cookie, asks("de")]), "ja");
        // What is no language of ours is not chosen.
        assert_eq!(at("/polls/many?lang=xx", &[asks("de")]), "de");
        assert_eq!(
            at("/polls/many", &[("cookie", "voting-lang=%22"), asks("de")]),
            "de"
        );
        for path in ["/", "/polls", "/polls/none", "/nothing"] {
            assert_eq!(at(path, &[asks("de")]), "de", "{path}");
        }
    }
}

#[test]
fn a_choice_is_kept_for_the_next_pages_and_needs_no_script() {
    let services = start();
    for service in [&services.vote, &services.result] {
        let chosen = page(&format!("{service}/polls/many?lang=de"), &[]);
        let set = chosen.headers.get_all("set-cookie").into_iter();
        let mut set = set.map(|cookie| cookie.to_str().expect("a text"));
        let cookie = set.find(|cookie| cookie.starts_with("voting-lang="));
        let cookie = cookie.expect("the choice").split(';').next();
        let next = page(
            &format!("{service}/polls/cats-vs-dogs"),
            &[("cookie", cookie.expect("a cookie"))],
        );
        assert_eq!(language(&next), "de");
        for (tag, _) in LANGUAGES {
            let link = format!(
                "<a href=\"/polls/cats-vs-dogs?lang={tag}\" hreflang=\"{tag}\" lang=\"{tag}\""
            );
            assert_eq!(next.body.contains(&link), tag != "de", "{}", next.body);
        }
        // Only pages keep it, and only a language that is there.
        let program = get(&format!("{service}/v1/polls/none?lang=de"), &[]);
        let unknown = page(&format!("{service}/polls/many?lang=xx"), &[]);
        for answer in [program, unknown] {
            let mut set = answer.headers.get_all("set-cookie").into_iter();
            assert!(!set.any(|cookie| cookie.as_bytes().starts_with(b"voting-lang=")));
        }
    }
}

#[test]
fn over_https_the_choice_is_bound_to_the_host() {
    let services = Services::set_up(|_| {
        let mut setup = Setup::default();
        let url = "https://vote.test"
            .parse::<PublicUrl>()
            .expect("an address");
        setup.site = setup.site.with_public_url(url);
        setup
    });
    let chosen = page(&format!("{}/polls/many?lang=ja", services.vote), &[]);
    let set = chosen.headers.get_all("set-cookie").into_iter();
    let mut set = set.map(|cookie| cookie.to_str().expect("a text"));
    let cookie = set
        .find(|cookie| cookie.contains("voting-lang"))
        .expect("the choice");
    assert!(
        cookie.starts_with("__Host-voting-lang=ja;") && cookie.contains("Secure"),
        "{cookie}"
    );
    let headers = [("cookie", "__Host-voting-lang=ja")];
    assert_eq!(
        language(&page(&format!("{}/polls/many", services.vote), &headers)),
        "ja"
    );
}

#[test]
fn what_programs_read_stays_english() {
    let services = start();
    let german = ("accept-language", "de");
    let unknown = get(&format!("{}/v1/polls/none", services.vote), &[german]);
    assert_eq!(unknown.json()["title"], "No such poll");
    let invalid = send(
        "PUT",
        &format!("{}/v1/polls/many/ballot", services.vote),
        &[JSON, german],
        br#"{"choices":["x"]}"#,
    );
    assert_eq!(invalid.json()["title"], "This is not a vote in this poll");
    let form = format!("{}/polls/many", services.vote);
    let told = send("POST", &form, &[FORM, german], b"vote=a");
    assert!(
        told.body.starts_with("Your vote for A is in."),
        "{}",
        told.body
    );
}

#[test]
fn the_texts_of_a_poll_say_their_own_language() {
    let services = start();
    for service in [&services.vote, &services.result] {
        let russian = page(&format!("{service}/polls/russian?lang=de"), &[]);
        for place in ["<h1 ", " class=\"label\""] {
            let from = russian.body.find(place).expect("it is there");
            let text = &russian.body[from..from + 160];
            assert!(text.contains("lang=\"ru\""), "{text}");
        }
        // Of a poll whose language is not known nobody says that it is that of the page.
        let many = page(&format!("{service}/polls/many?lang=de"), &[]);
        let from = many.body.find("<h1 ").expect("a headline");
        let text = &many.body[from..from + 160];
        assert!(text.contains("lang=\"\" dir=\"auto\""), "{text}");
    }
}

#[test]
fn a_vote_is_confirmed_and_refused_in_the_language_of_the_page() {
    let services = start();
    let url = format!("{}/polls/many", services.vote);
    let german = [BROWSER, FORM, ("accept-language", "de")];
    let said = |cookie: &str, body: &[u8]| {
        let headers = [&german[..], &[("cookie", cookie)]].concat();
        send("POST", &url, &headers, body).body
    };
    let first = page(&url, &[]);
    let cookie = first.cookie();
    let none = said(&cookie, b"");
    assert!(
        none.contains("Ihre Stimme wurde nicht gezählt. Es wurde keine Antwort gewählt."),
        "{none}"
    );
    let many = said(&cookie, b"vote=a&vote=b&vote=c&vote=d");
    assert!(
        many.contains("Es wurden 4 Antworten gewählt, erlaubt sind 3."),
        "{many}"
    );
    let new = said("x=y", b"vote=a");
    assert!(new.contains("Ihre Stimme für A ist angekommen."), "{new}");
    let missing = page(
        &format!("{}/polls/none", services.vote),
        &[("accept-language", "ar")],
    );
    assert!(
        missing.body.contains("لا يوجد تصويت في هذا العنوان."),
        "{}",
        missing.body
    );
    let voter = format!("voter-{}=x", "721edc");
    let unreadable = page(&url, &[("cookie", &voter), ("accept-language", "es")]);
    assert!(
        unreadable.body.contains("Empezar de nuevo"),
        "{}",
        unreadable.body
    );
}

#[test]
fn an_open_page_is_updated_in_its_own_language() {
    let services = start();
    let ballot = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    for _ in 0..5 {
        send("PUT", &ballot, &[JSON], br#"{"choices":["a"]}"#);
    }
    services.settle();
    let page = page(
        &format!("{}/polls/cats-vs-dogs?lang=ru", services.result),
        &[],
    );
    let attribute = |name: &str| {
        let (_, rest) = page
            .body
            .split_once(&format!("{name}=\""))
            .expect("it is there");
        rest.split('"').next().expect("its value").to_owned()
    };
    let (live, query) = (attribute("data-live"), attribute("data-query"));
    let json = get(&format!("{}{live}.json{query}", services.result), &[]);
    let result = &json.json()["result"];
    assert_eq!(result["total"], "5 участников");
    assert_eq!(result["options"][0]["votes"], "5 голосов");
    let mut stream = events(&services.result, &(live + &query));
    let event = any_event(&mut stream).expect("an event");
    assert_eq!(event.data["total"], "5 участников");
    // The other language is not mixed up with it.
    let mut english = events(&services.result, "/polls/cats-vs-dogs/live");
    let event = any_event(&mut english).expect("an event");
    assert_eq!(event.data["total"], "5 voters");
    let state = format!("{}/polls/cats-vs-dogs/state", services.vote);
    let vote = get(
        &format!("{}/polls/cats-vs-dogs?lang=ja", services.vote),
        &[BROWSER],
    );
    assert!(
        vote.body.contains("/polls/cats-vs-dogs/state?lang=ja\""),
        "{}",
        vote.body
    );
    let state = get(&format!("{state}?lang=ja"), &[("cookie", &vote.cookie())]);
    assert_eq!(
        state.json()["words"]["before"],
        "どちらかを選ぶと投票できます。"
    );
}

#[test]
fn the_script_has_the_words_of_the_page() {
    let services = start();
    for (tag, _) in LANGUAGES {
        let page = page(&format!("{}/polls/many?lang={tag}", services.vote), &[]);
        let (_, rest) = page.body.split_once("<script src=\"").expect("a script");
        let script = rest.split('"').next().expect("its address");
        let name = match tag {
            "en" => "vote.js".to_owned(),
            _ => format!("vote.{tag}.js"),
        };
        assert!(
            script.starts_with(&format!("/assets/{name}?v=")),
            "{script}"
        );
        let script = get(&format!("{}{script}", services.vote), &[]);
        assert!(script.header("cache-control").contains("immutable"));
        let english = "We do not know whether your vote arrived.";
        assert_eq!(script.body.contains(english), tag == "en");
    }
    // So does a page of an earlier version.
    let old = get(
        &format!("{}/assets/vote.js?v=0123456789ab", services.vote),
        &[],
    );
    assert!(
        old.body.contains("Your vote for {label} is in."),
        "{}",
        old.body
    );
    assert_eq!(old.header("cache-control"), "no-cache");
}
