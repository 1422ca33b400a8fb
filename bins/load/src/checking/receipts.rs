//! Asks the result service for the states of receipts.

use crate::{
    checking::{
        context::Checking,
        error::CheckError,
        service::Service,
        step::Step,
        verdict::Verdict,
        voter_check::{Findings, State, by_earlier, by_receipt},
    },
    history::Earlier,
    token::ReceiptToken,
};

/// Up to `limit` of these items, evenly spread.
fn spread<T: Clone>(all: &[T], limit: usize) -> Vec<T> {
    let number = limit.min(all.len());
    (0..number)
        .map(|at| all[at * all.len() / number].clone())
        .collect()
}

/// Asks for the receipts of voters' last ballots, then for receipts of ballots that were replaced.
pub(crate) async fn check_receipts(
    checking: &mut Checking<'_>,
    result: &Service,
    verdict: &mut Verdict,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let history = checking.history;
    let numbers = 0..u32::try_from(history.voters.len()).unwrap_or(u32::MAX);
    let last: Vec<_> = numbers
        .filter_map(|index| {
            let voter = &history.voters[index as usize];
            Some((index, voter.last.as_ref()?.receipt.as_ref()?))
        })
        .collect();
    let asked = spread(&last, checking.sources.receipts);
    let on_step = |counted, of| (checking.on_step)(Step::Counted { counted, of });
    let is_done = |state| state != State::Pending;
    let states = ask(checking, result, &asked, is_done, on_step).await?;
    for (&(index, _), state) in asked.iter().zip(&states) {
        findings.note(index, by_receipt(&history.voters[index as usize], *state));
    }
    if states.contains(&State::Pending) {
        checking.patience = std::time::Duration::ZERO;
    }

    let earlier: Vec<_> = history.earlier.iter().collect();
    let earlier: Vec<_> = spread(&earlier, checking.sources.receipts)
        .iter()
        .map(|Earlier { voter, receipt }| (*voter, receipt))
        .collect();
    let on_step = |replaced, of| (checking.on_step)(Step::Replaced { replaced, of });
    // The ballot that replaces it may be pending.
    let is_done = |state| !matches!(state, State::Counted | State::Pending);
    let states = ask(checking, result, &earlier, is_done, on_step).await?;
    for (&(index, _), state) in earlier.iter().zip(&states) {
        let last = findings.0.get(&index).copied();
        if let Some(found) = by_earlier(last, *state) {
            findings.note(index, found);
        }
        if !is_done(*state) {
            checking.patience = std::time::Duration::ZERO;
        }
    }
    verdict.asked(asked.len() as u64, last.len() as u64, earlier.len() as u64);
    Ok(())
}

async fn ask(
    checking: &Checking<'_>,
    result: &Service,
    receipts: &[(u32, &ReceiptToken)],
    is_done: impl Fn(State) -> bool,
    on_step: impl Fn(u64, u64),
) -> Result<Vec<State>, CheckError> {
    let history = checking.history;
    let text = |at: usize| {
        let (voter, receipt) = receipts[at];
        let voter = history.voters[voter as usize].token.voter;
        // The receipt was opened with this secret, so it can be sealed again.
        let text = receipt.text(history.secret.as_ref(), voter, &history.poll);
        text.unwrap_or_default()
    };
    let of = receipts.len();
    let reported = |open: usize| on_step((of - open) as u64, of as u64);
    result
        .states(of, text, is_done, checking.patience, reported)
        .await
}
