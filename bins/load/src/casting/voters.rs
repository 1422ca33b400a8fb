//! The voters during the load: which are free, which ballot is next, and what each voter was told.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    casting::answer::{Cookie, Outcome},
    counts::{Counters, up},
    history::{Acknowledged, History, Voter, bit, latencies, micros},
    plan::{Elector, Plan},
    token::{ReceiptToken, VoterToken},
};

/// How many ballots that are not visible yet are remembered.
const INVISIBLE_KEPT: usize = 1_000_000;

/// How many unexpected answers are kept.
const SURPRISES_KEPT: usize = 10;

/// A ballot that is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    /// The voter, if it has a name. A new voter has none yet.
    pub(crate) voter: Option<u32>,
    pub(crate) option: u8,
    /// The header that says who the voter is.
    pub(crate) credential: Option<(&'static str, String)>,
}

/// What the voters know, and which of them are free.
pub(crate) struct Voters {
    pub(crate) history: History,
    /// The first voters, if they are known before.
    electors: Vec<Elector>,
    /// Voters with a name and no ballot in flight.
    free: Vec<u32>,
    /// How many new voters may still come.
    newcomers: u32,
    changes: f64,
    cookie_name: String,
    watched: bool,
    /// Acknowledged ballots of new voters, by rank, each with the time at which it was due.
    invisible: VecDeque<(u64, Instant)>,
    first_ballots: u64,
    /// The times to acknowledgements since the last question, in microseconds.
    latest: Histogram<u64>,
    counters: Arc<Counters>,
}

impl Voters {
    pub(crate) fn new(plan: &Plan, counters: Arc<Counters>) -> Self {
        let mut history = History::new(&plan.poll, &plan.options, plan.secret.clone());
        let electors = plan.electors.iter();
        let electors = electors.map(|elector| Voter::new(VoterToken::of_elector(elector.voter)));
        history.voters.extend(electors);
        Self {
            free: (0..).take(history.voters.len()).collect(),
            newcomers: match history.voters.is_empty() {
                true => plan.voters.unwrap_or(u32::MAX),
                false => 0,
            },
            history,
            electors: plan.electors.clone(),
            changes: plan.changes,
            cookie_name: String::new(),
            watched: plan.watch.is_some(),
            invisible: VecDeque::new(),
            first_ballots: 0,
            latest: latencies(),
            counters,
        }
    }

    /// Who votes next, and how. There is always a voter, since there are at most as many ballots in flight as voters.
    pub(crate) fn next(&mut self) -> Sending {
        let options = u8::try_from(self.history.options.len()).unwrap_or(1);
        let option = fastrand::u8(..options);
        let again = !self.free.is_empty()
            && (self.newcomers == 0 || self.changes > 0.0 && fastrand::f64() < self.changes);
        if !again {
            self.newcomers = self.newcomers.saturating_sub(1);
            return Sending {
                voter: None,
                option,
                credential: None,
            };
        }
        let index = self.free.swap_remove(fastrand::usize(..self.free.len()));
        let credential = match self.electors.get(index as usize) {
            Some(elector) => (elector.header, elector.credential.clone()),
            None => {
                let token = &self.history.voters[index as usize].token;
                ("cookie", format!("{}={}", self.cookie_name, token.text()))
            }
        };
        Sending {
            voter: Some(index),
            option,
            credential: Some(credential),
        }
    }

    /// Records the outcome of a ballot and, if its voter was new, the voter's name.
    pub(crate) fn learn(
        &mut self,
        ballot: &Sending,
        due: Instant,
        mut outcome: Outcome,
        cookie: Option<Cookie>,
    ) {
        let named = match (ballot.voter, cookie) {
            (Some(index), None) => Some(index),
            // An answer that came before the poll was known may bring it. In this voter's poll it names nobody.
            (Some(index), Some(_)) if (index as usize) < self.electors.len() => Some(index),
            // With the new cookie, the voter would be another one, and would count twice.
            (Some(index), Some(_)) => {
                outcome = Outcome::Unexpected("another cookie for a voter that has one".to_owned());
                Some(index)
            }
            (None, Some(cookie)) => self.name(cookie),
            (None, None) => None,
        };
        match outcome {
            Outcome::Acknowledged(receipt) => self.acknowledged(ballot, named, due, receipt),
            Outcome::Unknown => {
                up(&self.counters.unknown);
                self.may_count(ballot, named);
            }
            Outcome::Refused => up(&self.counters.refused),
            Outcome::Unreachable => up(&self.counters.unreachable),
            Outcome::Unexpected(what) => {
                self.unexpected(what);
                self.may_count(ballot, named);
            }
        }
        match named {
            Some(index) => self.free.push(index),
            None => self.newcomers = self.newcomers.saturating_add(1),
        }
    }

    fn may_count(&mut self, ballot: &Sending, named: Option<u32>) {
        match named {
            Some(index) => {
                self.history.voters[index as usize].unknown_after |= bit(ballot.option);
            }
            None => self.history.nameless[usize::from(ballot.option)] += 1,
        }
    }

    fn acknowledged(
        &mut self,
        ballot: &Sending,
        named: Option<u32>,
        due: Instant,
        receipt: Option<String>,
    ) {
        let Some(index) = named else {
            return self.unexpected("a ballot was taken of a voter without a name".to_owned());
        };
        let voter = self.history.voters[index as usize].token.voter;
        let (poll, secret) = (&self.history.poll, self.history.secret.as_ref());
        let token = receipt.map(|text| ReceiptToken::read(&text, secret, voter, poll).ok_or(text));
        let receipt = match token.transpose() {
            Ok(receipt) => receipt,
            Err(text) => return self.unexpected(format!("not this voter's receipt: {text:.100}")),
        };
        up(&self.counters.acknowledged);
        let elapsed = micros(due.elapsed());
        self.history.acknowledgement.saturating_record(elapsed);
        self.latest.saturating_record(elapsed);
        let acknowledged = Acknowledged {
            option: ballot.option,
            receipt,
        };
        if !self.history.acknowledge(index, acknowledged) {
            up(&self.counters.disordered);
        }
        if ballot.voter.is_none() {
            self.first_ballots += 1;
            if self.watched && self.invisible.len() < INVISIBLE_KEPT {
                self.invisible.push_back((self.first_ballots, due));
            }
        }
    }

    fn name(&mut self, cookie: Cookie) -> Option<u32> {
        let Some(token) = VoterToken::parse(&cookie.value) else {
            self.unexpected(format!("not a voter's cookie: {:.100}", cookie.value));
            return None;
        };
        if self.cookie_name != cookie.name {
            self.cookie_name = cookie.name;
        }
        let index = u32::try_from(self.history.voters.len()).ok()?;
        self.history.voters.push(Voter::new(token));
        Some(index)
    }

    fn unexpected(&mut self, what: String) {
        up(&self.counters.unexpected);
        if self.history.surprises.len() < SURPRISES_KEPT {
            self.history.surprises.push(what);
        }
    }

    /// The tally now shows this many new voters.
    ///
    /// It does not say which voters they are. The assumption is that ballots become visible in the order of their
    /// acknowledgements. If this is not the case, the mean is still right, and only the spread is too narrow.
    pub(crate) fn visible(&mut self, voters: u64, at: Instant) {
        while let Some((rank, due)) = self.invisible.front()
            && *rank <= voters
        {
            let waited = at.saturating_duration_since(*due);
            self.history.visible.saturating_record(micros(waited));
            self.invisible.pop_front();
        }
    }

    pub(crate) fn invisible(&self) -> usize {
        self.invisible.len()
    }

    /// The latencies of acknowledgements since the last call: p50 and p99.
    pub(crate) fn take_latencies(&mut self) -> [Duration; 2] {
        let of = |quantile| Duration::from_micros(self.latest.value_at_quantile(quantile));
        let latencies = [of(0.5), of(0.99)];
        self.latest.reset();
        latencies
    }

    pub(crate) fn into_history(mut self) -> History {
        self.history.counts = self.counters.read();
        self.history.unseen = self.invisible.len() as u64;
        self.history
    }
}
