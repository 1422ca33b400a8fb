//! Encrypted connections to the stores.

use std::time::Duration;

use voting_core::{
    Ballot, BallotLog, BallotQueue, CastError, Choices, TallyStore, VoteSink, VoterId,
    backends::{
        postgres::{Postgres, PostgresOptions},
        redis::{Redis, RedisOptions},
        tls::Authorities,
    },
    error::in_one_line,
};
use voting_testing::{Authority, PostgresServer, RedisServer};

fn trust(authority: &Authority) -> Option<Authorities> {
    Some(Authorities::from_pem(authority.pem().as_bytes()).expect("a certificate"))
}

fn ballot() -> Ballot {
    Ballot {
        poll: "p".parse().expect("an id"),
        voter: VoterId::issue(),
        choices: Choices::from_bits(1).expect("choices"),
        rules: None,
    }
}

fn redis(url: &str, ca: Option<Authorities>) -> Redis {
    let options = RedisOptions {
        ca,
        ..RedisOptions::default()
    };
    Redis::new(url, options).expect("an address")
}

#[tokio::test]
async fn an_encrypted_redis_takes_and_gives_ballots() {
    let authority = Authority::new();
    let server = RedisServer::start_encrypted(&authority);
    let redis = redis(&server.url(), trust(&authority));
    redis
        .ready_to_append()
        .await
        .expect("it is set up to be durable");
    redis.sink().cast(ballot()).await.expect("cast");
    let queue = redis.queue();
    let claim = queue.claim(10, Duration::from_secs(5)).await;
    assert_eq!(claim.expect("claimed").entries.len(), 1);
}

#[tokio::test]
async fn a_redis_that_cannot_be_verified_gets_no_ballot_and_the_error_says_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = RedisServer::start_encrypted(&authority);
    let impostors = [
        (server.url(), trust(&other), "UnknownIssuer"),
        // The system trusts others.
        (server.url(), None, "UnknownIssuer"),
        (
            server.url_at("127.0.0.1"),
            trust(&authority),
            "not valid for name",
        ),
    ];
    for (url, ca, reason) in impostors {
        let redis = redis(&url, ca);
        let error = in_one_line(&redis.ready_to_append().await.expect_err("not verified"));
        assert!(error.contains(reason), "{error}");
        let refused = redis.sink().cast(ballot()).await.expect_err("refused");
        assert!(matches!(refused, CastError::Refused(_)), "{refused:?}");
    }
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_named_as_the_reason() {
    let authority = Authority::new().with_days(-3, -1);
    let server = RedisServer::start_encrypted(&authority);
    let error = redis(&server.url(), trust(&authority))
        .ready_to_append()
        .await;
    let error = in_one_line(&error.expect_err("not verified"));
    assert!(error.contains("expired"), "{error}");

    let server = PostgresServer::start_encrypted(&authority);
    let store = postgres(&server.database("voting"), trust(&authority));
    let error = in_one_line(&store.migrate().await.expect_err("not verified"));
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn an_authority_beside_a_plain_redis_is_a_mistake() {
    let authority = Authority::new();
    let options = RedisOptions {
        ca: trust(&authority),
        ..RedisOptions::default()
    };
    let wrong = Redis::new("redis://localhost:1/", options).expect_err("it would not be used");
    assert!(wrong.to_string().contains("rediss://"), "{wrong}");
}

fn postgres(url: &str, ca: Option<Authorities>) -> Postgres {
    let options = PostgresOptions {
        connect_timeout: Duration::from_secs(2),
        ca,
        ..PostgresOptions::default()
    };
    Postgres::new(url, options).expect("an address")
}

#[tokio::test]
async fn an_encrypted_postgres_is_migrated_and_read() {
    let authority = Authority::new();
    let server = PostgresServer::start_encrypted(&authority);
    let url = server.database("voting");
    let plain = url.replace("?sslmode=require", "");
    // An authority means encryption, whatever the address says: the server takes nothing else.
    for url in [&url, &plain] {
        let store = postgres(url, trust(&authority));
        store.migrate().await.expect("migrated");
        TallyStore::ready_to_read(&store).await.expect("it answers");
    }
    let error = postgres(&plain, None).migrate().await;
    let error = in_one_line(&error.expect_err("a plain one is refused"));
    assert!(error.contains("no encryption"), "{error}");
}

#[tokio::test]
async fn a_postgres_that_cannot_be_verified_is_not_used_and_the_error_says_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = PostgresServer::start_encrypted(&authority);
    let url = server.database("voting");
    let elsewhere = server.url_at("127.0.0.1", "voting");
    let impostors = [
        (&url, trust(&other), "UnknownIssuer"),
        (&url, None, "UnknownIssuer"),
        (&elsewhere, trust(&authority), "not valid for name"),
    ];
    for (url, ca, reason) in impostors {
        let failed = postgres(url, ca).migrate().await;
        let error = in_one_line(&failed.expect_err("not verified"));
        assert!(error.contains(reason), "{error}");
    }
}

/// Debian's Postgres has a certificate that it made itself, which nobody can verify.
#[tokio::test]
async fn a_plain_address_stays_plain_also_where_the_server_could_encrypt() {
    let server = PostgresServer::start();
    let store = postgres(&server.database("voting"), None);
    store.migrate().await.expect("migrated");
    let asked = postgres(&format!("{}?sslmode=require", server.url("voting")), None);
    let error = in_one_line(&asked.migrate().await.expect_err("it cannot encrypt"));
    assert!(error.contains("TLS"), "{error}");
}
