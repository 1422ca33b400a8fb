//! Showing results, over HTTP.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use support::{BROWSER, Event, FORM, Services, Setup, any_event, events, get, next_event, send};
use voting_core::{
    Poll, PollDirectory, PollId, PollStore, Receipt, ReceiptState, StoreError, Tally, TallyStore,
    backends::memory::Memory,
    model::{
        moment::Moment,
        new_voters::NewVoters,
        poll::{PollSettings, ShowResults},
        tally::Recount,
        vote_history::VoteHistory,
    },
};
use voting_testing::await_some;

const EVENTS: &str = "/v1/polls/cats-vs-dogs/tally/events";

fn tally(services: &Services) -> String {
    get(
        &format!("{}/v1/polls/cats-vs-dogs/tally", services.result),
        &[],
    )
    .body
}

#[test]
fn the_tally_has_the_shape_that_clients_rely_on() {
    let services = Services::start();
    for vote in ["vote=a", "vote=a", "vote=b"] {
        send("POST", &services.vote, &[FORM], vote.as_bytes());
        services.settle();
    }
    assert_eq!(
        tally(&services),
        r#"{"poll":"cats-vs-dogs","state":"open","version":3,"voters":3,"options":[{"id":"a","label":"Cats","votes":2},{"id":"b","label":"Dogs","votes":1}]}"#
    );
}

#[test]
fn a_viewer_gets_a_snapshot_and_then_each_change() {
    let services = Services::start();
    let mut viewer = events(&services.result, EVENTS);
    let (id, snapshot) = next_event(&mut viewer).expect("a snapshot");
    assert_eq!((id, &snapshot["voters"]), (0, &0.into()));
    send("POST", &services.vote, &[FORM], b"vote=b");
    let (id, change) = next_event(&mut viewer).expect("a change");
    assert_eq!(
        (id, &change["voters"], &change["version"]),
        (1, &1.into(), &1.into())
    );
    assert_eq!(change["options"][1]["votes"], 1);
    // Who comes later begins with what there is.
    let mut late = events(&services.result, EVENTS);
    assert_eq!(next_event(&mut late).expect("a snapshot"), (1, change));
}

#[test]
fn streams_end_when_the_service_stops_and_it_stops_at_once() {
    let services = Services::start();
    let mut viewers: Vec<_> = (0..20).map(|_| events(&services.result, EVENTS)).collect();
    for viewer in &mut viewers {
        next_event(viewer).expect("a snapshot");
    }
    let metrics = || get(&format!("{}/metrics", services.result), &[]).body;
    assert!(metrics().contains("voting_viewers 20"), "{}", metrics());
    assert!(
        metrics().contains("voting_tally_look_ups_total"),
        "{}",
        metrics()
    );
    let asked = Instant::now();
    services.stop.cancel();
    for viewer in &mut viewers {
        assert_eq!(next_event(viewer), None);
    }
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "not only when the drain time is over"
    );
}

/// Counts how often the store is asked.
struct Counting {
    memory: Memory,
    asked: AtomicU64,
}

#[async_trait]
impl TallyStore for Counting {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.memory.tally(poll).await
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        self.memory.receipt_state(receipt).await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.memory.recount(poll).await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        self.memory.new_voters(poll, before, limit).await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        self.memory.vote_history(poll).await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A store that answers, fails or hangs, as it is told to.
struct Troubled {
    memory: Memory,
    trouble: AtomicU64,
}

const NONE: u64 = 0;
const FAILS: u64 = 1;
const HANGS: u64 = 2;
const POLLS_FAIL: u64 = 3;

impl Troubled {
    fn has(&self, trouble: u64) {
        self.trouble.store(trouble, Ordering::Relaxed);
    }
}

#[async_trait]
impl TallyStore for Troubled {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        match self.trouble.load(Ordering::Relaxed) {
            FAILS => Err(StoreError::unavailable(
                "relation \"tallies\" does not exist",
            )),
            HANGS => std::future::pending().await,
            _ => self.memory.tally(poll).await,
        }
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        self.memory.receipt_state(receipt).await
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.memory.recount(poll).await
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        self.memory.new_voters(poll, before, limit).await
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        self.memory.vote_history(poll).await
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for Troubled {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        self.memory.poll(id).await
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        match self.trouble.load(Ordering::Relaxed) {
            POLLS_FAIL => Err(StoreError::unavailable("relation \"polls\" does not exist")),
            _ => self.memory.polls().await,
        }
    }
}

fn in_trouble() -> (Services, Arc<Troubled>) {
    let mut troubled = None;
    let services = Services::set_up(|memory| {
        let store = Arc::new(Troubled {
            memory: memory.clone(),
            trouble: AtomicU64::new(NONE),
        });
        troubled = Some(store.clone());
        Setup {
            tallies: Some(store.clone()),
            result_directory: Some(store),
            ..Setup::default()
        }
    });
    (services, troubled.expect("it was set up"))
}

/// The next event that is more than a sign of life.
fn news(viewer: &mut impl std::io::BufRead) -> Event {
    loop {
        let event = any_event(viewer).expect("an event");
        if event.name != "alive" {
            return event;
        }
    }
}

/// `stalled`, with a moment of some seconds ago at most.
fn assert_stalled(event: &Event, begun: time::OffsetDateTime) {
    assert_eq!(event.name, "stalled");
    let since = event.data["since"].as_str().expect("a moment");
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let since = time::OffsetDateTime::parse(since, rfc3339).expect("RFC 3339");
    let after = since - begun;
    let expected = time::Duration::seconds(-2)..time::Duration::seconds(20);
    assert!(expected.contains(&after), "{after}");
}

#[test]
fn in_place_of_a_hidden_result_it_is_reported_that_the_count_cannot_be_read() {
    let (services, store) = in_trouble();
    let mut settings = PollSettings::default();
    settings.results = ShowResults::AfterClose;
    let poll = Poll::builder("sealed", "Which?").option("a", "A");
    let poll = poll.option("b", "B").settings(settings).build();
    let stored = services.memory.put_poll(poll.as_ref().expect("a poll"));
    services.block_on(stored).expect("stored");
    let url = format!("{}/polls/sealed", services.result);
    let page = || get(&url, &[BROWSER]);
    let words = "The count cannot be read right now";
    await_some("the poll is known", || (page().status == 403).then_some(()));
    let known = page().body;
    assert!(
        known.contains("0 voters") && !known.contains(words),
        "{known}"
    );
    store.has(FAILS);
    let told = await_some("it is told", || {
        let page = page();
        assert_eq!(page.status, 403, "{}", page.body);
        page.body.contains(words).then_some(page.body)
    });
    assert!(told.contains("0 voters, not updated since "), "{told}");
    let followed = get(&format!("{url}/live.json"), &[]).json();
    assert!(followed["detail"].as_str().expect("a text").contains(words));
    let turnout = followed["turnout"].as_str().expect("a text");
    assert!(turnout.contains("not updated since"), "{followed}");
}

#[test]
fn viewers_learn_when_the_tally_cannot_be_read_and_since_when() {
    let (services, store) = in_trouble();
    let page = || get(&services.result, &[BROWSER]);
    let mut program = events(&services.result, EVENTS);
    let mut viewer = events(&services.result, "/polls/cats-vs-dogs/live");
    assert_eq!(news(&mut program).name, "tally");
    assert_eq!(news(&mut viewer).name, "result");
    assert!(!page().body.contains("data-state=\"stalled\""));
    let tally = format!("{}/v1/polls/cats-vs-dogs/tally", services.result);
    let latest = format!("{tally}/latest");
    let digest = get(&latest, &[]).json()["digest"]
        .as_str()
        .expect("one")
        .to_owned();
    for trouble in [FAILS, HANGS, POLLS_FAIL] {
        let begun = time::OffsetDateTime::now_utc();
        store.has(trouble);
        assert_stalled(&news(&mut program), begun);
        assert_stalled(&news(&mut viewer), begun);
        // Who comes now gets the last known tally, and is told that it is that.
        let mut late = events(&services.result, EVENTS);
        assert_eq!(news(&mut late).name, "tally");
        assert_stalled(&news(&mut late), begun);
        // Without a stream it is the same.
        let page = page();
        assert_eq!(page.status, 200);
        assert!(page.body.contains("data-state=\"stalled\""));
        assert!(page.body.contains(">Not updated since "));
        let one_piece = get(
            &format!("{}/polls/cats-vs-dogs/live.json", services.result),
            &[],
        );
        assert!(one_piece.json()["stalled_since"].is_string());
        for path in [&tally, &latest] {
            assert_eq!(get(path, &[]).status, 503, "never an older one");
        }
        // Under its own name it is never an older one.
        assert_eq!(get(&format!("{tally}/{digest}"), &[]).status, 200);

        store.has(NONE);
        for stream in [&mut program, &mut late] {
            let recovered = news(stream);
            assert_eq!((recovered.name.as_str(), recovered.id), ("tally", Some(0)));
        }
        assert_eq!(news(&mut viewer).name, "result");
    }
    let failures = get(&format!("{}/metrics", services.result), &[]).body;
    let failures = failures
        .lines()
        .find_map(|line| line.strip_prefix("voting_tally_look_up_failures_total "));
    assert!(
        failures
            .expect("it is told")
            .parse::<u64>()
            .expect("a number")
            > 0
    );
}

#[test]
fn a_service_that_can_read_no_tally_is_not_ready() {
    let (services, store) = in_trouble();
    let ready = || get(&format!("{}/readyz", services.result), &[]);
    assert_eq!(ready().status, 200);
    for (trouble, what) in [
        (FAILS, "tally store"),
        (POLLS_FAIL, "polls"),
        (HANGS, "tally store"),
    ] {
        store.has(trouble);
        let told = await_some("it is not ready", || {
            let ready = ready();
            (ready.status == 503 && ready.body.contains(what)).then_some(ready)
        });
        assert_eq!(told.json()["type"], "urn:voting:problem:not-ready");
        store.has(NONE);
        await_some("it is ready again", || {
            (ready().status == 200).then_some(())
        });
    }
}

#[test]
fn a_trouble_of_a_moment_is_not_told() {
    let (services, store) = in_trouble();
    let mut viewer = events(&services.result, EVENTS);
    assert_eq!(news(&mut viewer).name, "tally");
    let failures = || get(&format!("{}/metrics", services.result), &[]).body;
    store.has(FAILS);
    await_some("a look-up fails", || {
        let none = "voting_tally_look_up_failures_total 0\n";
        (!failures().contains(none)).then_some(())
    });
    store.has(NONE);
    send("POST", &services.vote, &[FORM], b"vote=a");
    let next = news(&mut viewer);
    assert_eq!((next.name.as_str(), next.id), ("tally", Some(1)));
}

#[test]
fn a_quiet_stream_gives_signs_of_life_that_scripts_see() {
    let services = Services::start();
    let begun = Instant::now();
    for path in [EVENTS, "/polls/cats-vs-dogs/live"] {
        let mut viewer = events(&services.result, path);
        assert_ne!(news(&mut viewer).name, "alive");
        let sign = any_event(&mut viewer).expect("a sign");
        assert_eq!((sign.name.as_str(), sign.id), ("alive", None));
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_page_and_its_stream_say_the_same_in_the_same_words() {
    let services = Services::start();
    for vote in ["vote=a", "vote=a", "vote=b"] {
        send("POST", &services.vote, &[FORM], vote.as_bytes());
    }
    services.settle();
    let shown = await_some("all is shown", || {
        let url = format!("{}/polls/cats-vs-dogs/live.json", services.result);
        let json = get(&url, &[]).json();
        (json["result"]["total"] == "3 voters").then_some(json)
    });
    assert_eq!(shown["stalled_since"], serde_json::Value::Null);
    let mut viewer = events(&services.result, "/polls/cats-vs-dogs/live");
    let event = news(&mut viewer);
    assert_eq!(event.data, shown["result"]);
    let page = get(&services.result, &[BROWSER]).body;
    let result = &event.data;
    for text in [&result["title"], &result["total"], &result["summary"]] {
        let text = format!(">{}<", text.as_str().expect("a text"));
        assert!(page.contains(&text), "{text}");
    }
    for option in result["options"].as_array().expect("a list") {
        for name in ["label", "share", "votes"] {
            let text = format!(">{}<", option[name].as_str().expect("a text"));
            assert!(page.contains(&text), "{text}");
        }
    }
}

#[test]
fn many_viewers_cost_the_store_no_more_than_one() {
    let mut counting = None;
    let services = Services::set_up(|memory| {
        let store = Arc::new(Counting {
            memory: memory.clone(),
            asked: AtomicU64::new(0),
        });
        counting = Some(store.clone());
        Setup {
            tallies: Some(store),
            ..Setup::default()
        }
    });
    let counting = counting.expect("it was set up");
    let mut viewers: Vec<_> = (0..50).map(|_| events(&services.result, EVENTS)).collect();
    let begun = Instant::now();
    let before = counting.asked.load(Ordering::Relaxed);
    for round in 1..=4 {
        send("POST", &services.vote, &[FORM], b"vote=a");
        for viewer in &mut viewers {
            while next_event(viewer).expect("a change").1["voters"] != round {}
            get(&format!("{}/", services.result), &[BROWSER]);
        }
    }
    // The shortest pause between two reads; what pages ask for has then just been read.
    let pauses = begun.elapsed().as_millis() / 50 + 1;
    let asked = counting.asked.load(Ordering::Relaxed) - before;
    assert!(
        u128::from(asked) <= pauses,
        "{asked} look-ups in {pauses} pauses"
    );
    // Nobody watches: nobody asks.
    drop(viewers);
    services.block_on(async {
        let mut asked = counting.asked.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = counting.asked.load(Ordering::Relaxed);
            if now == asked {
                break;
            }
            asked = now;
            assert!(
                Instant::now() < deadline,
                "the store is asked though nobody watches"
            );
        }
    });
}

#[test]
fn the_page_works_without_scripts() {
    let services = Services::start();
    for _ in 0..2 {
        send("POST", &services.vote, &[FORM], b"vote=a");
    }
    send("POST", &services.vote, &[FORM], b"vote=b");
    services.settle();
    let page = get(&services.result, &[BROWSER]).body;
    for part in [
        "3 voters",
        "66.7%",
        "33.3%",
        "2 votes",
        "1 vote",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let vote_port = services.vote.rsplit(':').next().unwrap();
    assert!(
        page.contains(&format!(":{vote_port}/polls/cats-vs-dogs")),
        "it links to the vote"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let services = Services::start();
    let paths = [
        "/polls/none",
        "/v1/polls/none/tally",
        "/v1/polls/none/tally/events",
        "/v1/polls/%00/tally",
        "/x",
    ];
    for path in paths {
        let answer = get(&format!("{}{path}", services.result), &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let post = send("POST", &services.result, &[FORM], b"vote=a");
    assert_eq!(post.status, 405);
}

#[test]
fn another_label_is_seen_without_another_vote() {
    let services = Services::start();
    let mut viewer = events(&services.result, EVENTS);
    next_event(&mut viewer).expect("a snapshot");
    let renamed = support::poll("cats-vs-dogs", &[("a", "Felines"), ("b", "Dogs")], 1);
    services
        .block_on(services.memory.put_poll(&renamed))
        .expect("renamed");
    let (_, change) = next_event(&mut viewer).expect("a change");
    assert_eq!(change["options"][0]["label"], "Felines");
}

#[test]
fn another_title_is_seen_without_another_vote() {
    let services = Services::start();
    let mut viewer = events(&services.result, "/polls/cats-vs-dogs/live");
    assert_eq!(news(&mut viewer).data["title"], "Cats vs Dogs!");
    let options = support::poll("cats-vs-dogs", &[("a", "Cats"), ("b", "Dogs")], 1);
    let options = options.options().to_vec();
    let id = "cats-vs-dogs".parse().expect("an id");
    let renamed = Poll::new(id, "Which one?", options, 1).expect("a poll");
    services
        .block_on(services.memory.put_poll(&renamed))
        .expect("renamed");
    assert_eq!(news(&mut viewer).data["title"], "Which one?");
}

/// Stores a poll with so many options, and waits until it is shown.
fn with_options(services: &Services, id: &str, options: usize) {
    let mut builder = Poll::builder(id, "Which tea?");
    for number in 0..options {
        builder = builder.option(format!("o{number}"), format!("Tea {number}"));
    }
    let poll = builder.build().expect("a poll");
    let stored = services.block_on(services.memory.put_poll(&poll));
    stored.expect("stored");
    for service in [&services.vote, &services.result] {
        await_some("the poll is found", || {
            let page = get(&format!("{service}/polls/{id}"), &[BROWSER]);
            (page.status == 200).then_some(())
        });
    }
}

/// The ids of the rows, in their order, with their classes.
fn rows(page: &str) -> Vec<(String, String)> {
    let rows = page.split("<li class=\"row").skip(1);
    rows.map(|row| {
        let (classes, rest) = row.split_once('"').expect("classes");
        let (_, id) = rest.split_once("data-option=\"").expect("an id");
        let (id, rest) = id.split_once('"').expect("an id");
        let tag = rest.split_once('>').expect("a tag").0;
        let hidden = if tag.contains(" hidden") {
            " hidden"
        } else {
            ""
        };
        (
            id.to_owned(),
            format!("{classes}{hidden}").trim().to_owned(),
        )
    })
    .collect()
}

#[test]
fn a_page_marks_what_its_browser_has_voted_for_and_no_other_page_does() {
    let services = Services::start();
    with_options(&services, "teas", 3);
    let vote = format!("{}/polls/teas", services.vote);
    let cast = send(
        "POST",
        &vote,
        &[FORM, BROWSER, ("sec-fetch-mode", "navigate")],
        b"vote=o1",
    );
    let set = cast.headers.get_all("set-cookie").iter();
    let pairs = set.filter_map(|set| set.to_str().ok()?.split(';').next());
    let jar = pairs.collect::<Vec<_>>().join("; ");
    assert!(jar.contains("ballot-"), "{jar}");
    services.settle();
    let page = format!("{}/polls/teas", services.result);
    let live = format!("{page}/live.json");
    let marked = |jar: &str| {
        let rows = rows(&get(&page, &[BROWSER, ("cookie", jar)]).body);
        let yours = rows
            .into_iter()
            .filter(|(_, classes)| classes.contains("yours"));
        let yours: Vec<_> = yours.map(|(id, _)| id).collect();
        let json = get(&live, &[("cookie", jar)]).json();
        let listed = json["yours"].as_array().expect("a list").iter();
        let listed: Vec<_> = listed.map(|id| id.as_str().expect("an id")).collect();
        assert_eq!(listed, yours);
        yours
    };
    assert_eq!(marked(&jar), ["o1"]);
    // Without the voter, or of another one, the cookie of a vote says nothing.
    let ballot = jar.split("; ").find(|pair| pair.contains("ballot-"));
    assert_eq!(marked(ballot.expect("one")), [""; 0]);
    let other = get(&vote, &[BROWSER]).cookie();
    assert_eq!(
        marked(&format!("{other}; {}", ballot.expect("one"))),
        [""; 0]
    );
    assert_eq!(marked("a=b"), [""; 0]);
}

#[test]
fn rows_are_sorted_cut_and_searched_without_scripts() {
    let services = Services::start();
    with_options(&services, "teas", 12);
    for option in [7, 7, 11] {
        let vote = format!("vote=o{option}");
        send(
            "POST",
            &format!("{}/polls/teas", services.vote),
            &[FORM],
            vote.as_bytes(),
        );
        services.settle();
    }
    let page = |query: &str| {
        let url = format!("{}/polls/teas?{query}", services.result);
        await_some("all is shown", || {
            let page = get(&url, &[BROWSER]).body;
            page.contains(">3 voters<").then_some(page)
        })
    };
    let first = page("");
    let ids = |page: &str| rows(page).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(&first)[..3], ["o7", "o11", "o0"]);
    assert!(first.contains("rows cut\"") && first.contains("Show all 12 options"));
    assert_eq!(ids(&page("sort=poll"))[..3], ["o0", "o1", "o2"]);
    assert!(!page("all=1").contains("rows cut\""));
    let found = page("find=%20TEA%201%3Cb%3E");
    assert!(
        rows(&found)
            .iter()
            .all(|(_, classes)| classes.ends_with("hidden"))
    );
    assert!(
        found.contains("value=\"TEA 1&#60;b&#62;\""),
        "it is escaped"
    );
    let shown: Vec<_> = rows(&page("find=tea+1"))
        .into_iter()
        .filter_map(|(id, classes)| (!classes.ends_with("hidden")).then_some(id))
        .collect();
    assert_eq!(shown, ["o11", "o1", "o10"]);
}

#[test]
fn how_the_votes_grew_is_reported_and_drawn() {
    let services = Services::start();
    let api = format!("{}/v1/polls/cats-vs-dogs/history", services.result);
    let none = get(&api, &[]).json();
    assert_eq!(
        (&none["points"], &none["version"]),
        (&serde_json::json!([]), &0.into())
    );
    for vote in ["vote=a", "vote=b", "vote=b"] {
        send("POST", &services.vote, &[FORM], vote.as_bytes());
        services.settle();
    }
    let told = await_some("all is told", || {
        let told = get(&api, &[]).json();
        (told["version"] == 3).then_some(told)
    });
    assert_eq!(told["options"], serde_json::json!(["a", "b"]));
    let points = told["points"].as_array().expect("points");
    assert_eq!(points[0]["voters"], 0);
    let last = points.last().expect("a point");
    assert_eq!(
        (&last["voters"], &last["votes"]),
        (&3.into(), &serde_json::json!([1, 2]))
    );
    let at = |point: &serde_json::Value| point["at"].as_str().unwrap().parse::<Moment>().unwrap();
    assert!(at(&points[0]) <= at(last) && at(last) <= Moment::now());
    let part = get(
        &format!("{}/polls/cats-vs-dogs/history", services.result),
        &[],
    );
    let page = get(&services.result, &[BROWSER]).body;
    for text in [
        "class=\"line line-2\" d=\"M0 240H",
        "<th scope=\"col\"><bdi lang=\"\">Dogs</bdi></th>",
    ] {
        assert!(
            part.body.contains(text) && page.contains(text),
            "{text}: {}",
            part.body
        );
    }
    let missing = get(&format!("{}/v1/polls/none/history", services.result), &[]);
    assert_eq!(missing.status, 404);
}
