//! Reports the outcome, for people or as JSON.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    args::Limits, checking::verdict::Verdict, counts::Counts, history::History,
    latencies::Latencies,
};

/// The overall outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Well,
    Wrong,
    /// The check has no verdict.
    Unknown,
    /// Nothing is wrong, but a limit was exceeded.
    OverLimits,
}

/// The verdict, if the ballots were checked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Found {
    Checked {
        /// Whether nothing is wrong and nothing is in doubt.
        clean: bool,
        doubts: Vec<String>,
        #[serde(flatten)]
        verdict: Box<Verdict>,
    },
    Not {
        /// Why there is no verdict, if there was to be a check.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        counts: Counts,
        /// The first answers that no working service gives.
        examples: Vec<String>,
    },
}

/// The outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    checked: bool,
    voters: usize,
    seconds: f64,
    acknowledged_per_second: f64,
    missed: u64,
    acknowledgement: Latencies,
    visible: Latencies,
    /// Ballots of new voters that were not visible when nothing changed any more.
    unseen: u64,
    /// The limits that were exceeded.
    exceeded: Vec<String>,
    #[serde(flatten)]
    found: Found,
}

impl Report {
    /// `verdict` has the verdict, or the reason why there is none; `None` if nothing was to be checked.
    pub(crate) fn new(
        history: &History,
        verdict: Option<Result<Verdict, String>>,
        took: Duration,
        limits: &Limits,
    ) -> Self {
        let counts = history.counts();
        let found = match verdict {
            Some(Ok(verdict)) => Found::Checked {
                clean: verdict.is_clean(),
                doubts: verdict.doubts(),
                verdict: Box::new(verdict),
            },
            error => Found::Not {
                error: error.and_then(Result::err),
                counts,
                examples: history.surprises().to_vec(),
            },
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody sees the 16th digit")]
        let acknowledged = counts.acknowledged as f64;
        let acknowledgement = Latencies::of(history.acknowledgement());
        Self {
            checked: matches!(found, Found::Checked { .. }),
            voters: history.voters(),
            seconds: took.as_secs_f64(),
            acknowledged_per_second: acknowledged / took.as_secs_f64().max(0.001),
            missed: counts.missed(),
            exceeded: limits.exceeded(&counts, &acknowledgement),
            acknowledgement,
            visible: Latencies::of(history.visible()),
            unseen: history.unseen,
            found,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match &self.found {
            Found::Checked { verdict, .. } if verdict.is_wrong() => Outcome::Wrong,
            Found::Checked { clean: false, .. } => Outcome::Unknown,
            Found::Not { counts, .. } if counts.disordered + counts.unexpected > 0 => {
                Outcome::Wrong
            }
            Found::Not { error, .. } if error.is_some() => Outcome::Unknown,
            _ if !self.exceeded.is_empty() => Outcome::OverLimits,
            _ => Outcome::Well,
        }
    }

    fn counts(&self) -> &Counts {
        match &self.found {
            Found::Checked { verdict, .. } => &verdict.counts,
            Found::Not { counts, .. } => counts,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        writeln!(
            f,
            "{} voters in {:.1} s, {:.0} ballots acknowledged a second",
            self.voters, self.seconds, self.acknowledged_per_second
        )?;
        for (name, number) in [
            ("acknowledged", counts.acknowledged),
            ("unknown", counts.unknown),
            ("refused", counts.refused),
            ("unreachable", counts.unreachable),
            ("unexpected", counts.unexpected),
            ("missed", self.missed),
        ] {
            writeln!(f, "  {name:<16}{number:>12}")?;
        }
        writeln!(f, "until acknowledged: {}", self.acknowledgement)?;
        writeln!(f, "until visible:      {}", self.visible)?;
        if self.unseen > 0 {
            writeln!(f, "  {} ballots were not seen in the tally", self.unseen)?;
        }
        for exceeded in &self.exceeded {
            writeln!(f, "OVER THE LIMIT: {exceeded}")?;
        }
        match &self.found {
            Found::Checked { verdict, .. } => write_verdict(f, verdict),
            Found::Not {
                error, examples, ..
            } => {
                for example in examples {
                    writeln!(f, "  {example}")?;
                }
                match error {
                    Some(error) => writeln!(f, "NOT KNOWN: it could not be checked: {error}"),
                    None => writeln!(f, "not checked"),
                }
            }
        }
    }
}

fn write_verdict(f: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    writeln!(
        f,
        "checked by {} of {} receipts, {} replaced ones{}",
        verdict.receipts_asked,
        verdict.receipts,
        verdict.earlier_asked,
        if verdict.store_read {
            ", the tally and all ballots in the store"
        } else {
            " and the tally"
        }
    )?;
    if verdict.receipts_unopened > 0 {
        let unopened = verdict.receipts_unopened;
        writeln!(
            f,
            "{unopened} receipts were not opened, since --secret-file is not set: the order of each voter's acknowledgements was not checked, nor whether each receipt belongs to its voter"
        )?;
    }
    match verdict.recorded {
        Some(recorded) if verdict.others => writeln!(
            f,
            "the store recorded {recorded} ballots, among them those of others in other polls"
        )?,
        Some(recorded) => writeln!(f, "the store recorded {recorded} ballots")?,
        None => {}
    }
    // Numbers that were not added up or not checked are not reported.
    let disordered = (verdict.receipts_unopened == 0).then_some(verdict.counts.disordered);
    let unaccounted = verdict.recorded.map(|_| verdict.unaccounted);
    let excess = verdict.recorded.filter(|_| !verdict.others);
    let excess = excess.map(|_| verdict.excess);
    for (name, number) in [
        ("counted", Some(verdict.counted)),
        ("superseded", Some(verdict.superseded)),
        ("unknown, counted", Some(verdict.unknown_counted)),
        ("rejected", Some(verdict.rejected)),
        ("pending", Some(verdict.pending)),
        ("lost", Some(verdict.lost)),
        ("unaccounted", unaccounted),
        ("double", Some(verdict.double)),
        ("excess", excess),
        ("wrong", Some(verdict.wrong)),
        ("overtaken", Some(verdict.overtaken)),
        ("disordered", disordered),
        ("miscounted", Some(verdict.miscounted)),
    ] {
        if let Some(number) = number {
            writeln!(f, "  {name:<16}{number:>12}")?;
        }
    }
    for example in &verdict.examples {
        writeln!(f, "  {example}")?;
    }
    if verdict.is_wrong() {
        return writeln!(f, "FAILED: {}", verdict.faults().join(", "));
    }
    let doubts = verdict.doubts();
    if !doubts.is_empty() {
        return writeln!(f, "NOT KNOWN: {}.", doubts.join("; "));
    }
    let looked_at = format!(
        "{} of {} voters looked at, and the tally",
        verdict.looked_at, verdict.voters_acknowledged
    );
    // Only the store shows whether replaced ballots were stored.
    if verdict.recorded.is_some() && !verdict.others {
        writeln!(f, "Each acknowledged ballot counts, once: {looked_at}.")
    } else {
        writeln!(f, "Nothing is wrong: {looked_at}.")
    }
}
