//! Voters who sign in, with keys of the provider in a file and at an address, and how new keys come.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{Voting, command, deployment::Told, front::answer};
use tokio::runtime::Builder;
use voting_client::{VoteClient, Voter};
use voting_testing::{ProviderKey, agent, await_that};

const ISSUER: &str = "https://id.test";

fn publish(file: &Path, keys: &[&ProviderKey]) {
    let new = file.with_extension("new");
    fs::write(&new, ProviderKey::set(keys).to_string()).expect("written");
    fs::rename(new, file).expect("renamed");
}

/// A token for this service.
fn token(key: &ProviderKey, person: &str) -> String {
    key.token(ISSUER, "voting", person)
}

/// The status, and the cookie of the session.
fn sign_in(voting: &Voting, token: &str) -> (u16, String) {
    let url = format!("{}/v1/session", voting.vote);
    let asked = agent()
        .post(&url)
        .header("authorization", format!("Bearer {token}"));
    let asked = asked
        .content_type("application/json")
        .send(r#"{"poll":"club"}"#);
    let answer = asked.expect("an answer");
    let cookie = answer.headers().get("set-cookie");
    let cookie = cookie.map_or("", |set| set.to_str().expect("a text"));
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    (answer.status().as_u16(), cookie)
}

fn vote(voting: &Voting, cookie: &str, choice: &str) -> u16 {
    let url = format!("{}/v1/polls/club/ballot", voting.vote);
    let ballot = agent().put(&url).header("cookie", cookie);
    let ballot = ballot.content_type("application/json");
    let sent = ballot.send(json!({"choices": [choice]}).to_string());
    sent.expect("an answer").status().as_u16()
}

/// Waits until the options have so many votes: a result may be a moment old.
fn await_votes(voting: &Voting, votes: [u64; 2]) {
    voting.settled();
    await_that("the votes count", || {
        let tally = support::get(&format!("{}/v1/polls/club/tally", voting.result));
        let options = &tally["options"];
        [0, 1].map(|index| options[index]["votes"].as_u64()) == votes.map(Some)
    });
}

/// A provider that answers each request with what this is at the time. Its address.
fn provider(answer: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&client).lines();
            // To the empty line after the head.
            let is_read = lines.any(|line| line.is_ok_and(|line| line.is_empty()));
            assert!(is_read);
            let answer = answer.lock().expect("sound").clone();
            client.write_all(answer.as_bytes()).expect("sent");
        }
    });
    url
}

const POLL: &str = "[[polls]]\nid = 'club'\ntitle = 'Who?'\nvoters = 'identity'\n\
     options = [{ id = 'a', label = 'Anna' }, { id = 'b', label = 'Ben' }]\n";

#[test]
fn keys_are_exchanged_while_people_vote_and_nobody_is_refused_or_counts_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    let (first, second, stranger) = (
        ProviderKey::new("first"),
        ProviderKey::new("second"),
        ProviderKey::new("stranger"),
    );
    publish(&file, &[&first]);
    let settings = format!(
        "[login]\nissuer = '{ISSUER}'\naudience = 'voting'\njwks_file = '{}'\n{POLL}",
        file.display()
    );
    fs::write(folder.path().join("settings.toml"), settings).expect("written");
    let voting = Voting::start_with(folder.path(), &["--config", "settings.toml"]);

    let (status, anna) = sign_in(&voting, &token(&first, "anna"));
    assert_eq!((status, vote(&voting, &anna, "a")), (200, 202));
    let (status, _) = sign_in(&voting, &token(&stranger, "anna"));
    assert_eq!(status, 401);

    // The provider publishes the next key before it signs with it.
    publish(&file, &[&first, &second]);
    await_that("the next key is known", || {
        sign_in(&voting, &token(&second, "anna")).0 == 200
    });
    for (key, person, choice) in [
        (&first, "ben", "a"),
        (&second, "ben", "b"),
        (&second, "anna", "b"),
    ] {
        let (status, session) = sign_in(&voting, &token(key, person));
        assert_eq!(
            (status, vote(&voting, &session, choice)),
            (200, 202),
            "{person}"
        );
    }
    await_votes(&voting, [0, 2]);
    // The session of before goes on.
    assert_eq!(vote(&voting, &anna, "a"), 202);
    await_votes(&voting, [1, 1]);

    // The Rust client signs in by itself, as the same person.
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = VoteClient::new(&voting.vote).expect("an address");
        let mut anna = Voter::with_token(&token(&second, "anna")).expect("a token");
        let cast = client.cast("club", &mut anna, &["b"]).await;
        cast.expect("Anna may vote");
        let may = client.eligibility("club", &anna).await;
        assert!(may.expect("she has a session").eligible);
        let mut eve = Voter::with_token(&token(&stranger, "eve")).expect("a token");
        let refused = client.cast("club", &mut eve, &["b"]).await;
        let refused = refused.expect_err("no provider knows this key");
        assert_eq!(refused.kind(), Some("invalid-token"));
    });
    await_votes(&voting, [0, 2]);
}

/// The answer of a provider with these keys.
fn published(keys: &[&ProviderKey]) -> String {
    let keys = ProviderKey::set(keys).to_string();
    answer("200 OK", "application/json", &keys)
}

fn keys_at(provider: &str) -> [(&'static str, String); 3] {
    [
        ("VOTING_LOGIN__ISSUER", ISSUER.to_owned()),
        ("VOTING_LOGIN__AUDIENCE", "voting".to_owned()),
        ("VOTING_LOGIN__JWKS_URL", format!("{provider}/keys")),
    ]
}

fn started(folder: &Path, settings: &[(&'static str, String)]) -> Voting {
    fs::write(folder.join("polls.toml"), POLL).expect("written");
    let mut command = command(folder);
    command.args(["--config", "polls.toml"]);
    for (name, value) in settings {
        command.env(name, value);
    }
    Voting::start_as(folder, &mut command)
}

/// Keys at an address are asked for at most once a minute, so this takes a little longer.
#[test]
#[ignore = "takes more than a minute"]
fn keys_at_an_address_are_exchanged_while_people_vote() {
    const PEOPLE: [&str; 4] = ["anna", "ben", "cleo", "dora"];
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (ProviderKey::new("first"), ProviderKey::new("second"));
    let answers = Arc::new(Mutex::new(published(&[&first])));
    let voting = started(folder.path(), &keys_at(&provider(Arc::clone(&answers))));
    let signs = Mutex::new(&first);
    let (stop, visits) = (AtomicBool::new(false), AtomicU64::new(0));
    let (has_visits, begun) = (|| visits.load(Relaxed), Instant::now());
    thread::scope(|scope| {
        for person in PEOPLE {
            let (voting, signs, stop, visits) = (&voting, &signs, &stop, &visits);
            scope.spawn(move || {
                let mut choice = "a";
                while !stop.load(Relaxed) {
                    let current = *signs.lock().expect("sound");
                    let (status, session) = sign_in(voting, &token(current, person));
                    assert_eq!((status, vote(voting, &session, choice)), (200, 202));
                    choice = if choice == "a" { "b" } else { "a" };
                    visits.fetch_add(1, Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
                let current = *signs.lock().expect("sound");
                let (_, session) = sign_in(voting, &token(current, person));
                assert_eq!(vote(voting, &session, "b"), 202);
            });
        }
        // If a check fails here, the threads are to end as well.
        let stop = StopAtEnd(&stop);
        await_that("people vote", || has_visits() > 50);
        *answers.lock().expect("sound") = published(&[&first, &second]);
        // The provider signs with the next key a minute after it has published it.
        thread::sleep(Duration::from_secs(61).saturating_sub(begun.elapsed()));
        *signs.lock().expect("sound") = &second;
        let before = has_visits();
        await_that("people vote", || has_visits() > before + 50);
        *answers.lock().expect("sound") = published(&[&second]);
        let before = has_visits();
        await_that("people vote", || has_visits() > before + 50);
        drop(stop);
    });
    await_votes(&voting, [0, 4]);
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn keys_come_from_an_address_and_the_doctor_looks_at_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = ProviderKey::new("key");
    let provider = provider(Arc::new(Mutex::new(published(&[&key]))));
    let settings = keys_at(&provider);
    let voting = started(folder.path(), &settings);
    let (status, session) = sign_in(&voting, &token(&key, "anna"));
    assert_eq!((status, vote(&voting, &session, "a")), (200, 202));
    let told = Told::by(&settings, &["doctor"]);
    told.says("ok", "login keys", &["1 key of the identity provider"]);
}
