//! The result of a check.

use serde::Serialize;

use crate::{
    checking::{
        store::RecordedSince,
        voter_check::{Finding, Findings},
    },
    counts::Counts,
    history::History,
};

/// How many voters with a fault are named.
const EXAMPLES: usize = 20;

/// Whether the promise was kept. The numbers count ballots unless they say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How many ballots were answered in which way.
    pub counts: Counts,
    /// Acknowledged, the last one of its voter, and counted.
    pub counted: u64,
    /// Acknowledged and replaced by a newer ballot of the same voter: as the store counts them, if that is known and
    /// nobody else voted; otherwise computed from the other numbers.
    pub superseded: u64,
    /// Of unknown outcome, and counted.
    pub unknown_counted: u64,
    /// Acknowledged, and found among the dead letters.
    pub rejected: u64,
    /// Acknowledged, the last one of its voter, and lost: neither it nor one that may replace it counts, although the
    /// store has applied its place in the log.
    pub lost: u64,
    /// Not counted yet. It may still be in the log, so it is not known to be lost.
    pub pending: u64,
    /// Counted although it was refused or never cast; or a ballot of a voter that this load does not know.
    pub double: u64,
    /// Counted for something else than was chosen.
    pub wrong: u64,
    /// Of unknown outcome, and counted instead of an acknowledged ballot that was sent later.
    pub overtaken: u64,
    /// By how many voters and votes the tally differs from the ballots, or from what is possible.
    pub miscounted: u64,
    /// How many acknowledged ballots are missing in the store's counters (counted, superseded and rejected together):
    /// these are lost, whether they are the last ones of their voters or not. Zero while some are pending.
    #[serde(rename = "untold")]
    pub unaccounted: u64,
    /// How many ballots more than possible are in the store's counters. Zero if others voted.
    #[serde(rename = "surplus")]
    pub excess: u64,
    /// How many ballots the store has recorded since the load began; `None` if the store was not read before the
    /// load, or if the login may not read its counters.
    #[serde(rename = "told")]
    pub recorded: Option<u64>,
    /// Ballots of others that waited in the log when the load began. If there are any, a surplus in the tally and the
    /// counters may be theirs and is not reported.
    pub were_pending: u64,
    /// Whether others voted in other polls meanwhile.
    pub others: bool,
    /// Voters with an acknowledged ballot.
    pub voters_acknowledged: u64,
    /// How many of these were checked.
    pub looked_at: u64,
    /// Receipts of voters' last ballots that were asked for.
    pub receipts_asked: u64,
    /// How many of these receipts exist.
    pub receipts: u64,
    /// Receipts that were not opened, since the secret is not known. It was not checked whether they belong to their
    /// voter and are in the order of the acknowledgements.
    pub receipts_unopened: u64,
    /// Receipts of replaced ballots that were asked for.
    pub earlier_asked: u64,
    /// Whether the store's ballots were read.
    pub store_read: bool,
    /// The first few faults.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong and nothing is in doubt.
    pub fn is_clean(&self) -> bool {
        !self.is_wrong() && self.doubts().is_empty()
    }

    /// Whether the promise was not kept.
    pub fn is_wrong(&self) -> bool {
        !self.faults().is_empty()
    }

    /// The faults in words, with numbers.
    pub(crate) fn faults(&self) -> Vec<String> {
        let faults = [
            (self.lost, "lost"),
            (self.unaccounted, "missing in the store's counters"),
            (self.rejected, "rejected"),
            (self.double, "counted twice, or never cast"),
            (self.excess, "too many in the store's counters"),
            (self.wrong, "counted for another option"),
            (self.overtaken, "overtaken by an older ballot"),
            (self.miscounted, "voters and votes wrong in the tally"),
            (self.counts.disordered, "acknowledged out of order"),
            (self.counts.unexpected, "answered in an unexpected way"),
        ];
        let faults = faults.into_iter().filter(|(number, _)| *number > 0);
        faults
            .map(|(number, what)| format!("{number} {what}"))
            .collect()
    }

    /// If nothing is wrong: why it is still not known whether the promise was kept.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.counts.acknowledged == 0 {
            doubts.push("nothing was acknowledged, so nothing is proven".to_owned());
        } else if self.looked_at == 0 {
            doubts.push("no voter's ballot could be looked up".to_owned());
        }
        if self.were_pending > 0 {
            let before = self.were_pending;
            doubts.push(format!(
                "{before} ballots of others waited to be counted when the load began; run it again"
            ));
        }
        if self.pending > 0 {
            doubts.push(format!("{} ballots are still pending", self.pending));
        }
        doubts
    }

    pub(crate) fn new(history: &History) -> Self {
        Self {
            counts: history.counts,
            receipts_unopened: history.unopened,
            examples: history.surprises.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn asked(&mut self, asked: u64, of: u64, earlier: u64) {
        (self.receipts_asked, self.receipts, self.earlier_asked) = (asked, of, earlier);
    }

    pub(crate) fn tally_is_off(&mut self, by: u64) {
        self.miscounted = self.miscounted.max(by);
        if by > 0 {
            let what = format!("the tally is {by} voters and votes from what the ballots can be");
            self.examples.push(what);
        }
    }

    pub(crate) fn is_shown_off(&mut self, by: u64) {
        self.miscounted = self.miscounted.max(by);
        if by > 0 {
            let what = format!("the tally that is shown is {by} voters and votes from the ballots");
            self.examples.push(what);
        }
    }

    /// Adds what the store has recorded of all ballots together.
    pub(crate) fn store_recorded(&mut self, recorded: &RecordedSince, is_all: bool) {
        let counts = &self.counts;
        let most = counts.acknowledged + counts.unknown + counts.unexpected;
        (self.recorded, self.others) = (Some(recorded.ballots), recorded.others);
        if is_all {
            self.unaccounted = counts.acknowledged.saturating_sub(recorded.ballots);
        }
        if !recorded.others && self.were_pending > 0 {
            self.superseded = recorded.superseded;
        } else if !recorded.others {
            self.excess = recorded.ballots.saturating_sub(most);
            self.superseded = recorded.superseded;
        }
        for (number, what) in [
            (
                self.unaccounted,
                "acknowledged ballots are missing in the store's counters",
            ),
            (
                self.excess,
                "ballots more than possible are in the store's counters",
            ),
        ] {
            if number > 0 {
                self.examples.push(format!("{number} {what}"));
            }
        }
    }

    pub(crate) fn store_is_read(&mut self, strangers: u64, miscounted: u64) {
        self.store_read = true;
        self.double += strangers;
        self.miscounted = self.miscounted.max(miscounted);
        if strangers > 0 {
            let what = format!("{strangers} ballots are of voters that this load does not know");
            self.examples.push(what);
        }
        if miscounted > 0 {
            let what = format!("the kept tally is {miscounted} voters and votes from a recount");
            self.examples.push(what);
        }
    }

    /// Adds up the findings of all voters.
    pub(crate) fn conclude(&mut self, history: &History, findings: &Findings) {
        let mut replaced = 0;
        for (index, found) in &findings.0 {
            let voter = &history.voters[*index as usize];
            let slot = match found {
                Finding::Counted => &mut self.counted,
                Finding::UnknownCounts => {
                    replaced += u64::from(voter.last.is_some());
                    &mut self.unknown_counted
                }
                Finding::Nothing => continue,
                Finding::Pending => &mut self.pending,
                Finding::Missing => &mut self.lost,
                Finding::Rejected => &mut self.rejected,
                Finding::Wrong => &mut self.wrong,
                Finding::Double => &mut self.double,
                Finding::Overtaken => &mut self.overtaken,
            };
            *slot += 1;
            let is_well = matches!(found, Finding::Counted | Finding::UnknownCounts);
            if !is_well && self.examples.len() < EXAMPLES {
                let what = format!("{found:?}: voter {:032x}", voter.token.voter);
                self.examples.push(what.to_lowercase());
            }
        }
        let last = history.voters.iter().filter(|voter| voter.last.is_some());
        self.voters_acknowledged = last.count() as u64;
        self.looked_at = if self.store_read {
            self.voters_acknowledged
        } else {
            self.receipts_asked
        };
        if self.recorded.is_none() || self.others {
            let earlier = self.counts.acknowledged - self.voters_acknowledged;
            let all = self.store_read || self.receipts_asked == self.receipts;
            self.superseded = replaced + if all { earlier } else { self.earlier_asked };
        }
    }
}
