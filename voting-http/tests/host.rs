//! The host's pages, as a browser without scripts uses them.

mod support;

use std::time::Duration;

use support::{BROWSER, FORM, OPERATOR_TOKEN, Services, Setup, get, host_browser::Browser, send};
use voting_core::{
    Ballot, Choices, VoterId,
    model::{moment::Moment, poll::PollSettings},
    store::{AuditLog, audit::AuditNote},
};
use voting_http::{PeerLink, Site};

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
    assert_eq!(page.status, 200);
    assert!(page.body.contains("You are signed out."), "{}", page.body);
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
    assert!(wrong.body.contains("This token is not known here"));
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
fn a_cookie_that_cannot_be_read_is_over_and_somebody_is_told() {
    let mut browser = Browser::signed_in();
    browser.cookie.push('x');
    let answer = browser.get("/");
    assert_eq!(answer.header("location"), "/sign-in?ended=1");
    let page = browser.get("/sign-in?ended=1");
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
    assert!(page.contains("<dt>Closes</dt>"), "{page}");
    browser.post("/polls/ends/close", &[("confirm", "ends")]);
    let page = browser.get("/polls/ends").body;
    assert!(page.contains("<dt>Was to close</dt>"), "{page}");
    assert!(!page.contains("data-until"), "nothing is to come: {page}");
    assert_eq!(browser.get("/polls/none").status, 404);
    assert_eq!(browser.get("/polls/NONE%FF").status, 404);
}

#[test]
fn the_address_for_voters_can_be_copied_and_scanned_and_the_result_shown() {
    let mut browser = Browser::new(Services::set_up(|_| Setup {
        operator: |builder| {
            let [vote, result] = ["https://vote.example.org", "https://result.example.org"]
                .map(|url| PeerLink::Url(url.parse().expect("a URL")));
            builder.site(Site::default().with_peer(vote).with_results(result))
        },
        ..Setup::default()
    }));
    browser.sign_in();
    let page = browser.get("/polls/many").body;
    assert!(page.contains(r#"value="https://vote.example.org/polls/many""#));
    assert!(page.contains(r#"<svg class="qr""#));
    // So can the result be shown.
    let screen = r#"href="https://result.example.org/polls/many/present""#;
    assert!(page.contains(screen), "{page}");
    // Where the address is not known, none is made up.
    let browser = Browser::signed_in();
    let page = browser.get("/polls/many").body;
    assert!(!page.contains("class=\"qr\""));
    assert!(!page.contains("/present"));
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

/// The fields of a form that makes a poll.
fn lunch() -> Vec<(&'static str, &'static str)> {
    vec![
        ("title", "What is for lunch?"),
        ("label", "Rice"),
        ("option", ""),
        ("about", ""),
        ("label", "Soup"),
        ("option", ""),
        ("about", "Hot"),
        ("max_choices", "1"),
        ("revote", "yes"),
        ("results", "after_close"),
        ("order", "fixed"),
        ("listed", "yes"),
        ("time_zone", "Europe/Berlin"),
    ]
}

/// The same form with another value of a field.
fn with(
    mut fields: Vec<(&'static str, &'static str)>,
    name: &'static str,
    value: &'static str,
) -> Vec<(&'static str, &'static str)> {
    fields.retain(|(known, _)| *known != name);
    fields.push((name, value));
    fields
}

#[test]
fn a_host_makes_a_draft_edits_it_and_publishes_it() {
    let browser = Browser::signed_in();
    assert_eq!(browser.get("/polls/new").status, 200);
    let saved = browser.post("/polls/new", &with(lunch(), "do", "save"));
    assert_eq!(saved.status, 303, "{}", saved.body);
    let there = saved.header("location").to_owned();
    assert_eq!(there, "/polls/what-is-for-lunch?done=draft-saved");
    let page = browser.get(&there).body;
    assert!(page.contains("The draft is saved.") && page.contains("pill draft"));
    // Nobody else sees it.
    let vote = format!("{}/polls/what-is-for-lunch", browser.services.vote);
    assert_eq!(get(&vote, &[BROWSER]).status, 404);

    let form = browser.get("/polls/what-is-for-lunch/edit").body;
    for text in [
        r#"value="What is for lunch?""#,
        r#"name="revision" value="0""#,
        r#"<option value="Europe/Berlin" selected>Berlin"#,
        r#"value="after_close" checked"#,
    ] {
        assert!(form.contains(text), "{text} in {form}");
    }
    let fields = with(lunch(), "title", "Lunch?");
    let fields = with(with(fields, "do", "publish"), "revision", "0");
    let saved = browser.post("/polls/what-is-for-lunch/edit", &fields);
    let there = saved.header("location").to_owned();
    assert_eq!(there, "/polls/what-is-for-lunch?done=published");
    let page = browser.get(&there).body;
    assert!(page.contains("pill open") && page.contains("Lunch?"));
    assert_eq!(get(&vote, &[BROWSER]).status, 200);
    let log = browser.get("/audit?poll=what-is-for-lunch").body;
    assert!(
        log.contains("Draft made")
            && log.contains("Poll published, and changed: the question")
            && log.contains("by operator"),
        "{log}"
    );
}

#[test]
fn what_cannot_be_saved_stays_in_the_form_with_the_reasons() {
    let browser = Browser::signed_in();
    let fields = with(lunch(), "title", "");
    let fields = with(with(fields, "max_choices", "7"), "do", "publish");
    let refused = browser.post("/polls/new", &fields);
    assert_eq!(refused.status, 422);
    for text in [
        "2 things are to be corrected",
        r##"<a href="#title">Enter the question.</a>"##,
        r##"<a href="#max_choices">"##,
        r#"aria-invalid="true" aria-describedby="title-error""#,
        r#"value="Soup""#,
        "Hot</textarea>",
        r#"value="7""#,
    ] {
        assert!(refused.body.contains(text), "{text} in {}", refused.body);
    }
    for (name, value, text) in [
        (
            "opens_at",
            "2100-03-28T02:30",
            "does not exist in Europe/Berlin",
        ),
        (
            "closes_at",
            "2100-10-31T02:30",
            "comes twice in Europe/Berlin",
        ),
        ("closes_at", "2020-01-01T00:00", "This moment has passed."),
        ("id", "Lunch!", "It begins and ends with"),
        ("id", "many", "There is, or was, a poll with this address."),
    ] {
        let fields = with(with(lunch(), name, value), "do", "publish");
        let refused = browser.post("/polls/new", &fields);
        assert_eq!(refused.status, 422, "{name}: {}", refused.body);
        assert!(refused.body.contains(text), "{text} in {}", refused.body);
    }
    // Which of the two is meant can be chosen.
    let fields = with(lunch(), "closes_at", "2100-10-31T02:30");
    let refused = browser.post("/polls/new", &fields);
    assert!(
        refused
            .body
            .contains(r#"name="closes_which" value="second""#)
    );
    let saved = browser.post("/polls/new", &with(fields, "closes_which", "second"));
    assert_eq!(saved.status, 303);
}

#[test]
fn options_are_added_moved_and_removed_without_scripts() {
    let browser = Browser::signed_in();
    let page = browser.post("/polls/new", &with(lunch(), "do", "add"));
    assert_eq!(page.status, 200);
    assert_eq!(page.body.matches("name=\"label\"").count(), 3);
    assert!(page.body.contains(r#"id="label-2" name="label" type="text" maxlength="200" dir="auto" value="" autocomplete="off" autofocus"#));
    let page = browser
        .post("/polls/new", &with(lunch(), "do", "up-1"))
        .body;
    assert!(page.find("value=\"Soup\"") < page.find("value=\"Rice\""));
    let page = browser
        .post("/polls/new", &with(lunch(), "do", "remove-0"))
        .body;
    assert!(!page.contains("value=\"Rice\"") && page.contains("value=\"Soup\""));
}

#[test]
fn a_poll_has_up_to_63_options_with_the_longest_texts() {
    let browser = Browser::signed_in();
    // Three bytes a character, and nine percent-encoded.
    let long = "\u{4e00}".repeat(198);
    let labels: Vec<_> = (10..73).map(|number| format!("{long}{number}")).collect();
    let about = "\u{4e00}".repeat(2_000);
    let mut fields = vec![
        ("title", "So many?"),
        ("max_choices", "63"),
        ("results", "always"),
        ("do", "save"),
    ];
    for label in &labels {
        fields.extend([("label", label.as_str()), ("option", ""), ("about", &about)]);
    }
    let saved = browser.post("/polls/new", &fields);
    assert_eq!(saved.header("location"), "/polls/so-many?done=draft-saved");
    let form = browser.get("/polls/so-many/edit").body;
    assert_eq!(form.matches("name=\"label\"").count(), 63);
    assert!(!form.contains("Add an option"));
    fields.extend([("label", "One more"), ("option", ""), ("about", "")]);
    let refused = browser.post("/polls/new", &fields);
    assert!(refused.body.contains("A poll has at most 63 options."));
}

#[test]
fn a_lost_update_is_refused_and_both_versions_are_shown() {
    let browser = Browser::signed_in();
    let edit = |title: &'static str, revision: &'static str| {
        let fields = [
            ("title", title),
            ("label", "Cats"),
            ("option", "a"),
            ("about", ""),
            ("label", "Dogs"),
            ("option", "b"),
            ("about", ""),
            ("max_choices", "1"),
            ("results", "always"),
            ("listed", "yes"),
            ("revision", revision),
            ("do", "save"),
        ];
        browser.post("/polls/cats-vs-dogs/edit", &fields)
    };
    assert_eq!(edit("First", "0").status, 303);
    let refused = edit("Second", "0");
    assert_eq!(refused.status, 412);
    for text in [
        "Somebody else has changed this poll meanwhile.",
        r#"<td dir="auto">First</td><td dir="auto">Second</td>"#,
        r#"name="revision" value="1""#,
    ] {
        assert!(refused.body.contains(text), "{text} in {}", refused.body);
    }
    assert_eq!(edit("Second", "1").status, 303);
    assert!(browser.get("/polls/cats-vs-dogs").body.contains("Second"));
}

#[test]
fn what_was_typed_survives_the_end_of_a_session() {
    let browser = Browser::new(Services::start());
    let asked = browser.post("/polls/new", &with(lunch(), "do", "save"));
    assert_eq!(asked.status, 401);
    assert!(
        asked
            .body
            .contains(r#"<input type="hidden" name="title" value="What is for lunch?">"#)
    );
    assert!(asked.body.contains(r#"action="/polls/new""#));
    let fields = with(with(lunch(), "do", "save"), "sign_in_token", "wrong");
    assert_eq!(browser.post("/polls/new", &fields).status, 401);
    let fields = with(fields, "sign_in_token", OPERATOR_TOKEN);
    let saved = browser.post("/polls/new", &fields);
    assert_eq!(
        saved.header("location"),
        "/polls/what-is-for-lunch?done=draft-saved"
    );
    assert!(saved.header("set-cookie").starts_with("host="));
}

#[test]
fn a_poll_is_closed_archived_and_deleted_once_its_id_is_typed() {
    let browser = Browser::signed_in();
    let asked = browser.get("/polls/many/close").body;
    assert!(asked.contains("cannot be opened again"));
    let wrong = browser.post("/polls/many/close", &[("confirm", "cats")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("enter many"));
    assert!(browser.get("/polls/many").body.contains("pill open"));
    let closed = browser.post("/polls/many/close", &[("confirm", " many ")]);
    assert_eq!(closed.header("location"), "/polls/many?done=closed");
    voting_testing::await_some("the end of the count", || {
        let page = browser.get("/polls/many").body;
        page.contains("pill final").then_some(())
    });
    let recount = browser.post("/polls/many/recount", &[]);
    assert!(recount.body.contains("The result is the same."));
    let archived = browser.post("/polls/many/archive", &[("archived", "yes")]);
    assert_eq!(archived.header("location"), "/polls/many?done=archived");
    assert!(browser.get("/?show=archived").body.contains("/polls/many"));
    let taken_out = browser.post("/polls/many/archive", &[("archived", "no")]);
    assert_eq!(taken_out.header("location"), "/polls/many?done=unarchived");
    let asked = browser.get("/polls/many").body;
    assert!(asked.contains("/polls/many/forget-voters"));
    let meaning = browser.get("/polls/many/forget-voters").body;
    assert!(meaning.contains("cannot be undone"), "{meaning}");
    let wrong = browser.post("/polls/many/forget-voters", &[("confirm", "cats")]);
    assert_eq!(wrong.status, 422);
    let forgotten = browser.post("/polls/many/forget-voters", &[("confirm", "many")]);
    assert_eq!(
        forgotten.header("location"),
        "/polls/many?done=voters-forgotten"
    );
    let without = browser.get("/polls/many?done=voters-forgotten").body;
    assert!(without.contains("The voters of the poll are forgotten."));
    assert!(without.contains("The voters are forgotten since"));
    assert!(!without.contains("/polls/many/forget-voters"));
    let deleted = browser.post("/polls/many/delete", &[("confirm", "many")]);
    assert_eq!(deleted.header("location"), "/?done=deleted");
    assert_eq!(browser.get("/polls/many").status, 404);
    let taken = with(with(lunch(), "id", "many"), "do", "save");
    let refused = browser.post("/polls/new", &taken);
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("its id cannot be used again"));
}

#[test]
fn a_draft_is_published_only_as_it_was_seen() {
    let browser = Browser::signed_in();
    browser.poll("draft", |_| (), true);
    let seen = [("revision", "7")];
    assert_eq!(browser.post("/polls/draft/publish", &seen).status, 412);
    let seen = [("revision", "0")];
    let published = browser.post("/polls/draft/publish", &seen);
    assert_eq!(published.header("location"), "/polls/draft?done=published");
}

#[test]
fn dead_letters_are_listed() {
    let browser = Browser::signed_in();
    assert!(browser.get("/dead-letters").body.contains("There is none."));
    browser.services.push(b"poison");
    browser.services.settle();
    let page = browser.get("/dead-letters").body;
    assert!(page.contains("malformed"), "{page}");
    let (_, rest) = page
        .split_once("action=\"/dead-letters/")
        .expect("a button");
    let (position, _) = rest.split_once("/replay\"").expect("a position");
    let refused = browser.post(&format!("/dead-letters/{position}/replay"), &[]);
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("malformed:"), "{}", refused.body);
    assert!(browser.get("/dead-letters").body.contains(position));
    let none = browser.post("/dead-letters/0-1-0/replay", &[]);
    assert_eq!(none.status, 404);
}

#[test]
fn a_dead_letter_is_counted_once_its_cause_is_mended() {
    let browser = Browser::signed_in();
    let mut entry = voting_core::log::entry::EntryBuilder::default();
    entry.push(&Ballot {
        poll: "later".parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("a choice"),
        rules: None,
    });
    browser.services.push(&entry.finish().payload);
    browser.services.settle();
    let page = browser.get("/dead-letters").body;
    assert!(page.contains("There is no such poll."), "{page}");
    browser.poll("later", |_| (), false);
    let (_, rest) = page
        .split_once("action=\"/dead-letters/")
        .expect("a button");
    let (position, _) = rest.split_once("/replay\"").expect("a position");
    let counted = browser.post(&format!("/dead-letters/{position}/replay"), &[]);
    assert_eq!(counted.header("location"), "/dead-letters?done=replayed");
    let page = browser.get("/dead-letters?done=replayed").body;
    assert!(page.contains("There is none."), "{page}");
    assert_eq!(browser.services.votes("later"), [1, 0]);
    let log = browser.get("/audit").body;
    assert!(log.contains("Dead letter counted"), "{log}");
}

#[test]
fn results_and_ballots_are_taken_out_as_files() {
    let browser = Browser::signed_in();
    let vote = format!("{}/polls/cats-vs-dogs", browser.services.vote);
    send("POST", &vote, &[FORM], b"vote=a");
    browser.services.settle();
    let page = browser.get("/polls/cats-vs-dogs").body;
    for (file, is_there) in [
        ("/export/tally.csv\"", true),
        ("/export/tally.json\"", true),
        ("/polls/cats-vs-dogs/export\"", false),
    ] {
        assert_eq!(page.contains(file), is_there, "{file} in {page}");
    }
    let tally = browser.get("/polls/cats-vs-dogs/export/tally.csv");
    assert_eq!(tally.header("content-type"), "text/csv; charset=utf-8");
    let disposition = tally.header("content-disposition");
    assert_eq!(
        disposition,
        "attachment; filename=\"tally-cats-vs-dogs.csv\""
    );
    assert!(tally.body.contains("a,Cats,1,"), "{}", tally.body);
    let tally = browser.get("/polls/cats-vs-dogs/export/tally.json").json();
    assert_eq!(tally["voters"], 1);
    // Ballots can still change.
    let early = browser.get("/polls/cats-vs-dogs/export/ballots.csv");
    assert_eq!(early.status, 409);
    let page = browser.get("/polls/cats-vs-dogs/export").body;
    assert!(page.contains("once the poll is closed"), "{page}");

    let confirmed = [("confirm", "cats-vs-dogs")];
    browser.post("/polls/cats-vs-dogs/close", &confirmed);
    voting_testing::await_some("the end of the count", || {
        let page = browser.get("/polls/cats-vs-dogs").body;
        page.contains("/polls/cats-vs-dogs/export\"").then_some(())
    });
    let page = browser.get("/polls/cats-vs-dogs/export").body;
    assert!(page.contains("There is only 1 ballot."), "{page}");
    let ballots = browser.get("/polls/cats-vs-dogs/export/ballots.csv");
    assert_eq!(ballots.body, "choice\r\na\r\n");
    let ballots = browser.get("/polls/cats-vs-dogs/export/ballots.json");
    assert_eq!(ballots.json()["ballots"], serde_json::json!([["a"]]));
    let log = browser.get("/audit.csv?poll=cats-vs-dogs");
    assert_eq!(log.body.matches("poll.exported").count(), 2, "{}", log.body);
    let name = "attachment; filename=\"audit-log.csv\"";
    assert_eq!(log.header("content-disposition"), name);
    assert_eq!(browser.get("/audit.csv?poll=A%20B").status, 422);
}

#[test]
fn a_preview_is_the_page_of_voters_where_nothing_can_be_sent() {
    let browser = Browser::signed_in();
    let preview = browser.post("/polls/new", &with(lunch(), "do", "preview"));
    assert_eq!(preview.status, 200);
    for text in [
        "This is a preview",
        "<fieldset disabled>",
        "What is for lunch?",
        "Hot",
    ] {
        assert!(preview.body.contains(text), "{text} in {}", preview.body);
    }
    assert!(!preview.body.contains("vote.js"));
    // Nothing was saved.
    assert_eq!(browser.get("/polls/what-is-for-lunch").status, 404);
    let wrong = with(with(lunch(), "title", ""), "do", "preview");
    assert_eq!(browser.post("/polls/new", &wrong).status, 422);
    browser.poll("draft", |_| (), true);
    let stored = browser.get("/polls/draft/preview").body;
    assert!(stored.contains("This is a preview"));
    let vote = format!("{}/polls/many", browser.services.vote);
    assert!(!get(&vote, &[BROWSER]).body.contains("<fieldset disabled>"));
}

#[test]
fn the_audit_log_begins_with_the_newest_entry_and_has_pages() {
    let browser = Browser::signed_in();
    for number in 0..230 {
        let note = AuditNote {
            by: "anna".to_owned(),
            action: format!("test-{number}-"),
            poll: (number % 4 == 1).then(|| "lunch".parse().expect("an id")),
            before: None,
            after: None,
        };
        let added = browser.services.memory.add_to_audit_log(&note);
        browser.services.block_on(added).expect("added");
    }
    let read = |query: &str| {
        let (mut all, mut pages) = (Vec::new(), 0);
        let mut next = Some(format!("/audit{query}"));
        while let Some(at) = next {
            let page = browser.get(&at).body;
            let entries = page.split("<b>test-").skip(1);
            all.extend(entries.map(|rest| {
                let (number, _) = rest.split_once('-').expect("its end");
                number.parse::<u32>().expect("a number")
            }));
            pages += 1;
            let link = page.split("rel=\"next\" href=\"").nth(1);
            let link = link.map(|rest| rest.split('"').next().expect("its end"));
            next = link.map(|link| link.replace("&#38;", "&").replace("&amp;", "&"));
        }
        (all, pages)
    };
    let whole: Vec<_> = (0..230).rev().collect();
    assert_eq!(read(""), (whole, 5));
    let of_lunch: Vec<_> = (0..230).rev().filter(|number| number % 4 == 1).collect();
    assert_eq!(read("?poll=lunch"), (of_lunch, 2));
    let none = browser.get("/audit?poll=none").body;
    assert!(none.contains("There is no entry of this poll."), "{none}");
}
