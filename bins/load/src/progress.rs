//! The progress during the run: a bar on a terminal, otherwise lines.

use std::{
    cell::RefCell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::{casting::load::Load, checking::step::Step, counts::Counts, plan::Plan};

/// The time between two looks at the counters.
const TICK: Duration = Duration::from_millis(250);

/// Without a terminal, the number of ticks between two lines.
const TICKS_A_LINE: u32 = 20;

/// Counts the ticks until the next line is due.
struct Lines {
    each: u32,
    left: u32,
}

impl Lines {
    fn each(ticks: u32) -> Self {
        Self {
            each: ticks,
            left: ticks,
        }
    }

    /// Counts a tick. Returns whether a line is due.
    fn tick(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return false;
        }
        self.left = self.each;
        true
    }
}

/// Reports the progress on the standard error output.
pub(crate) struct Progress {
    bar: ProgressBar,
    on_terminal: bool,
    ballots: Option<u64>,
    duration: Option<Duration>,
    /// The last step of the check, and when it was reported.
    said: RefCell<Option<(Step, Instant)>>,
}

impl Progress {
    pub(crate) fn new(plan: &Plan) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let known = plan.ballots.is_some() || plan.duration.is_some();
        let bar = ProgressBar::with_draw_target(
            known.then_some(1_000),
            if on_terminal {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        let template = if known {
            "{elapsed_precise} {wide_bar} {percent:>3}%  {msg}"
        } else {
            "{elapsed_precise} {spinner}  {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            on_terminal,
            ballots: plan.ballots,
            duration: plan.duration,
            said: RefCell::new(None),
        }
    }

    pub(crate) fn say(&self, what: String) {
        if !self.on_terminal {
            eprintln!("{what}");
        }
        self.bar.set_message(what);
    }

    /// Reports the progress of the check, if it has changed and the last report was not just now.
    pub(crate) fn step(&self, step: Step) {
        let mut said = self.said.borrow_mut();
        let (known, often) = match *said {
            Some((last, at)) => (last == step, at.elapsed() < TICK * TICKS_A_LINE),
            None => (false, false),
        };
        if known || often && !self.on_terminal && !step.is_last() {
            return;
        }
        *said = Some((step, Instant::now()));
        self.say(step.to_string());
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Reports until all ballots have an outcome.
    pub(crate) async fn follow(&self, load: &Load) {
        let begun = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut before = (begun, Counts::default());
        let mut lines = Lines::each(if self.on_terminal { 1 } else { TICKS_A_LINE });
        loop {
            let over = tokio::select! {
                () = load.cast() => true,
                _ = ticks.tick() => false,
            };
            if over {
                return;
            }
            let now = (Instant::now(), load.counts());
            if lines.tick() {
                self.say(line(&before, &now, load.take_latencies()));
                before = now;
            }
            self.bar.set_position(self.share(begun.elapsed(), &now.1));
        }
    }

    /// How much is done, in thousandths.
    fn share(&self, elapsed: Duration, counts: &Counts) -> u64 {
        let of_ballots = self
            .ballots
            .map(|ballots| counts.ended() * 1_000 / ballots.max(1));
        let of_time = self.duration.map(|duration| {
            let share = elapsed.as_millis() * 1_000 / duration.as_millis().max(1);
            u64::try_from(share).unwrap_or(1_000)
        });
        of_ballots.max(of_time).unwrap_or(0).min(1_000)
    }
}

/// The counts, and the rates since `before`.
fn line(before: &(Instant, Counts), now: &(Instant, Counts), [p50, p99]: [Duration; 2]) -> String {
    let millis = (now.0 - before.0).as_millis().max(1);
    let rate = |of: fn(&Counts) -> u64| u128::from(of(&now.1) - of(&before.1)) * 1_000 / millis;
    let acknowledged = rate(|counts| counts.acknowledged);
    let refused = rate(|counts| counts.refused + counts.unreachable);
    let [p50, p99] = [p50, p99].map(|time| time.as_secs_f64() * 1_000.0);
    let counts = &now.1;
    format!(
        "{} acknowledged, {acknowledged}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, {} waiting, \
         {} refused, {refused}/s, {} unknown",
        counts.acknowledged,
        counts.missed(),
        counts.refused + counts.unreachable,
        counts.unknown,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_happened_since_the_last_one() {
        let begun = Instant::now();
        let counts = |acknowledged, refused| Counts {
            acknowledged,
            refused,
            due: 200,
            ..Counts::default()
        };
        let now = (begun + Duration::from_secs(2), counts(110, 60));
        let times = [Duration::from_millis(3), Duration::from_millis(20)];
        assert_eq!(
            line(&(begun, counts(10, 50)), &now, times),
            "110 acknowledged, 50/s, p50 3.0 ms, p99 20.0 ms, 30 waiting, 60 refused, 5/s, \
             0 unknown"
        );
    }

    #[test]
    fn a_line_is_due_each_so_many_ticks_for_ever() {
        for each in [1, 3] {
            let mut lines = Lines::each(each);
            let due: Vec<_> = (1..=12).filter(|_| lines.tick()).collect();
            assert_eq!(
                due,
                (1..=12).filter(|tick| tick % each == 0).collect::<Vec<_>>()
            );
        }
    }
}
