//! How far a check is.

use std::fmt;

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Of the voters that are looked at, for so many the ballot that should count does.
    Counted {
        /// So many.
        counted: u64,
        /// Of so many.
        of: u64,
    },
    /// Of the replaced ballots whose receipts are asked for, so many are.
    Replaced {
        /// So many.
        replaced: u64,
        /// Of so many.
        of: u64,
    },
    /// Nothing is missing. A little later it is looked at once more.
    Resting,
}

impl Step {
    /// Whether no more of the same kind follows.
    pub(crate) fn is_last(self) -> bool {
        match self {
            Self::Counted { counted: is, of } | Self::Replaced { replaced: is, of } => is == of,
            Self::Resting => true,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { counted, of } => write!(f, "checking: {counted} of {of} counted"),
            Self::Replaced { replaced, of } => {
                write!(f, "checking: {replaced} of {of} earlier ones replaced")
            }
            Self::Resting => f.write_str("checking once more"),
        }
    }
}

/// Whom a check tells how far it is.
pub(crate) type Tell<'a> = &'a (dyn Fn(Step) + 'a);
