//! Tokens that have a name: who may use the operator's API, and for what.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::audit::AuditNote;
use crate::model::{id::TokenName, moment::Moment};

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Make and run polls, and take their results out.
    Host,
    /// Read everything but dead letters, recount, and take results and the audit log out.
    Auditor,
    /// Cast ballots for voters, many at a time, and nothing else.
    Caster,
    /// Everything.
    Operator,
}

/// That is the name of no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: host, auditor, caster or operator")]
pub struct InvalidRole(String);

impl Role {
    /// The role's name, such as `host`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Auditor => "auditor",
            Self::Caster => "caster",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(name: &str) -> Result<Self, InvalidRole> {
        let all = [Self::Host, Self::Auditor, Self::Caster, Self::Operator];
        let found = all.into_iter().find(|role| role.as_str() == name);
        // What is echoed back must be bounded.
        found.ok_or_else(|| InvalidRole(name.chars().take(64).collect()))
    }
}

/// What tells a token from others: its SHA-256. A token is too random to be found by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedToken {
    /// Whose token it is. The name stands in the audit log.
    pub name: TokenName,
    /// What they may do.
    pub role: Role,
    /// What the token is recognised by.
    pub hash: TokenHash,
    /// When it was made, by the clock of the process that made it.
    pub created_at: Moment,
}

impl NamedToken {
    /// What the audit log says once the token is stored.
    pub fn added_note(&self, by: &str) -> AuditNote {
        self.note("token.added", by, |note, json| note.after = Some(json))
    }

    /// What the audit log says once the token is revoked.
    pub fn revoked_note(&self, by: &str) -> AuditNote {
        self.note("token.revoked", by, |note, json| note.before = Some(json))
    }

    fn note(&self, action: &str, by: &str, set: fn(&mut AuditNote, String)) -> AuditNote {
        let json = serde_json::json!({"name": self.name.as_str(), "role": self.role.as_str()});
        let mut note = AuditNote {
            by: by.to_owned(),
            action: action.to_owned(),
            poll: None,
            before: None,
            after: None,
        };
        set(&mut note, json.to_string());
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_from_its_name() {
        for role in [Role::Host, Role::Auditor, Role::Caster, Role::Operator] {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("Host".parse::<Role>().is_err());
    }

    #[test]
    fn a_hash_is_not_shown() {
        let hash = TokenHash::of("token");
        assert_ne!(hash, TokenHash::of("tokens"));
        assert_eq!(TokenHash::from_bytes(*hash.as_bytes()), hash);
        assert_eq!(format!("{hash:?}"), "TokenHash(..)");
    }
}
