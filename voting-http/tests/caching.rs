//! Tallies that caches in front of the result service keep, and what they must not keep.

mod support;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use support::{
    Answer, FORM, JSON, Services, Setup, any_event, events, first_piece, get, head, poll, send,
};
use voting_core::{
    PollStore,
    model::{
        poll::{PollSettings, ShowResults},
        poll_state::{PollState, Seals},
    },
};
use voting_testing::await_some;

const TALLY: &str = "/v1/polls/cats-vs-dogs/tally";
const POINTER: &str = "/v1/polls/cats-vs-dogs/tally/latest";
const UNKNOWN: &str = "00000000000000000000000000000000";

fn ask(services: &Services, path: &str) -> Answer {
    get(&format!("{}{path}", services.result), &[])
}

fn by_digest(services: &Services, digest: &str) -> Answer {
    ask(services, &format!("{TALLY}/{digest}"))
}

fn vote(services: &Services) {
    let voted = send("POST", &services.vote, &[FORM], b"vote=a");
    assert_eq!(voted.status, 200, "{}", voted.body);
    services.settle();
}

/// The digest of the current tally, once it is another one.
fn digest_after(services: &Services, before: &str) -> String {
    await_some("the tally is another one", || {
        let digest = ask(services, POINTER).json()["digest"].clone();
        let digest = digest.as_str().expect("a digest").to_owned();
        (digest != before).then_some(digest)
    })
}

fn hash(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text)[..16])
}

#[test]
fn a_tally_is_found_by_the_hash_of_its_bytes() {
    let services = Services::start();
    vote(&services);
    let pointer = await_some("the vote is shown", || {
        let voters = ask(&services, TALLY).json()["voters"].clone();
        (voters == 1).then(|| ask(&services, POINTER))
    });
    let whole = ask(&services, TALLY);
    let digest = hash(&whole.body);
    assert_eq!(
        pointer.body,
        format!(r#"{{"digest":"{digest}","state":"open"}}"#)
    );
    assert_eq!(by_digest(&services, &digest).body, whole.body);
    let path = format!("{TALLY}/{digest}");
    for (path, caching) in [
        (TALLY, "public, no-cache"),
        (POINTER, "public, max-age=1, stale-while-revalidate=4"),
        (&path, "public, max-age=31536000, immutable"),
    ] {
        let url = format!("{}{path}", services.result);
        let tag = format!("\"{digest}\"");
        let answer = get(&url, &[]);
        let same = get(&url, &[("if-none-match", &tag)]);
        let other = get(&url, &[("if-none-match", "\"0\"")]);
        let only_head = head(&url, &[]);
        for answer in [&answer, &same, &other, &only_head] {
            assert_eq!(answer.header("cache-control"), caching, "{path}");
            assert_eq!(answer.header("etag"), tag, "{path}");
            assert_eq!(answer.header("set-cookie"), "", "{path}");
        }
        assert_eq!(
            (same.status.as_u16(), same.body.as_str()),
            (304, ""),
            "{path}"
        );
        assert_eq!((other.status.as_u16(), &other.body), (200, &answer.body));
        assert_eq!(only_head.status, 200, "{path}");
        assert!(
            answer
                .header("content-type")
                .starts_with("application/json")
        );
    }
}

#[test]
fn compressed_bytes_have_a_tag_of_their_own() {
    let services = Services::start();
    let long = "A long label, as they are in large polls. ".repeat(3);
    let options: Vec<_> = (0..20)
        .map(|n| (format!("o{n}"), format!("{long}{n}")))
        .collect();
    let options: Vec<_> = options
        .iter()
        .map(|(id, label)| (id.as_str(), label.as_str()))
        .collect();
    let large = poll("large", &options, 1);
    services
        .block_on(services.memory.put_poll(&large))
        .expect("stored");
    let plain = await_some("the poll is known", || {
        let plain = ask(&services, "/v1/polls/large/tally");
        (plain.status == 200).then_some(plain)
    });
    let digest = hash(&plain.body);
    assert_eq!(plain.header("etag"), format!("\"{digest}\""));
    for path in [
        "/v1/polls/large/tally".to_owned(),
        format!("/v1/polls/large/tally/{digest}"),
    ] {
        let url = format!("{}{path}", services.result);
        let gzip = ("accept-encoding", "gzip");
        let packed = get(&url, &[gzip]);
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.len() < plain.body.len() / 2);
        let tag = packed.header("etag").to_owned();
        assert_eq!(tag, format!("\"{digest}-gzip\""));
        assert_eq!(get(&url, &[gzip, ("if-none-match", &tag)]).status, 304);
        assert_eq!(get(&url, &[("if-none-match", &tag)]).status, 200);
        for answer in [get(&url, &[]), packed] {
            let varies: Vec<_> = answer.headers.get_all("vary").into_iter().collect();
            assert_eq!(varies, ["accept-encoding"]);
        }
    }
}

#[test]
fn earlier_tallies_are_found_and_unknown_ones_are_not_kept() {
    let services = Services::start();
    let first = digest_after(&services, "");
    let body = by_digest(&services, &first).body;
    vote(&services);
    let second = digest_after(&services, &first);
    vote(&services);
    digest_after(&services, &second);
    assert_eq!(by_digest(&services, &first).body, body);
    assert_eq!(by_digest(&services, &second).json()["voters"], 1);
    for digest in [UNKNOWN, "x", &first.to_uppercase(), &first[1..]] {
        let unknown = by_digest(&services, digest);
        assert_eq!(unknown.status, 404, "{digest}");
        assert_eq!(unknown.json()["type"], "urn:voting:problem:unknown-tally");
        assert_eq!(unknown.header("cache-control"), "no-store");
        assert_eq!(unknown.header("etag"), "");
    }
}

/// A cache asks one replica for the pointer, and another one for the tally that it names.
#[test]
fn a_replica_answers_a_tally_that_another_one_has_read() {
    let one = Services::start();
    let all = std::sync::Arc::new(one.memory.clone());
    let other = Services::set_up(|_| Setup {
        tallies: Some(all.clone()),
        result_directory: Some(all),
        ..Setup::default()
    });
    assert_eq!(ask(&other, TALLY).json()["voters"], 0);
    let reads = |services: &Services| {
        let metrics = ask(services, "/metrics").body;
        let reads = metrics
            .lines()
            .find_map(|line| line.strip_prefix("voting_tally_look_ups_total "));
        reads.expect("a number").parse::<u64>().expect("a number")
    };
    let before = reads(&other);
    vote(&one);
    // It has not read this poll yet, so it reads the new tally at once.
    let digest = digest_after(&one, "");
    let found = by_digest(&other, &digest);
    assert_eq!((found.status.as_u16(), hash(&found.body)), (200, digest));
    assert_eq!(found.json()["voters"], 1);
    assert_eq!(reads(&other), before + 1);
}

#[test]
fn the_pointer_of_a_final_poll_is_kept_longer() {
    let services = Services::start();
    let open = digest_after(&services, "");
    let id = "cats-vs-dogs".parse().expect("an id");
    let closing = PollState::Closing(Seals::default());
    let closed = services.block_on(services.memory.advance_poll(&id, &closing));
    closed.expect("the poll is closed");
    let pointer = await_some("the poll is final", || {
        let pointer = ask(&services, POINTER);
        (pointer.json()["state"] == "final").then_some(pointer)
    });
    assert_eq!(
        pointer.header("cache-control"),
        "public, max-age=60, stale-while-revalidate=600"
    );
    let digest = pointer.json()["digest"].as_str().expect("one").to_owned();
    assert_ne!(digest, open, "the state is a part of the tally");
    assert_eq!(by_digest(&services, &digest).json()["state"], "final");
}

#[test]
fn a_stream_of_digests_names_each_tally() {
    let services = Services::start();
    let path = format!("{TALLY}/events?content=digest");
    let mut stream = events(&services.result, &path);
    for voters in 0..2 {
        let event = any_event(&mut stream).expect("an event");
        assert_eq!((event.name.as_str(), event.id), ("digest", Some(voters)));
        assert_eq!(event.data["state"], "open");
        let digest = event.data["digest"].as_str().expect("a digest");
        assert_eq!(by_digest(&services, digest).json()["voters"], voters);
        vote(&services);
    }
    let unknown = ask(&services, &format!("{TALLY}/events?content=all"));
    assert_eq!(unknown.status, 400);
}

/// Also whoever sees the result after a vote gets it for this client only.
#[test]
fn of_a_hidden_result_nothing_is_for_caches() {
    let services = Services::start();
    let mut settings = PollSettings::default();
    settings.results = ShowResults::AfterVote;
    let hidden = poll("hidden", &[("a", "A"), ("b", "B")], 1);
    let hidden = hidden.with_settings(settings).expect("settings");
    services
        .block_on(services.memory.put_poll(&hidden))
        .expect("stored");
    let cast = await_some("the poll is found", || {
        let url = format!("{}/v1/polls/hidden/ballot", services.vote);
        let cast = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
        (cast.status == 202).then_some(cast)
    });
    services.settle();
    let grant = cast.json()["grant"].as_str().expect("one").to_owned();
    let grant = ("result-grant", grant.as_str());
    let url = |path: &str| format!("{}/v1/polls/hidden/{path}", services.result);
    let seen = await_some("the vote is shown to the voter", || {
        let seen = get(&url("tally"), &[grant]);
        (seen.json()["voters"] == 1).then_some(seen)
    });
    assert_eq!(seen.header("cache-control"), "private, no-store");
    assert_eq!(seen.header("etag"), "");
    // Whoever guesses a tally is not told whether it is right.
    let right = format!("tally/{}", hash(&seen.body));
    let wrong = format!("tally/{UNKNOWN}");
    let mut answers = Vec::new();
    for headers in [&[][..], &[grant]] {
        for path in [
            "tally/latest",
            &right,
            &wrong,
            "tally/events?content=digest",
        ] {
            let answer = get(&url(path), headers);
            assert_eq!(answer.status, 403, "{path}");
            assert_eq!(
                answer.header("cache-control"),
                "private, no-store",
                "{path}"
            );
            assert_eq!(answer.header("etag"), "", "{path}");
            answers.push(answer.body);
        }
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(first_piece(&url("tally/events"), &[grant]).0, 200);
}
