//! What the services send and take. The OpenAPI documents describe the fields.
//!
//! New fields and new values may come: a value that this version does not know is `Unknown`.

use serde::{Deserialize, Serialize};

/// Where a poll is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PollState {
    /// Not published.
    Draft,
    /// Published, and not open yet.
    Scheduled,
    /// It takes ballots.
    Open,
    /// It takes no ballots; the last ones are counted.
    Closing,
    /// The count never changes.
    Final,
    /// Final, and not listed.
    Archived,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What became of a ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptState {
    /// It is stored, and not counted yet.
    Pending,
    /// It counts.
    Counted,
    /// Another ballot of its voter counts.
    Superseded,
    /// An operator has voided it.
    Voided,
    /// It does not count, for a reason.
    Rejected,
    /// The voters of its poll are forgotten.
    Forgotten,
    /// Its poll is deleted.
    Deleted,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who may vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Electorate {
    /// Everybody.
    Open,
    /// Whoever has a code.
    Codes,
    /// Whoever has signed in.
    Identity,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Who sees the result, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShowResults {
    /// Everybody, at any time.
    Always,
    /// Whoever has voted; everybody once the poll is final.
    AfterVote,
    /// Everybody, once the poll is final.
    AfterClose,
    /// The host.
    Host,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The order in which voters see the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OptionOrder {
    /// That of the poll.
    Fixed,
    /// Another one for each voter.
    Shuffled,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An option of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PollOption {
    /// Names the option in a ballot.
    pub id: String,
    /// The option in words.
    pub label: String,
    /// Plain text below the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Poll {
    /// Names the poll in addresses.
    pub id: String,
    /// The question.
    pub title: String,
    /// Plain text below the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the poll is in its life.
    pub state: PollState,
    /// How many options one ballot may choose.
    pub max_choices: u64,
    /// What can be voted for.
    pub options: Vec<PollOption>,
    /// Who may vote.
    pub electorate: Electorate,
    /// Where voters sign in: they must be in one of these groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Where voters sign in: they must have an address in one of these domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_domains: Option<Vec<String>>,
    /// Whether the newest ballot of a voter counts, else the oldest.
    pub revote: bool,
    /// Whether a voter may vote blank. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<bool>,
    /// When the poll opens: RFC 3339, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
    /// When the poll closes: RFC 3339, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
    /// The time zone in which pages show these moments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who sees the result, and when.
    pub results: ShowResults,
    /// The order in which voters see the options.
    pub order: OptionOrder,
    /// Whether the poll is in lists.
    pub listed: bool,
    /// The language of the texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How many days the final poll is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How many days after the poll is final its voters are forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_voters_days: Option<u32>,
    /// When its voters were forgotten: RFC 3339, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters_forgotten_at: Option<String>,
    /// The number of changes since the poll was stored.
    pub revision: u64,
}

/// The answer to a ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Accepted {
    /// Ask the result service with it what became of the ballot.
    pub receipt: String,
    /// A short tag of the voter. It grants nothing.
    pub voter: String,
    /// Where the first vote counts: a sentence that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where the result is for voters only: shows it for a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// The answer to a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Withdrawn {
    /// Ask the result service with it whether the ballot is taken back.
    pub receipt: String,
}

/// Whether somebody may vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Eligibility {
    /// Whether a ballot would be taken now.
    pub eligible: bool,
    /// The type of the problem that a ballot would be answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The votes for one option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptionTally {
    /// Names the option.
    pub id: String,
    /// The option in words.
    pub label: String,
    /// How many voters chose it.
    pub votes: u64,
}

/// The count of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tally {
    /// Names the poll.
    pub poll: String,
    /// Where the poll is in its life.
    pub state: PollState,
    /// Grows whenever the tally changes.
    pub version: u64,
    /// Voters whose ballot counts.
    pub voters: u64,
    /// Of these, the voters who voted blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<u64>,
    /// Voters who took their ballot back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<u64>,
    /// Voters whose ballot an operator has voided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<u64>,
    /// The votes, in the order of the options.
    pub options: Vec<OptionTally>,
}

/// What became of a ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// Names the poll.
    pub poll: String,
    /// The minute in which it was cast: its first moment, in milliseconds since 1970.
    pub cast_at_ms: u64,
    /// What became of it.
    pub state: ReceiptState,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A poll that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPoll {
    pub(crate) id: String,
    title: String,
    options: Vec<PollOption>,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl NewPoll {
    /// A poll with this id and question. It needs two options or more.
    pub fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            options: Vec::new(),
            more: serde_json::Map::new(),
        }
    }

    /// Adds an option.
    #[must_use]
    pub fn option(mut self, id: &str, label: &str) -> Self {
        self.options.push(PollOption {
            id: id.to_owned(),
            label: label.to_owned(),
            description: None,
        });
        self
    }

    /// Sets another field of a poll, such as `closes_at`. The service refuses a field that it does not know.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(field.to_owned(), value.into());
        self
    }
}
