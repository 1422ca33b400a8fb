//! The plan of a load: how many ballots, how fast, by which voters, to which services.

use std::time::Duration;

use crate::token::Secret;

/// A load.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The vote services, such as `http://127.0.0.1:8080`; connections are spread over them.
    pub votes: Vec<String>,
    /// The poll to vote in. Nobody else may vote in it meanwhile, if it is to be checked.
    pub poll: String,
    /// The ids of the poll's options, in its order, at most 63. A ballot chooses one of them.
    pub options: Vec<String>,
    /// When a ballot is sent.
    pub pace: Pace,
    /// The number of connections, which is also the most ballots in flight; never more than there are voters.
    pub connections: usize,
    /// The load ends after this many ballots were sent.
    pub ballots: Option<u64>,
    /// The load ends after this time. Ballots that were due and are unsent then are reported as missed.
    pub duration: Option<Duration>,
    /// The most voters, at least one. `None` means as many as needed.
    pub voters: Option<u32>,
    /// Who votes, where that is known before. If there are any, nobody else votes, and `voters` and `changes` are not
    /// used. If there are none, the vote service names each voter by a cookie.
    pub electors: Vec<Elector>,
    /// The share of ballots that are cast by voters who have voted before, 0 to 1. Once all voters have voted, this
    /// holds for all further ballots.
    pub changes: f64,
    /// Sends the page's form instead of JSON. Such a ballot gets no receipt.
    pub form: bool,
    /// How long an answer may take; after that, the ballot's outcome is unknown. Opening a connection may take as
    /// long, or two seconds if that is less; then another service is tried.
    pub timeout: Duration,
    /// The result service whose event stream shows when ballots become visible.
    pub watch: Option<String>,
    /// Opens receipts. Without the secret it is not checked whether a voter's acknowledgements are in order, or
    /// whether a receipt belongs to its voter.
    pub secret: Option<Secret>,
}

/// A voter who has something to show that is not a voter's cookie, such as a code.
#[derive(Clone)]
pub struct Elector {
    /// The voter's id in the poll, under which receipts and the store have the voter.
    pub voter: u128,
    /// The name of the header that says who the voter is, in lower case.
    pub header: &'static str,
    /// What the header says.
    pub credential: String,
}

/// Shows no credential.
impl std::fmt::Debug for Elector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { voter, header, .. } = self;
        write!(f, "Elector({voter:032x}, {header}: …)")
    }
}

/// When ballots are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// This many per second, independent of the service. A latency is measured from the time when the ballot was due,
    /// so a stall shows in all ballots that it delayed.
    Rate(f64),
    /// On each connection one after another, as fast as they are answered.
    FlatOut,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            votes: vec!["http://127.0.0.1:8080".to_owned()],
            poll: "cats-vs-dogs".to_owned(),
            options: vec!["a".to_owned(), "b".to_owned()],
            pace: Pace::FlatOut,
            connections: 64,
            ballots: None,
            duration: None,
            voters: None,
            electors: Vec::new(),
            changes: 0.0,
            form: false,
            timeout: Duration::from_secs(10),
            watch: None,
            secret: None,
        }
    }
}

/// Why a plan is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
    /// Only `http://` addresses are supported.
    #[error("{0:?} is not the address of a service, such as http://127.0.0.1:8080")]
    Address(String),
    /// There is no vote service to send ballots to.
    #[error("no vote service is given")]
    NoVote,
    /// A ballot needs an option, and 63 are the most that a poll has.
    #[error("a poll has 1 to 63 options, not {0}")]
    Options(usize),
    /// The rate must be above zero.
    #[error("the rate is not above 0")]
    Rate,
    /// The share is not in 0 to 1.
    #[error("the share of changes is not in 0 to 1")]
    Changes,
    /// There must be voters and connections.
    #[error("there are no voters, or no connections")]
    Nobody,
}

impl Plan {
    pub(crate) fn check(&self) -> Result<(), InvalidPlan> {
        if self.votes.is_empty() {
            return Err(InvalidPlan::NoVote);
        }
        if !(1..=63).contains(&self.options.len()) {
            return Err(InvalidPlan::Options(self.options.len()));
        }
        if let Pace::Rate(rate) = self.pace
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(InvalidPlan::Rate);
        }
        if !(0.0..=1.0).contains(&self.changes) {
            return Err(InvalidPlan::Changes);
        }
        if self.voters == Some(0) || self.connections == 0 {
            return Err(InvalidPlan::Nobody);
        }
        Ok(())
    }

    /// The number of connections that can be busy: each has one voter's ballot in flight.
    pub(crate) fn casters(&self) -> usize {
        let voters = match self.electors.len() {
            0 => self.voters.map_or(usize::MAX, |voters| voters as usize),
            electors => electors,
        };
        self.connections.min(voters)
    }
}
