//! Who sees which poll, and which result.

mod support;

use support::{
    Answer, BROWSER, FORM, JSON, Services, Setup, any_event, events, first_piece, get, poll, send,
};
use voting_core::{
    PollId, PollStore, Worker, WorkerOptions,
    model::{
        moment::Moment,
        poll::{ChangeTo, OptionOrder, PollChange, PollSettings, ShowResults},
        poll_state::{PollState, Seals},
    },
    pipeline::schedule,
};
use voting_testing::await_some;

const HIDDEN: &str = "urn:voting:problem:result-hidden";

/// Stores a poll with three options and these settings.
fn put(services: &Services, id: &str, change: impl FnOnce(&mut PollSettings)) {
    let mut settings = PollSettings::default();
    change(&mut settings);
    let poll = poll(id, &[("a", "Cats"), ("b", "Dogs"), ("c", "Cows")], 1);
    let poll = poll.with_settings(settings).expect("settings");
    let change = PollChange::new(poll.id().clone(), ChangeTo::Put(Box::new(poll)));
    let stored = services.block_on(services.memory.change_poll(&change, "test"));
    stored.expect("stored");
    let log = &services.memory;
    services
        .block_on(schedule::round(log, log))
        .expect("the log has the times");
}

fn change(services: &Services, id: &str, to: ChangeTo) {
    let change = PollChange::new(id.parse().expect("an id"), to);
    let changed = services.block_on(services.memory.change_poll(&change, "test"));
    changed.expect("changed");
}

fn close(services: &Services, id: &str) {
    let closing = PollState::Closing(Seals::default());
    change(services, id, ChangeTo::State(closing));
    let id: PollId = id.parse().expect("an id");
    await_some("the poll is final", || {
        use voting_core::PollDirectory;
        let poll = services.block_on(services.memory.poll(&id)).expect("read");
        poll.expect("a poll").state().is_final().then_some(())
    });
}

fn in_seconds(seconds: u64) -> Option<Moment> {
    Moment::from_unix_ms(Moment::now().unix_ms() + seconds * 1_000)
}

/// Casts as a program. Waits until the services know the poll.
fn cast(services: &Services, poll: &str, choice: &str, cookie: &str) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let body = format!(r#"{{"choices":["{choice}"]}}"#);
    let headers = [JSON, ("cookie", cookie)];
    await_some("the poll is found", || {
        let answer = send("PUT", &url, &headers, body.as_bytes());
        (answer.status != 404).then_some(answer)
    })
}

#[test]
fn a_poll_that_is_not_listed_is_reached_by_its_address_only() {
    let services = Services::start();
    put(&services, "quiet-poll", |settings| settings.listed = false);
    put(&services, "old-poll", |_| {});
    close(&services, "old-poll");
    change(&services, "old-poll", ChangeTo::Archived(true));
    let draft = poll("draft-poll", &[("a", "A"), ("b", "B")], 1).as_draft();
    services
        .block_on(services.memory.put_poll(&draft))
        .expect("stored");
    put(&services, "loud-poll", |_| {});
    await_some("the newest poll is there", || {
        let found = get(&format!("{}/polls/loud-poll", services.result), &[]);
        (found.status == 200).then_some(())
    });
    for service in [&services.vote, &services.result] {
        for path in ["/polls", "/", "/polls/many", "/v1/polls"] {
            let list = get(&format!("{service}{path}"), &[BROWSER]).body;
            for hidden in ["quiet-poll", "old-poll", "draft-poll"] {
                assert!(!list.contains(hidden), "{service}{path}: {list}");
            }
        }
        assert!(
            get(&format!("{service}/polls"), &[])
                .body
                .contains("loud-poll")
        );
        for (poll, status) in [("quiet-poll", 200), ("old-poll", 200), ("draft-poll", 404)] {
            let page = get(&format!("{service}/polls/{poll}"), &[BROWSER]);
            assert_eq!(page.status, status, "{service} {poll}");
            // A page of such a poll leads to the others.
            if status == 200 {
                assert!(page.body.contains("All polls"), "{}", page.body);
            }
        }
    }
    for path in [
        "/polls/draft-poll",
        "/polls/draft-poll/state",
        "/polls/draft-poll/result",
        "/v1/polls/draft-poll",
    ] {
        let answer = get(&format!("{}{path}", services.vote), &[]);
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in [
        "/polls/draft-poll/live",
        "/polls/draft-poll/live.json",
        "/v1/polls/draft-poll/tally",
        "/v1/polls/draft-poll/tally/events",
    ] {
        let answer = get(&format!("{}{path}", services.result), &[]);
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(cast(&services, "loud-poll", "a", "").status, 202);
    let draft = format!("{}/v1/polls/draft-poll/ballot", services.vote);
    let refused = send("PUT", &draft, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(refused.status, 404);
}

#[test]
fn a_hidden_result_says_why_and_until_when() {
    let services = Services::start();
    put(&services, "later", |settings| {
        settings.results = ShowResults::AfterClose;
        settings.closes_at = Some("2999-11-27T18:00:00+01:00".parse().expect("a moment"));
        settings.time_zone = Some("Europe/Berlin".to_owned());
    });
    cast(&services, "later", "a", "");
    services.settle();
    let tally = format!("{}/v1/polls/later/tally", services.result);
    let problem = await_some("the vote is counted", || {
        let answer = get(&tally, &[]);
        assert_eq!(answer.status, 403, "{}", answer.body);
        (answer.json()["voters"] == 1).then_some(answer.json())
    });
    assert_eq!(problem["type"], HIDDEN);
    assert_eq!(problem["closes_at"], "2999-11-27T17:00:00Z");
    let words = "The result is shown when the poll has closed. It closes on Wednesday, 27 November 2999, \
                 18:00 (Europe/Berlin).";
    assert_eq!(problem["detail"], words);
    let page = get(&format!("{}/polls/later", services.result), &[BROWSER]);
    assert_eq!(page.status, 403);
    assert!(page.body.contains(words), "{}", page.body);
    assert!(page.body.contains("1 voter"), "{}", page.body);
}

/// Its time is over, and a vote that was taken before is not counted yet, since no worker runs.
#[test]
fn a_poll_whose_time_is_over_says_that_votes_are_being_counted_until_it_is_final() {
    let services = Services::start();
    let closes_at = in_seconds(3);
    for (id, results) in [
        ("always", ShowResults::Always),
        ("after-close", ShowResults::AfterClose),
    ] {
        put(&services, id, |settings| {
            (settings.results, settings.closes_at) = (results, closes_at);
        });
        assert_eq!(cast(&services, id, "a", "").status, 202);
    }
    services.settle();
    services.block_on(services.worker.clone().stop());
    for id in ["always", "after-close"] {
        assert_eq!(cast(&services, id, "b", "").status, 202, "it closes later");
    }
    let page = |id: &str| get(&format!("{}/polls/{id}", services.result), &[BROWSER]);
    let words = "Voting has ended. The last votes are being counted.";
    let shown = await_some("the result page says so", || {
        let page = page("always");
        page.body.contains(words).then_some(page)
    });
    assert!(Moment::now() >= closes_at.expect("a moment"), "too early");
    assert_eq!(shown.status, 200);
    assert!(!shown.body.contains("Voting is open"), "{}", shown.body);
    let is_final = "<span id=\"live-text\">Final</span>";
    assert!(!shown.body.contains(is_final), "{}", shown.body);
    let late = cast(&services, "always", "c", "");
    assert_eq!(late.status, 409);
    assert_eq!(late.json()["type"], "urn:voting:problem:poll-closed");
    let tally = |id: &str| get(&format!("{}/v1/polls/{id}/tally", services.result), &[]);
    let told = tally("always");
    assert_eq!(told.json()["state"], "closing", "{}", told.body);
    assert_eq!(told.json()["voters"], 1, "{}", told.body);
    let hidden = page("after-close");
    assert_eq!(hidden.status, 403);
    let then = format!("{words} Then the result is shown.");
    assert!(hidden.body.contains(&then), "{}", hidden.body);
    let hidden = tally("after-close");
    assert_eq!(hidden.status, 403);
    assert_eq!(hidden.json()["closes_at"], serde_json::Value::Null);

    let worker = services.block_on(async {
        let memory = std::sync::Arc::new(services.memory.clone());
        let queue = std::sync::Arc::new(memory.queue());
        Worker::new(queue, memory.clone(), memory, WorkerOptions::default()).start()
    });
    for id in ["always", "after-close"] {
        let page = await_some("the result is final", || {
            let page = page(id);
            (page.status == 200 && page.body.contains(is_final)).then_some(page)
        });
        assert!(page.body.contains("2 voters"), "{}", page.body);
    }
    services.block_on(worker.stop());
}

#[test]
fn who_has_voted_gets_a_grant_for_the_result_of_this_poll() {
    let services = Services::start();
    for id in ["granted", "other"] {
        put(&services, id, |settings| {
            settings.results = ShowResults::AfterVote;
        });
    }
    let cast_one = cast(&services, "granted", "a", "");
    let grant = cast_one.json()["grant"].as_str().expect("one").to_owned();
    services.settle();
    let tally = |poll: &str, headers: &[(&str, &str)]| {
        get(
            &format!("{}/v1/polls/{poll}/tally", services.result),
            headers,
        )
    };
    let granted = ("result-grant", grant.as_str());
    assert_eq!(tally("granted", &[]).status, 403);
    assert_eq!(tally("other", &[granted]).status, 403);
    assert_eq!(tally("granted", &[("result-grant", "x")]).status, 403);
    assert_eq!(tally("granted", &[granted, granted]).status, 400);
    await_some("the vote is counted", || {
        let shown = tally("granted", &[granted]);
        assert_eq!(shown.status, 200, "{}", shown.body);
        (shown.json()["options"][0]["votes"] == 1).then_some(())
    });
    let url = format!("{}/v1/polls/granted/tally/events", services.result);
    assert_eq!(first_piece(&url, &[]).0, 403);
    let (status, event) = first_piece(&url, &[granted]);
    assert_eq!(status, 200);
    assert!(event.contains("event: tally"), "{event}");
    // A browser gets a cookie for the grant, at an address without it.
    let page = format!("{}/polls/granted", services.result);
    let exchanged = get(&format!("{page}?grant={grant}"), &[BROWSER]);
    assert_eq!(exchanged.status, 303);
    assert_eq!(exchanged.header("location"), "/polls/granted");
    assert_eq!(exchanged.header("referrer-policy"), "no-referrer");
    let set = exchanged.header("set-cookie");
    assert!(set.ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{set}");
    assert!(!set.contains(&grant), "{set}");
    let cookie = exchanged.cookie();
    let with = [BROWSER, ("cookie", cookie.as_str())];
    assert_eq!(get(&page, &with).status, 200);
    assert_eq!(get(&page, &[BROWSER]).status, 403);
    for path in ["/live.json", "/live"] {
        let url = format!("{page}{path}");
        assert_eq!(first_piece(&url, &with).0, 200, "{path}");
        assert_eq!(first_piece(&url, &[]).0, 403, "{path}");
    }
    let other = format!("{}/polls/other", services.result);
    assert_eq!(get(&other, &with).status, 403);
    // What is no grant of this poll gives no cookie.
    for (poll, grant) in [("other", grant.as_str()), ("granted", "x"), ("granted", "")] {
        let url = format!("{}/polls/{poll}?grant={grant}", services.result);
        let answer = get(&url, &[BROWSER]);
        assert_eq!(answer.status, 303, "{url}");
        assert_eq!(answer.header("set-cookie"), "", "{url}");
    }
}

#[test]
fn the_voting_page_sends_who_has_voted_to_the_result_with_a_grant() {
    let services = Services::start();
    put(&services, "granted", |settings| {
        settings.results = ShowResults::AfterVote;
    });
    let page = format!("{}/polls/granted", services.vote);
    let visitor = await_some("the poll is found", || {
        let page = get(&page, &[BROWSER]);
        (page.status == 200).then_some(page)
    });
    assert!(
        visitor.body.contains("\"/polls/granted/result\""),
        "{}",
        visitor.body
    );
    let voter = visitor.cookie();
    let way = format!("{page}/result");
    let before = get(&way, &[BROWSER, ("cookie", &voter)]);
    let there = before.header("location").to_owned();
    assert!(there.ends_with("/polls/granted"), "{there}");
    let headers = [
        FORM,
        BROWSER,
        ("sec-fetch-mode", "navigate"),
        ("cookie", &voter),
    ];
    let voted = send("POST", &page, &headers, b"vote=a");
    assert_eq!(voted.status, 303, "{}", voted.body);
    let both = format!("{voter}; {}", voted.cookie());
    let after = get(&way, &[BROWSER, ("cookie", &both)]);
    let with_grant = after.header("location");
    let grant = with_grant.strip_prefix(&format!("{there}?grant="));
    let page = format!(
        "{}/polls/granted?grant={}",
        services.result,
        grant.expect("a grant")
    );
    assert!(
        get(&page, &[BROWSER])
            .header("set-cookie")
            .starts_with("result-")
    );
}

#[test]
fn a_stream_ends_when_its_result_is_hidden() {
    let services = Services::start();
    let at = in_seconds(3_600);
    put(&services, "later", |settings| settings.opens_at = at);
    let path = "/v1/polls/later/tally/events";
    await_some("the poll is found", || {
        let url = format!("{}/polls/later", services.result);
        (get(&url, &[]).status == 200).then_some(())
    });
    let mut viewer = events(&services.result, path);
    assert_eq!(any_event(&mut viewer).expect("a tally").name, "tally");
    put(&services, "later", |settings| {
        settings.opens_at = at;
        settings.results = ShowResults::Host;
    });
    let event = await_some("the result is hidden", || any_event(&mut viewer));
    assert_eq!(event.name, "hidden");
    assert_eq!(event.data["type"], HIDDEN);
    assert_eq!(any_event(&mut viewer), None);
}

#[test]
fn a_poll_that_is_not_open_yet_says_when_it_opens_and_takes_no_vote() {
    let services = Services::start();
    put(&services, "later", |settings| {
        settings.opens_at = in_seconds(3_600);
        settings.revote = false;
    });
    let refused = cast(&services, "later", "a", "");
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert_eq!(refused.json()["type"], "urn:voting:problem:poll-not-open");
    let url = format!("{}/polls/later", services.vote);
    let screen = get(
        &format!("{}/polls/later/present", services.result),
        &[BROWSER],
    );
    let opens = "<p class=\"opens\">This poll opens on ";
    assert!(screen.body.contains(opens), "{}", screen.body);
    let page = get(&url, &[BROWSER]);
    assert!(page.body.contains("This poll opens on "), "{}", page.body);
    assert!(page.body.contains("disabled>"), "{}", page.body);
    assert!(page.body.contains("data-opens="), "{}", page.body);
    let cookie = page.cookie();
    let told = send(
        "POST",
        &url,
        &[FORM, BROWSER, ("cookie", &cookie)],
        b"vote=a",
    );
    assert_eq!(told.status, 409);
    let words = "This poll is not open yet. Your vote was not stored.";
    assert!(told.body.contains(words), "{}", told.body);
    assert!(
        !told.body.to_lowercase().contains("change"),
        "{}",
        told.body
    );
    assert_eq!(services.votes("later"), [0, 0, 0]);
}

#[test]
fn where_the_first_vote_counts_the_answers_say_so() {
    let services = Services::start();
    put(&services, "once", |settings| settings.revote = false);
    let first = cast(&services, "once", "a", "");
    let note = "Received. If you voted before, your first vote counts.";
    assert_eq!(first.json()["note"], note);
    let cookie = first.cookie();
    let again = cast(&services, "once", "b", &cookie);
    assert_eq!(
        (again.status.as_u16(), &again.json()["note"]),
        (202, &note.into())
    );
    let url = format!("{}/polls/once", services.vote);
    let told = send("POST", &url, &[FORM, ("cookie", &cookie)], b"vote=c");
    assert_eq!(told.body.lines().next(), Some(note));
    assert_eq!(services.votes("once"), [1, 0, 0]);
    assert!(
        cast(&services, "many", "a", "")
            .json()
            .get("note")
            .is_none()
    );
}

#[test]
fn a_shuffled_poll_has_an_order_for_each_voter_and_the_api_that_of_the_poll() {
    let services = Services::start();
    put(&services, "mixed", |settings| {
        settings.order = OptionOrder::Shuffled;
    });
    let url = format!("{}/polls/mixed", services.vote);
    let order = |page: &str| {
        let mut places = ["a", "b", "c"].map(|id| (page.find(&format!("value=\"{id}\"")), id));
        places.sort_unstable();
        places.map(|(place, id)| place.map(|_| id).expect("it is there"))
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let page = await_some("the poll is found", || {
            let page = get(&url, &[BROWSER]);
            (page.status == 200).then_some(page)
        });
        let again = get(&url, &[BROWSER, ("cookie", &page.cookie())]);
        assert_eq!(order(&page.body), order(&again.body));
        seen.insert(order(&page.body));
        let state = get(&format!("{url}/state"), &[("cookie", &page.cookie())]);
        assert_eq!(state.json()["ids"], serde_json::json!(["a", "b", "c"]));
    }
    assert!(seen.len() > 2, "{seen:?}");
    let api = get(&format!("{}/v1/polls/mixed", services.vote), &[]);
    assert_eq!(api.json()["options"][0]["id"], "a");
}

#[test]
fn descriptions_are_paragraphs_with_links_and_nothing_else() {
    let services = Services::set_up(|_| Setup::default());
    put(&services, "told", |settings| {
        settings.description =
            "See https://a.test/x?y=1&z.\n\n<b>Two</b> javascript:alert(1)".to_owned();
        let option = "b".parse().expect("an id");
        settings
            .option_descriptions
            .insert(option, "<i>More</i> of it".to_owned());
        settings.language = Some("ar".to_owned());
    });
    for service in [&services.vote, &services.result] {
        let page = await_some("the poll is found", || {
            let page = get(&format!("{service}/polls/told"), &[BROWSER]);
            (page.status == 200).then_some(page.body)
        });
        let link = "<a href=\"https://a.test/x?y=1&#38;z\" rel=\"nofollow noopener\">";
        assert!(page.contains(link), "{page}");
        assert!(
            page.contains("&#60;b&#62;Two&#60;/b&#62; javascript:alert(1)</p>"),
            "{page}"
        );
        assert!(!page.contains("<i>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("lang=\"ar\" dir=\"rtl\">Cats"), "{page}");
    }
}

/// The page of a poll, as a browser with this cookie sees it once it has these words.
fn vote_page(services: &Services, poll: &str, cookie: &str, words: &str) -> String {
    let url = format!("{}/polls/{poll}", services.vote);
    await_some(words, || {
        let page = get(&url, &[BROWSER, ("cookie", cookie)]);
        assert_eq!(page.status, 200);
        page.body.contains(words).then_some(page.body)
    })
}

#[test]
fn the_page_of_a_closed_poll_shows_the_result_and_marks_the_vote() {
    let services = Services::start();
    put(&services, "open", |_| {});
    put(&services, "end", |settings| {
        settings.results = ShowResults::AfterClose;
    });
    put(&services, "host", |settings| {
        settings.results = ShowResults::Host
    });
    for id in ["open", "end", "host"] {
        for choice in ["a", "b"] {
            assert_eq!(cast(&services, id, choice, "").status, 202);
        }
    }
    let url = format!("{}/polls/end", services.vote);
    let voter = get(&url, &[BROWSER]).cookie();
    let page = get(&url, &[BROWSER, ("cookie", &voter)]).body;
    let tag = page.split("name=\"voter\" value=\"").nth(1).expect("a tag");
    let form = format!("vote=b&voter={}", tag.split('"').next().expect("an end"));
    let voted = send(
        "POST",
        &url,
        &[BROWSER, FORM, ("cookie", &voter)],
        form.as_bytes(),
    );
    assert_eq!(voted.status, 303, "{}", voted.body);
    let both = format!("{voter}; {}", voted.cookie());
    services.settle();
    let open = vote_page(&services, "open", "", "id=\"ballot\"");
    assert!(!open.contains("id=\"rows\""), "{open}");
    for id in ["end", "host"] {
        close(&services, id);
    }

    let shown = vote_page(&services, "end", &both, "Dogs wins with 2 of 3.");
    assert!(
        shown.contains("<li class=\"row leading yours\" data-option=\"b\""),
        "{shown}"
    );
    assert!(shown.contains("66.7%"), "{shown}");
    // Nothing to click that does nothing, and nothing to load for it.
    for gone in ["id=\"ballot\"", "/assets/vote.js", "class=\"mark\""] {
        assert!(!shown.contains(gone), "{gone}: {shown}");
    }
    let others = vote_page(&services, "end", "", "Dogs wins with 2 of 3.");
    assert!(!others.contains(" yours\""), "{others}");

    let hidden = vote_page(
        &services,
        "host",
        "",
        "Only the host of this poll sees its result.",
    );
    assert!(
        !hidden.contains('%') && !hidden.contains("id=\"rows\""),
        "{hidden}"
    );
    assert!(!hidden.contains("See results"), "{hidden}");
}

#[test]
fn a_vote_service_without_a_store_links_to_the_result() {
    let services = Services::set_up(|_| Setup {
        vote_reads_results: false,
        ..Setup::default()
    });
    put(&services, "end", |settings| {
        settings.results = ShowResults::AfterClose;
    });
    assert_eq!(cast(&services, "end", "a", "").status, 202);
    services.settle();
    close(&services, "end");
    let page = vote_page(&services, "end", "", "class=\"primary\" href=");
    assert!(page.contains("/polls/end\">See results"), "{page}");
    assert!(!page.contains("id=\"rows\""), "{page}");
}
