//! What a store keeps of a poll beside its definition and its state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Poll, PollFields, PollSettings, Voidings, Voters, electorate::Electorate};
use crate::{
    error::CastError,
    model::{id::PollId, moment::Moment, poll_state::PollState},
};

/// How long before a poll opens or closes these times can still change: the new times must reach every shard of the
/// log before the old or the new ones pass.
pub const CHANGE_MARGIN: Duration = Duration::from_secs(10);

/// Where a poll is in its life. A poll never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Only the host sees it; everything can change.
    Draft,
    /// It opens later, at a moment that is set.
    Scheduled,
    /// Ballots are taken and counted.
    Open,
    /// Ballots are refused; the last ones are being counted.
    Closing,
    /// All ballots are counted, and the count never changes again.
    Final,
    /// Final, and in no list.
    Archived,
}

impl Phase {
    /// The phase's name, such as `scheduled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Final => "final",
            Self::Archived => "archived",
        }
    }
}

/// What a store keeps beside a poll's definition and its state: the settings, and how far the poll's life has come. Its
/// JSON is for stores; its fields are not part of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PollExtras {
    pub(super) settings: PollSettings,
    pub(super) life: Life,
    #[serde(skip_serializing_if = "Electorate::is_empty")]
    pub(super) electorate: Electorate,
    /// See [`Poll::keeps_ballots`]. No store keeps it.
    #[serde(skip)]
    pub(super) keeps_ballots: bool,
}

impl PollExtras {
    /// What the host set.
    pub fn settings(&self) -> &PollSettings {
        &self.settings
    }

    /// As [`Poll::voters_are_forgotten`].
    pub fn voters_are_forgotten(&self) -> bool {
        self.life.voters_forgotten_at.is_some()
    }
}

/// How far a poll's life has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Life {
    /// Not published yet.
    pub(super) draft: bool,
    /// In no list.
    pub(super) archived: bool,
    /// The number of changes.
    pub(super) revision: u64,
    /// The number of changes of what gives a ballot its meaning.
    pub(super) rules: u32,
    /// The number of changes of the times, those on their way included once they are settled.
    pub(super) times: u32,
    /// A change that is on its way to the shards of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Box<Pending>>,
    /// When the poll became final, by the clock of the process that noticed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) final_at: Option<Moment>,
    /// When its voters were forgotten, by the clock of the process that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) voters_forgotten_at: Option<Moment>,
    /// The store was put back to a time before its voters were forgotten. They are to be forgotten again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) forget_voters_again: bool,
    /// The rules by which ballots are voided.
    #[serde(skip_serializing_if = "Voidings::were_none")]
    pub(super) voidings: Voidings,
}

/// A definition and settings that hold once every shard of the log has confirmed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) definition: PollFields,
    pub(super) settings: PollSettings,
    pub(super) rules: u32,
    pub(super) times: u32,
    /// The settings that were to hold and were given up. Until every shard has confirmed the others again, some may still
    /// have these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) withdrawn: Option<PollSettings>,
}

/// By which rules a ballot was judged. A store refuses a batch that was judged by others than its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PollVersion {
    rules: u32,
    times: u32,
    /// Its ballots are not looked at any more.
    voters_are_forgotten: bool,
}

impl PollVersion {
    /// Whether the poll never had opening or closing times, nothing that gives a ballot its meaning ever changed, and its
    /// voters are not forgotten.
    pub fn is_first(self) -> bool {
        self == Self::default()
    }
}

/// Between which moments a shard of the log takes ballots in a poll, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollWindow {
    /// The poll.
    pub poll: PollId,
    /// Grows with each change of what gives a ballot its meaning. A ballot that was cast by other rules is refused.
    pub rules: u32,
    /// Grows with each change of the moments below. A shard keeps the window with the highest number.
    pub times: u32,
    /// The first moment at which ballots are taken; `None`: there is no such limit.
    pub opens_at: Option<Moment>,
    /// The first moment at which none is taken any more; `None`: there is no such limit.
    pub closes_at: Option<Moment>,
}

impl PollWindow {
    /// Whether a shard with this window for a poll, or without one, takes an entry at this moment with ballots of the poll
    /// that were cast by these rules. For logs, which decide so in the step that appends the entry.
    ///
    /// # Errors
    /// As [`BallotLog::set_windows`](crate::BallotLog::set_windows) says.
    pub fn admit(
        held: Option<&Self>,
        poll: &PollId,
        rules: Option<u32>,
        at_ms: u64,
    ) -> Result<(), CastError> {
        let poll = || poll.clone();
        match (held, rules) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(CastError::TimesUnknown(poll())),
            (Some(held), rules) if rules.unwrap_or(0) != held.rules => {
                Err(CastError::Changed(poll()))
            }
            (Some(held), _) if held.opens_at.is_some_and(|opens| at_ms < opens.unix_ms()) => {
                Err(CastError::NotOpen(poll()))
            }
            (Some(held), _)
                if held
                    .closes_at
                    .is_some_and(|closes| closes.unix_ms() <= at_ms) =>
            {
                Err(CastError::Closed(poll()))
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// Whether a shard that has `held` and whose clock shows `clock_ms` takes this window in its place. Every log decides
    /// so, in the step that stores the window.
    ///
    /// - A shard without a window takes every window: it is new, or was restored. So does a shard that knows that it may have
    ///   been restored with an old window, if the times are not older than that.
    /// - Older times are never taken. Of equal times, other rules are taken.
    /// - A later opening is taken up to [`CHANGE_MARGIN`] before the held one; an earlier one always: the shard takes no
    ///   ballot before it knows.
    /// - Another closing is taken up to [`CHANGE_MARGIN`] before the held and the new one.
    /// - Newer rules are taken up to [`CHANGE_MARGIN`] before the held opening, and older ones always: nobody has cast
    ///   by the newer ones then.
    pub fn replaces(&self, held: Option<&Self>, clock_ms: u64) -> bool {
        let Some(held) = held else { return true };
        if self.times <= held.times {
            return self.times == held.times;
        }
        let early = clock_ms.saturating_add(ms(CHANGE_MARGIN));
        let is_before = |moment: Option<Moment>| moment.is_none_or(|at| early <= at.unix_ms());
        let opens = self.opens_at.map_or(0, Moment::unix_ms);
        let held_opens = held.opens_at.map_or(0, Moment::unix_ms);
        let may_open = opens <= held_opens || early <= held_opens;
        let may_close = self.closes_at == held.closes_at
            || (is_before(self.closes_at) && is_before(held.closes_at));
        let may_rule = self.rules <= held.rules || early <= held_opens;
        may_open && may_close && may_rule
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Poll {
    /// What the host set beside the definition.
    pub fn settings(&self) -> &PollSettings {
        &self.extras.settings
    }

    /// What a store keeps beside the definition and the state.
    pub fn extras(&self) -> &PollExtras {
        &self.extras
    }

    /// The same poll with what a store has kept beside its definition.
    #[must_use]
    pub fn with_extras(self, extras: PollExtras) -> Self {
        Self { extras, ..self }
    }

    /// The same poll as a draft: once stored, only the host sees it, and everything but its id can change, until it is
    /// stored again without this mark.
    #[must_use]
    pub fn as_draft(mut self) -> Self {
        self.extras.life.draft = true;
        self
    }

    /// Whether the poll is a draft.
    pub fn is_draft(&self) -> bool {
        self.extras.life.draft
    }

    /// Whether the poll is archived.
    pub fn is_archived(&self) -> bool {
        self.extras.life.archived
    }

    /// The number of changes since the poll was stored. A change can be made to depend on it, see
    /// [`PollChange::if_revision`](super::PollChange::if_revision).
    pub fn revision(&self) -> u64 {
        self.extras.life.revision
    }

    /// When the poll became final; `None` if it is not, or became so before version 0.2.
    pub fn final_at(&self) -> Option<Moment> {
        self.extras.life.final_at
    }

    /// When the voters of the poll were forgotten, see [`ChangeTo::VotersForgotten`](super::ChangeTo::VotersForgotten);
    /// `None` if they are not.
    pub fn voters_forgotten_at(&self) -> Option<Moment> {
        self.extras.life.voters_forgotten_at
    }

    /// Whether the voters of the poll are forgotten. All its ballots are counted then: one that comes again changes
    /// nothing.
    pub fn voters_are_forgotten(&self) -> bool {
        self.voters_forgotten_at().is_some()
    }

    /// Whether the voters were forgotten once, and the store was put back to an earlier time since. They are to be
    /// forgotten again once the poll is final.
    pub fn voters_are_to_be_forgotten_again(&self) -> bool {
        self.extras.life.forget_voters_again
    }

    /// This final poll without its voters: with its key gone, nobody can tell any more which id a voter had.
    pub(super) fn without_voters(&self, now: Moment) -> Self {
        let mut after = self.clone().without_key();
        let life = &mut after.extras.life;
        life.voters_forgotten_at.get_or_insert(now);
        life.forget_voters_again = false;
        after
    }

    /// By which rules and times ballots are judged now.
    pub fn version(&self) -> PollVersion {
        let life = &self.extras.life;
        let pending = life.pending.as_ref();
        PollVersion {
            rules: pending.map_or(life.rules, |pending| pending.rules),
            times: pending.map_or(life.times, |pending| pending.times),
            voters_are_forgotten: self.voters_are_forgotten(),
        }
    }

    /// What a ballot that is cast now carries, see [`Ballot::rules`](crate::Ballot::rules).
    pub fn rules(&self) -> Option<u32> {
        (self.extras.life.times > 0).then_some(self.extras.life.rules)
    }

    /// The window that the log must have; `None` if the poll never had times.
    pub fn window(&self) -> Option<PollWindow> {
        let life = &self.extras.life;
        (life.times > 0 && !life.draft).then(|| PollWindow {
            poll: self.id.clone(),
            rules: life.rules,
            times: life.times,
            opens_at: self.settings().opens_at,
            closes_at: self.settings().closes_at,
        })
    }

    /// The window that is on its way to the log.
    pub fn pending_window(&self) -> Option<PollWindow> {
        let pending = self.extras.life.pending.as_ref()?;
        Some(PollWindow {
            poll: self.id.clone(),
            rules: pending.rules,
            times: pending.times,
            opens_at: pending.settings.opens_at,
            closes_at: pending.settings.closes_at,
        })
    }

    /// Whether a ballot at this moment of its shard's clock is in time. While a change is on its way, by the old times or
    /// by the new ones: the shard has decided.
    pub(super) fn is_in_time(&self, at_ms: u64) -> bool {
        let pending = self.extras.life.pending.as_ref();
        self.extras.life.times == 0
            || self.settings().takes(at_ms)
            || pending.is_some_and(|pending| {
                let withdrawn = pending.withdrawn.as_ref();
                pending.settings.takes(at_ms) || withdrawn.is_some_and(|was| was.takes(at_ms))
            })
    }

    /// Where the poll is in its life. `now` is close to the log's clock, which alone decides when a poll opens and closes.
    pub fn phase(&self, now: Moment) -> Phase {
        let settings = self.settings();
        match self.state() {
            _ if self.is_draft() => Phase::Draft,
            PollState::Open if settings.opens_at.is_some_and(|opens| now < opens) => {
                Phase::Scheduled
            }
            PollState::Open if settings.closes_at.is_some_and(|closes| closes <= now) => {
                Phase::Closing
            }
            PollState::Open => Phase::Open,
            PollState::Closing(_) => Phase::Closing,
            PollState::Final(_) if self.is_archived() => Phase::Archived,
            PollState::Final(_) => Phase::Final,
        }
    }

    /// Whether programs before version 0.2 would take this poll for another one than it is: they know no times, no
    /// drafts, no hidden results, no codes, no pseudonyms, no blank votes, no forgotten voters and no voided ballots, and
    /// always count the newest ballot.
    pub fn needs_new_programs(&self) -> bool {
        self.wrapped_key().is_some() || self.needs_new_programs_without_key()
    }

    /// The same, were it not for the [key](Self::wrapped_key).
    pub(crate) fn needs_new_programs_without_key(&self) -> bool {
        let settings = self.settings();
        self.is_draft()
            || settings.voters != Voters::Open
            || self.extras.life.times > 0
            || self.extras.life.pending.is_some()
            || settings.opens_at.is_some()
            || settings.closes_at.is_some()
            || !settings.revote
            || settings.blank
            || settings.results != super::ShowResults::Always
            || self.voters_are_forgotten()
            || !self.voidings().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(times: u32, rules: u32, opens: Option<u64>, closes: Option<u64>) -> PollWindow {
        let at = |seconds: Option<u64>| seconds.and_then(|s| Moment::from_unix_ms(s * 1_000));
        PollWindow {
            poll: "p".parse().unwrap(),
            rules,
            times,
            opens_at: at(opens),
            closes_at: at(closes),
        }
    }

    #[test]
    fn a_shard_without_a_window_takes_any() {
        assert!(window(7, 1, Some(5), Some(6)).replaces(None, 100_000));
    }

    #[test]
    fn older_times_are_never_taken_and_equal_ones_repair_the_rules() {
        let held = window(3, 2, None, Some(100));
        assert!(!window(2, 9, None, Some(200)).replaces(Some(&held), 0));
        assert!(window(3, 1, None, Some(100)).replaces(Some(&held), 1_000_000));
    }

    #[test]
    fn a_closing_moves_only_while_the_old_and_the_new_one_are_far() {
        let held = window(1, 1, None, Some(100));
        let new = |closes| window(2, 1, None, closes);
        for (closes, clock, is_taken) in [
            (Some(200), 90_000, true),
            (Some(200), 90_001, false),
            (Some(50), 40_000, true),
            (Some(50), 40_001, false),
            (None, 90_000, true),
            (None, 90_001, false),
            // Nothing changes.
            (Some(100), 500_000, true),
        ] {
            let taken = new(closes).replaces(Some(&held), clock);
            assert_eq!(taken, is_taken, "{closes:?} at {clock}");
        }
        let open = window(0, 1, None, None);
        assert!(new(Some(50)).replaces(Some(&open), 40_000));
        assert!(!new(Some(50)).replaces(Some(&open), 40_001));
    }

    #[test]
    fn an_opening_moves_forward_at_any_time_and_back_only_while_it_is_far() {
        let held = window(1, 1, Some(100), None);
        let new = |opens| window(2, 1, opens, None);
        assert!(new(Some(50)).replaces(Some(&held), 99_000));
        assert!(new(None).replaces(Some(&held), 500_000));
        assert!(new(Some(200)).replaces(Some(&held), 90_000));
        assert!(!new(Some(200)).replaces(Some(&held), 90_001));
    }

    #[test]
    fn rules_change_only_before_the_poll_opens_and_can_be_taken_back() {
        let held = window(1, 1, Some(100), None);
        assert!(window(2, 2, Some(100), None).replaces(Some(&held), 90_000));
        assert!(!window(2, 2, Some(100), None).replaces(Some(&held), 90_001));
        let newer = window(2, 2, Some(100), None);
        assert!(window(3, 1, Some(100), None).replaces(Some(&newer), 500_000));
        let open = window(1, 1, None, None);
        assert!(!window(2, 2, None, None).replaces(Some(&open), 0));
    }
}
