//! The inner parts, by themselves: `cargo bench -p voting-bench`. Each line is the time of one call; with
//! ballots, also of one ballot.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use divan::{Bencher, black_box, counter::ItemsCount};
use poem::{Endpoint, Request, http::Method};
use tokio::runtime::Runtime;
use voting_core::{
    Ballot, CastError, Choices, Poll, PollId, PollOption, PollStore, Receipt, SecretKey,
    StoreError, VoteSink, VoterId,
    backends::memory::{Memory, MemoryOptions},
    log::{
        entry::{self, EntryBuilder},
        entry_keys::EntryKeys,
    },
    model::{
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters},
        poll_key::PollKeyWrap,
        position::{EntryId, Position, ShardId},
    },
    pipeline::poll_keys::KeyedPolls,
    store::batch::{Batch, PlacedBallot},
};
use voting_http::{KeySource, Logins, ReceiptKey, TokenLogins, VoteService};
use voting_testing::ProviderKey;

/// As the services have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An identity provider.
const ISSUER: &str = "https://id.test";

/// A full entry.
const BALLOTS: usize = 4_096;

fn main() {
    divan::main();
}

fn poll() -> Poll {
    let option = |id: &str| PollOption {
        id: id.parse().expect("an id"),
        label: id.to_owned(),
    };
    let id = "cats-vs-dogs".parse().expect("an id");
    Poll::new(id, "Cats vs Dogs!", vec![option("a"), option("b")], 1).expect("a poll")
}

fn ballot() -> Ballot {
    Ballot {
        poll: poll().id().clone(),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules: None,
    }
}

fn ballots() -> Vec<Ballot> {
    (0..BALLOTS).map(|_| ballot()).collect()
}

#[divan::bench]
fn issue_a_voter() -> VoterId {
    VoterId::issue()
}

fn a_receipt() -> (ReceiptKey, Receipt) {
    let secret = SecretKey::new([7; 32]).expect("long enough");
    let receipt = Receipt {
        poll: poll().id().clone(),
        voter: VoterId::issue(),
        position: Position::new(ShardId(0), EntryId::MIN, 0),
    };
    (ReceiptKey::new(&secret), receipt)
}

#[divan::bench]
fn seal_a_receipt(bencher: Bencher<'_, '_>) {
    let (key, receipt) = a_receipt();
    bencher.bench(|| key.seal(black_box(&receipt)));
}

#[divan::bench]
fn open_a_receipt(bencher: Bencher<'_, '_>) {
    let (key, receipt) = a_receipt();
    let text = key.seal(&receipt);
    bencher.bench(|| key.open(black_box(&text)));
}

#[divan::bench]
fn choose(bencher: Bencher<'_, '_>) {
    let poll = poll();
    bencher.bench(|| poll.choose([black_box("b")]));
}

#[divan::bench]
fn read_a_poll_id() -> PollId {
    black_box("cats-vs-dogs").parse().expect("an id")
}

#[divan::bench]
fn encode_an_entry(bencher: Bencher<'_, '_>) {
    let ballots = ballots();
    bencher.counter(ItemsCount::new(BALLOTS)).bench(|| {
        let mut builder = EntryBuilder::default();
        for ballot in &ballots {
            builder.push(ballot);
        }
        builder.finish()
    });
}

#[divan::bench]
fn encode_and_sign_an_entry(bencher: Bencher<'_, '_>) {
    let (ballots, keys) = (ballots(), entry_keys());
    bencher.counter(ItemsCount::new(BALLOTS)).bench(|| {
        let mut builder = EntryBuilder::default();
        for ballot in &ballots {
            builder.push(ballot);
        }
        builder.signed(&keys, ShardId(0), u64::MAX)
    });
}

#[divan::bench]
fn check_and_decode_a_signed_entry(bencher: Bencher<'_, '_>) {
    let keys = entry_keys();
    let mut builder = EntryBuilder::default();
    for ballot in ballots() {
        builder.push(&ballot);
    }
    let entry = builder.signed(&keys, ShardId(0), u64::MAX);
    let payload = entry.expect("signed").payload;
    let place = (ShardId(0), EntryId::MIN);
    bencher
        .counter(ItemsCount::new(BALLOTS))
        .bench(|| keys.open(black_box(&payload), place));
}

fn entry_keys() -> EntryKeys {
    let key = SecretKey::new([7; 32]).expect("a key");
    EntryKeys::new("voting").signing_with(&key)
}

#[divan::bench]
fn decode_an_entry(bencher: Bencher<'_, '_>) {
    let mut builder = EntryBuilder::default();
    for ballot in ballots() {
        builder.push(&ballot);
    }
    let payload = builder.finish().payload;
    bencher
        .counter(ItemsCount::new(BALLOTS))
        .bench(|| entry::decode(black_box(&payload)));
}

/// Voters who are sorted, as new ones are, and voters who are not.
#[divan::bench(args = [true, false])]
fn keep_the_newest(bencher: Bencher<'_, '_>, sorted: bool) {
    let mut ballots = ballots();
    if !sorted {
        ballots.sort_by_key(|ballot| {
            let mut bytes = ballot.voter.to_bytes();
            bytes.reverse();
            bytes
        });
    }
    let entry = EntryId::new(1, 0).expect("an id");
    let placed = |(index, ballot)| PlacedBallot {
        position: Position::new(ShardId(0), entry, index),
        ballot,
    };
    let batch = Batch {
        ballots: (0..).zip(ballots).map(placed).collect(),
        ..Batch::default()
    };
    bencher
        .counter(ItemsCount::new(BALLOTS))
        .with_inputs(|| batch.clone())
        .bench_values(|mut batch| {
            batch.keep_one_of_each_voter();
            batch
        });
}

/// Says at once that a ballot is stored.
struct AtOnce;

#[async_trait]
impl VoteSink for AtOnce {
    async fn cast(&self, ballot: Ballot) -> Result<Receipt, CastError> {
        Ok(Receipt {
            poll: ballot.poll,
            voter: ballot.voter,
            position: Position::new(ShardId(0), EntryId::MIN, 0),
        })
    }

    async fn ready_to_cast(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A vote from a new voter through all of the vote service's layers, without socket and store.
fn through_the_service(
    bencher: Bencher<'_, '_>,
    method: &Method,
    path: &str,
    kind: &str,
    body: &'static str,
) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = Memory::new(MemoryOptions::default());
    runtime.block_on(memory.put_poll(&poll())).expect("stored");
    let secret = SecretKey::new("a secret of the benches, 32 bytes or more").expect("long enough");
    let service = VoteService::builder(Arc::new(AtOnce), Arc::new(memory), &secret).build();
    let endpoint = service.into_endpoint();
    let request = || {
        Request::builder()
            .method(method.clone())
            .uri(path.parse().expect("a path"))
            .header("host", "localhost")
            .header("content-length", body.len())
            .content_type(kind)
            .body(body)
    };
    let answer = runtime.block_on(endpoint.get_response(request()));
    assert!(answer.status().is_success(), "{answer:?}");
    bencher
        .with_inputs(request)
        .bench_values(|request| runtime.block_on(endpoint.get_response(request)));
}

#[divan::bench]
fn cast_by_form(bencher: Bencher<'_, '_>) {
    let kind = "application/x-www-form-urlencoded";
    through_the_service(bencher, &Method::POST, "/", kind, "vote=a");
}

#[divan::bench]
fn cast_by_json(bencher: Bencher<'_, '_>) {
    let path = "/v1/polls/cats-vs-dogs/ballot";
    let body = r#"{"choices":["a"]}"#;
    through_the_service(bencher, &Method::PUT, path, "application/json", body);
}

/// The page of a new visitor, whose browser asks for a language.
#[divan::bench(args = ["en-GB,en;q=0.9", "de"])]
fn open_the_page(bencher: Bencher<'_, '_>, language: &str) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = Memory::new(MemoryOptions::default());
    runtime.block_on(memory.put_poll(&poll())).expect("stored");
    let secret = SecretKey::new("a secret of the benches, 32 bytes or more").expect("long enough");
    let service = VoteService::builder(Arc::new(AtOnce), Arc::new(memory), &secret).build();
    let endpoint = service.into_endpoint();
    let request = || {
        Request::builder()
            .uri("/".parse().expect("a path"))
            .header("host", "localhost")
            .header("accept", "text/html")
            .header("accept-encoding", "gzip")
            .header("accept-language", language)
            .finish()
    };
    let answer = runtime.block_on(endpoint.get_response(request()));
    assert!(answer.status().is_success(), "{answer:?}");
    bencher
        .with_inputs(request)
        .bench_values(|request| runtime.block_on(endpoint.get_response(request)));
}

/// How a voter is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// By the cookie, with the cookie's id.
    Cookie,
    /// By the cookie, with another id in each poll.
    CookieInKeyedPoll,
    /// By a code in the header.
    Code,
    /// By the cookie of a code.
    CookieOfCode,
    /// By the session of somebody who has signed in.
    Session,
}

/// What the identity provider publishes.
struct Published(String);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok(self.0.clone())
    }
}

/// A vote of a voter who is known already, in each of the ways.
#[divan::bench(args = [Known::Cookie, Known::CookieInKeyedPoll, Known::Code, Known::CookieOfCode, Known::Session])]
fn cast_by_json_of_a_known_voter(bencher: Bencher<'_, '_>, known: Known) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = Memory::new(MemoryOptions::default());
    let secret = SecretKey::new("a secret of the benches, 32 bytes or more").expect("long enough");
    let wrap = PollKeyWrap::new(&secret);
    let mut settings = PollSettings::default();
    match known {
        Known::Cookie | Known::CookieInKeyedPoll => {}
        Known::Code | Known::CookieOfCode => settings.voters = Voters::Codes,
        Known::Session => settings.voters = Voters::Identity,
    }
    let provider = ProviderKey::new("bench");
    let published = Published(ProviderKey::set(&[&provider]).to_string());
    let logins = Logins::default().with_tokens(TokenLogins::new(ISSUER, "voting", published));
    let poll = poll().with_settings(settings).expect("settings");
    let keys = (known != Known::Cookie).then(|| wrap.clone());
    let polls = KeyedPolls::new(memory.clone(), keys);
    runtime.block_on(polls.put_poll(&poll)).expect("stored");
    let mut name = ("accept", "*/*".to_owned());
    let service = VoteService::builder(Arc::new(AtOnce), Arc::new(memory), &secret);
    let service = service.poll_keys(wrap.clone()).logins(logins);
    let endpoint = service.build().into_endpoint();
    let path = "/v1/polls/cats-vs-dogs/ballot";
    let body = r#"{"choices":["a"]}"#;
    let cast = |(header, value): &(&'static str, String)| {
        Request::builder()
            .method(Method::PUT)
            .uri(path.parse().expect("a path"))
            .header("host", "localhost")
            .header("content-length", body.len())
            .header(*header, value)
            .content_type("application/json")
            .body(body)
    };
    let cookie_of = |answer: poem::Response| {
        let set = answer.header("set-cookie").expect("a cookie");
        ("cookie", set.split(';').next().expect("it").to_owned())
    };
    if poll.settings().voters == Voters::Codes {
        let issue = ChangeTo::Codes(CodeChange::Issue(1));
        let change = PollChange::new(poll.id().clone(), issue);
        let stored = runtime.block_on(polls.change_poll(&change, "bench"));
        let stored = stored.expect("issued").expect("the poll");
        let key = stored.wrapped_key().expect("a key");
        let code = wrap
            .open(poll.id(), key)
            .expect("the key")
            .codes()
            .code(0, 0);
        name = ("voter-code", code.to_string());
        if known == Known::CookieOfCode {
            let link = Request::builder()
                .uri(
                    format!("/polls/cats-vs-dogs/c/{code}")
                        .parse()
                        .expect("a path"),
                )
                .header("host", "localhost")
                .finish();
            name = cookie_of(runtime.block_on(endpoint.get_response(link)));
        }
    } else if known == Known::Session {
        let token = provider.token(ISSUER, "voting", "anna");
        let session = Request::builder()
            .method(Method::POST)
            .uri("/v1/session".parse().expect("a path"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .content_type("application/json")
            .body(r#"{"poll":"cats-vs-dogs"}"#);
        name = cookie_of(runtime.block_on(endpoint.get_response(session)));
    } else {
        name = cookie_of(runtime.block_on(endpoint.get_response(cast(&name))));
    }
    let answer = runtime.block_on(endpoint.get_response(cast(&name)));
    assert!(answer.status().is_success(), "{answer:?}");
    bencher
        .with_inputs(|| cast(&name))
        .bench_values(|request| runtime.block_on(endpoint.get_response(request)));
}
