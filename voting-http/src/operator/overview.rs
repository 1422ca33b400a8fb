//! Where all ballots are, and how fast they move. The stores are asked once a second, independent of the number of
//! requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use voting_core::{
    Poll, StoreError,
    log::stats::QueueStats,
    model::{moment::Moment, poll::Phase},
    store::outcome::Totals,
};

use super::Pipeline;

/// How often the stores are asked.
const EVERY: Duration = Duration::from_secs(1);

/// How long a store may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Rates are measured over this time.
const WINDOW: Duration = Duration::from_secs(10);

/// The answers of the stores at one moment; `None` if a store did not answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) stats: Option<QueueStats>,
    pub(super) totals: Option<Totals>,
    pub(super) polls: Option<PollCounts>,
}

/// The number of polls in each state, by the clock of this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PollCounts {
    pub(super) drafts: i64,
    pub(super) scheduled: i64,
    pub(super) open: i64,
    pub(super) closing: i64,
    pub(super) finished: i64,
    /// The longest time for which a poll should have been closed, and is not.
    pub(super) overdue: Duration,
}

impl PollCounts {
    fn of(polls: &[Poll], now: Moment) -> Self {
        let mut counts = Self::default();
        for poll in polls {
            match poll.phase(now) {
                Phase::Draft => counts.drafts += 1,
                Phase::Scheduled => counts.scheduled += 1,
                Phase::Open => counts.open += 1,
                Phase::Closing => counts.closing += 1,
                Phase::Final | Phase::Archived => counts.finished += 1,
            }
            if let Some(closes) = poll.settings().closes_at
                && poll.state().is_open()
                && !poll.is_draft()
            {
                counts.overdue = counts.overdue.max(now.since(closes));
            }
        }
        counts
    }
}

/// Rates, in ballots a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    /// Acknowledged to voters.
    pub(super) accepted: f64,
    /// Counted, superseded or rejected.
    pub(super) processed: f64,
}

/// The samples of the last seconds.
#[derive(Clone, Default)]
pub(super) struct Overview(Arc<Mutex<VecDeque<(Instant, Sample)>>>);

impl Overview {
    /// Asks the stores once a second until `stop` is cancelled.
    pub(super) async fn keep_asking(self, pipeline: Pipeline, stop: CancellationToken) {
        let asking = async {
            loop {
                self.take_in(Instant::now(), Sample::ask(&pipeline).await);
                sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(asking).await;
    }

    fn take_in(&self, at: Instant, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back((at, sample));
        while samples
            .front()
            .is_some_and(|(then, _)| at.duration_since(*then) > WINDOW)
        {
            samples.pop_front();
        }
    }

    /// The last sample, up to a second old.
    pub(super) fn latest(&self) -> Sample {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = samples.back().map(|(_, sample)| sample.clone());
        last.unwrap_or_default()
    }

    pub(super) fn rates(&self) -> Rates {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Rates {
            accepted: rate(&samples, |sample| Some(sample.stats.as_ref()?.accepted)),
            processed: rate(&samples, |sample| {
                let totals = sample.totals?;
                Some(totals.counted + totals.superseded + totals.rejected)
            }),
        }
    }
}

impl Sample {
    /// Asks the stores now.
    pub(super) async fn ask(pipeline: &Pipeline) -> Self {
        let (stats, totals, polls) = tokio::join!(
            timeout(ANSWER_TIMEOUT, pipeline.queue.stats()),
            timeout(ANSWER_TIMEOUT, pipeline.store.totals()),
            timeout(ANSWER_TIMEOUT, pipeline.polls.polls()),
        );
        Self {
            stats: known("ballot log", stats),
            totals: known("tally store", totals),
            polls: known("polls", polls).map(|polls| PollCounts::of(&polls, Moment::now())),
        }
    }
}

type Answer<T> = Result<Result<T, StoreError>, tokio::time::error::Elapsed>;

fn known<T>(what: &'static str, answer: Answer<T>) -> Option<T> {
    match answer {
        Ok(Ok(known)) => Some(known),
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, what, "no numbers");
            None
        }
        Err(_) => {
            tracing::debug!(what, "no numbers: no answer in time");
            None
        }
    }
}

/// The growth of a counter, per second. It is 0 if the counter went back, as with a store that was made anew.
fn rate(samples: &VecDeque<(Instant, Sample)>, counter: impl Fn(&Sample) -> Option<u64>) -> f64 {
    let known = || {
        samples
            .iter()
            .filter_map(|(at, sample)| Some((*at, counter(sample)?)))
    };
    let (Some((then, before)), Some((now, after))) = (known().next(), known().next_back()) else {
        return 0.0;
    };
    let seconds = now.duration_since(then).as_secs_f64();
    if seconds == 0.0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no sixteen digits")]
    let grown = after.saturating_sub(before) as f64;
    grown / seconds
}

#[cfg(test)]
mod tests {
    use voting_core::{
        PollState,
        model::{poll::PollSettings, poll_state::Seals},
    };

    use super::*;

    fn sample(accepted: Option<u64>) -> Sample {
        Sample {
            stats: accepted.map(|accepted| QueueStats {
                accepted,
                ..QueueStats::default()
            }),
            ..Sample::default()
        }
    }

    #[test]
    fn a_poll_that_should_be_closed_and_is_not_is_overdue() {
        let at = |seconds: u64| Moment::from_unix_ms(seconds * 1_000).unwrap();
        let mut settings = PollSettings::default();
        settings.opens_at = Some(at(10));
        settings.closes_at = Some(at(20));
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let poll = poll.settings(settings).build().unwrap();
        let counts = |now| PollCounts::of(std::slice::from_ref(&poll), at(now));
        assert_eq!(counts(9).scheduled, 1);
        assert_eq!(counts(10).open, 1);
        let late = counts(50);
        assert_eq!((late.closing, late.overdue), (1, Duration::from_secs(30)));
        let closed = poll.clone().in_state(PollState::Closing(Seals::default()));
        assert_eq!(PollCounts::of(&[closed], at(50)).overdue, Duration::ZERO);
    }

    #[test]
    fn rates_are_measured_over_the_last_seconds() {
        let overview = Overview::default();
        assert_eq!(overview.rates(), Rates::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        overview.take_in(at(0), sample(Some(0)));
        overview.take_in(at(1), sample(Some(100_000)));
        overview.take_in(at(11), sample(Some(101_000)));
        assert_eq!(overview.rates().accepted, 100.0, "the first is too old");
        // While the log does not answer, its last answer is kept.
        overview.take_in(at(12), sample(None));
        assert_eq!(overview.rates().accepted, 0.0, "one sample is no rate");
        overview.take_in(at(13), sample(Some(0)));
        assert_eq!(overview.rates().accepted, 0.0, "made anew");
    }
}
