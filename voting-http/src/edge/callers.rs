//! Who may use the operator's API, and for what: whoever has the deployment's own token, or a token with a name.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use voting_core::{
    StoreError,
    model::poll::Viewer,
    store::{
        TokenStore,
        tokens::{Role, TokenHash},
    },
};

use crate::{problem::Problem, tokens::signed::OperatorKey};

/// The name of whoever has the deployment's own token.
pub(crate) const OPERATOR: &str = "operator";

/// For how long the stored tokens are not looked up again. A token that another process has revoked is taken for this
/// long.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Somebody who may use the operator's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Stands in the audit log.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

/// What a role may do or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Look at polls and at the pipeline.
    Read,
    /// Make polls, change them, close and delete them.
    Polls,
    /// Issue, revoke and replace the codes of a poll.
    Codes,
    /// Take the tally and the ballots of a poll out.
    Export,
    /// Count the ballots of a poll again.
    Recount,
    /// Read the audit log.
    Audit,
    /// Read dead letters, which contain ballots with their voters, and count them.
    DeadLetters,
    /// Make and revoke tokens.
    Tokens,
}

impl Right {
    fn is_of(self, role: Role) -> bool {
        match role {
            Role::Operator => true,
            Role::Host => matches!(self, Self::Read | Self::Polls | Self::Codes | Self::Export),
            Role::Auditor => matches!(
                self,
                Self::Read | Self::Export | Self::Recount | Self::Audit
            ),
        }
    }
}

impl Caller {
    /// As whom the caller sees results.
    pub(crate) fn viewer(&self) -> Viewer {
        match self.role {
            Role::Host | Role::Operator => Viewer::Host,
            Role::Auditor => Viewer::Auditor,
        }
    }

    /// The caller's name, for the audit log, if the caller may do this.
    ///
    /// # Errors
    /// The role may not do this.
    pub(crate) fn may(&self, right: Right) -> Result<&str, Problem> {
        if right.is_of(self.role) {
            return Ok(&self.name);
        }
        Err(Problem::forbidden(&self.name, self.role))
    }
}

/// Recognises the callers by their tokens.
#[derive(Clone)]
pub(crate) struct Callers(Arc<Inner>);

struct Inner {
    operator: OperatorKey,
    store: Arc<dyn TokenStore>,
    /// The stored tokens, and when they were looked up.
    known: Mutex<Option<(Instant, HashMap<TokenHash, Caller>)>>,
}

impl Callers {
    pub(crate) fn new(operator: OperatorKey, store: Arc<dyn TokenStore>) -> Self {
        Self(Arc::new(Inner {
            operator,
            store,
            known: Mutex::new(None),
        }))
    }

    /// Who has this token; `None` if nobody has. The deployment's own token is recognised without the store.
    ///
    /// # Errors
    /// The store does not answer, so whether somebody has the token is not known.
    pub(crate) async fn with_token(&self, token: &str) -> Result<Option<Caller>, StoreError> {
        if self.0.operator.is(token) {
            return Ok(Some(Caller {
                name: OPERATOR.into(),
                role: Role::Operator,
            }));
        }
        self.with_hash(TokenHash::of(token)).await
    }

    /// Who has the named token with this hash; `None` if nobody has, or not any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn with_hash(&self, hash: TokenHash) -> Result<Option<Caller>, StoreError> {
        let mut known = self.0.known.lock().await;
        if let Some((at, callers)) = &*known
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(callers.get(&hash).cloned());
        }
        // Taken before the look-up: what is revoked meanwhile is known for no longer.
        let now = Instant::now();
        let tokens = self.0.store.tokens().await?;
        let callers: HashMap<_, _> = tokens
            .into_iter()
            .map(|token| {
                let name = token.name.as_str().into();
                let role = token.role;
                (token.hash, Caller { name, role })
            })
            .collect();
        let found = callers.get(&hash).cloned();
        *known = Some((now, callers));
        Ok(found)
    }

    /// Looks the stored tokens up again, as this process has changed them.
    pub(crate) async fn forget(&self) {
        *self.0.known.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_it_is_for() {
        let all = [
            Right::Read,
            Right::Polls,
            Right::Codes,
            Right::Export,
            Right::Recount,
            Right::Audit,
            Right::DeadLetters,
            Right::Tokens,
        ];
        let rights = |role| {
            let name: Arc<str> = "anna".into();
            let caller = Caller { name, role };
            let may = all.into_iter().filter(|right| caller.may(*right).is_ok());
            may.collect::<Vec<_>>()
        };
        assert_eq!(rights(Role::Operator), all);
        assert_eq!(
            rights(Role::Host),
            [Right::Read, Right::Polls, Right::Codes, Right::Export]
        );
        let auditor = [Right::Read, Right::Export, Right::Recount, Right::Audit];
        assert_eq!(rights(Role::Auditor), auditor);
    }
}
