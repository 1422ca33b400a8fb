//! A poll: its question, its options, and which choices a ballot may make.

mod builder;
mod change;
mod electorate;
mod life;
mod look;
mod settings;
mod shown;
mod text;
mod voiding;

use serde::{Deserialize, Serialize};

use self::look::Look;
pub use self::{
    builder::PollBuilder,
    change::{ChangeNote, ChangeRefusal, ChangeTo, Changed, PollChange, change, log_changes},
    electorate::{
        CodeChange, CodeRefusal, CodeRegister, MAX_CHANGED_CODES, MAX_CODES, VoterScheme,
    },
    life::{CHANGE_MARGIN, Phase, PollExtras, PollVersion, PollWindow},
    settings::{
        MAX_DESCRIPTION_CHARS, MAX_RETENTION_DAYS, OptionOrder, PollSettings, ShowResults, Voters,
    },
    shown::{Hidden, Shown, Viewer},
    text::{BadText, MAX_LABEL_CHARS},
    voiding::{
        InvalidVoters, MAX_VOIDING_REASON, MAX_VOIDINGS, NewVoided, NewVoiding, VoidedBallots,
        VoidedVoters, Voiding, Voidings,
    },
};
use crate::model::{
    ballot::Choices,
    id::{InvalidId, OptionId, PollId},
    moment::Moment,
    poll_state::PollState,
    position::Position,
    rejection::RejectReason,
};

/// The most options a poll can have: a ballot's [`Choices`] are a set of so many bits.
pub const MAX_OPTIONS: usize = 63;

/// An option of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollOption {
    /// Stable name, used in ballots and addresses.
    pub id: OptionId,
    /// Text for people.
    pub label: String,
}

/// A poll that is fit to be voted on.
///
/// The options' identifiers and order never change once the poll is stored, since a stored
/// ballot names them by index; title and labels may while it is open.
///
/// What serde reads is taken for a stored poll, whose title and labels were looked at when it was made:
/// those of an earlier version stay readable, whatever is asked of new ones. What comes from outside
/// is a [`NewPoll`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PollFields", into = "PollFields")]
pub struct Poll {
    id: PollId,
    title: String,
    options: Vec<PollOption>,
    max_choices: usize,
    state: PollState,
    extras: PollExtras,
}

/// A poll that somebody has written, to be read by serde and checked as by [`Poll::new`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PollFields")]
pub struct NewPoll(pub Poll);

/// A poll's definition as it is written down, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PollFields {
    id: PollId,
    title: String,
    options: Vec<PollOption>,
    #[serde(default = "one")]
    max_choices: usize,
}

fn one() -> usize {
    1
}

/// Why the definition of a poll is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPoll {
    /// The id of the poll or of an option is not valid.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// Fewer than two options, or more than [`MAX_OPTIONS`].
    #[error("a poll has 2 to {MAX_OPTIONS} options, not {0}")]
    OptionCount(usize),
    /// Two options share an identifier.
    #[error("option {0} is there twice")]
    RepeatedOption(OptionId),
    /// The title cannot be read as it is meant.
    #[error("the title cannot be {text:?}: {reason}")]
    Title {
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        reason: BadText,
    },
    /// A label cannot be read as it is meant.
    #[error("the label of option {option} cannot be {text:?}: {reason}")]
    Label {
        /// Whose label it is.
        option: OptionId,
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        reason: BadText,
    },
    /// Two labels that voters cannot tell apart.
    #[error("the labels of options {0} and {1} look the same")]
    SameLabels(OptionId, OptionId),
    /// The description of the poll or of an option cannot be read as it is meant.
    #[error("a description cannot be shown: {reason}")]
    Description {
        /// What is wrong with it.
        reason: BadText,
    },
    /// It would close before it opens.
    #[error("it closes at {closes}, which is not after it opens at {opens}")]
    Times {
        /// When it would open.
        opens: Moment,
        /// When it would close.
        closes: Moment,
    },
    /// A setting has a value that means nothing.
    #[error("{field} {value:?} is not valid; it must be {rule}")]
    Setting {
        /// The setting's name.
        field: &'static str,
        /// The beginning of its value.
        value: String,
        /// What its value must be.
        rule: &'static str,
    },
    /// More choices than options, or none.
    #[error("a voter can make 1 to {options} choices, not {max_choices}")]
    MaxChoices {
        /// What was asked for.
        max_choices: usize,
        /// The number of options.
        options: usize,
    },
}

/// Why a list of options is no vote in a poll.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidChoice {
    /// Nothing was chosen, and the poll does not allow blank ballots.
    #[error("no option was chosen")]
    Nothing,
    /// A ballot is to be taken back in a poll where the first ballot counts.
    #[error("the first vote counts in this poll, so a vote cannot be taken back")]
    FirstCounts,
    /// The poll has no such option.
    #[error("the poll has no option {0:?}")]
    UnknownOption(String),
    /// An option was named twice.
    #[error("option {0} was chosen twice")]
    Repeated(OptionId),
    /// More options than the poll allows.
    #[error("{chosen} options were chosen, the poll allows {max}")]
    TooMany {
        /// How many were chosen.
        chosen: usize,
        /// How many may be.
        max: usize,
    },
}

/// Checks a text for a title or a label, and returns it as a poll keeps it. That labels must be told
/// apart is for [`Poll::new`].
///
/// # Errors
/// What is wrong with it.
pub fn check_text(text: &str) -> Result<String, BadText> {
    text::check(text)
}

impl Poll {
    /// Makes a poll of 2 to [`MAX_OPTIONS`] options in which a voter picks 1 to `max_choices`.
    ///
    /// Title and labels have 1 to [`MAX_LABEL_CHARS`] characters that people can see and tell apart,
    /// see [`BadText`]. They are kept without spaces around them, in Unicode's form NFC.
    ///
    /// # Errors
    /// [`InvalidPoll`] says what is wrong.
    pub fn new(
        id: PollId,
        title: impl Into<String>,
        options: Vec<PollOption>,
        max_choices: usize,
    ) -> Result<Self, InvalidPoll> {
        let title = title.into();
        Self::of_any_texts(id, title, options, max_choices)?.with_checked_texts()
    }

    fn of_any_texts(
        id: PollId,
        title: String,
        options: Vec<PollOption>,
        max_choices: usize,
    ) -> Result<Self, InvalidPoll> {
        if !(2..=MAX_OPTIONS).contains(&options.len()) {
            return Err(InvalidPoll::OptionCount(options.len()));
        }
        if !(1..=options.len()).contains(&max_choices) {
            return Err(InvalidPoll::MaxChoices {
                max_choices,
                options: options.len(),
            });
        }
        for (index, option) in options.iter().enumerate() {
            if options[..index].iter().any(|other| other.id == option.id) {
                return Err(InvalidPoll::RepeatedOption(option.id.clone()));
            }
        }
        Ok(Self {
            id,
            title,
            options,
            max_choices,
            state: PollState::Open,
            extras: PollExtras::default(),
        })
    }

    /// The same poll with these settings.
    ///
    /// # Errors
    /// [`InvalidPoll`] says which of them is not valid.
    pub fn with_settings(mut self, settings: PollSettings) -> Result<Self, InvalidPoll> {
        self.extras.settings = settings.checked(&self)?;
        Ok(self)
    }

    fn with_checked_texts(mut self) -> Result<Self, InvalidPoll> {
        // What is echoed back must be bounded.
        let beginning = |text: &str| text.chars().take(MAX_LABEL_CHARS).collect();
        self.title = text::check(&self.title).map_err(|reason| InvalidPoll::Title {
            text: beginning(&self.title),
            reason,
        })?;
        let mut looks: Vec<(OptionId, Look)> = Vec::with_capacity(self.options.len());
        for option in &mut self.options {
            let label = text::check(&option.label).map_err(|reason| InvalidPoll::Label {
                option: option.id.clone(),
                text: beginning(&option.label),
                reason,
            })?;
            let look = Look::of(&label);
            if let Some((other, _)) = looks.iter().find(|(_, other)| other.is_like(&look)) {
                return Err(InvalidPoll::SameLabels(other.clone(), option.id.clone()));
            }
            looks.push((option.id.clone(), look));
            option.label = label;
        }
        Ok(self)
    }

    /// The same poll in another state. What is read from text is open, whatever it was.
    #[must_use]
    pub fn in_state(self, state: PollState) -> Self {
        Self { state, ..self }
    }

    /// The poll's name.
    pub fn id(&self) -> &PollId {
        &self.id
    }

    /// The question.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What can be voted for; a choice is an index into this.
    pub fn options(&self) -> &[PollOption] {
        &self.options
    }

    /// How many options one ballot may choose.
    pub fn max_choices(&self) -> usize {
        self.max_choices
    }

    /// Whether ballots are taken, and whether the count can still change.
    pub fn state(&self) -> &PollState {
        &self.state
    }

    /// Turns the options that a voter named into the choices of a ballot.
    ///
    /// # Errors
    /// [`InvalidChoice`] says which of them cannot be taken.
    pub fn choose<'a>(
        &self,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Choices, InvalidChoice> {
        let mut bits = 0u64;
        let mut chosen = 0;
        for name in named {
            let index = self
                .options
                .iter()
                .position(|option| option.id.as_str() == name)
                // What is echoed back must be bounded.
                .ok_or_else(|| InvalidChoice::UnknownOption(name.chars().take(64).collect()))?;
            if bits & (1 << index) != 0 {
                return Err(InvalidChoice::Repeated(self.options[index].id.clone()));
            }
            bits |= 1 << index;
            chosen += 1;
        }
        if chosen > self.max_choices {
            return Err(InvalidChoice::TooMany {
                chosen,
                max: self.max_choices,
            });
        }
        Choices::from_bits(bits).ok_or(InvalidChoice::Nothing)
    }

    /// Whether the poll takes a ballot that chooses no option. A ballot with options is always taken.
    fn takes_nothing(&self, choices: Choices) -> bool {
        match choices {
            Choices::BLANK => self.settings().blank,
            // Where the first ballot counts, there is nothing to take back.
            Choices::WITHDRAWN => self.settings().revote,
            _ => true,
        }
    }

    /// The choices of a blank ballot.
    ///
    /// # Errors
    /// [`InvalidChoice::Nothing`]: the poll does not allow it.
    pub fn blank(&self) -> Result<Choices, InvalidChoice> {
        let blank = Some(Choices::BLANK).filter(|blank| self.takes_nothing(*blank));
        blank.ok_or(InvalidChoice::Nothing)
    }

    /// The choices of a ballot that takes the voter's ballot back.
    ///
    /// # Errors
    /// [`InvalidChoice::FirstCounts`]: the first ballot counts.
    pub fn withdraw(&self) -> Result<Choices, InvalidChoice> {
        let withdrawn = Some(Choices::WITHDRAWN).filter(|back| self.takes_nothing(*back));
        withdrawn.ok_or(InvalidChoice::FirstCounts)
    }

    /// Whether programs at work may not know ballots that take one back. Only the copy for vote services says so, while
    /// an upgrade from a version before 0.2 is not finished.
    pub fn keeps_ballots(&self) -> bool {
        self.extras.keeps_ballots
    }

    /// The poll for vote services that are to refuse to take ballots back.
    #[must_use]
    pub fn keeping_ballots(mut self) -> Self {
        self.extras.keeps_ballots = true;
        self
    }

    /// Checks a ballot that is in the log at this position.
    ///
    /// # Errors
    /// The reason for which such a ballot is rejected.
    pub fn check(&self, choices: Choices, position: Position) -> Result<(), RejectReason> {
        if !self.state.takes(position.shard(), position.entry()) {
            return Err(RejectReason::PollClosed);
        }
        if !self.is_in_time(position.ms()) {
            return Err(RejectReason::OutsideTimes);
        }
        if choices.indices().any(|index| index >= self.options.len()) {
            return Err(RejectReason::UnknownOption);
        }
        if choices.len() > self.max_choices {
            return Err(RejectReason::TooManyChoices);
        }
        if !self.takes_nothing(choices) {
            return Err(RejectReason::NothingChosen);
        }
        Ok(())
    }

    /// Whether ballots cast under `other` mean the same under this definition: same options in
    /// the same order, same number of choices. Title, labels and state may differ.
    pub fn counts_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.max_choices == other.max_choices
            && self
                .options
                .iter()
                .map(|option| &option.id)
                .eq(other.options.iter().map(|option| &option.id))
    }
}

impl TryFrom<PollFields> for Poll {
    type Error = InvalidPoll;

    fn try_from(fields: PollFields) -> Result<Self, InvalidPoll> {
        Self::of_any_texts(fields.id, fields.title, fields.options, fields.max_choices)
    }
}

impl TryFrom<PollFields> for NewPoll {
    type Error = InvalidPoll;

    fn try_from(fields: PollFields) -> Result<Self, InvalidPoll> {
        Poll::try_from(fields)?.with_checked_texts().map(Self)
    }
}

impl From<Poll> for PollFields {
    fn from(poll: Poll) -> Self {
        Self {
            id: poll.id,
            title: poll.title,
            options: poll.options,
            max_choices: poll.max_choices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        poll_state::Seals,
        position::{EntryId, ShardId},
    };

    fn option(id: &str) -> PollOption {
        PollOption {
            id: id.parse().unwrap(),
            label: id.to_uppercase(),
        }
    }

    fn poll(options: usize, max_choices: usize) -> Result<Poll, InvalidPoll> {
        let options = (0..options).map(|i| option(&format!("o{i}"))).collect();
        Poll::new("p".parse().unwrap(), "Which?", options, max_choices)
    }

    #[test]
    fn a_poll_has_two_to_sixty_three_options() {
        assert_eq!(poll(1, 1), Err(InvalidPoll::OptionCount(1)));
        assert!(poll(2, 1).is_ok());
        assert!(poll(63, 63).is_ok());
        assert_eq!(poll(64, 1), Err(InvalidPoll::OptionCount(64)));
    }

    #[test]
    fn a_voter_makes_at_least_one_choice_and_at_most_all() {
        assert!(matches!(poll(2, 0), Err(InvalidPoll::MaxChoices { .. })));
        assert!(matches!(poll(2, 3), Err(InvalidPoll::MaxChoices { .. })));
    }

    #[test]
    fn options_and_labels_are_checked() {
        let id: PollId = "p".parse().unwrap();
        let twice = Poll::new(id.clone(), "t", vec![option("a"), option("a")], 1);
        assert!(matches!(twice, Err(InvalidPoll::RepeatedOption(_))));
        for title in ["", "  ", "a\nb", "\u{202e}Cats", &"x".repeat(201)] {
            let made = Poll::new(id.clone(), title, vec![option("a"), option("b")], 1);
            assert!(matches!(made, Err(InvalidPoll::Title { .. })), "{title:?}");
            let mut labels = vec![option("a"), option("b")];
            title.clone_into(&mut labels[1].label);
            let made = Poll::new(id.clone(), "t", labels, 1);
            let Err(InvalidPoll::Label { option, .. }) = made else {
                panic!("{title:?}: {made:?}")
            };
            assert_eq!(option.as_str(), "b");
        }
    }

    #[test]
    fn labels_that_look_the_same_are_refused_whatever_their_bytes() {
        for (one, two) in [("Yes", "Yes"), ("Café", "Cafe\u{301}"), ("No", " No ")] {
            let labelled = |id: &str, label: &str| PollOption {
                label: label.to_owned(),
                ..option(id)
            };
            let options = vec![labelled("a", one), labelled("c", "-"), labelled("b", two)];
            let made = Poll::new("p".parse().unwrap(), "t", options, 1);
            let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
            assert_eq!(made, Err(InvalidPoll::SameLabels(a, b)), "{one:?} {two:?}");
        }
    }

    #[test]
    fn an_older_poll_is_read_whatever_its_texts_and_a_new_one_is_not() {
        let stored = r#"{"id":"p","title":"\u202eCats","options":[
            {"id":"a","label":"\u200b"},{"id":"b","label":"\u200b"}]}"#;
        let read: Poll = serde_json::from_str(stored).unwrap();
        assert_eq!(read.title(), "\u{202e}Cats");
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Poll>(&written).unwrap(), read);
        let new = serde_json::from_str::<NewPoll>(stored).unwrap_err();
        assert!(new.to_string().contains("U+202E"), "{new}");
    }

    #[test]
    fn choices_are_named_by_their_options() {
        let poll = poll(3, 2).unwrap();
        assert_eq!(poll.choose(["o0", "o2"]).unwrap().bits(), 0b101);
        assert_eq!(poll.choose([]), Err(InvalidChoice::Nothing));
        assert_eq!(
            poll.choose(["o3"]),
            Err(InvalidChoice::UnknownOption("o3".into()))
        );
        assert!(matches!(
            poll.choose(["o1", "o1"]),
            Err(InvalidChoice::Repeated(_))
        ));
        assert_eq!(
            poll.choose(["o0", "o1", "o2"]),
            Err(InvalidChoice::TooMany { chosen: 3, max: 2 })
        );
    }

    #[test]
    fn choices_from_elsewhere_are_checked_against_the_poll() {
        let poll = poll(3, 2).unwrap();
        let position = Position::new(ShardId(0), EntryId::MIN, 0);
        let check = |bits| poll.check(Choices::from_bits(bits).unwrap(), position);
        assert_eq!(check(0b110), Ok(()));
        assert_eq!(check(0b1000), Err(RejectReason::UnknownOption));
        assert_eq!(check(0b111), Err(RejectReason::TooManyChoices));
        let closed = poll.clone().in_state(PollState::Final(Seals::default()));
        let late = closed.check(Choices::from_bits(1).unwrap(), position);
        assert_eq!(late, Err(RejectReason::PollClosed));
    }
}
