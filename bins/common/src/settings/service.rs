//! The programs that read settings, and which parts of them each uses.

use clap::ValueEnum;

/// The programs that read settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// voting-vote: needs Redis
    Vote,
    /// voting-worker: needs Redis and Postgres
    Worker,
    /// voting-result: needs Postgres
    Result,
    /// voting: needs a file
    AllInOne,
}

impl Service {
    /// Whether it uses Redis.
    pub fn uses_redis(self) -> bool {
        matches!(self, Self::Vote | Self::Worker)
    }

    /// Whether it uses Postgres.
    pub fn uses_postgres(self) -> bool {
        matches!(self, Self::Worker | Self::Result)
    }

    /// Whether it uses the secret that signs cookies and receipts.
    pub fn uses_secret(self) -> bool {
        self != Self::Worker
    }

    /// Whether it uses the keys that sign the log's entries.
    pub fn uses_entry_keys(self) -> bool {
        self.uses_redis()
    }

    /// Whether it uses the operator's token.
    pub fn uses_token(self) -> bool {
        matches!(self, Self::Worker | Self::AllInOne)
    }

    /// Whether it has the voting page.
    pub fn has_votes(self) -> bool {
        matches!(self, Self::Vote | Self::AllInOne)
    }

    /// Whether it has the result page.
    pub fn has_results(self) -> bool {
        matches!(self, Self::Result | Self::AllInOne)
    }

    /// Whether it stores the polls that are configured.
    pub fn makes_polls(self) -> bool {
        self.uses_token()
    }

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Vote => "voting-vote",
            Self::Worker => "voting-worker",
            Self::Result => "voting-result",
            Self::AllInOne => "voting",
        }
    }
}
