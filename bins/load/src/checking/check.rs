//! Waits until the ballots are counted, and checks them against what the voters were told.

use crate::{
    checking::{
        context::Checking,
        error::CheckError,
        expected::Expected,
        receipts::check_receipts,
        recount::check_store,
        service::{Service, Tally},
        sources::{FIRST_ANSWER, Sources},
        step::Step,
        verdict::Verdict,
        voter_check::Findings,
        waiting::Waiting,
    },
    history::History,
};

/// Waits until all acknowledged ballots are counted, or nothing changes any more, and gives the verdict.
///
/// Nobody else may have voted in the poll since [`Sources::look_before`].
///
/// # Errors
/// A source does not answer. This says nothing about the ballots.
pub async fn check(history: &History, sources: &Sources) -> Result<Verdict, CheckError> {
    check_with(history, sources, &|_| ()).await
}

/// The same as [`check`], and reports its progress.
///
/// # Errors
/// As [`check`].
pub async fn check_with(
    history: &History,
    sources: &Sources,
    on_step: &dyn Fn(Step),
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
        on_step,
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

/// Checks that the tally is within the range that the voters' ballots allow.
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
        // The missing ballots are of voters that were not asked about. They may still be pending.
        verdict.pending = short;
    }
    let is_all = verdict.pending == 0 && !findings.are_pending();
    verdict.tally_is_off(expected.judge(tally.voters, &tally.votes(), is_all));
    Ok(())
}
