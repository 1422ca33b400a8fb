//! The operator's API: tokens with names, for people and programs.

use data_encoding::BASE64URL_NOPAD;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, param::Path, payload::Json};
use serde::Deserialize;
use voting_core::{
    model::{id::TokenName, moment::Moment},
    store::tokens::{NamedToken, Role, TokenHash},
};

use super::{OperatorService, api::Operator};
use crate::{
    edge::{callers::Right, strict_json::StrictJson},
    problem::{Problem, capitalized, kind::ProblemKind},
    server::document::Operation,
};

/// The names of parts of the system in the audit log.
const RESERVED: [&str; 7] = [
    "coordinator",
    "operator",
    "program",
    "retention",
    "schedule",
    "settings",
    "worker",
];

pub(super) struct Api(pub(super) OperatorService);

/// Facts about the operations for the OpenAPI document that the code does not contain.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listTokens",
        problems: &[ProblemKind::StoreUnavailable],
        body: None,
        answers: &[(
            "200",
            r#"{"tokens":[{"name":"anna","role":"host","created_at":"2026-11-27T17:00:00.25Z"}]}"#,
        )],
    },
    Operation {
        id: "addToken",
        problems: &[
            ProblemKind::Invalid,
            ProblemKind::TokenExists,
            ProblemKind::StoreUnavailable,
        ],
        body: Some(r#"{"name":"anna","role":"host"}"#),
        answers: &[(
            "201",
            r#"{"name":"anna","role":"host","created_at":"2026-11-27T17:00:00.25Z","token":"vt-0123456789abcdefghijABCDEFGHIJ0123456789_-x"}"#,
        )],
    },
    Operation {
        id: "revokeToken",
        problems: &[ProblemKind::UnknownToken, ProblemKind::StoreUnavailable],
        body: None,
        answers: &[],
    },
];

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename = "Role", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum RoleView {
    /// Make and run polls, and take their results out.
    Host,
    /// Read everything but dead letters, recount, and take results and the audit log out.
    Auditor,
    /// Cast ballots for voters, many at a time, and nothing else.
    Caster,
    /// Everything.
    Operator,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Host => Self::Host,
            Role::Auditor => Self::Auditor,
            Role::Caster => Self::Caster,
            Role::Operator => Self::Operator,
        }
    }
}

impl From<RoleView> for Role {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Host => Self::Host,
            RoleView::Auditor => Self::Auditor,
            RoleView::Caster => Self::Caster,
            RoleView::Operator => Self::Operator,
        }
    }
}

/// A token to be made.
#[derive(Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// Whose token it is; the audit log contains the name: 1 to 32 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    name: String,
    /// What they may do.
    role: RoleView,
}

/// A token, without the token itself.
#[derive(Debug, Object)]
#[oai(rename = "Token")]
struct TokenView {
    /// Whose token it is.
    name: String,
    /// What they may do.
    role: RoleView,
    /// When it was made: RFC 3339, in UTC.
    created_at: String,
}

/// A token that was made.
#[derive(Debug, Object)]
#[oai(rename = "AddedToken")]
struct AddedTokenView {
    #[oai(flatten)]
    view: TokenView,
    /// The token. It is shown only here.
    token: String,
}

/// The tokens that have names.
#[derive(Debug, Object)]
#[oai(rename = "Tokens")]
struct TokensView {
    /// Sorted by name.
    tokens: Vec<TokenView>,
}

impl From<&NamedToken> for TokenView {
    fn from(token: &NamedToken) -> Self {
        Self {
            name: token.name.to_string(),
            role: token.role.into(),
            created_at: token.created_at.to_string(),
        }
    }
}

#[derive(ApiResponse)]
enum AddAnswer {
    /// The token is made, and can be used.
    #[oai(status = 201)]
    Added(Json<AddedTokenView>),
}

#[derive(ApiResponse)]
enum RevokeAnswer {
    /// The token is revoked. Other processes also refuse it after at most a second.
    #[oai(status = 204)]
    Revoked,
}

/// A new token: 256 random bits.
fn random_token() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        Problem::internal()
    })?;
    Ok(format!("vt-{}", BASE64URL_NOPAD.encode(&bytes)))
}

impl OperatorService {
    /// The tokens that have names.
    pub(crate) async fn named_tokens(&self) -> Result<Vec<NamedToken>, Problem> {
        Ok(self.0.pipeline.store.tokens().await?)
    }

    /// Makes a token, and returns it with what is stored of it. It cannot be told again.
    ///
    /// # Errors
    /// The name is not valid or is taken, or the store does not answer.
    pub(crate) async fn add_token(
        &self,
        name: &str,
        role: Role,
        by: &str,
    ) -> Result<(NamedToken, String), Problem> {
        let name: TokenName = name.parse().map_err(|error| {
            let error: voting_core::model::id::InvalidId = error;
            Problem::invalid(format!("{}.", capitalized(&error.to_string())))
        })?;
        if RESERVED.contains(&name.as_str()) {
            return Err(Problem::invalid(format!(
                "In the audit log, {name} is a part of the system; choose another name."
            )));
        }
        let token = random_token()?;
        let named = NamedToken {
            name,
            role,
            hash: TokenHash::of(&token),
            created_at: Moment::now(),
        };
        if !self.0.pipeline.store.add_token(&named, by).await? {
            return Err(Problem::token_exists(named.name.as_str()));
        }
        self.0.callers.forget().await;
        tracing::info!(name = %named.name, %role, by, "a token was made");
        Ok((named, token))
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// There is no token of this name, or the store does not answer.
    pub(crate) async fn revoke_token(&self, name: &str, by: &str) -> Result<(), Problem> {
        let unknown = || Problem::no_token(name);
        let known: TokenName = name.parse().map_err(|_| unknown())?;
        let revoked = self.0.pipeline.store.revoke_token(&known, by).await;
        // If the store does not answer, it may have been revoked.
        self.0.callers.forget().await;
        if !revoked? {
            return Err(unknown());
        }
        tracing::info!(name, by, "a token was revoked");
        Ok(())
    }
}

#[OpenApi]
impl Api {
    /// List the tokens that have names. The tokens themselves are not kept.
    #[oai(path = "/v1/tokens", method = "get", operation_id = "listTokens")]
    async fn tokens(&self, operator: Operator) -> Result<Json<TokensView>, Problem> {
        operator.may(Right::Tokens)?;
        let tokens = self.0.named_tokens().await?;
        let tokens = tokens.iter().map(TokenView::from).collect();
        Ok(Json(TokensView { tokens }))
    }

    /// Make a token with a name. Only this answer contains the token itself.
    #[oai(path = "/v1/tokens", method = "post", operation_id = "addToken")]
    async fn add(
        &self,
        operator: Operator,
        token: StrictJson<NewToken>,
    ) -> Result<AddAnswer, Problem> {
        let by = operator.may(Right::Tokens)?;
        let NewToken { name, role } = token.0;
        let (named, token) = self.0.add_token(&name, role.into(), by).await?;
        Ok(AddAnswer::Added(Json(AddedTokenView {
            view: TokenView::from(&named),
            token,
        })))
    }

    /// Revoke the token of this name, at once.
    #[oai(
        path = "/v1/tokens/:name",
        method = "delete",
        operation_id = "revokeToken"
    )]
    async fn revoke(
        &self,
        operator: Operator,
        /// Whose token it is.
        name: Path<String>,
    ) -> Result<RevokeAnswer, Problem> {
        let by = operator.may(Right::Tokens)?;
        self.0.revoke_token(&name, by).await?;
        Ok(RevokeAnswer::Revoked)
    }
}
