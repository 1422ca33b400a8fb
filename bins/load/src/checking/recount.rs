//! Compares every voter with the store, and the shown tally with the store's ballots.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    checking::{
        context::Checking,
        error::CheckError,
        service::Service,
        step::Step,
        store::{self, Beginning, Count, RecordedSince, Scan},
        verdict::Verdict,
        voter_check::{Finding, Findings, by_store},
        waiting::Waiting,
    },
    history::{History, Voter},
};

/// After this long everything is read once more: for example, a ballot that was handed out twice may arrive late.
const REST: Duration = Duration::from_secs(2);

/// The voters, in the store's order.
struct Order {
    indices: Vec<u32>,
    ids: Vec<u128>,
}

impl Order {
    fn of(history: &History) -> Self {
        let mut indices: Vec<u32> =
            (0..u32::try_from(history.voters.len()).unwrap_or(u32::MAX)).collect();
        let id = |index: &u32| history.voters[*index as usize].token.voter;
        indices.sort_unstable_by_key(id);
        let ids = indices.iter().map(id).collect();
        Self { indices, ids }
    }
}

/// The results of one look at the store.
struct Look {
    scan: Scan,
    findings: Vec<Finding>,
    /// The tally of the result service, if it is asked.
    shown: Option<Count>,
}

/// The parts that are still missing. If these numbers do not change, nothing is moving.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Missing {
    /// Voters whose last ballot does not count.
    voters: u64,
    /// Acknowledged ballots that the store has not recorded.
    unaccounted: u64,
    /// By how much the shown tally differs from the ballots.
    shown: u64,
}

/// Looks until nothing is missing, or nothing changes any more; then once more.
pub(crate) async fn check_store(
    checking: &Checking<'_>,
    url: &str,
    result: Option<&Service>,
    verdict: &mut Verdict,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let order = Order::of(checking.history);
    let beginning = beginning(checking).map(Arc::new);
    // Even if nothing is waited for, the missing part must be unchanged for a moment. Otherwise it is only pending.
    let rest = REST.min(checking.sources.patience);
    let mut waiting = Waiting::new(checking.patience.max(rest));
    let mut rested = false;
    let (look, missing) = loop {
        let look = look(checking, url, result, &order, beginning.as_ref()).await?;
        let missing = look.missing(checking);
        let is_all = missing == Missing::default();
        if is_all && !rested {
            (checking.on_step)(Step::Resting);
            sleep(rest).await;
            rested = true;
        } else if is_all || waiting.is_over(missing) {
            break (look, missing);
        } else {
            let of = order.ids.len() as u64;
            let counted = of - missing.voters;
            (checking.on_step)(Step::Counted { counted, of });
            waiting.pause().await;
        }
    };
    for (index, found) in order.indices.iter().zip(&look.findings) {
        findings.settle(*index, look.or_pending(checking, *index, *found, missing));
    }
    let scan = &look.scan;
    let nameless: u64 = checking.history.nameless.iter().sum();
    let strangers = scan.strangers;
    let expected = checking.sources.before.voters + nameless + scan.were_pending;
    let strangers = strangers.saturating_sub(expected);
    verdict.were_pending = scan.were_pending;
    verdict.store_is_read(strangers, scan.kept.differs_from(&scan.counted));
    if let Some(shown) = &look.shown {
        let is_all = missing.voters == 0 && missing.unaccounted == 0;
        let expected = &checking.expected;
        let off = expected.judge(shown.voters, &shown.votes, is_all);
        // Each of these ballots adds a voter and a vote, or moves a vote from one option to another.
        verdict.tally_is_off(off.saturating_sub(2 * scan.were_pending));
        verdict.is_shown_off(missing.shown);
    }
    if let Some(recorded) = look.recorded(checking) {
        verdict.store_recorded(&recorded, !findings.are_pending());
    }
    Ok(())
}

async fn look(
    checking: &Checking<'_>,
    url: &str,
    result: Option<&Service>,
    order: &Order,
    beginning: Option<&Arc<Beginning>>,
) -> Result<Look, CheckError> {
    let history = checking.history;
    let scan = scan(checking, url, &order.ids, beginning).await?;
    let shown = match result {
        Some(result) => Some(Count::of(&result.tally(&history.poll).await?)),
        None => None,
    };
    let found = order.indices.iter().zip(&scan.stored);
    let found = found.map(|(index, stored)| by_store(&history.voters[*index as usize], *stored));
    Ok(Look {
        findings: found.collect(),
        scan,
        shown,
    })
}

/// The beginning of the load, if the store was read before it and receipts can be opened.
fn beginning(checking: &Checking<'_>) -> Option<Beginning> {
    let flushed = checking.sources.before.flushed.clone()?;
    let history = checking.history;
    let last = history.voters.iter().filter_map(Voter::position);
    let earlier = history
        .earlier
        .iter()
        .filter_map(|earlier| earlier.receipt.position());
    let mut first = HashMap::new();
    for position in last.chain(earlier) {
        store::note(&mut first, position);
    }
    Some(Beginning { flushed, first })
}

/// Reads the store. If it does not answer, it is asked again.
async fn scan(
    checking: &Checking<'_>,
    url: &str,
    ids: &[u128],
    beginning: Option<&Arc<Beginning>>,
) -> Result<Scan, CheckError> {
    let mut waiting = Waiting::new(checking.sources.patience);
    loop {
        let poll = &checking.history.poll;
        let scan = store::scan(url, poll, ids.to_vec(), beginning.cloned()).await;
        if scan.is_ok() || waiting.is_over(()) {
            return scan;
        }
        waiting.pause().await;
    }
}

impl Look {
    /// What the store has recorded since before the load, if this is known.
    fn recorded(&self, checking: &Checking<'_>) -> Option<RecordedSince> {
        Some(
            self.scan
                .recorded?
                .since(&checking.sources.before.recorded?),
        )
    }

    fn missing(&self, checking: &Checking<'_>) -> Missing {
        let missing = self
            .findings
            .iter()
            .filter(|found| **found == Finding::Missing);
        let unaccounted = self.recorded(checking).map_or(0, |recorded| {
            let acknowledged = checking.history.counts.acknowledged;
            acknowledged.saturating_sub(recorded.ballots)
        });
        let shown = self.shown.as_ref();
        Missing {
            voters: missing.count() as u64,
            unaccounted,
            shown: shown.map_or(0, |shown| shown.differs_from(&self.scan.counted)),
        }
    }

    /// A missing ballot is lost if the store has applied its place in the log. Otherwise it may still be in the log.
    fn or_pending(
        &self,
        checking: &Checking<'_>,
        voter: u32,
        found: Finding,
        missing: Missing,
    ) -> Finding {
        let position = checking.history.voters[voter as usize].position();
        let is_past = match (position, &self.scan.flushed) {
            (Some(position), Some(flushed)) => flushed.has(position),
            // Without a receipt, the place in the log is unknown, so the ballot may be one of the pending ones.
            (None, Some(_)) => {
                let recorded = self.recorded(checking);
                recorded.is_some_and(|recorded| !recorded.others) && missing.unaccounted == 0
            }
            (_, None) => false,
        };
        match found {
            Finding::Missing if !is_past => Finding::Pending,
            found => found,
        }
    }
}
