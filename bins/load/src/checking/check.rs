//! Waits until what was cast is counted, and checks it against what the voters were told.

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
