//! A poll as clients of the APIs see it.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use voting_core::{
    Poll, PollState,
    model::{
        moment::Moment,
        poll::{OptionOrder, Phase, ShowResults, Voters},
    },
};

/// The state of the poll, by the clock of the service that answers; only the clock of the ballot log decides which
/// ballots are taken. In a state that a client does not know, it should assume that no ballots are taken.
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

/// Who may vote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename = "Voters", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum VotersView {
    /// Everybody: a cookie tells voters apart, or the application says who they are.
    #[default]
    Open,
    /// Whoever has one of the poll's codes.
    Codes,
    /// Whoever signs in, and has the groups or the e-mail domain that the poll asks for.
    Identity,
}

impl From<Voters> for VotersView {
    fn from(voters: Voters) -> Self {
        match voters {
            Voters::Codes => Self::Codes,
            Voters::Identity => Self::Identity,
            _ => Self::Open,
        }
    }
}

impl From<VotersView> for Voters {
    fn from(voters: VotersView) -> Self {
        match voters {
            VotersView::Open => Self::Open,
            VotersView::Codes => Self::Codes,
            VotersView::Identity => Self::Identity,
        }
    }
}

/// Who sees the result, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename = "ShowResults", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ResultsView {
    /// Everybody, from the beginning.
    #[default]
    Always,
    /// Who has voted; and everybody, once the poll is final.
    AfterVote,
    /// Everybody, once the poll is final.
    AfterClose,
    /// Only the host.
    Host,
}

impl From<ShowResults> for ResultsView {
    fn from(results: ShowResults) -> Self {
        match results {
            ShowResults::Always => Self::Always,
            ShowResults::AfterVote => Self::AfterVote,
            ShowResults::AfterClose => Self::AfterClose,
            ShowResults::Host => Self::Host,
        }
    }
}

impl From<ResultsView> for ShowResults {
    fn from(results: ResultsView) -> Self {
        match results {
            ResultsView::Always => Self::Always,
            ResultsView::AfterVote => Self::AfterVote,
            ResultsView::AfterClose => Self::AfterClose,
            ResultsView::Host => Self::Host,
        }
    }
}

/// The order in which a voter sees the options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename = "OptionOrder", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OrderView {
    /// As the poll has them.
    #[default]
    Fixed,
    /// Mixed for each voter, and always the same for one voter.
    Shuffled,
}

impl From<OptionOrder> for OrderView {
    fn from(order: OptionOrder) -> Self {
        match order {
            OptionOrder::Fixed => Self::Fixed,
            OptionOrder::Shuffled => Self::Shuffled,
        }
    }
}

impl From<OrderView> for OptionOrder {
    fn from(order: OrderView) -> Self {
        match order {
            OrderView::Fixed => Self::Fixed,
            OrderView::Shuffled => Self::Shuffled,
        }
    }
}

/// A poll as the API shows it, for the documents.
pub(crate) const EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats","description":"They purr."},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"closes_at":"2027-01-31T17:00:00Z","time_zone":"Europe/Berlin","results":"after_close","order":"fixed","listed":true,"revision":3}"#;

/// A poll with its voters, for the documents.
pub(crate) const COUNTED_EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"revision":0,"voters":12}"#;

/// A list of such polls, for the documents.
pub(crate) const COUNTED_LIST_EXAMPLE: &str = r#"{"polls":[{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"revision":0,"voters":12}]}"#;

/// A stored poll as the API shows it, for the documents.
pub(crate) const STORED_EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"revision":0,"published":true}"#;

/// A poll whose voters are forgotten, for the documents.
pub(crate) const WITHOUT_VOTERS_EXAMPLE: &str = r#"{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"final","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"voters_forgotten_at":"2027-01-31T17:00:00Z","revision":4,"published":true}"#;

/// A list of polls, for the documents.
pub(crate) const LIST_EXAMPLE: &str = r#"{"polls":[{"id":"cats-vs-dogs","title":"Cats or dogs?","state":"open","max_choices":1,"options":[{"id":"a","label":"Cats"},{"id":"b","label":"Dogs"}],"electorate":"open","revote":true,"results":"always","order":"fixed","listed":true,"revision":0}]}"#;

/// A poll.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Poll", skip_serializing_if_is_none)]
pub(crate) struct PollView {
    /// Names the poll in addresses.
    id: String,
    /// The question.
    title: String,
    /// Plain text below the title; paragraphs are separated by empty lines. Absent: none.
    description: Option<String>,
    /// Where the poll is in its life.
    state: StateView,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// The options, in the poll's order.
    options: Vec<OptionView>,
    /// Who may vote: the field `voters` of a poll that is stored. Here `voters` is a number.
    electorate: VotersView,
    /// Where voters sign in: they must be in one of these groups. Absent: no group is needed.
    groups: Option<Vec<String>>,
    /// Where voters sign in: they must have a verified e-mail address in one of these domains. Absent: none is needed.
    email_domains: Option<Vec<String>>,
    /// Whether a voter may vote again. If so, the newest ballot of the voter counts, else the oldest.
    revote: bool,
    /// Whether a voter may vote blank: with no `choices`. Absent: no.
    blank: Option<bool>,
    /// When the poll opens: RFC 3339, in UTC. Absent: it opened at once.
    opens_at: Option<String>,
    /// When the poll closes: RFC 3339, in UTC. A ballot at this moment is too late. Absent: it closes when somebody
    /// closes it.
    closes_at: Option<String>,
    /// The time zone in which pages show these moments: an IANA name. Absent: UTC.
    time_zone: Option<String>,
    /// Who sees the result, and when.
    results: ResultsView,
    /// The order in which a voter sees the options.
    order: OrderView,
    /// Whether the poll is in lists and menus.
    listed: bool,
    /// The language of the texts, a tag such as `de` or `pt-BR`. Absent: not known.
    language: Option<String>,
    /// How many days the final poll is kept before it is deleted. Absent: what the deployment says.
    retention_days: Option<u32>,
    /// How many days after the poll is final its voters are forgotten. Absent: what the deployment says.
    forget_voters_days: Option<u32>,
    /// When its voters were forgotten: RFC 3339, in UTC. Absent: they are not.
    voters_forgotten_at: Option<String>,
    /// The number of changes since the poll was stored.
    revision: u64,
}

/// A stored poll, and whether voters can vote in it yet.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StoredPoll")]
pub(crate) struct StoredPollView {
    #[oai(flatten)]
    poll: PollView,
    /// Whether the vote services find the poll, and so take ballots in it. They show changed texts a second later. If
    /// `false`, the poll is a draft, or the worker has not reached the ballot log yet; the vote services find the poll
    /// once it has. Send the request again to see.
    published: bool,
}

impl StoredPollView {
    pub(crate) fn new(poll: &Poll, published: bool) -> Self {
        Self {
            poll: poll.into(),
            published,
        }
    }
}

/// An option of a poll.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Option", skip_serializing_if_is_none)]
struct OptionView {
    /// Names the option in a ballot.
    id: String,
    /// The option in words.
    label: String,
    /// Plain text below the label. Absent: none.
    description: Option<String>,
}

impl From<&Poll> for PollView {
    fn from(poll: &Poll) -> Self {
        let settings = poll.settings();
        let options = poll.options().iter().map(|option| OptionView {
            id: option.id.to_string(),
            label: option.label.clone(),
            description: settings.option_descriptions.get(&option.id).cloned(),
        });
        let description = &settings.description;
        Self {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            description: (!description.is_empty()).then(|| description.clone()),
            state: StateView::now(poll),
            max_choices: poll.max_choices(),
            options: options.collect(),
            electorate: settings.voters.into(),
            groups: Some(settings.groups.clone()).filter(|all| !all.is_empty()),
            email_domains: Some(settings.email_domains.clone()).filter(|all| !all.is_empty()),
            revote: settings.revote,
            blank: settings.blank.then_some(true),
            opens_at: settings.opens_at.map(|at| at.to_string()),
            closes_at: settings.closes_at.map(|at| at.to_string()),
            time_zone: settings.time_zone.clone(),
            results: settings.results.into(),
            order: settings.order.into(),
            listed: settings.listed,
            language: settings.language.clone(),
            retention_days: settings.retention_days,
            forget_voters_days: settings.forget_voters_days,
            voters_forgotten_at: poll.voters_forgotten_at().map(|at| at.to_string()),
            revision: poll.revision(),
        }
    }
}
