//! Broken stores of tokens.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use voting_core::{
    StoreError,
    conformance::Backend,
    model::{id::TokenName, moment::Moment},
    store::{
        TokenStore,
        audit::AuditEntry,
        sessions::HostSession,
        tokens::{NamedToken, TokenHash},
    },
};

use super::{
    does_not_pass, memory_of,
    store::{BrokenStore, Store, with_store},
};

/// What is wrong with a store of tokens.
#[derive(Clone, Copy)]
enum Fault {
    /// It says that it has revoked a token.
    RevokesNothing,
    /// A new token takes the place of the one of its name.
    Replaces,
    /// An ended session is gone.
    Forgets,
    /// Only the first use of a session counts.
    UsesOnce,
    /// Nothing is ever removed.
    KeepsAll,
    /// It says that it has ended a session.
    EndsNothing,
}

struct Broken(Fault, Arc<dyn TokenStore>);

#[async_trait]
impl TokenStore for Broken {
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        if matches!(self.0, Fault::Replaces) {
            self.1.revoke_token(&token.name, by).await?;
        }
        self.1.add_token(token, by).await
    }

    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError> {
        self.1.tokens().await
    }

    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        match self.0 {
            Fault::RevokesNothing => {
                let tokens = self.1.tokens().await?;
                Ok(tokens.iter().any(|token| token.name == *name))
            }
            _ => self.1.revoke_token(name, by).await,
        }
    }

    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let mut session = session.clone();
        if matches!(self.0, Fault::KeepsAll) {
            session.until = session.until.plus(Duration::from_hours(1_000));
        }
        self.1.add_session(&session).await
    }

    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        let found = self.1.session(hash).await?;
        Ok(match self.0 {
            Fault::Forgets => found.filter(|session| !session.has_ended),
            _ => found,
        })
    }

    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        match self.0 {
            Fault::UsesOnce => match self.1.session(hash).await? {
                Some(session) if session.used_at != session.began_at => Ok(()),
                _ => self.1.use_session(hash, at).await,
            },
            _ => self.1.use_session(hash, at).await,
        }
    }

    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        match self.0 {
            Fault::EndsNothing => Ok(self.1.session(hash).await?.is_some()),
            _ => self.1.end_session(hash).await,
        }
    }
}

fn with(fault: Fault) -> Backend {
    let sound = memory_of(1);
    Backend {
        tokens: Arc::new(Broken(fault, Arc::clone(&sound.tokens))),
        ..sound
    }
}

#[derive(Default)]
struct NotesNotWhoRevokes;

#[async_trait]
impl BrokenStore for NotesNotWhoRevokes {
    async fn audit_log(
        &self,
        store: &Store,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut log = store.audit.audit_log(after, limit).await?;
        for entry in &mut log {
            "operator".clone_into(&mut entry.note.by);
        }
        Ok(log)
    }
}

does_not_pass! {
    one_that_revokes_no_token:
        with(Fault::RevokesNothing) => of tokens::a_token_is_kept_until_it_is_revoked;
    one_that_replaces_tokens:
        with(Fault::Replaces) => of tokens::a_token_takes_the_place_of_no_other_one;
    one_that_forgets_ended_sessions:
        with(Fault::Forgets) => of sessions::a_session_is_kept_until_it_ends_and_never_comes_back;
    one_that_ends_no_session:
        with(Fault::EndsNothing) => of sessions::what_becomes_of_sessions_is_in_the_audit_log;
    one_that_notes_the_first_use_of_a_session:
        with(Fault::UsesOnce) => of sessions::a_session_was_used_at_the_latest_moment_that_was_told;
    one_that_keeps_all_sessions:
        with(Fault::KeepsAll) => of sessions::sessions_whose_time_is_long_over_are_removed;
    one_that_notes_not_who_revokes:
        with_store::<NotesNotWhoRevokes>(memory_of(1))
        => of tokens::what_becomes_of_tokens_is_in_the_audit_log;
}
