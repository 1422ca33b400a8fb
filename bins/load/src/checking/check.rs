//! Waits until what was cast is counted, and checks it against what the voters were told.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use crate::{
    expected::Expected,
    history::History,
    judge::Finding,
    receipts::check_receipts,
    recount::check_store,
    service::{Service, Tally},
    store::{self, Count, Flushed, Told},
    verdict::Verdict,
    waiting::Waiting,
};

/// How long a service may take to answer before anything is cast.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A tally that stands still for so long before the load begins is at rest: a worker counts several times
/// a second, and what is shown is at most a second old.
const AT_REST: Duration = Duration::from_millis(1_500);

/// Where to look.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The result service, such as `http://127.0.0.1:8081`: receipts are asked for there, and the
    /// tally.
    pub result: Option<String>,
    /// The store, such as `postgres://user:password@host/database`: there each voter's choice is
    /// seen, and the tally is compared with the ballots.
    pub postgres: Option<String>,
    /// What was there before the load.
    pub before: Before,
    /// Ask for so many receipts, evenly spread over the voters, and as many that are superseded.
    pub receipts: usize,
    /// When for so long no further ballot is counted, what is missing is not waited for any more. It
    /// must be longer than it takes until another worker takes over from one that is dead.
    pub patience: Duration,
}

/// What is there before anything is cast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Voters with a ballot in the poll.
    pub voters: u64,
    /// Votes by option.
    pub votes: Vec<u64>,
    /// What the store has told of all polls' ballots. Without it, ballots that a newer one has
    /// replaced are not added up.
    pub told: Option<Told>,
    /// Which entries of the log were counted.
    pub(crate) flushed: Option<Flushed>,
}

impl Before {
    fn has_tally_of(&self, other: &Self) -> bool {
        (self.voters, &self.votes) == (other.voters, &other.votes)
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            result: None,
            postgres: None,
            before: Before::default(),
            receipts: 100_000,
            patience: Duration::from_secs(90),
        }
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Neither a result service nor a store is given.
    #[error("nothing to check with: neither a result service nor a store is given")]
    NoSource,
    /// A service does not answer as it should.
    #[error("a service does not answer as it should: {0}")]
    Service(String),
    /// The tally moves before anything is cast.
    #[error(
        "the tally of the poll does not come to rest: others vote in it, or ballots from before are \
         still being counted; try again when nobody votes"
    )]
    Moving,
    /// They are not of one system, or the result service is far behind.
    #[error("the result service shows another tally than the store has: are they of one system?")]
    Apart,
    /// The store does not answer as it should.
    #[error("the store does not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

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

impl Sources {
    /// Looks at what is there, so that it is not taken for what is cast later. Each source is
    /// asked, so that one that does not answer is found now, or one that is of another system.
    ///
    /// # Errors
    /// A source does not answer, or there is none, or for ten seconds they do not agree, or the tally
    /// does not come to rest.
    pub async fn look_before(&mut self, poll: &str) -> Result<(), CheckError> {
        if self.result.is_none() && self.postgres.is_none() {
            return Err(CheckError::NoSource);
        }
        let result = match &self.result {
            Some(url) => Some(Service::at(url, FIRST_ANSWER)?),
            None => None,
        };
        let mut waiting = Waiting::new(FIRST_ANSWER);
        let mut rest: Option<(Before, Instant)> = None;
        // What is shown may be a moment old, and what was cast a moment ago is not counted yet.
        loop {
            let agree = self.look_once(poll, result.as_ref()).await?;
            match &rest {
                Some((seen, since)) if agree && seen.has_tally_of(&self.before) => {
                    if since.elapsed() >= AT_REST {
                        return Ok(());
                    }
                }
                _ => rest = agree.then(|| (self.before.clone(), Instant::now())),
            }
            if waiting.is_over(()) {
                return Err(if agree {
                    CheckError::Moving
                } else {
                    CheckError::Apart
                });
            }
            waiting.pause_at_most(AT_REST / 2).await;
        }
    }

    /// Whether the sources agree.
    async fn look_once(
        &mut self,
        poll: &str,
        result: Option<&Service>,
    ) -> Result<bool, CheckError> {
        let mut agree = true;
        if let Some(url) = &self.postgres {
            let scan = store::scan(url, poll, Vec::new(), None).await?;
            if let Some(result) = result {
                agree = Count::of(&result.tally(poll).await?).differs_from(&scan.kept) == 0;
            }
            self.before = Before {
                voters: scan.kept.voters,
                votes: scan.kept.votes,
                told: scan.told,
                flushed: scan.flushed,
            };
        } else if let Some(result) = result {
            let Count { voters, votes } = Count::of(&result.tally(poll).await?);
            self.before = Before {
                voters,
                votes,
                told: None,
                flushed: None,
            };
        }
        Ok(agree)
    }
}

/// Waits until all that was acknowledged is counted, or nothing moves any more, and judges.
///
/// Nobody else may have voted in the poll since [`Sources::look_before`].
///
/// # Errors
/// A source does not answer; that says nothing of the ballots.
pub async fn check(history: &History, sources: &Sources) -> Result<Verdict, CheckError> {
    check_telling(history, sources, &|_| ()).await
}

/// The same, and tells how far it is.
///
/// # Errors
/// As [`check`].
pub async fn check_telling(
    history: &History,
    sources: &Sources,
    tell: &dyn Fn(Step),
) -> Result<Verdict, CheckError> {
    let mut verdict = Verdict::new(history);
    let mut findings = Findings::default();
    let result = match &sources.result {
        Some(url) => Some(Service::at(url, sources.patience.max(FIRST_ANSWER))?),
        None if sources.postgres.is_none() => return Err(CheckError::NoSource),
        None => None,
    };
    let mut checking = Checking {
        history,
        sources,
        expected: Expected::of(history, &sources.before),
        tell,
        patience: sources.patience,
    };
    if let Some(result) = &result {
        check_receipts(&mut checking, result, &mut verdict, &mut findings).await?;
    }
    match (&sources.postgres, &result) {
        (Some(url), result) => {
            let result = result.as_ref();
            check_store(&checking, url, result, &mut verdict, &mut findings).await?;
        }
        (None, Some(result)) => check_tally(&checking, result, &findings, &mut verdict).await?,
        (None, None) => {}
    }
    verdict.conclude(history, &findings);
    Ok(verdict)
}

/// What all parts of a check need.
pub(crate) struct Checking<'a> {
    pub(crate) history: &'a History,
    pub(crate) sources: &'a Sources,
    pub(crate) expected: Expected,
    pub(crate) tell: Tell<'a>,
    /// None is left once something was waited for in vain.
    pub(crate) patience: Duration,
}

/// What is found of each voter that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) BTreeMap<u32, Finding>);

impl Findings {
    /// The worst of what is found of a voter stays.
    pub(crate) fn note(&mut self, voter: u32, found: Finding) {
        let worst = self.0.entry(voter).or_insert(found);
        *worst = found.max(*worst);
    }

    /// The same, of one who knows what has become of what was pending.
    pub(crate) fn settle(&mut self, voter: u32, found: Finding) {
        if self.0.get(&voter) == Some(&Finding::Pending) {
            self.0.remove(&voter);
        }
        self.note(voter, found);
    }

    pub(crate) fn are_pending(&self) -> bool {
        self.0.values().any(|found| *found == Finding::Pending)
    }
}

/// The tally is within what the voters' ballots make possible.
async fn check_tally(
    checking: &Checking<'_>,
    result: &Service,
    findings: &Findings,
    verdict: &mut Verdict,
) -> Result<(), CheckError> {
    let expected = &checking.expected;
    let mut waiting = Waiting::new(checking.patience);
    let tally = loop {
        let tally: Tally = result.tally(&checking.history.poll).await?;
        let off = expected.off(tally.voters, &tally.votes());
        if off == 0 || waiting.is_over(tally.version) {
            break tally;
        }
        waiting.pause().await;
    };
    let short = expected.short_of(tally.voters);
    if verdict.receipts_asked < verdict.receipts && short > 0 && !findings.are_pending() {
        // They are of voters that were not asked about, who may be on their way.
        verdict.pending = short;
    }
    let is_all = verdict.pending == 0 && !findings.are_pending();
    verdict.tally_is_off(expected.judge(tally.voters, &tally.votes(), is_all));
    Ok(())
}
