//! The progress of a check.

use std::fmt;

/// The progress of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// How many of the checked voters have the right ballot counted.
    Counted {
        /// The number of these voters.
        counted: u64,
        /// The number of checked voters.
        of: u64,
    },
    /// How many of the checked earlier ballots are replaced.
    Replaced {
        /// The number of replaced ballots.
        replaced: u64,
        /// The number of checked ballots.
        of: u64,
    },
    /// Nothing is missing. After a moment, the check looks once more.
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

/// A function that is called with each step of a check.
pub(crate) type OnStep<'a> = &'a (dyn Fn(Step) + 'a);
