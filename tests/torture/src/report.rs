//! What a run has found.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde_json::Value;
use voting_load::Verdict;

use crate::{
    ask::POLLS, faults::Faults, options::Options, target::ServiceId, timed::TimedPoll, voided,
};

/// What a run has found.
#[derive(Debug)]
pub struct Report {
    options: Options,
    power_cuts: bool,
    /// Which were made.
    pub(crate) faults: Faults,
    /// What services and servers did that none should.
    pub(crate) services: Vec<String>,
    /// The longest that a service was not ready.
    pub(crate) longest_away: Option<(ServiceId, Duration)>,
    pub(crate) took: Duration,
    /// By poll.
    pub(crate) verdicts: Vec<Verdict>,
    /// Ballots that the log had accepted before the load.
    pub(crate) accepted_before: u64,
    /// Those that opened and closed at set times.
    pub(crate) timed: Vec<TimedPoll>,
    /// The poll whose votes were voided.
    pub(crate) voided: Option<voided::Ended>,
    /// Where the services say that all ballots are.
    pub(crate) pipeline: Option<Value>,
    /// By poll.
    pub(crate) recounts: Vec<Option<Value>>,
}

impl Report {
    pub(crate) fn new(options: &Options, power_cuts: bool) -> Self {
        Self {
            options: options.clone(),
            power_cuts,
            faults: Faults::default(),
            services: Vec::new(),
            longest_away: None,
            took: Duration::ZERO,
            verdicts: Vec::new(),
            accepted_before: 0,
            timed: Vec::new(),
            voided: None,
            pipeline: None,
            recounts: Vec::new(),
        }
    }

    fn sum(&self, of: impl Fn(&Verdict) -> u64) -> u64 {
        self.verdicts.iter().map(of).sum()
    }

    /// What is wrong; nothing if the promise was kept.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let counts = [
            ("lost", self.sum(|verdict| verdict.lost)),
            ("double", self.sum(|verdict| verdict.double)),
            (
                "counted for another choice",
                self.sum(|verdict| verdict.wrong),
            ),
            ("rejected", self.sum(|verdict| verdict.rejected)),
            (
                "overtaken by an older one",
                self.sum(|verdict| verdict.overtaken),
            ),
            (
                "told in another order than sent",
                self.sum(|verdict| verdict.counts.disordered),
            ),
            (
                "answered as no working service does",
                self.sum(|verdict| verdict.counts.unexpected),
            ),
        ];
        for (what, ballots) in counts {
            if ballots > 0 {
                wrong.push(format!("{ballots} ballots {what}"));
            }
        }
        for (poll, verdict) in POLLS.iter().zip(&self.verdicts) {
            let doubts = verdict.doubts().into_iter();
            wrong.extend(doubts.map(|doubt| format!("{poll}: {doubt}")));
        }
        let off = self.sum(|verdict| verdict.miscounted);
        if off > 0 {
            wrong.push(format!("tallies are {off} voters and votes off"));
        }
        for (poll, recount) in POLLS.iter().zip(&self.recounts) {
            match recount {
                Some(recount) if recount["agrees"] == true => {}
                _ => wrong.push(format!("recount of {poll}: {recount:?}")),
            }
        }
        if !self.adds_up() {
            wrong.push(format!("the counters do not add up: {:?}", self.pipeline));
        }
        wrong.extend(self.out_of_step());
        let lost = self.pipeline.as_ref().map(|it| &it["lost_entries"]);
        if lost.is_none_or(|lost| *lost != 0) {
            wrong.push(format!("entries were deleted uncounted: {lost:?}"));
        }
        wrong.extend(self.services.iter().cloned());
        for kind in self.faults.never() {
            // Without FUSE, which was told, there are none.
            if self.power_cuts || !kind.is_power() {
                wrong.push(format!("no {kind:?} was made, and the plan has some"));
            }
        }
        wrong
    }

    /// accepted = counted + superseded + rejected + pending, with nothing pending.
    fn adds_up(&self) -> bool {
        let Some(pipeline) = &self.pipeline else {
            return false;
        };
        let number = |name: &str| pipeline[name].as_u64();
        let told = ["counted", "superseded", "rejected"];
        let told: Option<u64> = told.into_iter().map(number).sum();
        number("pending") == Some(0) && told.is_some() && number("accepted") == told
    }

    /// What the log says that it accepted during the run.
    fn accepted(&self) -> Option<u64> {
        let accepted = self.pipeline.as_ref()?["accepted"].as_u64()?;
        accepted.checked_sub(self.accepted_before)
    }

    /// How many ballots are in the log for sure, and how many may be: all that voters were told.
    fn told(&self) -> RangeInclusive<u64> {
        let timed = |of: fn(&TimedPoll) -> u64| self.timed.iter().map(of).sum::<u64>();
        let least = self.sum(|verdict| verdict.counts.acknowledged);
        let voided = self.voided.as_ref().map(|ended| &ended.told);
        let least = least + timed(|poll| poll.acknowledged);
        let least = least + voided.map_or(0, |told| told.acknowledged);
        let doubtful = self.sum(|verdict| verdict.counts.unknown + verdict.counts.unexpected);
        let doubtful = doubtful + timed(|poll| poll.unknown);
        let doubtful = doubtful + voided.map_or(0, |told| told.unknown);
        least..=least + doubtful
    }

    /// What the log accepted is held against what voters were told, not against the store: a power cut
    /// that takes an entry takes it from the log's counters too, and then they still add up; and of a
    /// ballot that was replaced since, the store would not tell.
    fn out_of_step(&self) -> Option<String> {
        let told = self.told();
        let Some(accepted) = self.accepted() else {
            return Some("nobody knows how many ballots the log accepted".to_owned());
        };
        if accepted < *told.start() {
            let missing = told.start() - accepted;
            return Some(format!(
                "{missing} acknowledged ballots are missing from the log, replaced ones among them"
            ));
        }
        (accepted > *told.end()).then(|| {
            let more = accepted - told.end();
            format!("the log accepted {more} ballots more than voters can have cast")
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        writeln!(
            f,
            "\n{} in {:.0} s, {}",
            self.faults,
            self.took.as_secs_f64(),
            if self.power_cuts {
                "with power cuts"
            } else {
                "without power cuts, since there is no FUSE"
            }
        )?;
        let lines = [
            (
                "acknowledged",
                self.sum(|verdict| verdict.counts.acknowledged),
            ),
            ("counted", self.sum(|verdict| verdict.counted)),
            ("superseded", self.sum(|verdict| verdict.superseded)),
            ("rejected", self.sum(|verdict| verdict.rejected)),
            ("unknown", self.sum(|verdict| verdict.counts.unknown)),
            (
                "  of which count",
                self.sum(|verdict| verdict.unknown_counted),
            ),
            ("refused", self.sum(|verdict| verdict.counts.refused)),
            (
                "unreachable",
                self.sum(|verdict| verdict.counts.unreachable),
            ),
            ("lost", self.sum(|verdict| verdict.lost)),
            ("double", self.sum(|verdict| verdict.double)),
        ];
        for (what, ballots) in lines {
            writeln!(f, "{what:18} {ballots:>10}")?;
        }
        if let Some((service, away)) = self.longest_away {
            let away = away.as_secs_f64();
            writeln!(f, "longest not ready: {service}, {away:.1} s")?;
        }
        if let Some(pipeline) = &self.pipeline {
            let number = |name: &str| pipeline[name].as_u64().unwrap_or_default();
            writeln!(
                f,
                "the services' own counters: accepted {} = counted {} + superseded {} + rejected {} + \
                 pending {}",
                number("accepted"),
                number("counted"),
                number("superseded"),
                number("rejected"),
                number("pending"),
            )?;
        }
        let timed = |of: fn(&TimedPoll) -> u64| self.timed.iter().map(of).sum::<u64>();
        writeln!(
            f,
            "{} polls opened and closed at set times: {} ballots acknowledged, {} of unknown outcome, {} refused as too \
             early or too late",
            self.timed.len(),
            timed(|poll| poll.acknowledged),
            timed(|poll| poll.unknown),
            timed(|poll| poll.refused),
        )?;
        if let Some(voided) = &self.voided {
            writeln!(f, "{}", voided.line())?;
        }
        if let Some(accepted) = self.accepted() {
            let told = self.told();
            writeln!(
                f,
                "must be: acknowledged {} <= accepted in this run {accepted} <= with those in doubt {}",
                told.start(),
                told.end(),
            )?;
        }
        let agree =
            |recount: &Option<Value>| recount.as_ref().is_some_and(|it| it["agrees"] == true);
        let agree = self.recounts.iter().all(agree);
        writeln!(f, "recount = tally: {}", if agree { "yes" } else { "NO" })?;
        for verdict in &self.verdicts {
            for example in &verdict.examples {
                writeln!(f, "  {example}")?;
            }
        }
        let wrong = self.wrong();
        if wrong.is_empty() {
            writeln!(f, "The promise was kept.")?;
        } else {
            writeln!(f, "THE PROMISE WAS BROKEN: {}.", wrong.join("; "))?;
        }
        write!(f, "The same faults again: {options}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use voting_load::Counts;

    use super::*;
    use crate::plan::Kind;

    /// Of a run in which nothing went wrong: 7 ballots were there before, 10 were acknowledged, two are in
    /// doubt, of which one is in the log.
    fn well() -> Report {
        let counts = Counts {
            acknowledged: 5,
            unknown: 1,
            ..Counts::default()
        };
        let verdict = Verdict {
            counts,
            looked_at: 5,
            ..Verdict::default()
        };
        let mut report = Report::new(&Options::least(), true);
        report.verdicts = vec![verdict; 2];
        report.accepted_before = 7;
        report.pipeline = Some(pipeline(18));
        report.recounts = vec![Some(json!({"agrees": true})); POLLS.len()];
        report
    }

    /// Counters that add up.
    fn pipeline(accepted: u64) -> Value {
        json!({
            "accepted": accepted,
            "counted": 3,
            "superseded": accepted - 3,
            "rejected": 0,
            "pending": 0,
            "lost_entries": 0,
        })
    }

    #[test]
    fn the_log_may_hold_what_voters_were_told_and_what_is_in_doubt() {
        for accepted in 17..=19 {
            let mut report = well();
            report.pipeline = Some(pipeline(accepted));
            assert_eq!(report.wrong(), Vec::<String>::new());
        }
    }

    #[test]
    fn ballots_that_are_gone_from_the_log_and_its_counters_are_missed() {
        let mut report = well();
        report.pipeline = Some(pipeline(16));
        assert!(report.wrong()[0].starts_with("1 acknowledged ballots are missing"));
    }

    #[test]
    fn ballots_that_nobody_cast_are_noticed() {
        let mut report = well();
        report.pipeline = Some(pipeline(20));
        assert!(report.wrong()[0].starts_with("the log accepted 1 ballots more"));
    }

    #[test]
    fn a_poll_of_which_no_ballot_was_acknowledged_proves_nothing() {
        let mut report = well();
        report.pipeline = Some(pipeline(13));
        report.verdicts[1].counts.acknowledged = 0;
        let wrong = report.wrong();
        assert!(wrong[0].contains("nothing was acknowledged"), "{wrong:?}");
    }

    #[test]
    fn entries_that_were_deleted_uncounted_are_noticed() {
        let mut report = well();
        report.pipeline.as_mut().unwrap()["lost_entries"] = json!(1);
        assert!(report.wrong()[0].starts_with("entries were deleted"));
        report.pipeline.as_mut().unwrap()["lost_entries"].take();
        assert!(report.wrong()[0].starts_with("entries were deleted"));
    }

    #[test]
    fn a_kind_of_fault_that_was_planned_and_never_made_is_noticed() {
        let mut report = well();
        report.faults.add(Kind::Backend, true);
        report.faults.add(Kind::Backend, false);
        assert_eq!(report.wrong(), Vec::<String>::new());
        report.faults.add(Kind::Jump, false);
        assert!(report.wrong()[0].starts_with("no Jump was made"));
    }

    #[test]
    fn power_cuts_are_not_asked_for_where_there_can_be_none() {
        let mut report = well();
        report.faults.add(Kind::RedisPower, false);
        assert!(report.wrong()[0].starts_with("no RedisPower was made"));
        report.power_cuts = false;
        assert_eq!(report.wrong(), Vec::<String>::new());
    }
}
