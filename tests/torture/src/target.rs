//! What faults hit: processes, and the cables between them.

use std::fmt;

use fastrand::Rng;
use voting_testing::ServiceKind;

/// How many vote services there are.
pub(crate) const VOTES: usize = 2;
/// How many workers.
pub(crate) const WORKERS: usize = 3;
/// How many result services.
pub(crate) const RESULTS: usize = 1;

/// A service; several of a kind are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ServiceId {
    /// Takes votes.
    Vote(usize),
    /// Counts them.
    Worker(usize),
    /// Shows the count.
    Result(usize),
}

/// A process that can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// One of ours.
    Service(ServiceId),
    /// The log.
    Redis,
    /// The store.
    Postgres,
}

/// The far end of a cable of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    /// Those who use it.
    Users,
    /// The log.
    Redis,
    /// The store.
    Postgres,
}

/// What can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cable {
    /// It is this one's, …
    pub service: ServiceId,
    /// … and leads to there, or comes from there.
    pub end: End,
}

impl ServiceId {
    /// Which service it is one of.
    pub(crate) fn kind(self) -> ServiceKind {
        match self {
            Self::Vote(_) => ServiceKind::Vote,
            Self::Worker(_) => ServiceKind::Worker,
            Self::Result(_) => ServiceKind::Result,
        }
    }

    /// All there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..VOTES)
            .map(Self::Vote)
            .chain((0..WORKERS).map(Self::Worker))
            .chain((0..RESULTS).map(Self::Result))
    }

    /// Where its cables lead.
    pub(crate) fn ends(self) -> &'static [End] {
        match self {
            Self::Vote(_) => &[End::Users, End::Redis],
            Self::Worker(_) => &[End::Users, End::Redis, End::Postgres],
            Self::Result(_) => &[End::Users, End::Postgres],
        }
    }

    fn any(rng: &mut Rng) -> Self {
        // Of the workers most can be lost.
        match rng.u32(0..10) {
            0..3 => Self::Vote(rng.usize(..VOTES)),
            3..9 => Self::Worker(rng.usize(..WORKERS)),
            _ => Self::Result(rng.usize(..RESULTS)),
        }
    }
}

impl Target {
    /// All there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let servers = [Self::Redis, Self::Postgres];
        ServiceId::all().map(Self::Service).chain(servers)
    }

    pub(crate) fn any_service(rng: &mut Rng) -> Self {
        Self::Service(ServiceId::any(rng))
    }

    pub(crate) fn any_server(rng: &mut Rng) -> Self {
        if rng.bool() {
            Self::Redis
        } else {
            Self::Postgres
        }
    }
}

impl Cable {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let service = ServiceId::any(rng);
        let ends = service.ends();
        // Only voters matter among the users.
        let first = usize::from(!matches!(service, ServiceId::Vote(_)));
        let end = ends[rng.usize(first..ends.len())];
        Self { service, end }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vote(nth) => write!(f, "vote {nth}"),
            Self::Worker(nth) => write!(f, "worker {nth}"),
            Self::Result(nth) => write!(f, "result {nth}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Redis => f.write_str("Redis"),
            Self::Postgres => f.write_str("Postgres"),
        }
    }
}

impl fmt::Display for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service;
        match self.end {
            End::Users => write!(f, "from users to {service}"),
            End::Redis => write!(f, "from {service} to Redis"),
            End::Postgres => write!(f, "from {service} to Postgres"),
        }
    }
}
