//! Who handed ballots in.

/// Who handed the ballots of an entry in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Voters, each for themselves.
    #[default]
    Voters = 0,
    /// A server that is trusted: a kiosk, a telephone service, paper ballots.
    TrustedServer = 1,
}

impl Source {
    /// The source as a column of a store. What voters cast themselves has none, as all ballots had before there were sources.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        allow(dead_code, reason = "of stores with columns")
    )]
    pub(crate) fn to_column(self) -> Option<i16> {
        match self {
            Self::Voters => None,
            Self::TrustedServer => Some(1),
        }
    }

    /// The source in a column.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        allow(dead_code, reason = "of stores with columns")
    )]
    pub(crate) fn from_column(column: Option<i16>) -> Self {
        match column {
            None | Some(0) => Self::Voters,
            Some(_) => Self::TrustedServer,
        }
    }
}
