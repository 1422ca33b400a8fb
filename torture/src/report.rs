//! What a run has found.

use std::{fmt, time::Duration};

use serde_json::Value;
use voting_load::Verdict;

use crate::{loads::POLLS, run::Options};

/// What a run has found.
#[derive(Debug)]
pub struct Report {
    options: Options,
    power_cuts: bool,
    pub(crate) took: Duration,
    /// By poll.
    pub(crate) verdicts: Vec<Verdict>,
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
            took: Duration::ZERO,
            verdicts: Vec::new(),
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
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        writeln!(
            f,
            "\n{} faults in {:.0} s, {}",
            options.faults,
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

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cargo run --release -p voting-torture -- --seed {} --faults {} --gap-ms {} --longest-ms {} \
             --at-once {} --rate {} --ballots {}",
            self.seed,
            self.faults,
            self.pace.gap.as_millis(),
            self.pace.longest.as_millis(),
            self.at_once,
            self.rate,
            self.ballots,
        )?;
        if let Some(broken) = self.broken {
            let name = clap::ValueEnum::to_possible_value(&broken);
            write!(
                f,
                " --broken {}",
                name.map_or_else(String::new, |name| name.get_name().to_owned())
            )?;
        }
        Ok(())
    }
}
