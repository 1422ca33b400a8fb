//! What a [`TokenStore`](crate::store::TokenStore) must keep.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::Backend;
use crate::{
    model::{id::TokenName, moment::Moment},
    store::tokens::{NamedToken, Role, TokenHash},
};

fn name(text: &str) -> TokenName {
    text.parse().expect("a name")
}

fn token(of: &str, role: Role) -> NamedToken {
    NamedToken {
        name: name(of),
        role,
        hash: TokenHash::of(&format!("the token of {of} as {role}")),
        created_at: Moment::from_unix_ms(1_790_000_000_123).expect("a moment"),
    }
}

async fn listed(backend: &Backend) -> Vec<NamedToken> {
    backend.tokens.tokens().await.expect("the tokens")
}

async fn added(backend: &Backend, token: &NamedToken) -> bool {
    let added = backend.tokens.add_token(token, "operator").await;
    added.expect("an answer")
}

async fn revoked(backend: &Backend, of: &str) -> bool {
    let revoked = backend.tokens.revoke_token(&name(of), "anna").await;
    revoked.expect("an answer")
}

pub async fn a_token_is_kept_until_it_is_revoked(backend: &Backend) {
    assert_eq!(listed(backend).await, []);
    let (zoe, anna) = (token("zoe", Role::Operator), token("anna-2", Role::Host));
    assert!(added(backend, &zoe).await && added(backend, &anna).await);
    assert_eq!(listed(backend).await, [anna.clone(), zoe]);
    assert!(revoked(backend, "zoe").await);
    assert_eq!(listed(backend).await, [anna]);
    assert!(!revoked(backend, "zoe").await);
    // The name is free again.
    assert!(added(backend, &token("zoe", Role::Auditor)).await);
    assert_eq!(listed(backend).await.len(), 2);
}

pub async fn a_token_takes_the_place_of_no_other_one(backend: &Backend) {
    let host = token("anna", Role::Host);
    assert!(added(backend, &host).await);
    assert!(!added(backend, &token("anna", Role::Operator)).await);
    assert_eq!(listed(backend).await, [host]);
}

pub async fn what_becomes_of_tokens_is_in_the_audit_log(backend: &Backend) {
    let host = token("anna", Role::Host);
    added(backend, &host).await;
    added(backend, &token("anna", Role::Operator)).await;
    revoked(backend, "anna").await;
    revoked(backend, "anna").await;
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let notes: Vec<_> = log.into_iter().map(|entry| entry.note).collect();
    assert_eq!(
        notes,
        [host.added_note("operator"), host.revoked_note("anna")]
    );
}
