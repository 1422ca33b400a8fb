//! What the voters were told about their ballots. It is enough to check each voter's last choice, and no more, so
//! that millions of voters fit in memory.

use hdrhistogram::Histogram;

use crate::{
    counts::Counts,
    token::{Position, ReceiptToken, Secret, VoterToken},
};

/// How many receipts of replaced ballots are kept.
const EARLIER_KEPT: usize = 100_000;

/// An option as a bit.
pub(crate) fn bit(option: u8) -> u64 {
    1 << option
}

/// A voter who has a cookie.
#[derive(Debug, Clone)]
pub(crate) struct Voter {
    pub(crate) token: VoterToken,
    /// The last ballot that was acknowledged.
    pub(crate) last: Option<Acknowledged>,
    /// The options of ballots of unknown outcome that were sent before the last acknowledged one.
    pub(crate) unknown_before: u64,
    /// The options of ballots of unknown outcome that were sent after it.
    pub(crate) unknown_after: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) option: u8,
    /// The answer to a form has no receipt.
    pub(crate) receipt: Option<ReceiptToken>,
}

/// A receipt that a newer ballot of its voter has replaced.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    pub(crate) voter: u32,
    pub(crate) receipt: ReceiptToken,
}

/// What the voters know after the load.
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) poll: String,
    pub(crate) options: Vec<String>,
    /// Opens receipts, if the secret is known.
    pub(crate) secret: Option<Secret>,
    /// How many receipts were not opened.
    pub(crate) unopened: u64,
    pub(crate) voters: Vec<Voter>,
    /// A random sample of replaced ballots.
    pub(crate) earlier: Vec<Earlier>,
    /// The number of replaced ballots.
    pub(crate) earlier_seen: u64,
    /// By option, the ballots of unknown outcome whose voter never got a cookie.
    pub(crate) nameless: Vec<u64>,
    /// The first unexpected answers.
    pub(crate) surprises: Vec<String>,
    pub(crate) counts: Counts,
    pub(crate) acknowledgement: Histogram<u64>,
    pub(crate) visible: Histogram<u64>,
    pub(crate) unseen: u64,
}

impl History {
    /// How many ballots had which outcome.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The number of voters who got a cookie.
    pub fn voters(&self) -> usize {
        self.voters.len()
    }

    /// The time from when a ballot was due to its acknowledgement, in microseconds.
    pub fn acknowledgement(&self) -> &Histogram<u64> {
        &self.acknowledgement
    }

    /// The time from when a new voter's ballot was due until the tally showed it, in microseconds. Empty unless the
    /// plan names a service to watch.
    pub fn visible(&self) -> &Histogram<u64> {
        &self.visible
    }

    /// The first answers that no working service gives.
    pub fn surprises(&self) -> &[String] {
        &self.surprises
    }

    pub(crate) fn new(poll: &str, options: &[String], secret: Option<Secret>) -> Self {
        Self {
            poll: poll.to_owned(),
            options: options.to_vec(),
            secret,
            unopened: 0,
            voters: Vec::new(),
            earlier: Vec::new(),
            earlier_seen: 0,
            nameless: vec![0; options.len()],
            surprises: Vec::new(),
            counts: Counts::default(),
            acknowledgement: latencies(),
            visible: latencies(),
            unseen: 0,
        }
    }

    /// Notes an acknowledgement of a voter. Returns whether its place is after the voter's earlier ones.
    pub(crate) fn acknowledge(&mut self, index: u32, acknowledged: Acknowledged) -> bool {
        let position = |receipt: &Option<ReceiptToken>| receipt.as_ref()?.position();
        let now = position(&acknowledged.receipt);
        self.unopened += u64::from(acknowledged.receipt.is_some() && now.is_none());
        let voter = &mut self.voters[index as usize];
        let before = voter.last.replace(acknowledged);
        voter.unknown_before |= std::mem::take(&mut voter.unknown_after);
        let before = before.and_then(|before| before.receipt);
        let is_after = match (position(&before), now) {
            (Some(before), Some(now)) => before < now,
            _ => true,
        };
        if let Some(receipt) = before {
            self.keep_earlier(Earlier {
                voter: index,
                receipt,
            });
        }
        is_after
    }

    fn keep_earlier(&mut self, earlier: Earlier) {
        self.earlier_seen += 1;
        if self.earlier.len() < EARLIER_KEPT {
            self.earlier.push(earlier);
            return;
        }
        // Each replaced ballot has the same chance to be in the sample.
        let at = fastrand::u64(..self.earlier_seen);
        let slot = usize::try_from(at).ok();
        if let Some(slot) = slot.and_then(|at| self.earlier.get_mut(at)) {
            *slot = earlier;
        }
    }
}

impl Voter {
    pub(crate) fn new(token: VoterToken) -> Self {
        Self {
            token,
            last: None,
            unknown_before: 0,
            unknown_after: 0,
        }
    }

    /// The place of the last acknowledged ballot, if it is known.
    pub(crate) fn position(&self) -> Option<Position> {
        self.last.as_ref()?.receipt.as_ref()?.position()
    }
}

/// A histogram of microseconds up to an hour, to three digits. Longer times count as an hour.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("these bounds are supported")
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
