//! Who may use the operator's API, and for what: whoever has the deployment's own token, or a token with a name.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use voting_core::{
    Poll, StoreError,
    model::{
        moment::Moment,
        poll::{Shown, Viewer},
    },
    store::{
        TokenStore,
        tokens::{Role, TokenHash},
    },
};

use crate::{problem::Problem, tokens::signed::OperatorKey};

/// The name of whoever has the deployment's own token.
pub(crate) const OPERATOR: &str = "operator";

/// The names of people whom an identity provider has signed in begin with this.
pub(crate) const LOGIN: &str = "login:";

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
    /// Cast ballots for voters.
    Cast,
    /// Void ballots of a poll, and let them count again.
    Void,
    /// Count the ballots of a poll again.
    Recount,
    /// Read the audit log.
    Audit,
    /// Read dead letters, which contain ballots with their voters, and count them.
    DeadLetters,
    /// Make and revoke tokens.
    Tokens,
    /// Make, change and remove webhooks, and see what was sent to them.
    Webhooks,
}

impl Right {
    /// What it is, for a sentence that begins with `To`.
    fn words(self) -> &'static str {
        match self {
            Self::Read => "look at polls",
            Self::Polls => "make and change polls",
            Self::Codes => "issue codes for voters, replace and revoke them",
            Self::Export => "take results and ballots out",
            Self::Cast => "cast ballots for voters",
            Self::Void => "void votes",
            Self::Recount => "count ballots again",
            Self::Audit => "read the audit log",
            Self::DeadLetters => "read dead letters and count them",
            Self::Tokens => "manage tokens",
            Self::Webhooks => "manage webhooks",
        }
    }

    /// The roles that have it, for a sentence: `host or operator`.
    fn roles(self) -> String {
        let all = [Role::Host, Role::Auditor, Role::Caster, Role::Operator];
        let roles = all.into_iter().filter(|role| self.is_of(*role));
        roles.map(Role::as_str).collect::<Vec<_>>().join(" or ")
    }

    pub(crate) fn is_of(self, role: Role) -> bool {
        match role {
            Role::Operator => true,
            Role::Host => matches!(
                self,
                Self::Read | Self::Polls | Self::Codes | Self::Export | Self::Webhooks
            ),
            Role::Auditor => matches!(
                self,
                Self::Read | Self::Export | Self::Recount | Self::Audit
            ),
            Role::Caster => self == Self::Cast,
        }
    }
}

impl Caller {
    /// Whoever has the deployment's own token.
    pub(crate) fn operator() -> Self {
        Self {
            name: OPERATOR.into(),
            role: Role::Operator,
        }
    }

    /// Whether an identity provider has signed the caller in. No token has such a name.
    fn is_by_provider(&self) -> bool {
        self.name.starts_with(LOGIN)
    }

    /// As whom the caller sees results.
    fn viewer(&self) -> Viewer {
        match self.role {
            Role::Host | Role::Operator => Viewer::Host,
            Role::Auditor => Viewer::Auditor,
            Role::Caster => Viewer::Public,
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
        let (what, roles, role) = (right.words(), right.roles(), self.role);
        Err(Problem::forbidden(match self.is_by_provider() {
            true => format!("To {what}, you need the role {roles}. You have the role {role}."),
            false => {
                let name = &self.name;
                format!(
                    "To {what}, a token needs the role {roles}. The token {name:?} has the role {role}."
                )
            }
        }))
    }

    /// Whether the caller may see the result of a poll. A host always may; an auditor once the poll is final, or once
    /// everybody may.
    ///
    /// # Errors
    /// The result is hidden from the caller.
    pub(crate) fn may_see_result_of(&self, poll: &Poll, voters: u64) -> Result<(), Problem> {
        match poll.shows_result(self.viewer(), Moment::now()) {
            Shown::Yes => Ok(()),
            Shown::Hidden(hidden) => Err(Problem::result_hidden(poll, &hidden, voters)),
        }
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
        if self.is_of_deployment(token) {
            return Ok(Some(Caller::operator()));
        }
        self.with_hash(TokenHash::of(token)).await
    }

    /// Whether this is the deployment's own token.
    pub(crate) fn is_of_deployment(&self, token: &str) -> bool {
        self.0.operator.is(token)
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
            Right::Cast,
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
        assert_eq!(rights(Role::Caster), [Right::Cast]);
    }

    #[test]
    fn who_is_refused_reads_what_is_missing() {
        let caller = Caller {
            name: "anna".into(),
            role: Role::Auditor,
        };
        let refused = caller.may(Right::Polls).unwrap_err();
        assert_eq!(
            refused.detail(),
            "To make and change polls, a token needs the role host or operator. The token \"anna\" has the role auditor."
        );
    }
}
