//! How far a check is.

use std::fmt;

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// For how many of the checked voters the right ballot counts.
    Counted {
        /// How many.
        counted: u64,
        /// Out of how many.
        of: u64,
    },
    /// How many of the checked earlier ballots are replaced.
    Replaced {
        /// How many.
        replaced: u64,
        /// Out of how many.
        of: u64,
    },
    /// Nothing is missing. A little later the check looks once more.
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

/// Is called with each step of a check.
pub(crate) type Tell<'a> = &'a (dyn Fn(Step) + 'a);
