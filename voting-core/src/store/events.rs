//! Events: what has happened, for programs that follow it.
//!
//! An event of a poll is written in the transaction that changes the poll. So there is one for each change, and none for a change that
//! was not made. The other events say that a state has changed since the last event about it: a [mark](Mark) has the state of
//! that event, and changes in the transaction that writes the next one. So any number of processes may compare the states, and
//! each event is added once.
//!
//! Events are numbered without gaps, in an order in which a reader that keeps its place misses none: an event gets its
//! number after its transaction has ended.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::model::{
    id::PollId,
    moment::Moment,
    poll::{Changed, Phase, Poll},
    poll_state::PollState,
};

/// What kind of event it is. Later versions add kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A poll was made, perhaps as a draft.
    PollCreated,
    /// A poll was changed, or something was done to it: `action` in the data says what, as in the audit log.
    PollChanged,
    /// Voters can vote in a poll from now on.
    PollOpened,
    /// A poll takes no more ballots. The last ones are being counted.
    PollClosing,
    /// All ballots of a poll are counted. The result never changes.
    PollFinal,
    /// A poll was deleted, with its ballots.
    PollDeleted,
    /// There are more dead letters than there were: ballots that could not be counted.
    DeadLetterCreated,
    /// Ballots wait for longer than usual to be counted.
    CountBehind,
    /// They do not any more.
    CountCaughtUp,
    /// The votes of a poll have changed. At most once a minute for a poll, and only while everybody may see its result.
    TallyChanged,
}

/// Not the name of an [`EventKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of event")]
pub struct UnknownEventKind;

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::PollCreated,
        Self::PollChanged,
        Self::PollOpened,
        Self::PollClosing,
        Self::PollFinal,
        Self::PollDeleted,
        Self::DeadLetterCreated,
        Self::CountBehind,
        Self::CountCaughtUp,
        Self::TallyChanged,
    ];

    /// Its name, such as `poll.created`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PollCreated => "poll.created",
            Self::PollChanged => "poll.changed",
            Self::PollOpened => "poll.opened",
            Self::PollClosing => "poll.closing",
            Self::PollFinal => "poll.final",
            Self::PollDeleted => "poll.deleted",
            Self::DeadLetterCreated => "dead_letter.created",
            Self::CountBehind => "count.behind",
            Self::CountCaughtUp => "count.caught_up",
            Self::TallyChanged => "tally.changed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        kind.ok_or(UnknownEventKind)
    }
}

/// An event that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What has happened.
    pub kind: EventKind,
    /// To which poll, if it was one.
    pub poll: Option<PollId>,
    /// More about it: a JSON object of less than 2 KiB.
    pub data: String,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the event: that of the event before it, plus one. After the store was restored from a backup,
    /// numbers are given again to other events.
    pub number: u64,
    /// The same in every place where the event is read; no other event has it, also after the store was restored.
    pub id: Uuid,
    /// When it was written, by the clock of the process that wrote it.
    pub at: Moment,
    /// What has happened.
    pub what: NewEvent,
}

impl Event {
    /// An event that is written now, with this number.
    pub fn new(number: u64, what: NewEvent) -> Self {
        Self {
            number,
            id: Uuid::now_v7(),
            at: Moment::now(),
            what,
        }
    }
}

/// A part of the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// In their order.
    pub list: Vec<Event>,
    /// The number of the oldest event that is kept; one more than `newest` if none is.
    pub oldest: u64,
    /// The number of the newest event; 0 if there was none.
    pub newest: u64,
}

impl Events {
    /// Whether a reader with this place cannot go on: events after it are not kept any more, or it is the place in another store.
    pub fn is_gone(&self, after: u64) -> bool {
        after < self.oldest.saturating_sub(1) || after > self.newest
    }
}

/// What the last event about something said, and what the next one would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of what, such as `dead letters`.
    pub name: String,
    /// The present state, in short. There is no event while this is the state of the last one.
    pub value: String,
    /// The state that counts as that of the last event before there is one.
    pub initial: &'static str,
    /// The time between two events, in milliseconds. The event after it has the newest value.
    pub pause_ms: u64,
    /// The values are numbers, and only a larger one makes an event. A smaller one is noted.
    pub only_more: bool,
}

/// What a store does with a [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// The mark gets the value. The moment of its last event stays.
    Noted,
    /// The mark gets the value and the present moment, and the event is written.
    Added,
}

impl Mark {
    /// What is to be done, if `last` is the value that was noted last, with the moment of the mark's last event.
    pub fn news(&self, last: Option<(&str, Moment)>, now: Moment) -> News {
        let (value, at) = match last {
            None => (self.initial, None),
            Some((value, at)) => (value, Some(at)),
        };
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        if value == self.value {
            News::None
        } else if self.only_more && number(&self.value) < number(value) {
            News::Noted
        } else {
            // A clock that was set back must not delay the event for longer than the pause. The clock of another process may be
            // a little behind.
            let is_over = at.is_none_or(|at| at.unix_ms().abs_diff(now.unix_ms()) >= self.pause_ms);
            match is_over {
                true => News::Added,
                false => News::None,
            }
        }
    }
}

/// The data of an event of a poll.
fn data(poll: &Poll, action: Option<&str>) -> String {
    let mut data = serde_json::json!({ "title": poll.title(), "revision": poll.revision() });
    if let Some(action) = action {
        data["action"] = action.into();
    }
    if poll.is_draft() {
        data["draft"] = true.into();
    }
    data.to_string()
}

/// The events of a change of a poll, which is `stored` before. Stores write them in the transaction that writes the change. Before them
/// they add the [`opening`] of the stored poll, which may not have an event yet.
pub fn of_change(stored: Option<&Poll>, changed: &Changed, now: Moment) -> Vec<NewEvent> {
    if !changed.is_changed {
        return Vec::new();
    }
    let event = |kind, poll: &Poll, action| NewEvent {
        kind,
        poll: Some(poll.id().clone()),
        data: data(poll, action),
    };
    let Some(after) = &changed.poll else {
        let deleted = stored.map(|poll| event(EventKind::PollDeleted, poll, None));
        return deleted.into_iter().collect();
    };
    let state = |poll: Option<&Poll>| match poll.map(Poll::state) {
        None | Some(PollState::Open) => 0,
        Some(PollState::Closing(_)) => 1,
        Some(PollState::Final(_)) => 2,
    };
    let (before, now_in) = (state(stored), state(Some(after)));
    let mut events = Vec::new();
    match (stored, &changed.note) {
        (None, _) => events.push(event(EventKind::PollCreated, after, None)),
        // A change of its state has events of its own.
        (Some(_), Some(note)) if before == now_in => {
            events.push(event(EventKind::PollChanged, after, Some(note.action)));
        }
        _ => {}
    }
    // The opening at a set time changes nothing in the store. Its event is added when the time has come.
    let is_open = |poll: &Poll| poll.phase(now) == Phase::Open;
    if after.settings().opens_at.is_none() && is_open(after) && !stored.is_some_and(is_open) {
        events.push(event(EventKind::PollOpened, after, None));
    }
    if before < 1 && now_in >= 1 {
        events.push(event(EventKind::PollClosing, after, None));
    }
    if before < 2 && now_in == 2 {
        events.push(event(EventKind::PollFinal, after, None));
    }
    events
}

/// Whether an event that has a [mark](Mark) may be added for a poll. It may not after the poll is final, and not after it
/// was deleted: whoever adds the event may have read an earlier state of the poll.
pub fn takes_events(poll: Option<&Poll>) -> bool {
    poll.is_some_and(|poll| !poll.state().is_final())
}

/// The mark and the event of an opening at a set time, once that has come. The poll may be over meanwhile, but nobody has closed it yet.
pub fn opening(poll: &Poll, now: Moment) -> Option<(Mark, NewEvent)> {
    let opens_at = poll.settings().opens_at?;
    let has_opened = !poll.is_draft() && poll.state().is_open() && opens_at <= now;
    has_opened.then(|| {
        let mark = Mark {
            name: format!("opened {}", poll.id()),
            // Another opening, of a poll whose times were changed, is another event.
            value: opens_at.to_string(),
            initial: "",
            pause_ms: 0,
            only_more: false,
        };
        let event = NewEvent {
            kind: EventKind::PollOpened,
            poll: Some(poll.id().clone()),
            data: data(poll, None),
        };
        (mark, event)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        poll::{self, ChangeTo, PollChange},
        poll_state::Seals,
    };

    fn at(ms: u64) -> Moment {
        Moment::from_unix_ms(ms).unwrap()
    }

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("poll.eaten".parse::<EventKind>(), Err(UnknownEventKind));
    }

    #[test]
    fn an_event_is_added_once_and_after_the_pause() {
        let mark = Mark {
            name: "m".to_owned(),
            value: "2".to_owned(),
            initial: "0",
            pause_ms: 60_000,
            only_more: false,
        };
        let is_news = |last, now| mark.news(last, now) == News::Added;
        assert!(is_news(None, at(5)));
        let unchanged = Mark {
            value: "0".to_owned(),
            ..mark.clone()
        };
        assert_eq!(unchanged.news(None, at(5)), News::None);
        assert!(!is_news(Some(("2", at(0))), at(100_000)));
        assert!(!is_news(Some(("1", at(1_000))), at(60_999)));
        assert!(is_news(Some(("1", at(1_000))), at(61_000)));
        assert!(
            is_news(Some(("1", at(61_000))), at(1_000)),
            "the clock was set back"
        );
        assert!(
            !is_news(Some(("1", at(61_000))), at(60_000)),
            "two clocks are never the same"
        );
        assert!(is_news(Some(("10", at(1_000))), at(61_000)));
        let growing = Mark {
            only_more: true,
            ..mark
        };
        for (last, news) in [("10", News::Noted), ("2", News::None), ("1", News::Added)] {
            assert_eq!(growing.news(Some((last, at(1_000))), at(61_000)), news);
        }
        assert_eq!(growing.news(Some(("1", at(1_000))), at(2_000)), News::None);
        assert_eq!(growing.news(Some(("3", at(1_000))), at(2_000)), News::Noted);
    }

    #[test]
    fn a_poll_has_an_event_for_each_step_of_its_life() {
        let poll = Poll::builder("lunch", "Soup \"or\" salad?")
            .option("a", "A")
            .option("b", "B");
        let poll = poll.build().unwrap();
        let now = Moment::now();
        let mut stored = None;
        let mut reported = Vec::new();
        for to in [
            ChangeTo::Put(Box::new(poll.clone().as_draft())),
            ChangeTo::Put(Box::new(poll.clone())),
            ChangeTo::Put(Box::new(poll)),
            ChangeTo::State(PollState::Closing(Seals::default())),
            ChangeTo::State(PollState::Final(Seals::default())),
            ChangeTo::Archived(true),
            ChangeTo::Deleted,
        ] {
            let change = PollChange::new("lunch".parse().unwrap(), to);
            let changed = poll::change(stored.as_ref(), &change, now).unwrap();
            for event in of_change(stored.as_ref(), &changed, now) {
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                assert_eq!(data["title"], "Soup \"or\" salad?");
                let action = data["action"].as_str().unwrap_or_default().to_owned();
                reported.push((event.kind.as_str(), action));
            }
            stored = changed.poll;
        }
        let reported: Vec<_> = reported
            .iter()
            .map(|(kind, action)| (*kind, action.as_str()))
            .collect();
        assert_eq!(
            reported,
            [
                ("poll.created", ""),
                ("poll.changed", "poll.changed"),
                ("poll.opened", ""),
                ("poll.closing", ""),
                ("poll.final", ""),
                ("poll.changed", "poll.archived"),
                ("poll.deleted", ""),
            ]
        );
    }
}
