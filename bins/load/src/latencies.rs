//! The times to acknowledgements.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A distribution of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latencies {
    /// The number of values.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p999_ms: f64,
    /// The maximum.
    pub max_ms: f64,
}

impl Latencies {
    /// The distribution in a histogram of microseconds.
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
