//! Webhooks: the messages of a running system, and a receiver that fails for days.

mod support;

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use http::HeaderMap;
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;
use support::Voting;
use voting_core::{
    SecretKey,
    backends::sqlite::{Sqlite, SqliteOptions},
    model::{moment::Moment, poll_key::PollKeyWrap},
    store::{
        EventStore, WebhookStore,
        events::{EventKind, Mark, NewEvent},
        webhooks::{Delivery, DisabledBy, Webhook, WebhookChange},
    },
};
use voting_http::webhooks::{Secret, Webhooks};
use voting_service::Config;
use voting_testing::await_that;

/// A message that came.
#[derive(Debug, Clone)]
struct Came {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Came {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    fn number(&self) -> u64 {
        self.json()["data"]["number"].as_u64().expect("a number")
    }

    /// Whether the verifier of Standard Webhooks takes it, with this secret.
    fn verifies(&self, secret: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        let verifier = Verifier::new(secret).expect("a secret");
        verifier.verify(self.body.as_bytes(), &headers).is_ok()
    }
}

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers with these lines.
    Answers(&'static str),
    /// Closes the connection.
    Closes,
    /// Says nothing.
    Hangs,
}

const WELL: Does = Does::Answers("204 No Content");

/// A receiver. It does what is next in its list, and then always the same.
struct Receiver {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    next: Arc<Mutex<(VecDeque<Does>, Does)>>,
}

impl Receiver {
    fn start(then: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let receiver = Self {
            port,
            came: Arc::default(),
            next: Arc::new(Mutex::new((VecDeque::new(), then))),
        };
        let (came, next) = (Arc::clone(&receiver.came), Arc::clone(&receiver.next));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (came, next) = (Arc::clone(&came), Arc::clone(&next));
                thread::spawn(move || receive(stream, &came, &next));
            }
        });
        receiver
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    fn does(&self, list: &[Does], then: Does) {
        *self.next.lock().expect("no panic") = (list.iter().copied().collect(), then);
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().expect("no panic").clone()
    }
}

fn receive(
    mut stream: TcpStream,
    came: &Mutex<Vec<Came>>,
    next: &Mutex<(VecDeque<Does>, Does)>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let does = {
        let mut next = next.lock().ok()?;
        let then = next.1;
        next.0.pop_front().unwrap_or(then)
    };
    came.lock().ok()?.push(Came { headers, body });
    match does {
        Does::Answers(answer) => {
            let answer =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).ok()?;
        }
        Does::Closes => {}
        Does::Hangs => thread::sleep(Duration::from_secs(60)),
    }
    Some(())
}

/// Webhooks in a file, with a clock that the test moves.
struct Days {
    store: Sqlite,
    webhooks: Webhooks,
    /// Milliseconds since 1970.
    clock: Arc<AtomicU64>,
    keys: PollKeyWrap,
    _folder: tempfile::TempDir,
}

impl Days {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(folder.path().join("voting.db"), SqliteOptions::default());
        let store = store.expect("opened");
        let mut config = Config::default();
        config.worker.webhook_hosts = vec!["127.0.0.1".parse().expect("an address")];
        let keys = PollKeyWrap::new(&SecretKey::new([7; 32]).expect("a key"));
        let clock = Arc::new(AtomicU64::new(Moment::now().unix_ms()));
        let now = Arc::clone(&clock);
        let webhooks = config
            .webhooks(Arc::new(store.clone()), keys.clone())
            .with_clock(move || {
                Moment::from_unix_ms(now.load(Ordering::Acquire)).expect("a moment")
            });
        Self {
            store,
            webhooks,
            clock,
            keys,
            _folder: folder,
        }
    }

    async fn webhook(&self, url: &str) -> Webhook {
        let webhook = Webhook::new(url.to_owned(), String::new(), Vec::new());
        let name = format!("webhook:{}", webhook.id);
        let webhook = webhook.with_secret(self.keys.wrap_secret(&name, &[1; 32]));
        let added = self.store.add_webhook(&webhook, "host").await;
        added.expect("an answer").expect("there are few")
    }

    async fn happens(&self, number: u64) {
        let mark = Mark {
            name: "dead letters".to_owned(),
            value: number.to_string(),
            initial: "0",
            pause_ms: 0,
            only_more: true,
        };
        let event = NewEvent {
            kind: EventKind::DeadLetterCreated,
            poll: None,
            data: "{}".to_owned(),
        };
        assert!(
            self.store
                .add_event(&mark, &event)
                .await
                .expect("an answer")
        );
    }

    /// Sends what is due for as long as the clock goes on by so much, in steps of so much.
    async fn pass(&self, time: Duration, step: Duration) {
        let mut passed = Duration::ZERO;
        while passed < time {
            while self.webhooks.send_once().await.expect("an answer") {}
            let ms = u64::try_from(step.as_millis()).expect("not long");
            self.clock.fetch_add(ms, Ordering::AcqRel);
            passed += step;
        }
    }

    async fn deliveries(&self, webhook: &Webhook) -> Vec<Delivery> {
        let list = self.store.deliveries(webhook.id, None, 1_000).await;
        list.expect("a list")
    }

    async fn now_is(&self, webhook: &Webhook) -> Webhook {
        let all = self.store.webhooks().await.expect("webhooks");
        let found = all.into_iter().find(|stored| stored.id == webhook.id);
        found.expect("it is there")
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_a_receiver_is_away_for_a_day() {
    let (days, receiver) = (Days::start(), Receiver::start(Does::Answers("503 Busy")));
    let webhook = days.webhook(&receiver.url()).await;
    for hour in 1..=24 {
        days.happens(hour).await;
        days.pass(HOUR, 10 * MINUTE).await;
    }
    let tried = receiver.came().len();
    assert!((24..24 * 8).contains(&tried), "{tried} attempts");
    assert_eq!(days.now_is(&webhook).await.disabled, None);
    receiver.does(&[], WELL);
    days.pass(30 * HOUR, 10 * MINUTE).await;
    let deliveries = days.deliveries(&webhook).await;
    assert_eq!(deliveries.len(), 24);
    assert!(deliveries.iter().all(|delivery| delivery.delivered));
    let mut delivered: Vec<_> = receiver.came()[tried..].iter().map(Came::number).collect();
    delivered.sort_unstable();
    let all: Vec<_> = (1..=24).collect();
    assert_eq!(delivered, all, "each was taken once");
    let mut ids = BTreeMap::new();
    for came in receiver.came() {
        let id = ids
            .entry(came.number())
            .or_insert_with(|| came.id().to_owned());
        assert_eq!(id, came.id(), "an event has one id in all attempts");
    }
    assert_eq!(days.now_is(&webhook).await.failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_tried_ten_times_and_a_receiver_that_fails_for_days_is_disabled() {
    let (days, receiver) = (Days::start(), Receiver::start(Does::Closes));
    let webhook = days.webhook(&receiver.url()).await;
    days.happens(1).await;
    days.pass(100 * HOUR, 5 * MINUTE).await;
    let [delivery] = &days.deliveries(&webhook).await[..] else {
        panic!("one event")
    };
    assert_eq!((delivery.attempts, delivery.due), (10, None));
    assert_eq!(receiver.came().len(), 10);
    let last = delivery.last.as_ref().expect("an attempt");
    assert!(last.result.contains("without an answer"), "{}", last.result);
    days.happens(2).await;
    days.pass(40 * HOUR, 5 * MINUTE).await;
    let disabled = days.now_is(&webhook).await.disabled.expect("for five days");
    assert_eq!(disabled.by, DisabledBy::Failures);
    let tried = receiver.came().len();
    days.happens(3).await;
    days.pass(30 * HOUR, HOUR).await;
    assert_eq!(receiver.came().len(), tried, "nothing is sent");
    receiver.does(&[], WELL);
    let enable = WebhookChange::Enabled(true);
    let enabled = days.store.change_webhook(webhook.id, &enable, "host").await;
    enabled.expect("an answer");
    days.pass(30 * HOUR, HOUR).await;
    let got: Vec<_> = receiver.came()[tried..].iter().map(Came::number).collect();
    assert_eq!(got, [2, 3], "what waited, and what happened meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_answers_is_heeded() {
    let (days, receiver, other) = (Days::start(), Receiver::start(WELL), Receiver::start(WELL));
    let moved = format!("302 Found\r\nlocation: {}", other.url());
    let moved = Does::Answers(moved.leak());
    let webhook = days.webhook(&receiver.url()).await;
    days.happens(1).await;
    receiver.does(
        &[
            moved,
            Does::Answers("429 Slow down\r\nretry-after: 3600"),
            Does::Answers("200 OK"),
        ],
        WELL,
    );
    days.pass(MINUTE, Duration::from_secs(10)).await;
    assert_eq!(other.came().len(), 0, "a redirect is not followed");
    assert_eq!(receiver.came().len(), 2);
    // Also other messages wait for as long as it asks.
    days.happens(2).await;
    days.pass(58 * MINUTE, MINUTE).await;
    assert_eq!(receiver.came().len(), 2);
    days.pass(10 * MINUTE, MINUTE).await;
    assert_eq!(receiver.came().len(), 4);
    receiver.does(&[Does::Answers("410 Gone")], WELL);
    days.happens(3).await;
    days.pass(HOUR, MINUTE).await;
    let disabled = days.now_is(&webhook).await.disabled.expect("it is gone");
    assert_eq!(disabled.by, DisabledBy::Gone);
    assert_eq!(receiver.came().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_keeps_no_other_one_waiting() {
    let (days, slow, quick) = (
        Days::start(),
        Receiver::start(Does::Hangs),
        Receiver::start(WELL),
    );
    let (of_slow, _) = (
        days.webhook(&slow.url()).await,
        days.webhook(&quick.url()).await,
    );
    days.happens(1).await;
    let sending = tokio::spawn(days.webhooks.clone().keep_sending(HOUR));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while quick.came().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "it waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let given_up = async {
        loop {
            let deliveries = days.deliveries(&of_slow).await;
            if let Some(last) = deliveries
                .first()
                .and_then(|delivery| delivery.last.clone())
            {
                return last.result;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let result = tokio::time::timeout(Duration::from_secs(40), given_up).await;
    assert_eq!(
        result.expect("it is given up"),
        "the receiver did not answer within 15 s"
    );
    sending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_address_that_is_not_public() {
    let days = Days::start();
    let receiver = Receiver::start(WELL);
    // The name leads to this machine; only its address is allowed in URLs.
    let url = format!("https://localhost.localdomain:{}/", receiver.port);
    let named = format!("https://localhost:{}/", receiver.port);
    let mut config = Config::default();
    config.worker.webhook_hosts = Vec::new();
    let webhooks = config.webhooks(Arc::new(days.store.clone()), days.keys.clone());
    for url in [url, named] {
        let webhook = days.webhook(&url).await;
        days.happens(webhook.after + 1).await;
        while webhooks.send_once().await.expect("an answer") {}
        let delivery = &days.deliveries(&webhook).await[0];
        let result = &delivery.last.as_ref().expect("an attempt").result;
        assert!(
            result == "the host has no public address" || result.contains("not known"),
            "{result}"
        );
    }
    let webhook = days.webhook(&receiver.url()).await;
    days.happens(9).await;
    while webhooks.send_once().await.expect("an answer") {}
    let delivery = &days.deliveries(&webhook).await[0];
    let result = &delivery.last.as_ref().expect("an attempt").result;
    assert!(result.contains("may not be used"), "{result}");
    assert_eq!(receiver.came().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_exchanged_both_sign() {
    let (days, receiver) = (Days::start(), Receiver::start(WELL));
    let webhook = days.webhook(&receiver.url()).await;
    let old = format!("whsec_{}", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let new: Secret = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
        .parse()
        .expect("a secret");
    let name = format!("webhook:{}", webhook.id);
    let until = Moment::from_unix_ms(days.clock.load(Ordering::Acquire)).expect("a moment");
    let change = WebhookChange::Secret(days.keys.wrap_secret(&name, &[2; 32]), until.plus(HOUR));
    let changed = days.store.change_webhook(webhook.id, &change, "host").await;
    changed.expect("an answer");
    days.happens(1).await;
    days.pass(MINUTE, MINUTE).await;
    let came = receiver.came();
    assert!(came[0].verifies(&old) && came[0].verifies(&new.expose()));
    days.pass(HOUR, MINUTE).await;
    days.happens(2).await;
    days.pass(MINUTE, MINUTE).await;
    let came = receiver.came();
    // The verifier's clock is not moved, so only what is in the header is compared.
    assert_eq!(came[0].headers["webhook-signature"].split(' ').count(), 2);
    assert_eq!(came[1].headers["webhook-signature"].split(' ').count(), 1);
}

#[test]
fn a_running_system_sends_signed_messages_of_what_happens() {
    let receiver = Receiver::start(WELL);
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = support::command(folder.path());
    command.env("VOTING_WORKER__WEBHOOK_HOSTS", "127.0.0.1");
    let voting = Voting::start_as(folder.path(), &mut command);
    let token = format!("Bearer {}", voting.operator_token());
    let asked = |method: &str, path: &str, body: &Value| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!(
                "{}{path}",
                voting.operator.trim_end_matches("/docs/")
            ))
            .header("authorization", &token)
            .header("content-type", "application/json");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent
            .run(request.body(body).expect("a request"))
            .expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a text");
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        (answer.status().as_u16(), json)
    };
    let ask = |method: &str, path: &str, body: Value| {
        let answer = asked(method, path, &body);
        assert!(
            (200..300).contains(&answer.0),
            "{method} {path}: {answer:?}"
        );
        answer.1
    };
    let wanted = json!({ "url": receiver.url(), "note": "A test", "types": ["poll.created", "poll.opened"] });
    let added = ask("POST", "/v1/webhooks", wanted);
    let secret = added["secret"].as_str().expect("a secret");
    let id = added["webhook"]["id"].as_str().expect("an id");
    let poll = json!({ "id": "lunch", "title": "Lunch?", "options": [{ "id": "a", "label": "A" }, { "id": "b", "label": "B" }] });
    ask("PUT", "/v1/polls/lunch", poll);
    await_that("two messages", || receiver.came().len() == 2);
    ask("POST", &format!("/v1/webhooks/{id}/test"), Value::Null);
    await_that("the test", || receiver.came().len() == 3);
    let came = receiver.came();
    let kinds: Vec<_> = came
        .iter()
        .map(|came| came.json()["type"].clone())
        .collect();
    assert_eq!(kinds, ["poll.created", "poll.opened", "webhook.test"]);
    assert_eq!(came[0].json()["data"]["poll"], "lunch");
    for came in &came {
        assert!(came.verifies(secret), "{came:?}");
        assert!(!came.verifies("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="));
    }
    let path = format!("/v1/webhooks/{id}/deliveries");
    await_that("all are delivered", || {
        let list = ask("GET", &path, Value::Null);
        let list = list["deliveries"].as_array().expect("a list").clone();
        list.len() == 3 && list.iter().all(|delivery| delivery["state"] == "delivered")
    });
    ask(
        "POST",
        &format!("/v1/webhooks/{id}/send-again"),
        json!({ "after": 0 }),
    );
    await_that("they come again", || receiver.came().len() >= 5);
    let shown = ask("GET", "/v1/webhooks", Value::Null).to_string();
    assert!(
        !shown.contains("whsec") && !shown.contains("secret"),
        "{shown}"
    );
    ask("DELETE", &format!("/v1/webhooks/{id}"), Value::Null);
    let refused = json!({ "url": "https://127.0.0.2/" });
    assert_eq!(asked("POST", "/v1/webhooks", &refused).0, 422);
}
