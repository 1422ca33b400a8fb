//! No door of the voters' services shows a figure of a result that is hidden.
//!
//! Two deployments have the same poll, the same voters and the same number of votes; only the choices differ. While the
//! result is hidden, every answer of the one must be that of the other, byte for byte. The doors are taken from the
//! services themselves: one that this test does not know fails it.

mod support;

use std::{collections::BTreeSet, sync::Arc};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use support::{Answer, BROWSER, JSON, Services, get, head, poll, secret, send};
use voting_core::{
    Poll, PollDirectory, PollStore, SecretKey, TallyStore,
    backends::memory::Memory,
    model::{
        poll::{PollSettings, ShowResults},
        poll_state::{PollState, Seals},
    },
};
use voting_http::{PeerLink, ResultService, Site, VoteService};
use voting_testing::await_some;

const POLL: &str = "secret-poll";

/// What is behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The result: hidden, or shown.
    Result,
    /// As the result, but of times in which it was hidden it says only how many voters there were.
    History,
    /// The same as an event stream.
    Stream,
    /// The result as everybody sees it, whoever asks.
    Picture,
    /// A page that has the result as everybody sees it once the poll is final, and is there before that, too.
    Outcome,
    /// Anything else: it never differs.
    Other,
    /// Measurements of the process: they differ from process to process, and name no poll.
    Metrics,
    /// Takes something, and shows nothing.
    Post,
    /// Takes something, and may answer with the page of a vote.
    PostOutcome,
}

use Door::{Metrics, Other, Outcome, Picture, Post, PostOutcome, Stream};

const RESULT: &[(&str, Door)] = &[
    ("/", Door::Result),
    ("/polls", Other),
    ("/polls/", Other),
    ("/polls/:poll", Door::Result),
    ("/polls/:poll/", Door::Result),
    ("/polls/:poll/live", Stream),
    ("/polls/:poll/live.json", Door::Result),
    ("/polls/:poll/present", Door::Result),
    ("/polls/:poll/qr.svg", Other),
    ("/polls/:poll/result.svg", Picture),
    ("/polls/:poll/result.png", Picture),
    ("/polls/:poll/preview.png", Other),
    ("/embed/polls/:poll", Door::Result),
    ("/oembed", Other),
    ("/polls/:poll/history", Door::History),
    // What it says of a receipt, the API says too.
    ("/receipt", Other),
    ("/robots.txt", Other),
    ("/assets", Other),
    ("/metrics", Metrics),
    ("/openapi.json", Other),
    ("/docs", Other),
    ("/docs/", Other),
    ("/v1/polls/{poll}/history", Door::Result),
    ("/v1/polls/{poll}/tally", Door::Result),
    ("/v1/polls/{poll}/tally/latest", Door::Result),
    ("/v1/polls/{poll}/tally/{digest}", Door::Result),
    ("/v1/polls/{poll}/tally/events", Stream),
    ("/v1/receipts/{receipt}", Other),
    ("/healthz", Other),
    ("/readyz", Other),
];

const VOTE: &[(&str, Door)] = &[
    ("/", Outcome),
    ("/polls", Other),
    ("/polls/", Other),
    ("/polls/:poll", Outcome),
    ("/polls/:poll/", Outcome),
    ("/polls/:poll/state", Other),
    ("/polls/:poll/forget", Post),
    ("/polls/:poll/withdraw", PostOutcome),
    ("/polls/:poll/result", Other),
    ("/polls/:poll/receipt", Other),
    ("/polls/:poll/receipt.txt", Other),
    // A code sets a cookie, or asks for a code.
    ("/polls/:poll/c/:code", Other),
    ("/polls/:poll/code", Post),
    ("/polls/:poll/sign-out", Post),
    ("/start-over", Post),
    ("/robots.txt", Other),
    ("/assets", Other),
    ("/metrics", Metrics),
    ("/openapi.json", Other),
    ("/docs", Other),
    ("/docs/", Other),
    ("/v1/polls", Other),
    ("/v1/polls/{poll}", Other),
    ("/v1/polls/{poll}/ballot", Post),
    ("/v1/polls/{poll}/eligibility", Other),
    ("/v1/session", Post),
    ("/healthz", Other),
    ("/readyz", Other),
];

/// The doors whose answers caches may keep for everybody.
const FOR_CACHES: &[&str] = &[
    "/assets",
    "/oembed",
    "/polls/:poll/preview.png",
    "/polls/:poll/qr.svg",
    "/polls/:poll/result.png",
    "/polls/:poll/result.svg",
    "/robots.txt",
    "/v1/polls/{poll}/tally",
    "/v1/polls/{poll}/tally/latest",
    "/v1/polls/{poll}/tally/{digest}",
];

#[tokio::test]
async fn every_door_is_known_to_this_test() {
    let memory = Memory::default();
    let all = Arc::new(memory.clone());
    let secret: SecretKey = secret();
    let vote = VoteService::builder(Arc::new(memory.sink()), all.clone(), &secret).build();
    let result = ResultService::builder(all.clone(), all, &secret).build();
    for (routes, known) in [(result.routes(), RESULT), (vote.routes(), VOTE)] {
        let routes: BTreeSet<_> = routes.into_iter().collect();
        let known: BTreeSet<_> = known.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(routes, known, "say in this test what the new door shows");
    }
}

/// A deployment with one poll.
struct Deployment {
    services: Services,
    /// That of a voter who has not voted.
    visitor: String,
    receipt: String,
}

impl Deployment {
    /// `votes` are the choices, in the order in which they are cast.
    fn start(results: ShowResults, votes: [&str; 4], visitor: Option<&str>) -> Self {
        let services = Services::set_up(|_| support::Setup {
            polls: false,
            // The code of an address differs with its port, so both deployments name the same one.
            result: |builder| {
                let vote = "http://vote.test".parse().expect("an address");
                let embeds = "https://blog.test".parse().expect("an origin");
                let site = Site::default().with_peer(PeerLink::Url(vote));
                builder.site(site.with_embed_origins([embeds]))
            },
            ..support::Setup::default()
        });
        let mut settings = PollSettings::default();
        settings.results = results;
        let poll: Poll = poll(POLL, &[("a", "Cats"), ("b", "Dogs"), ("c", "Cows")], 1);
        let poll = poll.with_settings(settings).expect("settings");
        let stored = services.block_on(services.memory.put_poll(&poll));
        stored.expect("the poll is stored");
        let mut receipt = String::new();
        for vote in votes {
            let body = format!(r#"{{"choices":["{vote}"]}}"#);
            let ballot = format!("{}/v1/polls/{POLL}/ballot", services.vote);
            let cast = await_some("the poll is found", || {
                let cast = send("PUT", &ballot, &[JSON], body.as_bytes());
                (cast.status == 202).then_some(cast)
            });
            receipt = cast.json()["receipt"].as_str().expect("one").to_owned();
            services.settle();
        }
        let visitor = visitor.map_or_else(
            || get(&format!("{}/polls/{POLL}", services.vote), &[BROWSER]).cookie(),
            ToOwned::to_owned,
        );
        Self {
            services,
            visitor,
            receipt,
        }
    }

    fn end(&self, is_shown: bool) {
        let id = POLL.parse().expect("an id");
        let closing = PollState::Closing(Seals::default());
        let memory = &self.services.memory;
        let closed = self.services.block_on(memory.advance_poll(&id, &closing));
        closed.expect("the poll is closed");
        await_some("the poll is final everywhere", || {
            let vote = get(&format!("{}/v1/polls/{POLL}", self.services.vote), &[]);
            let list = get(&format!("{}/polls", self.services.result), &[]).body;
            let tally = format!("{}/v1/polls/{POLL}/tally", self.services.result);
            let tally = get(&tally, &[]);
            let is_told = match is_shown {
                true => tally.status == 200 && tally.json()["state"] == "final",
                false => tally.status == 403,
            };
            let is_listed = list.contains("Closed") && !list.contains("Being counted");
            (vote.json()["state"] == "final" && is_listed && is_told).then_some(())
        });
    }

    fn path(&self, pattern: &str) -> String {
        let path = pattern
            .replace(":poll", POLL)
            .replace("{poll}", POLL)
            .replace("{receipt}", &self.receipt)
            .replace("{digest}", &self.digest());
        match path.as_str() {
            "/assets" => "/assets/voting.css".to_owned(),
            _ => path,
        }
    }

    /// What names the tally, as whoever guesses it finds out.
    fn digest(&self) -> String {
        let id = POLL.parse().expect("an id");
        let memory = &self.services.memory;
        let tally = self.services.block_on(memory.tally(&id)).expect("read");
        let tally = tally.expect("a tally");
        let poll = self.services.block_on(memory.poll(&id)).expect("read");
        let is_final = poll.expect("a poll").state().is_final();
        let state = if is_final { "final" } else { "open" };
        let [a, b, c] = tally.votes[..] else {
            panic!("three options");
        };
        let json = format!(
            r#"{{"poll":"{POLL}","state":"{state}","version":{},"voters":{},"options":[{{"id":"a","label":"Cats","votes":{a}}},{{"id":"b","label":"Dogs","votes":{b}}},{{"id":"c","label":"Cows","votes":{c}}}]}}"#,
            tally.version, tally.voters
        );
        HEXLOWER.encode(&Sha256::digest(json)[..16])
    }

    fn ask(&self, service: &str, pattern: &str, door: Door, accept: (&str, &str)) -> Seen {
        let url = format!("{service}{}", self.path(pattern));
        let headers = [accept, ("cookie", self.visitor.as_str())];
        let answer = match door {
            Post | PostOutcome => return Seen::of(self, &send("POST", &url, &headers, b"")),
            // A stream that is shown has no end.
            Stream => {
                let answer = support::first_piece(&url, &headers);
                return Seen {
                    status: answer.0,
                    text: self.without_names(&answer.1),
                };
            }
            _ => get(&url, &headers),
        };
        let mut seen = Seen::of(self, &answer);
        let length = head(&url, &headers).header("content-length").to_owned();
        seen.text.push_str(&format!("HEAD {length}\n"));
        if pattern.contains("{digest}") {
            // The address that was asked for may be in the answer.
            seen.text = seen.text.replace(&self.digest(), "DIGEST");
        }
        seen
    }

    /// A text without what differs from deployment to deployment.
    fn without_names(&self, text: &str) -> String {
        let port = |url: &str| format!(":{}", url.rsplit(':').next().expect("a port"));
        text.replace(&port(&self.services.vote), ":VOTE")
            .replace(&port(&self.services.result), ":RESULT")
            .replace(&self.receipt, "RECEIPT")
    }
}

/// An answer, as far as it is to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: u16,
    text: String,
}

impl Seen {
    fn of(deployment: &Deployment, answer: &Answer) -> Self {
        let mut text = String::new();
        for (name, value) in &answer.headers {
            if name != "date" {
                text.push_str(&format!("{name}: {}\n", value.to_str().expect("a text")));
            }
        }
        text.push_str(&answer.body);
        // A receipt says the minute of its vote.
        if let Some(at) = text.find("\"cast_at_ms\":") {
            let end = at + text[at..].find(',').expect("more fields");
            text.replace_range(at..end, "");
        }
        Self {
            status: answer.status.as_u16(),
            text: deployment.without_names(&text),
        }
    }
}

/// What both deployments answer at each door.
fn compare(both: [&Deployment; 2], is_shown: bool, context: &str) {
    let services = |of: &Deployment| [of.services.result.clone(), of.services.vote.clone()];
    let urls = both.map(services);
    for (index, doors) in [RESULT, VOTE].into_iter().enumerate() {
        for (pattern, door) in doors {
            for accept in [BROWSER, ("accept", "application/json")] {
                let [one, other] = [0, 1].map(|deployment: usize| {
                    both[deployment].ask(&urls[deployment][index], pattern, *door, accept)
                });
                let at = format!("{pattern} ({}) {context}", accept.1);
                for seen in [&one, &other] {
                    let is_for_caches = seen.text.contains("cache-control: public");
                    assert!(
                        !is_for_caches || FOR_CACHES.contains(pattern),
                        "{at}: {}",
                        seen.text
                    );
                }
                match door {
                    Metrics => {
                        assert!(one.text.contains("voting_"), "{at}");
                        assert!(!one.text.contains(POLL), "{at}: {}", one.text);
                    }
                    Door::Result | Stream | Picture if is_shown => {
                        assert_eq!((one.status, other.status), (200, 200), "{at}");
                        assert_ne!(one.text, other.text, "{at}: the test sees no difference");
                    }
                    Door::History if is_shown => {
                        assert_eq!((one.status, other.status), (200, 200), "{at}");
                        if context.starts_with("Always") {
                            assert_ne!(one.text, other.text, "{at}: the test sees no difference");
                        }
                        let says_options = one.text.contains("Cats") || other.text.contains("Cats");
                        assert_eq!(says_options, context.starts_with("Always"), "{at}");
                    }
                    Door::Result | Door::History | Stream | Picture => {
                        assert_eq!(one.status, 403, "{at}: {}", one.text);
                        let caching = "cache-control: private, no-store";
                        assert!(one.text.contains(caching), "{at}: {}", one.text);
                        assert!(!one.text.contains("etag:"), "{at}: {}", one.text);
                        is_same(&one, &other, &at);
                    }
                    Outcome if is_shown && context.ends_with("final") => {
                        assert_eq!((one.status, other.status), (200, 200), "{at}");
                        assert_ne!(one.text, other.text, "{at}: the test sees no difference");
                    }
                    // Programs are answered without a page.
                    PostOutcome if is_shown && context.ends_with("final") => {
                        assert_eq!(one.status, other.status, "{at}");
                    }
                    Other | Outcome | Post | PostOutcome => is_same(&one, &other, &at),
                }
            }
        }
    }
}

fn is_same(one: &Seen, other: &Seen, at: &str) {
    assert_eq!(one.status, other.status, "{at}");
    for (one, other) in one.text.lines().zip(other.text.lines()) {
        assert_eq!(one, other, "{at}");
    }
    assert!(one == other, "{at}: one answer is longer than the other");
}

fn no_door_leaks(results: ShowResults, is_shown_at_the_end: bool) {
    let one = Deployment::start(results, ["a", "a", "a", "b"], None);
    let other = Deployment::start(results, ["b", "c", "b", "b"], Some(&one.visitor));
    let both = [&one, &other];
    let is_shown = results == ShowResults::Always;
    compare(both, is_shown, &format!("{results:?}, open"));
    for deployment in both {
        deployment.end(is_shown_at_the_end);
    }
    compare(both, is_shown_at_the_end, &format!("{results:?}, final"));
}

#[test]
fn a_result_that_is_shown_differs() {
    no_door_leaks(ShowResults::Always, true);
}

#[test]
fn a_result_for_who_has_voted_is_hidden_from_others_until_the_end() {
    no_door_leaks(ShowResults::AfterVote, true);
}

#[test]
fn a_result_for_the_end_is_hidden_until_then() {
    no_door_leaks(ShowResults::AfterClose, true);
}

#[test]
fn a_result_for_the_host_stays_hidden() {
    no_door_leaks(ShowResults::Host, false);
}
