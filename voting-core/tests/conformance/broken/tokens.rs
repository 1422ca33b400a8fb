//! Broken stores of tokens.

use std::sync::Arc;

use async_trait::async_trait;
use voting_core::{
    StoreError,
    conformance::Backend,
    model::id::TokenName,
    store::{TokenStore, audit::AuditEntry, tokens::NamedToken},
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
            Fault::Replaces => self.1.revoke_token(name, by).await,
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
    one_that_notes_not_who_revokes:
        with_store::<NotesNotWhoRevokes>(memory_of(1))
        => of tokens::what_becomes_of_tokens_is_in_the_audit_log;
}
