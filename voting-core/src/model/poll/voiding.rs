//! Rules by which an operator voids ballots of a poll that is not final: they stay where they are, and do not count.
//!
//! A rule decides by the place of a ballot in the log, by its voter and by its source, so it decides the same for a ballot that comes late
//! or again. It does not change which of a voter's ballots is the one that is kept: if that one is voided, no other ballot of
//! the voter counts in its place.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ChangeNote, ChangeRefusal, Poll, PollExtras};
use crate::model::{
    ballot::{Choices, VoterId},
    code::Serial,
    moment::Moment,
    position::Position,
    source::Source,
};

/// The most rules that a poll can have at a time.
pub const MAX_VOIDINGS: usize = 100;

/// The most characters of the reason of a rule.
pub const MAX_VOIDING_REASON: usize = 200;

/// The most serial numbers that the audit log names for one rule.
const NAMED_SERIALS: usize = 1_000;

/// A rule to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVoiding {
    /// Which ballots it voids.
    pub ballots: NewVoided,
    /// Why, for people: at most [`MAX_VOIDING_REASON`] characters.
    pub reason: String,
}

/// Which ballots a new rule voids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewVoided {
    /// As [`VoidedBallots::Span`].
    Span {
        /// The first moment.
        from: Moment,
        /// The moment after the last one; not after the present.
        until: Moment,
    },
    /// Those that were cast with these codes, each with its voter. All of them must be revoked. A code that another rule
    /// has is left out.
    Codes(Vec<(Serial, VoterId)>),
    /// As [`VoidedBallots::HandedIn`].
    HandedIn,
}

/// Which ballots a rule voids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VoidedBallots {
    /// Those that the log took in these milliseconds, by the times in their positions, in all shards.
    Span {
        /// The first moment.
        from: Moment,
        /// The moment after the last one.
        until: Moment,
    },
    /// Those that were cast with revoked codes, whenever that was.
    Codes(VoidedVoters),
    /// Those that a trusted server has handed in, whenever that was.
    HandedIn,
}

/// The voters who had the codes that a rule is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VoidedVoters(Vec<VoterId>);

/// The text is no list of voters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of voters: expected 32 hexadecimal digits for each")]
pub struct InvalidVoters;

impl VoidedVoters {
    fn new(voters: impl Iterator<Item = VoterId>) -> Self {
        let mut voters: Vec<_> = voters.collect();
        voters.sort_unstable();
        voters.dedup();
        Self(voters)
    }

    fn contains(&self, voter: VoterId) -> bool {
        self.0.binary_search(&voter).is_ok()
    }

    /// Their ids, sorted. Whoever knows a voter's id can find the voter's ballots: keep them out of logs.
    pub fn ids(&self) -> &[VoterId] {
        &self.0
    }
}

/// Shows how many there are only.
impl fmt::Debug for VoidedVoters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoidedVoters({})", self.0.len())
    }
}

impl TryFrom<String> for VoidedVoters {
    type Error = InvalidVoters;

    fn try_from(text: String) -> Result<Self, InvalidVoters> {
        let digits = text.as_bytes().chunks(32);
        let voters = digits.map(|digits| {
            let digits = std::str::from_utf8(digits).ok();
            let digits = digits.filter(|digits| digits.len() == 32);
            let id = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
            let id = id.ok_or(InvalidVoters)?;
            Ok(VoterId::from_bytes(id.to_be_bytes()))
        });
        let voters = voters.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(voters.into_iter()))
    }
}

impl From<VoidedVoters> for String {
    fn from(voters: VoidedVoters) -> Self {
        let voters = voters.0.into_iter();
        let digits = voters.map(|voter| format!("{:032x}", u128::from_be_bytes(voter.to_bytes())));
        digits.collect()
    }
}

/// A rule of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voiding {
    number: u32,
    at: Moment,
    reason: String,
    ballots: VoidedBallots,
}

impl Voiding {
    /// Its number in the poll. No other rule of the poll ever has it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// When it was made, by the clock of the process that stored it.
    pub fn at(&self) -> Moment {
        self.at
    }

    /// Why, for people.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Which ballots it voids.
    pub fn ballots(&self) -> &VoidedBallots {
        &self.ballots
    }

    fn voids(&self, voter: VoterId, position: Position, source: Source) -> bool {
        match &self.ballots {
            VoidedBallots::Span { from, until } => {
                (from.unix_ms()..until.unix_ms()).contains(&position.ms())
            }
            VoidedBallots::Codes(voters) => voters.contains(voter),
            VoidedBallots::HandedIn => source == Source::TrustedServer,
        }
    }
}

/// The rules of a poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Voidings {
    /// The number of the newest rule, also if that one is undone.
    last: u32,
    rules: Vec<Voiding>,
}

impl Voidings {
    /// Whether the poll never had a rule.
    pub(super) fn were_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Voiding> {
        self.rules.iter()
    }

    /// Whether a rule voids the ballot of this voter at this position, from this source.
    pub fn void(&self, voter: VoterId, position: Position, source: Source) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.voids(voter, position, source))
    }

    /// Whether a rule voids all ballots that trusted servers have handed in.
    pub fn void_handed_in(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.ballots == VoidedBallots::HandedIn)
    }

    /// The spans of the rules, in milliseconds since 1970: the first one, and the one after the last.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> {
        self.rules.iter().filter_map(|rule| match &rule.ballots {
            VoidedBallots::Span { from, until } => Some((from.unix_ms(), until.unix_ms())),
            _ => None,
        })
    }

    /// The voters whose ballots the rules void, whatever their position.
    pub fn voters(&self) -> impl Iterator<Item = VoterId> {
        let voters = self.rules.iter().filter_map(|rule| match &rule.ballots {
            VoidedBallots::Codes(voters) => Some(voters.ids()),
            _ => None,
        });
        voters.flatten().copied()
    }

    fn add(&mut self, ballots: VoidedBallots, reason: String, at: Moment) {
        self.last += 1;
        self.rules.push(Voiding {
            number: self.last,
            at,
            reason,
            ballots,
        });
    }
}

/// What the audit log says of a rule.
#[derive(Serialize)]
struct Audited<'a> {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codes: Option<usize>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    serials: &'a [Serial],
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_in: Option<bool>,
    reason: &'a str,
}

fn audited(rule: &Voiding, serials: &[Serial]) -> String {
    let (from, until, codes) = match &rule.ballots {
        VoidedBallots::Span { from, until } => (Some(*from), Some(*until), None),
        VoidedBallots::Codes(voters) => (None, None, Some(voters.0.len())),
        VoidedBallots::HandedIn => (None, None, None),
    };
    let audited = Audited {
        number: rule.number,
        from,
        until,
        codes,
        serials: &serials[..serials.len().min(NAMED_SERIALS)],
        handed_in: (rule.ballots == VoidedBallots::HandedIn).then_some(true),
        reason: &rule.reason,
    };
    serde_json::to_string(&audited).unwrap_or_default()
}

impl PollExtras {
    /// The rules by which ballots are voided.
    pub fn voidings(&self) -> &Voidings {
        &self.life.voidings
    }
}

impl Poll {
    /// The rules by which ballots are voided.
    pub fn voidings(&self) -> &Voidings {
        self.extras.voidings()
    }

    /// What the stored ballot of this voter counts for: its choices, or nothing, [`Choices::VOIDED`].
    pub fn counted(
        &self,
        voter: VoterId,
        position: Position,
        source: Source,
        choices: Choices,
    ) -> Choices {
        match self.voidings().void(voter, position, source) {
            true => Choices::VOIDED,
            false => choices,
        }
    }

    /// This poll with a rule more, and what the audit log says of it; `None` if it has the same rule.
    pub(super) fn with_voiding(
        &self,
        new: &NewVoiding,
        now: Moment,
    ) -> Result<Option<(Self, ChangeNote)>, ChangeRefusal> {
        self.may_void()?;
        let (ballots, serials) = match &new.ballots {
            NewVoided::Span { from, until } => {
                // Otherwise a vote could be acknowledged that is voided already.
                if from >= until || *until > now {
                    return Err(ChangeRefusal::BadSpan);
                }
                let (from, until) = (*from, *until);
                (VoidedBallots::Span { from, until }, Vec::new())
            }
            NewVoided::Codes(codes) => {
                let is_revoked = |(serial, _): &(Serial, _)| self.codes().is_revoked(*serial);
                if codes.is_empty() || !codes.iter().all(is_revoked) {
                    return Err(ChangeRefusal::CodesNotRevoked);
                }
                let others = VoidedVoters::new(self.voidings().voters());
                let new = codes.iter().filter(|(_, voter)| !others.contains(*voter));
                let (mut serials, voters): (Vec<_>, Vec<_>) = new.copied().unzip();
                if voters.is_empty() {
                    return Ok(None);
                }
                serials.sort_unstable();
                serials.dedup();
                let voters = VoidedVoters::new(voters.into_iter());
                (VoidedBallots::Codes(voters), serials)
            }
            NewVoided::HandedIn => (VoidedBallots::HandedIn, Vec::new()),
        };
        let mut after = self.clone();
        let voidings = &mut after.extras.life.voidings;
        if voidings.rules.iter().any(|rule| rule.ballots == ballots) {
            return Ok(None);
        }
        let reason = new.reason.chars().take(MAX_VOIDING_REASON).collect();
        voidings.add(ballots, reason, now);
        if voidings.rules.len() > MAX_VOIDINGS {
            return Err(ChangeRefusal::TooManyVoidings);
        }
        let note = voidings.rules.last().map(|rule| ChangeNote {
            action: "ballots.voided",
            before: None,
            after: Some(audited(rule, &serials)),
        });
        Ok(note.map(|note| (after, note)))
    }

    /// This poll without the rule of this number, and what the audit log says of it.
    pub(super) fn without_voiding(&self, number: u32) -> Result<(Self, ChangeNote), ChangeRefusal> {
        self.may_void()?;
        let mut after = self.clone();
        let rules = &mut after.extras.life.voidings.rules;
        let index = rules.iter().position(|rule| rule.number == number);
        let undone = rules.remove(index.ok_or(ChangeRefusal::NoVoiding)?);
        let note = ChangeNote {
            action: "ballots.voiding-undone",
            before: Some(audited(&undone, &[])),
            after: None,
        };
        Ok((after, note))
    }

    fn may_void(&self) -> Result<(), ChangeRefusal> {
        match self.is_draft() || self.state.is_final() {
            true => Err(ChangeRefusal::CountFixed),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::StoreError,
        model::{
            poll::{ChangeTo, PollChange, change},
            poll_state::{PollState, Seals},
            position::{EntryId, ShardId},
        },
    };

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_ms(seconds * 1_000).unwrap()
    }

    fn open() -> Poll {
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        poll.build().unwrap()
    }

    fn apply(stored: &Poll, to: ChangeTo) -> Result<Poll, ChangeRefusal> {
        let changed = change(
            Some(stored),
            &PollChange::new(stored.id().clone(), to),
            at(1_000),
        );
        match changed {
            Ok(changed) => Ok(changed.poll.unwrap()),
            Err(StoreError::ChangeRefused(_, why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    fn span(from: u64, until: u64) -> ChangeTo {
        ChangeTo::Voided(Box::new(NewVoiding {
            ballots: NewVoided::Span {
                from: at(from),
                until: at(until),
            },
            reason: "A script.".to_owned(),
        }))
    }

    fn voids(poll: &Poll, seconds: u64) -> bool {
        let entry = EntryId::new(seconds * 1_000, 0).unwrap();
        let position = Position::new(ShardId(3), entry, 0);
        let choices = Choices::from_bits(1).unwrap();
        let voter = VoterId::from_bytes([1; 16]);
        poll.counted(voter, position, Source::Voters, choices) == Choices::VOIDED
    }

    #[test]
    fn a_span_has_its_first_moment_and_not_its_last() {
        let poll = apply(&open(), span(10, 20)).unwrap();
        assert_eq!(
            [9, 10, 19, 20].map(|at| voids(&poll, at)),
            [false, true, true, false]
        );
    }

    #[test]
    fn rules_are_numbered_and_undone_one_by_one() {
        let both = apply(&apply(&open(), span(10, 20)).unwrap(), span(15, 30)).unwrap();
        assert_eq!(apply(&both, span(15, 30)).unwrap(), both, "the same again");
        let numbers = |poll: &Poll| poll.voidings().iter().map(Voiding::number).collect();
        let all: Vec<u32> = numbers(&both);
        assert_eq!(all, [1, 2]);
        let first = apply(&both, ChangeTo::VoidingUndone(2)).unwrap();
        assert!(voids(&first, 15) && !voids(&first, 25));
        let undone = apply(&first, ChangeTo::VoidingUndone(2));
        assert_eq!(undone, Err(ChangeRefusal::NoVoiding));
        let again = apply(&first, span(15, 30)).unwrap();
        let all: Vec<u32> = numbers(&again);
        assert_eq!(all, [1, 3], "no number is used again");
        let text = serde_json::to_string(again.extras()).unwrap();
        assert_eq!(
            &serde_json::from_str::<PollExtras>(&text).unwrap(),
            again.extras()
        );
        assert!(again.needs_new_programs() && !open().needs_new_programs());
    }

    #[test]
    fn what_cannot_be_voided_is_refused() {
        for (from, until) in [(20, 20), (30, 20), (900, 1_001)] {
            let refused = apply(&open(), span(from, until));
            assert_eq!(refused, Err(ChangeRefusal::BadSpan), "{from} {until}");
        }
        assert!(apply(&open(), span(900, 1_000)).is_ok());
        let voided = apply(&open(), span(1, 2)).unwrap();
        let done = PollState::Final(Seals::default());
        for poll in [voided.clone().in_state(done), voided.as_draft()] {
            for to in [span(10, 20), ChangeTo::VoidingUndone(1)] {
                assert_eq!(apply(&poll, to), Err(ChangeRefusal::CountFixed));
            }
        }
        let codes = ChangeTo::Voided(Box::new(NewVoiding {
            ballots: NewVoided::Codes(vec![(0, VoterId::issue())]),
            reason: String::new(),
        }));
        assert_eq!(apply(&open(), codes), Err(ChangeRefusal::CodesNotRevoked));
        let mut full = open();
        for until in 2..=101 {
            full = apply(&full, span(1, until)).unwrap();
        }
        let one_more = apply(&full, span(1, 200));
        assert_eq!(one_more, Err(ChangeRefusal::TooManyVoidings));
    }

    #[test]
    fn voters_read_back_and_are_not_printed() {
        let ids = [3, 1, 2].map(|byte| VoterId::from_bytes([byte; 16]));
        let voters = VoidedVoters::new(ids.into_iter());
        let text = serde_json::to_string(&voters).unwrap();
        let read: VoidedVoters = serde_json::from_str(&text).unwrap();
        assert_eq!(read, voters);
        assert!(ids.iter().all(|voter| read.contains(*voter)));
        assert!(!read.contains(VoterId::from_bytes([4; 16])));
        assert_eq!(format!("{voters:?}"), "VoidedVoters(3)");
        for bad in ["1", &"z".repeat(32), &"0".repeat(33), "ä"] {
            let read = VoidedVoters::try_from(bad.to_owned());
            assert_eq!(read, Err(InvalidVoters), "{bad}");
        }
    }
}
