//! What the check has found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{counts::Counts, history::History, judge::Finding};

/// So many voters are named for whom something is wrong.
const EXAMPLES: usize = 20;

/// Whether the promise was kept. Numbers are ballots, unless they say something else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What the voters were told.
    pub counts: Counts,
    /// Acknowledged, the last one of its voter, and counted.
    pub counted: u64,
    /// Acknowledged and replaced by a newer ballot of the same voter.
    pub superseded: u64,
    /// Of unknown outcome, and counted.
    pub unknown_counted: u64,
    /// Acknowledged, and found among the dead letters.
    pub rejected: u64,
    /// Acknowledged, the last one of its voter, and not counted: neither it nor one that may be
    /// in its place.
    pub lost: u64,
    /// Counted, though refused, or never cast; or a voter counted beside those that there are.
    pub double: u64,
    /// Counted for something else than was chosen.
    pub wrong: u64,
    /// Of unknown outcome, and counted in place of a ballot that was sent after it and acknowledged.
    pub overtaken: u64,
    /// By how much the tally differs from the ballots, or from what they can be, in voters and votes.
    pub miscounted: u64,
    /// Receipts of voters' last ballots that were asked for.
    pub receipts_asked: u64,
    /// Those that there are.
    pub receipts: u64,
    /// Receipts of replaced ballots that were asked for.
    pub earlier_asked: u64,
    /// Whether the store's ballots were read.
    pub store_read: bool,
    /// What is wrong, the first few.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        let wrong = [
            self.rejected,
            self.lost,
            self.double,
            self.wrong,
            self.overtaken,
            self.miscounted,
            self.counts.disordered,
            self.counts.unexpected,
        ];
        wrong.iter().all(|number| *number == 0)
    }

    pub(crate) fn new(history: &History) -> Self {
        Self {
            counts: history.counts,
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

    pub(crate) fn store_is_read(&mut self, strangers: u64, miscounted: u64) {
        self.store_read = true;
        self.double += strangers;
        self.miscounted = self.miscounted.max(miscounted);
        if strangers > 0 {
            let what = format!("{strangers} ballots are of voters that nobody here knows");
            self.examples.push(what);
        }
        if miscounted > 0 {
            let what = format!("the kept tally is {miscounted} voters and votes from a recount");
            self.examples.push(what);
        }
    }

    /// Adds up what was found of each voter.
    pub(crate) fn conclude(&mut self, history: &History, findings: &BTreeMap<u32, Finding>) {
        let mut replaced = 0;
        for (index, found) in findings {
            let voter = &history.voters[*index as usize];
            let slot = match found {
                Finding::Counted => &mut self.counted,
                Finding::UnknownCounts => {
                    replaced += u64::from(voter.last.is_some());
                    &mut self.unknown_counted
                }
                Finding::Nothing => continue,
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
        let earlier = self.counts.acknowledged - last.count() as u64;
        let all = self.store_read || self.receipts_asked == self.receipts;
        self.superseded = replaced + if all { earlier } else { self.earlier_asked };
    }
}
