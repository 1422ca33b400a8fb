//! Names that stand in addresses, keys and log entries: polls and options.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an identifier: 1 to {max} characters of a-z, 0-9, '-' and '_', \
     the first and the last a letter or digit"
)]
pub struct InvalidId {
    text: String,
    max: usize,
}

fn check(text: &str, max: usize) -> Result<(), InvalidId> {
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let inside = bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if bytes.len() <= max && inside && edge(bytes.first()) && edge(bytes.last()) {
        return Ok(());
    }
    // What is echoed back to a client must be bounded.
    let text = text.chars().take(max).collect();
    Err(InvalidId { text, max })
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest identifier, in bytes.
            pub const MAX_LEN: usize = $max;

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text, $max)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

identifier! {
    /// Names a poll: 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, with a letter or digit at
    /// both ends. Cheap to clone.
    PollId, 63
}

identifier! {
    /// Names an option within its poll: 1 to 32 characters, of the same kind as a [`PollId`].
    OptionId, 32
}

identifier! {
    /// Names a token of the operator's API: 1 to 32 characters, of the same kind as a [`PollId`].
    TokenName, 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_safe_in_an_address() {
        for good in ["a", "cats-vs-dogs", "2026_board", &"x".repeat(63)] {
            assert_eq!(good.parse::<PollId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a b",
            "a/b",
            "ä",
            "a\0",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<PollId>().is_err(), "{bad:?}");
        }
    }
}
