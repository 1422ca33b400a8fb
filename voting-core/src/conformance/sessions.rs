//! What a [`TokenStore`](crate::store::TokenStore) must keep of sessions.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::Backend;
use crate::{
    model::moment::Moment,
    store::{
        sessions::HostSession,
        tokens::{Role, TokenHash},
    },
};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

fn at(ms: u64) -> Moment {
    Moment::from_unix_ms(1_790_000_000_123 + ms).expect("a moment")
}

/// A session that begins at this moment and lasts half a day.
fn session(of: &str, begins: u64) -> HostSession {
    HostSession {
        hash: TokenHash::of(of),
        name: of.to_owned(),
        role: Role::Auditor,
        began_at: at(begins),
        used_at: at(begins),
        until: at(begins + DAY_MS / 2),
        has_ended: false,
    }
}

async fn add(backend: &Backend, session: &HostSession) -> bool {
    let added = backend.tokens.add_session(session).await;
    added.expect("an answer")
}

async fn stored(backend: &Backend, of: &str) -> Option<HostSession> {
    let found = backend.tokens.session(TokenHash::of(of)).await;
    found.expect("an answer")
}

async fn end(backend: &Backend, of: &str) -> bool {
    let ended = backend.tokens.end_session(TokenHash::of(of)).await;
    ended.expect("an answer")
}

async fn was_used(backend: &Backend, of: &str, moment: u64) {
    let used = backend.tokens.use_session(TokenHash::of(of), at(moment));
    used.await.expect("an answer");
}

pub async fn a_session_is_kept_until_it_ends_and_never_comes_back(backend: &Backend) {
    assert_eq!(stored(backend, "anna").await, None);
    assert!(!end(backend, "anna").await);
    let (anna, zoe) = (session("anna", 0), session("zoe \u{1f5f3}", 1));
    assert!(add(backend, &anna).await && add(backend, &zoe).await);
    assert_eq!(stored(backend, "anna").await, Some(anna.clone()));
    assert_eq!(stored(backend, &zoe.name).await, Some(zoe.clone()));
    assert!(end(backend, "anna").await);
    assert!(!end(backend, "anna").await);
    assert!(!add(backend, &anna).await);
    was_used(backend, "anna", 5).await;
    let ended = HostSession {
        has_ended: true,
        ..anna
    };
    assert_eq!(stored(backend, "anna").await, Some(ended));
    assert_eq!(stored(backend, &zoe.name).await, Some(zoe));
}

pub async fn a_session_was_used_at_the_latest_moment_that_was_told(backend: &Backend) {
    add(backend, &session("anna", 0)).await;
    add(backend, &session("zoe", 0)).await;
    for (moment, latest) in [(60_000, 60_000), (30_000, 60_000), (90_001, 90_001)] {
        was_used(backend, "anna", moment).await;
        let used = stored(backend, "anna").await.expect("a session").used_at;
        assert_eq!(used, at(latest));
    }
    let zoe = stored(backend, "zoe").await.expect("a session");
    assert_eq!(zoe.used_at, at(0));
    was_used(backend, "nobody", 1).await;
}

pub async fn sessions_whose_time_is_long_over_are_removed(backend: &Backend) {
    add(backend, &session("anna", 0)).await;
    add(backend, &session("zoe", 1)).await;
    end(backend, "zoe").await;
    // A day after Anna's session was over.
    assert!(add(backend, &session("ben", DAY_MS / 2 * 3)).await);
    assert!(stored(backend, "anna").await.is_some());
    assert!(add(backend, &session("eve", DAY_MS / 2 * 3 + 1)).await);
    assert_eq!(stored(backend, "anna").await, None);
    assert!(stored(backend, "zoe").await.is_some());
    assert!(stored(backend, "ben").await.is_some());
}

pub async fn what_becomes_of_sessions_is_in_the_audit_log(backend: &Backend) {
    let anna = session("anna", 0);
    add(backend, &anna).await;
    add(backend, &anna).await;
    was_used(backend, "anna", 1).await;
    end(backend, "anna").await;
    end(backend, "anna").await;
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let notes: Vec<_> = log.into_iter().map(|entry| entry.note).collect();
    assert_eq!(notes, [anna.began_note(), anna.ended_note()]);
}
