//! The secret of the cookies is exchanged while people vote: nobody is refused, and nobody counts twice.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use support::{POLL, operator};
use ureq::{Body, http::Response};
use voting_testing::{Deployment, SECRET, Service, agent, await_that, text_of};

const NEW_SECRET: &str = "the next secret of the tests, 32 bytes or more";

/// How many people vote at the same time.
const AT_ONCE: usize = 4;

/// How many people each task is, one after another.
const PEOPLE: usize = 5;

/// A browser's cookies. Cookies ignore ports, so all services see all of them.
#[derive(Debug, Default, Clone)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn header(&self) -> String {
        let cookies = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Response<Body>) {
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().expect("text");
            let (name, rest) = set.split_once('=').expect("a name");
            let value = rest.split(';').next().expect("a value");
            match set.ends_with("; Max-Age=0") {
                true => self.0.remove(name),
                false => self.0.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// Opens a page as a browser does that follows no redirects.
    fn get(&mut self, url: &str) -> Response<Body> {
        let request = agent().get(url).config().max_redirects(0).build();
        let request = request.header("accept", "text/html");
        let answer = request.header("cookie", self.header()).call();
        let answer = answer.expect("an answer");
        self.keep(&answer);
        answer
    }

    fn names(&self, prefix: &str) -> usize {
        let names = self.0.keys();
        names.filter(|name| name.starts_with(prefix)).count()
    }
}

/// Somebody with a browser, who votes in a poll for everybody and in one with codes.
struct Person {
    jar: Jar,
    /// The last choice that was acknowledged.
    choice: Option<&'static str>,
}

impl Person {
    /// Opens two tabs at once, at two services. Each gives the browser a cookie. Then follows the link with the code.
    fn new(places: &[String; 2], code: &str) -> Self {
        let mut jar = Jar::default();
        let page = format!("/polls/{POLL}");
        let tabs = places.each_ref().map(|place| {
            let mut empty = Jar::default();
            let opened = empty.get(&format!("{place}{page}"));
            assert_eq!(opened.status(), 200);
            empty
        });
        for tab in tabs {
            jar.0.extend(tab.0);
        }
        let link = jar.get(&format!("{}/polls/board/c/{code}", places[0]));
        assert_eq!(link.status(), 303, "{}", text_of(link));
        Self { jar, choice: None }
    }

    /// Opens the page at one service, and sends the vote to another. Returns the receipt.
    fn vote(&mut self, poll: &str, places: &[String; 2], choice: &'static str) -> String {
        let page = self.jar.get(&format!("{}/polls/{poll}", places[0]));
        let (status, page) = (page.status(), text_of(page));
        assert_eq!(status, 200, "{page}");
        let tag = page.split("data-voter=\"").nth(1).expect("the voter's tag");
        let tag = tag.split('"').next().expect("the voter's tag");
        // What the page's script asks for: the voter is the one of the page.
        let state = agent().get(format!("{}/polls/{poll}/state", places[1]));
        let state = state.header("voter-tag", tag);
        let state = state.header("cookie", self.jar.header()).call();
        let state: Value = serde_json::from_str(&text_of(state.expect("an answer"))).expect("JSON");
        assert_eq!(state["voter"], tag, "{state}");
        if let Some(choice) = self.choice {
            assert_eq!(state["choices"], json!([choice]), "{state} {:?}", self.jar);
        }
        let ballot = agent().put(format!("{}/v1/polls/{poll}/ballot", places[1]));
        let ballot = ballot.content_type("application/json");
        let ballot = ballot.header("cookie", self.jar.header());
        let ballot = ballot.header("voter-tag", tag);
        let answer = ballot.send(json!({"choices": [choice]}).to_string());
        let answer = answer.expect("an answer");
        self.jar.keep(&answer);
        let (status, body) = (answer.status(), text_of(answer));
        assert_eq!(status, 202, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["voter"], tag, "{body}");
        body["receipt"].as_str().expect("a receipt").to_owned()
    }
}

/// What the result service says of a receipt: its status.
fn read(result: &str, receipt: &str) -> u16 {
    let url = format!("{result}/v1/receipts/{receipt}");
    agent().get(url).call().expect("an answer").status().into()
}

/// The addresses of the services at the moment.
struct Places {
    votes: [String; 2],
    result: String,
}

/// What the tasks that vote share with the test.
#[derive(Clone)]
struct Way {
    places: Arc<Mutex<Places>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Way {
    /// Votes as these people, one after another, until it is stopped. They go to either service first.
    fn walk(&self, people: &mut [Person]) {
        let mut turn = 0;
        while !self.stop.load(Relaxed) {
            turn += 1;
            let person = &mut people[turn % PEOPLE];
            let (mut votes, result) = {
                let places = self.places.lock().expect("sound");
                (places.votes.clone(), places.result.clone())
            };
            if turn % 3 == 0 {
                votes.reverse();
            }
            let choice = ["a", "b"][turn / PEOPLE % 2];
            let receipts = [POLL, "board"].map(|poll| person.vote(poll, &votes, choice));
            person.choice = Some(choice);
            // The services of one step are at work together.
            assert_eq!(read(&result, &receipts[turn % 2]), 200);
            self.acknowledged.fetch_add(1, Relaxed);
        }
    }
}

/// The services of a deployment, and who is on the way to them.
struct Scene {
    deployment: Deployment,
    votes: [Service; 2],
    result: Service,
    way: Way,
    walkers: Vec<JoinHandle<Vec<Person>>>,
}

impl Scene {
    fn await_more(&self, visits: u64) {
        let acknowledged = || self.way.acknowledged.load(Relaxed);
        let goal = acknowledged() + visits;
        await_that("people vote", || {
            let is_stuck = self.walkers.iter().any(JoinHandle::is_finished);
            assert!(!is_stuck, "somebody was refused");
            acknowledged() >= goal
        });
    }

    fn urls(&self) -> [String; 2] {
        self.votes.each_ref().map(|vote| vote.url.clone())
    }

    /// Replaces one service after another by one with these settings. In between there are services of two steps.
    fn step(&mut self, settings: Vec<(&'static str, String)>) {
        self.deployment.more = settings;
        let new = self.deployment.result();
        await_that("the result service is ready", || new.is_ready());
        self.way.places.lock().expect("sound").result = new.url.clone();
        let old = std::mem::replace(&mut self.result, new);
        self.await_more(2 * AT_ONCE as u64);
        assert_eq!(old.stop().code(), Some(0));
        for number in 0..2 {
            let new = self.deployment.vote();
            await_that("the vote service is ready", || new.is_ready());
            self.way.places.lock().expect("sound").votes[number] = new.url.clone();
            let old = std::mem::replace(&mut self.votes[number], new);
            // Those who are on their way there arrive, and everybody comes once at least.
            self.await_more((2 * AT_ONCE * PEOPLE) as u64);
            assert_eq!(old.stop().code(), Some(0));
        }
    }

    fn doctor(&self) -> String {
        let told = self.deployment.voting(&["doctor"]);
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    /// How many secrets the log has ever dropped.
    fn dropped(&self) -> usize {
        let text = self
            .deployment
            .redis
            .command(&["GET", "voting:dropped-secrets"]);
        text.split_whitespace()
            .filter(|word| word.len() == 16)
            .count()
    }
}

/// Makes a poll with codes, and issues these.
fn board(deployment: &Deployment, worker: &Service, codes: usize) -> Vec<String> {
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let poll = json!({"id": "board", "title": "Board", "options": options, "voters": "codes"});
    let stored = operator(worker).post_json("polls", &poll);
    assert!(stored.expect("an answer").status().is_success());
    let count = codes.to_string();
    let issued = deployment.voting(&["codes", "issue", "board", "--count", &count]);
    assert_eq!(issued.status.code(), Some(0), "{issued:?}");
    let csv = String::from_utf8_lossy(&issued.stdout);
    let rows = csv.lines().skip(1);
    rows.map(|row| row.split(',').nth(1).expect("a code").to_owned())
        .collect()
}

#[test]
fn the_secret_is_exchanged_in_three_steps_and_back_while_people_vote() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (old, new) = (file("old", SECRET), file("new", NEW_SECRET));
    let settings = |secret: &str, other: Option<&String>| {
        let other = other.map(|file| ("VOTING_OTHER_SECRET_FILES", file.clone()));
        let secret = ("VOTING_SECRET", secret.to_owned());
        [secret].into_iter().chain(other).collect::<Vec<_>>()
    };
    let deployment = Deployment::new();
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    let (votes, result) = ([deployment.vote(), deployment.vote()], deployment.result());
    let codes = board(&deployment, &worker, AT_ONCE * PEOPLE + 1);
    await_that("all are ready", || {
        votes.iter().all(Service::is_ready) && result.is_ready()
    });
    let last = codes.last().expect("a code");
    for vote in &votes {
        let url = format!("{}/v1/polls/board/eligibility", vote.url);
        await_that("the codes are known", || {
            let asked = agent().get(&url).header("voter-code", last).call();
            text_of(asked.expect("an answer")).contains("true")
        });
    }
    let places = Places {
        votes: votes.each_ref().map(|vote| vote.url.clone()),
        result: result.url.clone(),
    };
    let mut scene = Scene {
        way: Way {
            places: Arc::new(Mutex::new(places)),
            stop: Arc::default(),
            acknowledged: Arc::default(),
        },
        walkers: Vec::new(),
        deployment,
        votes,
        result,
    };
    // Somebody who votes before all of it, and does not come again until the old secret is gone.
    let mut absent = Person::new(&scene.urls(), &codes[AT_ONCE * PEOPLE]);
    let receipt = absent.vote(POLL, &scene.urls(), "a");
    absent.vote("board", &scene.urls(), "a");
    for codes in codes.chunks_exact(PEOPLE).take(AT_ONCE) {
        let people = codes.iter().map(|code| Person::new(&scene.urls(), code));
        let mut people: Vec<_> = people.collect();
        let way = scene.way.clone();
        scene.walkers.push(thread::spawn(move || {
            way.walk(&mut people);
            people
        }));
    }
    scene.await_more((2 * AT_ONCE * PEOPLE) as u64);

    for (current, other, dropped, said) in [
        (SECRET, Some(&new), 0, "step 1 of changing the secret"),
        (NEW_SECRET, Some(&old), 0, "step 2 of changing the secret"),
        (NEW_SECRET, None, 1, "to which the log is held"),
    ] {
        scene.step(settings(current, other));
        assert_eq!(scene.dropped(), dropped, "{said}");
        let doctor = scene.doctor();
        assert!(doctor.contains(said), "{said}: {doctor}");
        let expected = if other.is_some() { 200 } else { 404 };
        assert_eq!(read(&scene.result.url, &receipt), expected);
    }

    // A voter who comes too late is asked to start over, and for the code again.
    let page = absent.jar.get(&format!("{}/polls/{POLL}", scene.urls()[0]));
    let (status, page) = (page.status(), text_of(page));
    assert_eq!(status, 400, "{page}");
    assert!(page.contains("action=\"/start-over\""), "{page}");
    let page = absent.jar.get(&format!("{}/polls/board", scene.urls()[1]));
    let page = text_of(page);
    assert!(page.contains("name=\"code\""), "{page}");
    assert_eq!(absent.jar.names("voter-"), 1);
    // A service of before the exchange takes no votes, and says so before it is asked.
    scene.deployment.more = settings(SECRET, None);
    let late = scene.deployment.vote();
    let url = format!("{}/v1/polls/{POLL}/ballot", late.url);
    let ballot = agent().put(url).content_type("application/json");
    let answer = ballot.send(r#"{"choices":["a"]}"#).expect("an answer");
    assert_eq!(answer.status(), 503, "{}", text_of(answer));
    assert!(!late.is_ready());
    assert_eq!(late.stop().code(), Some(0));

    // And back, by the same steps.
    for (current, other) in [
        (NEW_SECRET, Some(&old)),
        (SECRET, Some(&new)),
        (SECRET, None),
    ] {
        scene.step(settings(current, other));
    }
    assert_eq!(scene.dropped(), 2);
    // The secret of the first cookies is accepted again.
    absent.vote(POLL, &scene.urls(), "b");

    scene.way.stop.store(true, Relaxed);
    let mut expected = BTreeMap::from([("a", 0), ("b", 1)]);
    for walker in scene.walkers.drain(..) {
        for person in walker.join().expect("nobody is refused") {
            *expected.entry(person.choice.expect("a vote")).or_default() += 1;
        }
    }
    let people = AT_ONCE * PEOPLE + 1;
    operator(&worker).settled();
    for (poll, expected) in [
        (POLL, expected.clone()),
        (
            "board",
            BTreeMap::from([("a", expected["a"] + 1), ("b", expected["b"] - 1)]),
        ),
    ] {
        let recount = operator(&worker).recount(poll).expect("a recount");
        assert_eq!(recount["agrees"], true, "{recount}");
        assert_eq!(recount["counted"]["voters"], people, "{recount}");
        for option in recount["counted"]["options"].as_array().expect("options") {
            let id = option["id"].as_str().expect("an id");
            assert_eq!(option["votes"], expected[id], "{poll}: {recount}");
        }
    }
}
