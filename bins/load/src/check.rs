//! Waits until what was cast is counted, and checks it against what the voters were told.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    expected::Expected,
    history::History,
    judge::{Finding, by_receipt, by_store},
    service::{Service, Tally},
    store,
    verdict::Verdict,
};

/// Between two looks at a store that has not everything yet: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Where to look.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The result service, such as `http://127.0.0.1:8081`: receipts are asked for there, and the
    /// tally.
    pub result: Option<String>,
    /// The store, such as `postgres://user:password@host/database`: there each voter's choice is
    /// seen, and the tally is compared with the ballots.
    pub postgres: Option<String>,
    /// What was in the poll before the load.
    pub before: Before,
    /// Ask for so many receipts, evenly spread over the voters, and as many that are superseded.
    pub receipts: usize,
    /// When for so long no further ballot is counted, what is missing is lost.
    pub patience: Duration,
}

/// What is in a poll before anything is cast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Voters with a ballot.
    pub voters: u64,
    /// Votes by option.
    pub votes: Vec<u64>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            result: None,
            postgres: None,
            before: Before::default(),
            receipts: 100_000,
            patience: Duration::from_secs(30),
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
    /// The store does not answer as it should.
    #[error("the store does not answer as it should")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Sources {
    /// Looks at what is in the poll, so that it is not taken for what is cast later.
    ///
    /// # Errors
    /// A source does not answer.
    pub async fn look_before(&mut self, poll: &str) -> Result<(), CheckError> {
        self.before = if let Some(url) = &self.postgres {
            let scan = store::scan(url, poll, Vec::new()).await?;
            Before {
                voters: scan.kept.voters,
                votes: scan.kept.votes,
            }
        } else if let Some(url) = &self.result {
            let tally = Service::at(url)?.tally(poll).await?;
            Before {
                voters: tally.voters,
                votes: tally.votes(),
            }
        } else {
            return Err(CheckError::NoSource);
        };
        Ok(())
    }
}

/// Waits until all that was acknowledged is counted, or nothing moves any more, and judges.
///
/// Nobody else may have voted in the poll since [`Sources::look_before`].
///
/// # Errors
/// A source does not answer; that says nothing of the ballots.
pub async fn check(history: &History, sources: &Sources) -> Result<Verdict, CheckError> {
    let mut verdict = Verdict::new(history);
    let mut findings = BTreeMap::new();
    if sources.result.is_none() && sources.postgres.is_none() {
        return Err(CheckError::NoSource);
    }
    if let Some(url) = &sources.result {
        let receipts = Service::at(url)?;
        check_receipts(history, sources, &receipts, &mut verdict, &mut findings).await?;
        check_tally(history, sources, &receipts, &mut verdict).await?;
    }
    if let Some(url) = &sources.postgres {
        check_store(history, sources, url, &mut verdict, &mut findings).await?;
    }
    verdict.conclude(history, &findings);
    Ok(verdict)
}

type Findings = BTreeMap<u32, Finding>;

/// Up to `limit` of these, evenly spread.
fn spread<T: Copy>(all: &[T], limit: usize) -> Vec<T> {
    let step = all.len().div_ceil(limit.max(1)).max(1);
    all.iter().step_by(step).copied().collect()
}

async fn check_receipts(
    history: &History,
    sources: &Sources,
    receipts: &Service,
    verdict: &mut Verdict,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let poll = &history.poll;
    let numbers = 0..u32::try_from(history.voters.len()).unwrap_or(u32::MAX);
    let last: Vec<_> = numbers
        .filter_map(|index| {
            let voter = &history.voters[index as usize];
            Some((index, voter.last?.receipt?))
        })
        .collect();
    let asked = spread(&last, sources.receipts);
    let text = |voter: u32, receipt: crate::token::ReceiptToken| {
        receipt.text(history.voters[voter as usize].token.voter, poll)
    };
    let texts = |at: usize| text(asked[at].0, asked[at].1);
    let states = receipts
        .states(asked.len(), texts, sources.patience)
        .await?;
    for (&(index, _), state) in asked.iter().zip(&states) {
        let found = by_receipt(&history.voters[index as usize], *state);
        note(findings, index, found);
    }
    let earlier = spread(&history.earlier, sources.receipts);
    let texts = |at: usize| text(earlier[at].voter, earlier[at].receipt);
    let states = receipts
        .states(earlier.len(), texts, sources.patience)
        .await?;
    for (earlier, state) in earlier.iter().zip(&states) {
        use crate::judge::State;
        let found = match state {
            State::Superseded => continue,
            State::Rejected => Finding::Rejected,
            // It counts in place of the last one, or nothing does.
            State::Counted | State::Pending => Finding::Missing,
        };
        note(findings, earlier.voter, found);
    }
    verdict.asked(asked.len() as u64, last.len() as u64, earlier.len() as u64);
    Ok(())
}

/// The worst of what is found of a voter stays.
fn note(findings: &mut Findings, voter: u32, found: Finding) {
    let worst = findings.entry(voter).or_insert(found);
    *worst = found.max(*worst);
}

/// The tally is within what the voters' ballots make possible.
async fn check_tally(
    history: &History,
    sources: &Sources,
    receipts: &Service,
    verdict: &mut Verdict,
) -> Result<(), CheckError> {
    let expected = Expected::of(history, &sources.before);
    let mut waiting = Waiting::new(sources.patience);
    loop {
        let tally: Tally = receipts.tally(&history.poll).await?;
        let off = expected.off(tally.voters, &tally.votes());
        if off == 0 || waiting.is_over(tally.version) {
            verdict.tally_is_off(off);
            return Ok(());
        }
        waiting.pause().await;
    }
}

async fn check_store(
    history: &History,
    sources: &Sources,
    url: &str,
    verdict: &mut Verdict,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let mut order: Vec<u32> = (0..u32::try_from(history.voters.len()).unwrap_or(0)).collect();
    let id = |index: &u32| history.voters[*index as usize].token.voter;
    order.sort_unstable_by_key(id);
    let voters: Vec<u128> = order.iter().map(id).collect();
    let mut waiting = Waiting::new(sources.patience);
    loop {
        let scan = store::scan(url, &history.poll, voters.clone()).await?;
        let found = order.iter().zip(&scan.stored);
        let found = found
            .map(|(index, stored)| (*index, by_store(&history.voters[*index as usize], *stored)));
        let missing = found
            .clone()
            .filter(|(_, found)| *found == Finding::Missing);
        let missing = missing.count() as u64;
        if missing > 0 && !waiting.is_over(missing) {
            waiting.pause().await;
            continue;
        }
        for (index, found) in found {
            note(findings, index, found);
        }
        let nameless: u64 = history.nameless.iter().sum();
        let strangers = scan
            .strangers
            .saturating_sub(sources.before.voters + nameless);
        verdict.store_is_read(strangers, scan.kept.differs_from(&scan.counted));
        return Ok(());
    }
}

/// Waits on while something still moves.
struct Waiting {
    patience: Duration,
    seen: Option<(u64, Instant)>,
    pause: Duration,
}

impl Waiting {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: None,
            pause: PAUSES.0,
        }
    }

    /// Whether `mark` has stood still for too long.
    fn is_over(&mut self, mark: u64) -> bool {
        match self.seen {
            Some((seen, since)) if seen == mark => since.elapsed() >= self.patience,
            _ => {
                self.seen = Some((mark, Instant::now()));
                false
            }
        }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.pause.min(self.patience)).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}
