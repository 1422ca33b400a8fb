//! A poll as files, the API and the host's pages write it: all its fields beside each other.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use voting_core::{
    Poll, PollOption,
    model::{
        moment::Moment,
        poll::{InvalidPoll, MAX_OPTIONS, PollSettings},
    },
};

use crate::{
    problem::{Problem, capitalized},
    views::{
        poll_view::{OrderView, ResultsView, VotersView},
        time_zones,
    },
};

/// A poll, as a client sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(rename = "NewPoll", deny_unknown_fields, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollForm {
    /// Names the poll in addresses: 1 to 63 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    pub(crate) id: String,
    /// The question: up to 200 visible characters, without characters that change the direction of the text.
    pub(crate) title: String,
    /// Plain text below the title, up to 2,000 characters; paragraphs are separated by empty lines.
    #[oai(default)]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// How many options one ballot may choose.
    #[oai(
        default = "one",
        validator(minimum(value = "1"), maximum(value = "63"))
    )]
    #[serde(default = "one")]
    pub(crate) max_choices: usize,
    /// The options: 2 to 63. They cannot change once the poll has opened; their labels can while it is open.
    #[oai(validator(min_items = 2, max_items = 63))]
    pub(crate) options: Vec<OptionForm>,
    /// Who may vote. It cannot change once the poll has opened.
    #[oai(default)]
    #[serde(default)]
    pub(crate) voters: VotersView,
    /// Where voters sign in: who may vote must be in one of these groups. It cannot change once the poll has opened.
    #[oai(default, validator(max_items = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<String>,
    /// Where voters sign in: who may vote must have a verified e-mail address in one of these domains. It cannot change once
    /// the poll has opened.
    #[oai(default, validator(max_items = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) email_domains: Vec<String>,
    /// Whether a voter may vote again. If so, the newest ballot of the voter counts, else the oldest.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    pub(crate) revote: bool,
    /// Whether a voter may vote blank: for no option.
    #[oai(default)]
    #[serde(default, skip_serializing_if = "is_no")]
    pub(crate) blank: bool,
    /// When the poll opens: RFC 3339 with an offset, now or later. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opens_at: Option<String>,
    /// When the poll closes: RFC 3339 with an offset, later than now. A ballot at this moment is too late. Default: it
    /// closes when somebody closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closes_at: Option<String>,
    /// The time zone in which pages show these moments: an IANA name such as `Europe/Berlin`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<String>,
    /// Who sees the result, and when. Once the poll has opened, this changes only so that more people see it. Default: a
    /// stored poll keeps its rule, and a new one shows its result always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) results: Option<ResultsView>,
    /// The order in which a voter sees the options.
    #[oai(default)]
    #[serde(default)]
    pub(crate) order: OrderView,
    /// Whether the poll is in lists and menus. Otherwise it can be reached only by its address.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    pub(crate) listed: bool,
    /// The language of the texts, a tag such as `de` or `pt-BR`. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    /// How many days the final poll is kept before it is deleted. Default: what the deployment says.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention_days: Option<u32>,
    /// How many days after the poll is final its voters are forgotten: of its ballots only the number of each choice
    /// stays. Default: what the deployment says.
    #[oai(validator(minimum(value = "0"), maximum(value = "36500")))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forget_voters_days: Option<u32>,
    /// `true`: only the host sees the poll, until it is published. `false`: it is published. Default: a stored poll
    /// stays what it is, and a new one is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) draft: Option<bool>,
}

/// An option of a poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object, Serialize, Deserialize)]
#[oai(rename = "NewOption", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionForm {
    /// Names the option in a ballot: 1 to 32 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at
    /// both ends.
    pub(crate) id: String,
    /// The option in words, by the rules of the title. No two labels may look the same.
    pub(crate) label: String,
    /// Plain text below the label: as the poll's description.
    #[oai(default)]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// Why a form is no poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidForm {
    /// The field of [`PollForm`] that is not valid; the first one, if several together are not.
    pub(crate) field: &'static str,
    /// What is wrong, as a sentence.
    pub(crate) sentence: String,
}

impl InvalidForm {
    fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            field,
            sentence: sentence.into(),
        }
    }

    fn because(field: &'static str, error: &dyn std::error::Error) -> Self {
        Self::new(field, format!("{}.", capitalized(&error.to_string())))
    }
}

impl From<InvalidPoll> for InvalidForm {
    fn from(error: InvalidPoll) -> Self {
        let field = match &error {
            InvalidPoll::Id(_) => "id",
            InvalidPoll::Title { .. } => "title",
            InvalidPoll::Description { .. } => "description",
            InvalidPoll::Times { .. } => "closes_at",
            InvalidPoll::MaxChoices { .. } => "max_choices",
            InvalidPoll::Setting { field, .. } => field,
            _ => "options",
        };
        Self::because(field, &error)
    }
}

impl From<InvalidForm> for Problem {
    fn from(invalid: InvalidForm) -> Self {
        Self::invalid(invalid.sentence)
    }
}

fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Moment>, InvalidForm> {
    let read = |text: &str| text.parse::<Moment>();
    let moment = text.map(read).transpose();
    moment.map_err(|error| InvalidForm::because(field, &error))
}

/// The name of a time zone as the database of time zones spells it.
fn zone(name: &str) -> Result<String, InvalidForm> {
    let name: String = name.chars().take(65).collect();
    let found = time_zones::zone(&name);
    let found = found.and_then(|zone| zone.iana_name().map(str::to_owned));
    found.ok_or_else(|| {
        let sentence = format!(
            "There is no time zone {name:?}; its name is one of the IANA database, such as Europe/Berlin."
        );
        InvalidForm::new("time_zone", sentence)
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_no(value: &bool) -> bool {
    !*value
}

impl PollForm {
    /// The poll. Whether its times are still to come is not looked at here. A draft is marked as one.
    ///
    /// # Errors
    /// Says which field is not valid, and why.
    pub(crate) fn to_poll(&self) -> Result<Poll, InvalidForm> {
        let id = self.id.parse();
        let id = id.map_err(|error| InvalidForm::because("id", &error))?;
        let mut settings = PollSettings::default();
        let mut options = Vec::with_capacity(self.options.len().min(MAX_OPTIONS));
        for option in &self.options {
            let id: voting_core::OptionId = option
                .id
                .parse()
                .map_err(|error| InvalidForm::because("options", &error))?;
            if !option.description.is_empty() {
                let description = option.description.clone();
                settings.option_descriptions.insert(id.clone(), description);
            }
            options.push(PollOption {
                id,
                label: option.label.clone(),
            });
        }
        settings.description.clone_from(&self.description);
        settings.voters = self.voters.into();
        settings.groups.clone_from(&self.groups);
        settings.email_domains.clone_from(&self.email_domains);
        settings.revote = self.revote;
        settings.blank = self.blank;
        settings.opens_at = moment("opens_at", self.opens_at.as_deref())?;
        settings.closes_at = moment("closes_at", self.closes_at.as_deref())?;
        settings.time_zone = self.time_zone.as_deref().map(zone).transpose()?;
        settings.results = self.results.map(Into::into).unwrap_or_default();
        settings.order = self.order.into();
        settings.listed = self.listed;
        settings.language.clone_from(&self.language);
        settings.retention_days = self.retention_days;
        settings.forget_voters_days = self.forget_voters_days;
        let poll = Poll::new(id, self.title.clone(), options, self.max_choices)?;
        let poll = poll.with_settings(settings)?;
        Ok(if self.draft == Some(true) {
            poll.as_draft()
        } else {
            poll
        })
    }
}

impl From<&Poll> for PollForm {
    fn from(poll: &Poll) -> Self {
        let settings = poll.settings();
        let options = poll.options().iter().map(|option| OptionForm {
            id: option.id.to_string(),
            label: option.label.clone(),
            description: settings
                .option_descriptions
                .get(&option.id)
                .cloned()
                .unwrap_or_default(),
        });
        Self {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            description: settings.description.clone(),
            max_choices: poll.max_choices(),
            options: options.collect(),
            voters: settings.voters.into(),
            groups: settings.groups.clone(),
            email_domains: settings.email_domains.clone(),
            revote: settings.revote,
            blank: settings.blank,
            opens_at: settings.opens_at.map(|at| at.to_string()),
            closes_at: settings.closes_at.map(|at| at.to_string()),
            time_zone: settings.time_zone.clone(),
            results: Some(settings.results.into()),
            order: settings.order.into(),
            listed: settings.listed,
            language: settings.language.clone(),
            retention_days: settings.retention_days,
            forget_voters_days: settings.forget_voters_days,
            draft: poll.is_draft().then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Poll, InvalidForm> {
        serde_json::from_str::<PollForm>(json).unwrap().to_poll()
    }

    #[test]
    fn a_poll_reads_back_from_its_form() {
        let poll = read(
            r#"{"id":"p","title":"Which?","description":"One.\n\nTwo.","max_choices":2,
                "options":[{"id":"a","label":"A","description":"First"},{"id":"b","label":"B"}],
                "voters":"codes","revote":false,"opens_at":"2027-01-01T09:00:00+01:00","closes_at":"2027-01-02T00:00:00Z",
                "time_zone":"europe/berlin","results":"after_vote","order":"shuffled","listed":false,
                "language":"de","retention_days":30,"forget_voters_days":0,"draft":true}"#,
        )
        .unwrap();
        assert_eq!(poll.settings().time_zone.as_deref(), Some("Europe/Berlin"));
        assert!(poll.is_draft());
        let form = PollForm::from(&poll);
        assert_eq!(form.to_poll().unwrap(), poll);
        let written = serde_json::to_string(&form).unwrap();
        assert_eq!(read(&written).unwrap(), poll);
    }

    #[test]
    fn the_field_that_is_not_valid_is_named() {
        let with = |more: &str| {
            let form = format!(
                r#"{{"id":"p","title":"Which?","options":[{{"id":"a","label":"A"}},{{"id":"b","label":"B"}}]{more}}}"#
            );
            read(&form)
        };
        assert!(with("").is_ok());
        for (more, field) in [
            (r#","opens_at":"2027-01-01T09:00:00""#, "opens_at"),
            (r#","closes_at":"tomorrow""#, "closes_at"),
            (
                r#","opens_at":"2027-01-01T09:00:00Z","closes_at":"2027-01-01T09:00:00Z""#,
                "closes_at",
            ),
            (r#","time_zone":"Europe/Berlim""#, "time_zone"),
            (r#","time_zone":"""#, "time_zone"),
            (r#","language":"d""#, "language"),
            (r#","retention_days":0"#, "retention_days"),
            (r#","forget_voters_days":36501"#, "forget_voters_days"),
            (r#","max_choices":3"#, "max_choices"),
            (r#","description":"\u202e""#, "description"),
        ] {
            let invalid = with(more).unwrap_err();
            assert_eq!(invalid.field, field, "{more}: {invalid:?}");
            assert!(invalid.sentence.ends_with('.'), "{}", invalid.sentence);
        }
    }
}
