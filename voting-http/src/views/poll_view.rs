//! A poll as clients of the APIs see it.

use poem_openapi::{Enum, Object};
use voting_core::{
    Poll, PollState,
    model::{moment::Moment, poll::Phase},
};

/// Where the poll is in its life. The service that answers goes by its own clock; only the clock of the ballot log
/// decides which ballots are taken. A client takes a state that it does not know for one in which no ballots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "PollState", rename_all = "lowercase")]
pub(crate) enum StateView {
    /// Only the host sees it.
    Draft,
    /// It opens at `opens_at`.
    Scheduled,
    /// Ballots are taken and counted.
    Open,
    /// Ballots are refused, in all places within a moment; the last ones are being counted.
    Closing,
    /// All ballots are counted, and the count never changes again.
    Final,
    /// Final, and in no list.
    Archived,
}

impl From<&PollState> for StateView {
    fn from(state: &PollState) -> Self {
        match state {
            PollState::Open => Self::Open,
            PollState::Closing(_) => Self::Closing,
            PollState::Final(_) => Self::Final,
        }
    }
}

impl From<Phase> for StateView {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Draft => Self::Draft,
            Phase::Scheduled => Self::Scheduled,
            Phase::Open => Self::Open,
            Phase::Closing => Self::Closing,
            Phase::Final => Self::Final,
            Phase::Archived => Self::Archived,
        }
    }
}

impl StateView {
    /// The state of a poll now, by the clock of this machine.
    pub(crate) fn now(poll: &Poll) -> Self {
        poll.phase(Moment::now()).into()
    }

    pub(crate) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Whether the count never changes again.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::Archived)
    }

    /// The state as in the API.
    pub(crate) fn as_str(self) -> &'static str {
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

/// A poll as the API shows it, for the documents.
pub(crate) const EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}]}"#;

/// A stored poll as the API shows it, for the documents.
pub(crate) const STORED_EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"published":true}"#;

/// A list of polls, for the documents.
pub(crate) const LIST_EXAMPLE: &str = r#"{"polls":[{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}]}]}"#;

/// A poll.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Poll")]
pub(crate) struct PollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Whether ballots are taken, and whether the count can still change.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// What can be voted for, in the poll's order.
    options: Vec<OptionView>,
}

/// A poll that was stored, and whether it can be voted in yet.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StoredPoll")]
pub(crate) struct StoredPollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Whether ballots are taken, and whether the count can still change.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// What can be voted for, in the poll's order.
    options: Vec<OptionView>,
    /// Whether the vote services find the poll, and so take ballots in it, from now on; they show
    /// changed texts a second later. If `false`, the poll is stored, and they find it once the
    /// worker reaches the ballot log: send the request again to see.
    published: bool,
}

impl StoredPollView {
    pub(crate) fn new(poll: &Poll, published: bool) -> Self {
        let PollView {
            id,
            title,
            state,
            max_choices,
            options,
        } = poll.into();
        Self {
            id,
            title,
            state,
            max_choices,
            options,
            published,
        }
    }
}

/// One thing that can be voted for.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Option")]
struct OptionView {
    /// Names the option in a ballot.
    id: String,
    /// The option in words.
    label: String,
}

impl From<&Poll> for PollView {
    fn from(poll: &Poll) -> Self {
        let options = poll.options().iter().map(|option| OptionView {
            id: option.id.to_string(),
            label: option.label.clone(),
        });
        Self {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            state: StateView::now(poll),
            max_choices: poll.max_choices(),
            options: options.collect(),
        }
    }
}
