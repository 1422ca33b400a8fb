//! Says when the next ballot is due.
//!
//! The time is kept by a thread of its own. The runtime's timer is exact only to a millisecond. At some thousand
//! ballots a second, it would send them in bursts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    counts::Counters,
    plan::{Pace, Plan},
};

/// Even at a low rate, the thread checks within this time whether it must stop.
const NAP: Duration = Duration::from_millis(50);

pub(crate) struct Pacer {
    begun: Instant,
    until: Option<Instant>,
    /// The rate, in ballots a second.
    rate: Option<f64>,
    /// A permit for each ballot that is due.
    due: Semaphore,
    taken: AtomicU64,
    limit: AtomicU64,
    casters: usize,
    stop: CancellationToken,
    counters: Arc<Counters>,
}

impl Pacer {
    /// Starts now.
    pub(crate) fn start(
        plan: &Plan,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let begun = Instant::now();
        let pacer = Arc::new(Self {
            begun,
            until: plan.duration.map(|duration| begun + duration),
            rate: match plan.pace {
                Pace::Rate(rate) => Some(rate),
                Pace::FlatOut => None,
            },
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
            limit: AtomicU64::new(plan.ballots.unwrap_or(u64::MAX)),
            casters: plan.casters(),
            stop,
            counters,
        });
        if let Some(rate) = pacer.rate {
            let keeper = Arc::clone(&pacer);
            thread::spawn(move || keeper.keep_time(rate));
        }
        pacer
    }

    /// Waits until a ballot is due, and returns when it was due; `None` if there are no more ballots.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let Some(rate) = self.rate else {
            let now = Instant::now();
            if self.is_over(now) || self.taken.fetch_add(1, Relaxed) >= self.limit.load(Relaxed) {
                return None;
            }
            self.counters.due.fetch_add(1, Relaxed);
            return Some(now);
        };
        self.due.acquire().await.ok()?.forget();
        let ticket = self.taken.fetch_add(1, Relaxed);
        // A ballot that was due in time, but found no free connection before the end, is missed.
        if self.is_over(Instant::now()) || ticket >= self.limit.load(Relaxed) {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ballots")]
        let after = ticket as f64 / rate;
        Some(self.begun + Duration::from_secs_f64(after))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.stop.is_cancelled() || self.until.is_some_and(|until| now >= until)
    }

    /// Whether ballots come at a given rate, independent of the answers.
    pub(crate) fn is_open(&self) -> bool {
        self.rate.is_some()
    }

    fn keep_time(&self, rate: f64) {
        let mut released = 0;
        let end = loop {
            let now = Instant::now();
            let over = self.until.is_some_and(|until| now >= until);
            let so_far = self.until.map_or(now, |until| now.min(until)) - self.begun;
            let due = due_after(so_far, rate, over).min(self.limit.load(Relaxed));
            let due = due.max(released);
            self.due
                .add_permits(usize::try_from(due - released).unwrap_or(0));
            self.counters.due.store(due, Relaxed);
            released = due;
            if over || self.stop.is_cancelled() || released >= self.limit.load(Relaxed) {
                break released;
            }
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ballots")]
            let next = self.begun + Duration::from_secs_f64(released as f64 / rate);
            thread::sleep(next.saturating_duration_since(now).min(NAP));
        };
        self.limit.store(end, Relaxed);
        // With these permits each caster sees the end, after the ballots that are due and for which there is time.
        self.due.add_permits(self.casters);
    }
}

/// The number of ballots that are due in a time, the first one at its start. `without_last` leaves out a ballot that
/// is due exactly at its end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of ballots is small and not below zero"
)]
fn due_after(time: Duration, rate: f64, without_last: bool) -> u64 {
    let ballots = time.as_secs_f64() * rate;
    if without_last {
        ballots.ceil() as u64
    } else {
        ballots.floor() as u64 + 1
    }
}
