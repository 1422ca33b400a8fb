//! Asks all services, all the while, whether they are ready: each must be again and again, whatever goes
//! wrong.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use voting_testing::within;

use crate::{addresses::Addresses, ask, target::ServiceId};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until it is dropped.
pub(crate) struct Watch {
    seen: Vec<(ServiceId, String, Arc<Mutex<Seen>>)>,
    over: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
struct Seen {
    /// When it was last found ready.
    ready: Instant,
    /// The longest that it was not.
    away: Duration,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Of services that are ready.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn start(addresses: &Addresses) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let mut all = Vec::new();
        for (service, url) in addresses.all() {
            let seen = Seen {
                ready: Instant::now(),
                away: Duration::ZERO,
            };
            let seen = Arc::new(Mutex::new(seen));
            let (look, address, over) = (Arc::clone(&seen), url.clone(), Arc::clone(&over));
            std::thread::Builder::new().spawn(move || {
                while !over.load(Relaxed) {
                    let is_ready = ask::is_ready(&address);
                    let mut seen = lock(&look);
                    let now = Instant::now();
                    seen.away = seen.away.max(now - seen.ready);
                    if is_ready {
                        seen.ready = now;
                    }
                    drop(seen);
                    sleep(PAUSE);
                }
            })?;
            all.push((service, url, seen));
        }
        Ok(Self { seen: all, over })
    }

    /// The longest that one was not ready.
    pub(crate) fn longest(&self) -> Option<(ServiceId, Duration)> {
        let away = self
            .seen
            .iter()
            .map(|(service, _, seen)| (*service, lock(seen).away));
        away.max_by_key(|(_, away)| *away)
    }

    /// When all is well, each service must be ready, and do its work under the load. Those that do not,
    /// and those that were not ready for longer than that before.
    pub(crate) fn all_is_well(&self, patience: Duration) -> Vec<String> {
        let start = Instant::now();
        let mut wrong = Vec::new();
        let mut waiting: Vec<_> = self.seen.iter().collect();
        within(patience, || {
            waiting.retain(|(_, _, seen)| lock(seen).ready < start);
            waiting.is_empty().then_some(())
        });
        for (service, ..) in waiting {
            wrong.push(format!("{service} is not ready again"));
        }
        let done = |service, url: &str| ask::work_done(service, url);
        let begin = self
            .seen
            .iter()
            .map(|(service, url, _)| (*service, url, done(*service, url)));
        let mut idle: Vec<_> = begin.collect();
        within(patience, || {
            idle.retain_mut(|(service, url, before)| {
                let now = done(*service, url);
                let is_idle = before.is_none() || now <= *before;
                // Of one that did not answer at first it is not known what it had done by then.
                *before = before.or(now);
                is_idle
            });
            idle.is_empty().then_some(())
        });
        for (service, ..) in idle {
            wrong.push(format!("{service} does none of the work"));
        }
        for (service, _, seen) in &self.seen {
            let away = lock(seen).away;
            if away > patience {
                let away = away.as_secs();
                wrong.push(format!("{service} was not ready for {away} s"));
            }
        }
        wrong
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}
