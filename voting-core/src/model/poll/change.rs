//! Changes of a stored poll: which are allowed in which state, and what becomes of the poll.

use serde::Serialize;

use super::{
    CodeChange, CodeRegister, NewVoiding, Poll, PollFields, PollSettings,
    life::{CHANGE_MARGIN, Life, Pending},
    text,
};
use crate::{
    error::StoreError,
    model::{id::PollId, moment::Moment, poll_key::WrappedPollKey, poll_state::PollState},
};

/// A change of one poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollChange {
    /// The poll's id.
    pub poll: PollId,
    /// What is to become of it.
    pub to: ChangeTo,
    /// Refuse the change unless the poll has this [revision](Poll::revision).
    pub if_revision: Option<u64>,
}

/// What is to become of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeTo {
    /// The poll is stored if there is none with its id. A stored one only gets this title and these labels; its settings
    /// and its state stay. For programs that bring their polls along at each start.
    Defined(Box<Poll>),
    /// The poll is stored, or the stored one gets this definition and these settings. Its state stays. Where the poll
    /// is published and times or rules change, they are [pending](Poll::pending_window) first.
    Put(Box<Poll>),
    /// The poll is stored, if there is none with its id.
    New(Box<Poll>),
    /// The poll is stored exactly as it is given, in place of an older [revision](Poll::revision) of it; only its state
    /// moves on. For what gives a store back that was put back to an earlier state.
    Restored(Box<Poll>),
    /// The pending change of these times ends, since every shard of the log has confirmed it; or it is given up. Then
    /// the old times are pending, under a higher number, until every shard has confirmed them.
    Settled {
        /// The [number](super::PollWindow::times) of the pending times.
        times: u32,
        /// Whether it holds from now on.
        is_confirmed: bool,
    },
    /// A later state, see [`PollState::advanced`].
    State(PollState),
    /// In the archive, or out of it. Only of a final poll.
    Archived(bool),
    /// Codes are issued, revoked or replaced. Only of a poll whose [voters](PollSettings::voters) have codes.
    Codes(CodeChange),
    /// The poll's key is wrapped under another key of the deployment, if it is still wrapped so. It is the same key.
    Rewrapped {
        /// As it was.
        from: Box<WrappedPollKey>,
        /// As it is to be.
        to: Box<WrappedPollKey>,
    },
    /// A rule by which ballots of the poll are voided, also those that come late: they do not count. Only of a poll that
    /// is published and not final. The store moves the tally in the transaction that writes the poll.
    Voided(Box<NewVoiding>),
    /// The rule of this number is undone. The ballots count again that no other rule voids.
    VoidingUndone(u32),
    /// Its voters are forgotten. Only of a final poll. The poll's [key](Poll::wrapped_key) is destroyed. Of its ballots
    /// the store keeps only how many there are of each choice, so tally, recount and export stay. Ballots among its
    /// dead letters go. A ballot that comes again changes nothing. This cannot be undone.
    VotersForgotten,
    /// Deleted, with its ballots. Only a draft or a final poll. Its id is never used again.
    Deleted,
}

impl PollChange {
    /// A change that does not depend on the poll's revision.
    pub fn new(poll: PollId, to: ChangeTo) -> Self {
        Self {
            poll,
            to,
            if_revision: None,
        }
    }

    /// Stores this poll, or gives the stored one its definition and settings, see [`ChangeTo::Put`].
    pub fn put(poll: Poll) -> Self {
        Self::new(poll.id.clone(), ChangeTo::Put(Box::new(poll)))
    }
}

/// Why a stored poll cannot be changed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefusal {
    /// There is a poll of this id.
    #[error("it is stored already")]
    Exists,
    /// A published poll cannot become a draft again.
    #[error("it is published, and cannot become a draft again")]
    Published,
    /// The opening or closing cannot be moved any more.
    #[error(
        "its times cannot change any more: one of them is less than 10 seconds away, or has passed"
    )]
    Times,
    /// A poll that has opened can show its result to more people, never to fewer.
    #[error("it has opened, and its result cannot be hidden from anybody who may see it now")]
    Results,
    /// Another change has not reached every shard of the log yet.
    #[error("an earlier change of its times has not reached the whole ballot log yet; try again")]
    Busy,
    /// Only a final poll can be archived.
    #[error("only a final poll can be archived")]
    NotFinal,
    /// The voters of a poll that is not final are needed to count.
    #[error("its voters can be forgotten once it is final")]
    VotersNeeded,
    /// A poll with codes needs a key, and the deployment has no key to wrap it with.
    #[error(
        "codes and logins need a key of the deployment: set entry_key_file for the workers and the vote services"
    )]
    NoPollKey,
    /// The poll has no codes.
    #[error("it has no codes: everybody may vote in it")]
    NoCodes,
    /// The poll is closing or final.
    #[error("it takes no votes any more, so its codes cannot change")]
    CodesFrozen,
    /// No valid code has this serial number.
    #[error("no valid code has this serial number")]
    UnknownCode,
    /// The most codes of a poll.
    #[error(
        "it would have too many codes: at most {max} are issued, and {changed} of them revoked or replaced, each of them \
         up to 255 times",
        max = super::MAX_CODES, changed = super::MAX_CHANGED_CODES
    )]
    TooManyCodes,
    /// A draft has no ballots, and the count of a final poll never changes.
    #[error(
        "ballots can be voided, and voided ballots count again, only from its opening until it is final"
    )]
    CountFixed,
    /// A span of moments that has no moment, or does not end before the present one.
    #[error("a span of ballots to be voided begins before it ends, and does not end in the future")]
    BadSpan,
    /// Only revoked codes can be voided: with others people can vote.
    #[error("only votes that were cast with revoked codes can be voided; revoke the codes first")]
    CodesNotRevoked,
    /// No rule has this number.
    #[error("it has no such rule by which votes are voided")]
    NoVoiding,
    /// The most rules of a poll.
    #[error("it has {max} rules by which votes are voided, and cannot have more", max = super::MAX_VOIDINGS)]
    TooManyVoidings,
    /// Only a draft or a final poll can be deleted.
    #[error("only a draft or a final poll can be deleted; close it first")]
    NotDeletable,
}

/// What a change makes of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The poll as it is then; `None`: it is deleted.
    pub poll: Option<Poll>,
    /// Whether anything has changed. If not, nothing is to be written.
    pub is_changed: bool,
    /// What is to be added to the audit log.
    pub note: Option<ChangeNote>,
}

impl Changed {
    /// Whether the store is to forget the voters of the poll, which is `stored` before the change, in the transaction
    /// that writes it. See [`ChangeTo::VotersForgotten`].
    pub fn forgets_voters(&self, stored: Option<&Poll>) -> bool {
        let is_so = |poll: Option<&Poll>| poll.is_some_and(Poll::voters_are_forgotten);
        is_so(self.poll.as_ref()) && !is_so(stored)
    }

    /// Whether the store is to move the tally of the poll, which is `stored` before the change, in the transaction that
    /// writes it: other ballots are voided then. [`Poll::counted`] says what each ballot counts for. See
    /// [`ChangeTo::Voided`].
    pub fn voids_other_ballots(&self, stored: Option<&Poll>) -> bool {
        match (stored, &self.poll) {
            (Some(before), Some(after)) => {
                // Without its voters, the ballots of a poll cannot be told apart any more.
                !before.voters_are_forgotten() && before.voidings() != after.voidings()
            }
            _ => false,
        }
    }
}

/// What the audit log says of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNote {
    /// What was done, such as `poll.changed`.
    pub action: &'static str,
    /// The poll before, as JSON.
    pub before: Option<String>,
    /// The poll after, as JSON.
    pub after: Option<String>,
}

/// A poll as the audit log keeps it.
#[derive(Serialize)]
struct Audited<'a> {
    #[serde(flatten)]
    definition: PollFields,
    state: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    archived: bool,
    settings: &'a PollSettings,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<&'a Pending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voters_forgotten_at: Option<Moment>,
}

fn audited(poll: &Poll) -> String {
    let life = &poll.extras.life;
    let audited = Audited {
        definition: poll.clone().into(),
        state: match poll.state() {
            _ if life.draft => "draft",
            PollState::Open => "open",
            PollState::Closing(_) => "closing",
            PollState::Final(_) => "final",
        },
        archived: life.archived,
        settings: poll.settings(),
        pending: life.pending.as_deref(),
        voters_forgotten_at: life.voters_forgotten_at,
    };
    serde_json::to_string(&audited).unwrap_or_default()
}

/// What `change` makes of a stored poll. Stores call this in the transaction that has read and locked the poll, and
/// that writes the result. `now` is the present moment.
///
/// # Errors
/// [`StoreError::PollConflict`], [`StoreError::TextsFrozen`], [`StoreError::ChangeRefused`]: the poll cannot be changed
/// so. [`StoreError::RevisionChanged`]: somebody has changed it meanwhile. [`StoreError::NoPoll`]: there is none.
pub fn change(
    stored: Option<&Poll>,
    change: &PollChange,
    now: Moment,
) -> Result<Changed, StoreError> {
    let is_expected = |revision| stored.is_some_and(|stored| stored.revision() == revision);
    if let Some(revision) = change.if_revision
        && !is_expected(revision)
    {
        return Err(StoreError::RevisionChanged {
            poll: change.poll.clone(),
            expected: revision,
            stored: stored.map(Poll::revision),
        });
    }
    if let ChangeTo::Restored(poll) = &change.to {
        return Ok(restored(stored, poll));
    }
    let Some(stored) = stored else {
        return match &change.to {
            ChangeTo::Defined(new) | ChangeTo::Put(new) | ChangeTo::New(new) => created(new),
            _ => Err(StoreError::NoPoll(change.poll.clone())),
        };
    };
    let refused = |why| StoreError::ChangeRefused(stored.id.clone(), why);
    let (action, after) = match &change.to {
        ChangeTo::Defined(new) => ("poll.changed", stored.with_texts_of(new)?),
        ChangeTo::New(_) => return Err(refused(ChangeRefusal::Exists)),
        ChangeTo::Put(new) | ChangeTo::Restored(new) => ("poll.changed", stored.put(new, now)?),
        ChangeTo::Settled {
            times,
            is_confirmed,
        } => {
            let action = if *is_confirmed {
                "poll.times-confirmed"
            } else {
                "poll.times-taken-back"
            };
            (action, stored.settled(*times, *is_confirmed))
        }
        ChangeTo::State(to) => {
            let mut after = stored.clone().in_state(stored.state().clone().advanced(to));
            if after.state.is_final() && !stored.state.is_final() {
                after.extras.life.final_at = Some(now);
                after.extras.life.pending = None;
            }
            let action = if after.state.is_final() {
                "poll.final"
            } else {
                "poll.closing"
            };
            if matches!(
                (&stored.state, &after.state),
                (PollState::Closing(_), PollState::Closing(_))
            ) {
                // Further shards are sealed: not a change that anybody made.
                let is_changed = after.state != stored.state;
                return Ok(Changed {
                    poll: Some(after),
                    is_changed,
                    note: None,
                });
            }
            (action, after)
        }
        ChangeTo::Codes(change) => {
            let mut after = stored.with_codes_changed(*change).map_err(refused)?;
            let is_changed = after != *stored;
            after.extras.life.revision += u64::from(is_changed);
            return Ok(Changed {
                note: is_changed.then(|| ChangeNote {
                    action: change.action(),
                    before: Some(stored.audited_codes(*change)),
                    after: Some(after.audited_codes(*change)),
                }),
                is_changed,
                poll: Some(after),
            });
        }
        ChangeTo::Rewrapped { from, to } => {
            let mut after = stored.clone();
            // Another process may have done it.
            let is_changed = stored.wrapped_key() == Some(&**from) && from != to;
            if is_changed {
                after = after.with_key((**to).clone());
                after.extras.life.revision += 1;
            }
            // Nobody made this change, so the audit log has no entry.
            return Ok(Changed {
                note: None,
                is_changed,
                poll: Some(after),
            });
        }
        ChangeTo::Archived(archived) => {
            if !stored.state.is_final() {
                return Err(refused(ChangeRefusal::NotFinal));
            }
            let mut after = stored.clone();
            after.extras.life.archived = *archived;
            let action = if *archived {
                "poll.archived"
            } else {
                "poll.unarchived"
            };
            (action, after)
        }
        ChangeTo::Voided(new) => {
            let voided = stored.with_voiding(new, now).map_err(refused)?;
            return Ok(noted(stored, voided));
        }
        ChangeTo::VoidingUndone(number) => {
            let undone = stored.without_voiding(*number).map_err(refused)?;
            return Ok(noted(stored, Some(undone)));
        }
        ChangeTo::VotersForgotten => {
            if !stored.state.is_final() {
                return Err(refused(ChangeRefusal::VotersNeeded));
            }
            ("poll.voters-forgotten", stored.without_voters(now))
        }
        ChangeTo::Deleted => {
            if !stored.is_draft() && !stored.state.is_final() {
                return Err(refused(ChangeRefusal::NotDeletable));
            }
            return Ok(Changed {
                poll: None,
                is_changed: true,
                note: Some(ChangeNote {
                    action: "poll.deleted",
                    before: Some(audited(stored)),
                    after: None,
                }),
            });
        }
    };
    if after == *stored {
        return Ok(Changed {
            poll: Some(after),
            is_changed: false,
            note: None,
        });
    }
    let mut after = after;
    after.extras.life.revision = stored.revision() + 1;
    Ok(Changed {
        note: Some(ChangeNote {
            action,
            before: Some(audited(stored)),
            after: Some(audited(&after)),
        }),
        is_changed: true,
        poll: Some(after),
    })
}

/// A change with a note of its own; `None` if nothing has changed.
fn noted(stored: &Poll, changed: Option<(Poll, ChangeNote)>) -> Changed {
    let is_changed = changed.is_some();
    let (poll, note) = match changed {
        Some((mut after, note)) => {
            after.extras.life.revision = stored.revision() + 1;
            (after, Some(note))
        }
        None => (stored.clone(), None),
    };
    Changed {
        poll: Some(poll),
        is_changed,
        note,
    }
}

/// A poll that a store lacked, or had as it was before.
fn restored(stored: Option<&Poll>, poll: &Poll) -> Changed {
    let state = stored.map_or(&PollState::Open, Poll::state).clone();
    let after = match stored {
        Some(stored) if stored.revision() >= poll.revision() => stored.clone(),
        _ => {
            let mut after = poll.clone().in_state(state);
            let life = &mut after.extras.life;
            // The store has the voters again, or gets them with the ballots that come again and must count.
            let forgotten_at = stored.and_then(Poll::voters_forgotten_at);
            life.forget_voters_again |=
                life.voters_forgotten_at.is_some() && forgotten_at.is_none();
            life.voters_forgotten_at = forgotten_at;
            after
        }
    };
    let is_changed = stored != Some(&after);
    Changed {
        is_changed,
        note: is_changed.then(|| ChangeNote {
            action: "poll.restored",
            before: stored.map(audited),
            after: Some(audited(&after)),
        }),
        poll: Some(after),
    }
}

/// A poll that is stored for the first time.
fn created(new: &Poll) -> Result<Changed, StoreError> {
    let mut poll = new.clone().in_state(PollState::Open);
    poll.extras.electorate.codes = CodeRegister::default();
    poll.must_have_key()?;
    let draft = poll.is_draft();
    poll.extras.life = Life {
        draft,
        ..Life::default()
    };
    if !draft {
        poll.publish();
    }
    Ok(Changed {
        note: Some(ChangeNote {
            action: "poll.created",
            before: None,
            after: Some(audited(&poll)),
        }),
        is_changed: true,
        poll: Some(poll),
    })
}

impl Poll {
    /// # Errors
    /// [`ChangeRefusal::NoPollKey`]: its voters are to have codes or to sign in, and it has no key.
    fn must_have_key(&self) -> Result<(), StoreError> {
        if self.settings().voters.need_key() && self.wrapped_key().is_none() {
            let why = ChangeRefusal::NoPollKey;
            return Err(StoreError::ChangeRefused(self.id.clone(), why));
        }
        Ok(())
    }

    /// Ballots can come from now on: the log must have the times.
    fn publish(&mut self) {
        let has_times = self.extras.settings.has_times();
        let life = &mut self.extras.life;
        life.draft = false;
        if has_times {
            (life.rules, life.times) = (life.rules + 1, life.times + 1);
        }
    }

    /// This poll with the title and the labels of another one.
    fn with_texts_of(&self, new: &Self) -> Result<Self, StoreError> {
        if !self.counts_like(new) {
            return Err(StoreError::PollConflict(self.id.clone()));
        }
        if text_changes(self, new).next().is_none() {
            return Ok(self.clone());
        }
        if !self.state.is_open() {
            return Err(StoreError::TextsFrozen(self.id.clone()));
        }
        let mut after = self.clone();
        after.title.clone_from(&new.title);
        after.options.clone_from(&new.options);
        Ok(after)
    }

    /// This poll with the definition and the settings of another one.
    fn put(&self, new: &Self, now: Moment) -> Result<Self, StoreError> {
        let refused = |why| Err(StoreError::ChangeRefused(self.id.clone(), why));
        let mut after = new.clone().in_state(self.state.clone());
        after.extras.life = self.extras.life.clone();
        after.extras.electorate = self.extras.electorate.clone();
        if self.is_draft() {
            after.take_key_of(new);
            after.must_have_key()?;
            if !new.is_draft() {
                after.publish();
            }
            return Ok(after);
        }
        if new.is_draft() {
            return refused(ChangeRefusal::Published);
        }
        let (was, is) = (self.settings(), new.settings());
        let other_rules = !self.counts_like(new)
            || was.revote != is.revote
            || was.blank != is.blank
            || (was.voters, &was.groups, &was.email_domains)
                != (is.voters, &is.groups, &is.email_domains);
        let other_times = (was.opens_at, was.closes_at) != (is.opens_at, is.closes_at);
        // For certain: the log decides, by its own clock.
        let has_opened = was
            .opens_at
            .is_none_or(|opens| opens <= now.plus(CHANGE_MARGIN));
        if other_rules && has_opened {
            return Err(StoreError::PollConflict(self.id.clone()));
        }
        if has_opened && is.results < was.results {
            return refused(ChangeRefusal::Results);
        }
        if !self.state.is_open() {
            if other_times {
                return refused(ChangeRefusal::Times);
            }
            if text_changes(self, new).next().is_some() || !was.has_texts_of(is) {
                return Err(StoreError::TextsFrozen(self.id.clone()));
            }
        }
        if !other_rules && !other_times {
            // Texts that were stored by an earlier version may be in another form.
            if text_changes(self, new).next().is_none() {
                after.title.clone_from(&self.title);
                after.options.clone_from(&self.options);
            }
            return Ok(after);
        }
        if self.extras.life.pending.is_some() {
            return refused(ChangeRefusal::Busy);
        }
        let mut after = self.clone();
        if other_rules {
            // Nobody has voted yet.
            after.take_key_of(new);
        }
        if is.voters.need_key() && after.wrapped_key().is_none() {
            return refused(ChangeRefusal::NoPollKey);
        }
        let life = &mut after.extras.life;
        life.pending = Some(Box::new(Pending {
            definition: new.clone().into(),
            settings: is.clone(),
            rules: life.rules + u32::from(other_rules),
            times: life.times + 1,
            withdrawn: None,
        }));
        Ok(after)
    }

    /// Where this poll has no key, it gets that of the other one.
    fn take_key_of(&mut self, new: &Self) {
        let key = &mut self.extras.electorate.key;
        if key.is_none() {
            key.clone_from(&new.extras.electorate.key);
        }
    }

    /// This poll once its pending change has ended.
    fn settled(&self, times: u32, is_confirmed: bool) -> Self {
        let mut after = self.clone();
        let life = &mut after.extras.life;
        let Some(pending) = life.pending.take_if(|pending| pending.times == times) else {
            return after;
        };
        if !is_confirmed {
            // Shards that have the new times must take the old ones again, under a higher number. Until they have, they
            // take ballots by the new ones, which must count.
            life.pending = Some(if pending.withdrawn.is_some() {
                pending
            } else {
                Box::new(Pending {
                    definition: self.clone().into(),
                    settings: self.settings().clone(),
                    rules: self.extras.life.rules,
                    times: pending.times + 1,
                    withdrawn: Some(pending.settings),
                })
            });
            return after;
        }
        (life.rules, life.times) = (pending.rules, pending.times);
        after.extras.settings = pending.settings;
        let PollFields {
            title,
            options,
            max_choices,
            ..
        } = pending.definition;
        (after.title, after.options, after.max_choices) = (title, options, max_choices);
        after
    }
}

/// A text of a poll that became another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TextChange<'a> {
    /// The option whose label it is; `None` for the poll's title.
    option: Option<&'a str>,
    old: &'a str,
    new: &'a str,
}

fn text_changes<'a>(old: &'a Poll, new: &'a Poll) -> impl Iterator<Item = TextChange<'a>> {
    let title = (None, old.title.as_str(), new.title.as_str());
    let labels = old.options.iter().zip(&new.options).map(|(old, new)| {
        let id = Some(old.id.as_str());
        (id, old.label.as_str(), new.label.as_str())
    });
    std::iter::once(title)
        .chain(labels)
        // Texts that were stored by an earlier version may be in another form.
        .filter(|(_, old, new)| text::stored_form(old) != text::stored_form(new))
        .map(|(option, old, new)| TextChange { option, old, new })
}

/// Logs which texts of an open poll were changed, once the change is stored. Voters may have voted by the older words.
pub fn log_changes(before: Option<&Poll>, after: Option<&Poll>) {
    let (Some(before), Some(after)) = (before, after) else {
        return;
    };
    if before.is_draft() || !before.counts_like(after) {
        return;
    }
    let poll = after.id();
    for TextChange { option, old, new } in text_changes(before, after) {
        // Written so that characters which steer a terminal, or the direction of text, are spelt out.
        match option {
            None => {
                tracing::warn!(%poll, field = "title", ?old, ?new, "an open poll's title changed");
            }
            Some(option) => {
                tracing::warn!(%poll, field = "label", option, ?old, ?new, "an open poll's label changed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::poll::{Phase, PollBuilder, ShowResults};

    fn builder() -> PollBuilder {
        Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B")
    }

    fn at(seconds: u64) -> Option<Moment> {
        Moment::from_unix_ms(seconds * 1_000)
    }

    fn now() -> Moment {
        at(1_000).unwrap()
    }

    fn poll(set: impl FnOnce(&mut PollSettings)) -> Poll {
        let mut settings = PollSettings::default();
        set(&mut settings);
        builder().settings(settings).build().unwrap()
    }

    fn apply(stored: Option<&Poll>, to: ChangeTo) -> Result<Poll, StoreError> {
        let change = PollChange::new("p".parse().unwrap(), to);
        super::change(stored, &change, now()).map(|changed| changed.poll.unwrap())
    }

    fn put(stored: Option<&Poll>, new: Poll) -> Result<Poll, StoreError> {
        apply(stored, ChangeTo::Put(Box::new(new)))
    }

    fn why(changed: Result<Poll, StoreError>) -> ChangeRefusal {
        match changed {
            Err(StoreError::ChangeRefused(_, why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_change_only_while_the_poll_is_open() {
        let stored = put(None, poll(|_| ())).unwrap();
        let renamed = || {
            let poll = Poll::builder("p", "Or which?").option("a", "A");
            poll.option("b", "B").build().unwrap()
        };
        let after = put(Some(&stored), renamed()).unwrap();
        assert_eq!((after.title(), after.revision()), ("Or which?", 1));
        let defined = |stored: &Poll| apply(Some(stored), ChangeTo::Defined(Box::new(renamed())));
        assert_eq!(defined(&stored).unwrap().title(), "Or which?");
        for state in [
            PollState::Closing(Default::default()),
            PollState::Final(Default::default()),
        ] {
            let closed = stored.clone().in_state(state);
            for refused in [defined(&closed), put(Some(&closed), renamed())] {
                assert!(matches!(refused, Err(StoreError::TextsFrozen(_))));
            }
            assert_eq!(put(Some(&closed), poll(|_| ())).unwrap(), closed);
        }
        // As an earlier version stored it.
        let decomposed = Poll {
            title: "Cafe\u{301}".to_owned(),
            ..closed_like(&stored)
        };
        let composed = Poll {
            title: "Café".to_owned(),
            ..stored
        };
        assert_eq!(put(Some(&decomposed), composed).unwrap(), decomposed);
    }

    fn closed_like(poll: &Poll) -> Poll {
        poll.clone()
            .in_state(PollState::Closing(Default::default()))
    }

    #[test]
    fn a_definition_that_is_brought_along_leaves_the_settings_as_they_are() {
        let stored = put(None, poll(|settings| settings.listed = false)).unwrap();
        let after = apply(Some(&stored), ChangeTo::Defined(Box::new(poll(|_| ())))).unwrap();
        assert_eq!(after, stored);
    }

    #[test]
    fn a_draft_can_change_in_all_ways_and_never_comes_back() {
        let draft = put(None, poll(|_| ()).as_draft()).unwrap();
        let other = Poll::builder("p", "Else?")
            .option("x", "X")
            .option("y", "Y");
        let other = other.build().unwrap();
        let changed = put(Some(&draft), other.clone().as_draft()).unwrap();
        assert!(changed.is_draft());
        let published = put(Some(&changed), other.clone()).unwrap();
        assert!(!published.is_draft());
        let back = put(Some(&published), other.as_draft());
        assert_eq!(why(back), ChangeRefusal::Published);
    }

    #[test]
    fn times_of_a_published_poll_are_pending_until_the_log_has_confirmed_them() {
        let stored = put(None, poll(|_| ())).unwrap();
        assert_eq!((stored.window(), stored.rules()), (None, None));
        let pending = put(
            Some(&stored),
            poll(|settings| settings.closes_at = at(2_000)),
        )
        .unwrap();
        assert_eq!(pending.settings().closes_at, None);
        assert_eq!(pending.pending_window().unwrap().closes_at, at(2_000));
        assert_ne!(pending.version(), stored.version());
        assert!(pending.is_in_time(3_000_000), "by the old times");
        let again = put(
            Some(&pending),
            poll(|settings| settings.closes_at = at(3_000)),
        );
        assert_eq!(why(again), ChangeRefusal::Busy);
        let settle = |is_confirmed| {
            let to = ChangeTo::Settled {
                times: 1,
                is_confirmed,
            };
            apply(Some(&pending), to).unwrap()
        };
        let confirmed = settle(true);
        assert_eq!(confirmed.window().unwrap().closes_at, at(2_000));
        assert_eq!(confirmed.rules(), Some(0));
        assert!(!confirmed.is_in_time(2_000_000));
        let given_up = settle(false);
        assert_eq!(given_up.settings().closes_at, None);
        // The shards that have the new times must take the old ones again.
        let back = given_up.pending_window().unwrap();
        assert_eq!((back.times, back.closes_at), (2, None));
        let settle = |poll: &Poll, is_confirmed| {
            let to = ChangeTo::Settled {
                times: 2,
                is_confirmed,
            };
            apply(Some(poll), to).unwrap()
        };
        assert_eq!(settle(&given_up, false), given_up, "not all shards have");
        let taken_back = settle(&given_up, true);
        assert_eq!(taken_back.pending_window(), None);
        assert_eq!(taken_back.window().unwrap(), back);
    }

    #[test]
    fn ballots_count_by_times_that_were_given_up_until_no_shard_has_them() {
        let closes = |seconds| poll(|settings| settings.closes_at = at(seconds));
        let stored = put(None, closes(2_000)).unwrap();
        let pending = put(Some(&stored), closes(3_000)).unwrap();
        let settle = |poll: &Poll, times, is_confirmed| {
            let to = ChangeTo::Settled {
                times,
                is_confirmed,
            };
            apply(Some(poll), to).unwrap()
        };
        let given_up = settle(&pending, 2, false);
        assert_eq!(given_up.settings().closes_at, at(2_000));
        assert!(given_up.is_in_time(2_999_999) && !given_up.is_in_time(3_000_000));
        assert_eq!(
            why(put(Some(&given_up), closes(4_000))),
            ChangeRefusal::Busy
        );
        let taken_back = settle(&given_up, 3, true);
        assert!(!taken_back.is_in_time(2_000_000));
    }

    #[test]
    fn rules_change_only_before_the_poll_opens() {
        let opens = |seconds| move |settings: &mut PollSettings| settings.opens_at = at(seconds);
        let once = |seconds| {
            move |settings: &mut PollSettings| {
                settings.opens_at = at(seconds);
                settings.revote = false;
            }
        };
        let scheduled = put(None, poll(opens(1_020))).unwrap();
        assert_eq!(scheduled.rules(), Some(1));
        let pending = put(Some(&scheduled), poll(once(1_020))).unwrap();
        assert_eq!(pending.pending_window().unwrap().rules, 2);
        let soon = put(None, poll(opens(1_010))).unwrap();
        let refused = put(Some(&soon), poll(once(1_010)));
        assert!(matches!(refused, Err(StoreError::PollConflict(_))));
        let open = put(None, poll(|_| ())).unwrap();
        let refused = put(Some(&open), poll(|settings| settings.revote = false));
        assert!(matches!(refused, Err(StoreError::PollConflict(_))));
    }

    #[test]
    fn a_result_that_was_shown_is_never_hidden_again() {
        let showing = |results| poll(|settings| settings.results = results);
        let stored = put(None, showing(ShowResults::AfterVote)).unwrap();
        let narrower = put(Some(&stored), showing(ShowResults::AfterClose));
        assert_eq!(why(narrower), ChangeRefusal::Results);
        let wider = put(Some(&stored), showing(ShowResults::Always)).unwrap();
        assert_eq!(wider.settings().results, ShowResults::Always);
        let scheduled = |results| {
            poll(|settings| {
                settings.results = results;
                settings.opens_at = at(5_000);
            })
        };
        let stored = put(None, scheduled(ShowResults::Always)).unwrap();
        assert!(put(Some(&stored), scheduled(ShowResults::Host)).is_ok());
    }

    #[test]
    fn only_a_final_poll_is_archived_and_only_a_draft_or_a_final_poll_is_deleted() {
        let open = put(None, poll(|_| ())).unwrap();
        let archive = ChangeTo::Archived(true);
        assert_eq!(
            why(apply(Some(&open), archive.clone())),
            ChangeRefusal::NotFinal
        );
        assert_eq!(
            why(apply(Some(&open), ChangeTo::Deleted)),
            ChangeRefusal::NotDeletable
        );
        let end = ChangeTo::State(PollState::Final(Default::default()));
        let done = apply(Some(&open), end).unwrap();
        assert_eq!(done.final_at(), Some(now()));
        let archived = apply(Some(&done), archive).unwrap();
        assert_eq!(archived.phase(now()), Phase::Archived);
        let delete = PollChange::new("p".parse().unwrap(), ChangeTo::Deleted);
        let deleted = change(Some(&archived), &delete, now()).unwrap();
        assert_eq!(deleted.poll, None);
        assert!(deleted.note.unwrap().before.unwrap().contains("Which?"));
    }

    #[test]
    fn a_new_poll_takes_the_place_of_no_other_one() {
        let new = || ChangeTo::New(Box::new(poll(|_| ())));
        let stored = apply(None, new()).unwrap();
        assert_eq!(why(apply(Some(&stored), new())), ChangeRefusal::Exists);
    }

    #[test]
    fn a_change_can_depend_on_the_revision() {
        let stored = put(None, poll(|_| ())).unwrap();
        let mut change = PollChange::put(poll(|settings| settings.listed = false));
        change.if_revision = Some(0);
        let after = super::change(Some(&stored), &change, now()).unwrap();
        let after = after.poll.unwrap();
        assert_eq!(after.revision(), 1);
        let refused = super::change(Some(&after), &change, now());
        assert!(matches!(refused, Err(StoreError::RevisionChanged { .. })));
        let refused = super::change(None, &change, now());
        assert!(matches!(refused, Err(StoreError::RevisionChanged { .. })));
    }
}
