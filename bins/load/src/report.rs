//! Tells the outcome, to people and to machines.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{history::History, verdict::Verdict};

/// A distribution of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latencies {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// Nine of ten are not above it.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// 999 of a thousand.
    pub p999_ms: f64,
    /// The worst.
    pub max_ms: f64,
}

impl Latencies {
    /// Those of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "nobody sees the 16th digit")]
        let ms = |micros: u64| micros as f64 / 1_000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(histogram.max()),
        }
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        let Self {
            p50_ms,
            p90_ms,
            p99_ms,
            p999_ms,
            max_ms,
            ..
        } = self;
        write!(
            f,
            "p50 {p50_ms:.1} ms, p90 {p90_ms:.1} ms, p99 {p99_ms:.1} ms, \
             p99.9 {p999_ms:.1} ms, max {max_ms:.1} ms"
        )
    }
}

/// The outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether nothing is wrong; without a check, whether all answers made sense.
    clean: bool,
    voters: usize,
    seconds: f64,
    acknowledged_per_second: f64,
    missed: u64,
    acknowledgement: Latencies,
    visible: Latencies,
    /// Ballots of new voters that were not visible when nothing moved any more.
    unseen: u64,
    checked: bool,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Report {
    pub(crate) fn new(history: &History, verdict: Option<Verdict>, took: Duration) -> Self {
        let counts = history.counts();
        let (checked, verdict) = match verdict {
            Some(verdict) => (true, verdict),
            None => (false, Verdict::new(history)),
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody sees the 16th digit")]
        let acknowledged = counts.acknowledged as f64;
        Self {
            clean: verdict.is_clean(),
            voters: history.voters(),
            seconds: took.as_secs_f64(),
            acknowledged_per_second: acknowledged / took.as_secs_f64().max(0.001),
            missed: counts.missed(),
            acknowledgement: Latencies::of(history.acknowledgement()),
            visible: Latencies::of(history.visible()),
            unseen: history.unseen,
            checked,
            verdict,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.clean
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, .. } = self;
        let counts = &verdict.counts;
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
        if !self.checked {
            return writeln!(f, "not checked");
        }
        writeln!(
            f,
            "checked by {} of {} receipts, {} replaced ones{}",
            verdict.receipts_asked,
            verdict.receipts,
            verdict.earlier_asked,
            if verdict.store_read {
                " and all ballots in the store"
            } else {
                " and the tally"
            }
        )?;
        for (name, number) in [
            ("counted", verdict.counted),
            ("superseded", verdict.superseded),
            ("unknown, counted", verdict.unknown_counted),
            ("rejected", verdict.rejected),
            ("lost", verdict.lost),
            ("double", verdict.double),
            ("wrong", verdict.wrong),
            ("overtaken", verdict.overtaken),
            ("disordered", counts.disordered),
            ("miscounted", verdict.miscounted),
        ] {
            writeln!(f, "  {name:<16}{number:>12}")?;
        }
        for example in &verdict.examples {
            writeln!(f, "  {example}")?;
        }
        f.write_str(if self.clean {
            "Each acknowledged ballot counts, once.\n"
        } else {
            "SOMETHING IS WRONG.\n"
        })
    }
}
