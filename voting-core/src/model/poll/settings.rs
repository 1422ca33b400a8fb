//! What the host of a poll sets beside its question and its options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{InvalidPoll, Poll, text};
use crate::model::{id::OptionId, moment::Moment};

/// The longest description of a poll or of an option, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 2_000;

/// The most days that a final poll can be kept: a hundred years.
pub const MAX_RETENTION_DAYS: u32 = 36_500;

/// The most groups, or e-mail domains, that a poll can name.
const MAX_CLAIMS: usize = 32;

/// The longest name of a group, in characters.
const MAX_CLAIM_CHARS: usize = 200;

/// What the host of a poll sets beside its question and its options. All of it has a default, see each field.
///
/// ```
/// use voting_core::model::poll::{PollSettings, ShowResults};
///
/// let mut settings = PollSettings::default();
/// settings.closes_at = Some("2026-11-27T18:00:00+01:00".parse()?);
/// settings.results = ShowResults::AfterClose;
/// # Ok::<(), voting_core::model::moment::InvalidMoment>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PollSettings {
    /// Plain text below the title; paragraphs are separated by empty lines. Empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Plain text below an option. An option without an entry has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub option_descriptions: BTreeMap<OptionId, String>,
    /// Who may vote. Frozen once the poll has opened. Default: everybody.
    #[serde(skip_serializing_if = "is_default")]
    pub voters: Voters,
    /// Where voters [sign in](Voters::Identity): who may vote must be in one of these groups. Frozen like `voters`. Default:
    /// no group is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Where voters sign in: who may vote must have a verified e-mail address in one of these domains, in small letters.
    /// Frozen like `voters`. Default: no address is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email_domains: Vec<String>,
    /// Whether a voter may vote again. If so, the newest ballot of the voter counts, else the oldest. Default: true.
    #[serde(skip_serializing_if = "is_true")]
    pub revote: bool,
    /// Whether a voter may vote blank: for no option. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub blank: bool,
    /// When the poll opens, by the log's clock. Default: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Moment>,
    /// When the poll closes, by the log's clock: a ballot at this moment comes too late. Default: when somebody
    /// closes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Moment>,
    /// The time zone in which pages show these moments: an IANA name, such as `Europe/Berlin`. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who sees the result, and when. Default: everybody, always.
    #[serde(skip_serializing_if = "is_default")]
    pub results: ShowResults,
    /// The order in which a voter sees the options. Default: that of the definition.
    #[serde(skip_serializing_if = "is_default")]
    pub order: OptionOrder,
    /// Whether the poll is in lists and menus. Otherwise it can be reached only by its address. Default: true.
    #[serde(skip_serializing_if = "is_true")]
    pub listed: bool,
    /// The language of the texts, a tag such as `de` or `pt-BR`. Default: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How many days a final poll is kept before it is deleted, 1 to [`MAX_RETENTION_DAYS`]. Default: what the
    /// deployment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How many days after the poll is final its [voters are forgotten](super::ChangeTo::VotersForgotten), 0 to
    /// [`MAX_RETENTION_DAYS`]. Default: what the deployment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_voters_days: Option<u32>,
}

/// Who may vote in a poll.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Voters {
    /// Everybody. The vote service tells voters apart by a cookie, or the application says who they are.
    #[default]
    Open,
    /// Whoever has one of the poll's [codes](crate::model::code).
    Codes,
    /// Whoever signs in at the deployment's identity provider, and has the groups or the e-mail domain that the poll asks
    /// for.
    Identity,
}

impl Voters {
    /// Whether the ids of such voters are made with the [key](crate::model::poll_key) of the poll.
    pub fn need_key(self) -> bool {
        self != Self::Open
    }
}

/// Who sees the result of a poll, and when. Sorted: each shows more than the one before it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ShowResults {
    /// Only the host.
    Host,
    /// Everybody, once the poll is final.
    AfterClose,
    /// Who has voted; and everybody, once the poll is final.
    AfterVote,
    /// Everybody, from the beginning.
    #[default]
    Always,
}

/// The order in which a voter sees the options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionOrder {
    /// As the definition has them.
    #[default]
    Fixed,
    /// Mixed for each voter, and always the same for one voter.
    Shuffled,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            description: String::new(),
            option_descriptions: BTreeMap::new(),
            voters: Voters::default(),
            groups: Vec::new(),
            email_domains: Vec::new(),
            revote: true,
            blank: false,
            opens_at: None,
            closes_at: None,
            time_zone: None,
            results: ShowResults::default(),
            order: OptionOrder::default(),
            listed: true,
            language: None,
            retention_days: None,
            forget_voters_days: None,
        }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PollSettings {
    /// Whether a ballot at this moment comes after the opening and before the closing.
    pub fn takes(&self, at_ms: u64) -> bool {
        self.opens_at.is_none_or(|opens| opens.unix_ms() <= at_ms)
            && self.closes_at.is_none_or(|closes| at_ms < closes.unix_ms())
    }

    /// Whether the poll opens or closes at a set time.
    pub fn has_times(&self) -> bool {
        self.opens_at.is_some() || self.closes_at.is_some()
    }

    /// Whether the descriptions are the same.
    pub(super) fn has_texts_of(&self, other: &Self) -> bool {
        self.description == other.description
            && self.option_descriptions == other.option_descriptions
    }

    /// Checks the settings for a poll with these options, and returns them as a poll keeps them.
    pub(super) fn checked(mut self, poll: &Poll) -> Result<Self, InvalidPoll> {
        if let (Some(opens), Some(closes)) = (self.opens_at, self.closes_at)
            && opens >= closes
        {
            return Err(InvalidPoll::Times { opens, closes });
        }
        let setting = |field, value: &str, rule| InvalidPoll::Setting {
            field,
            // What is echoed back must be bounded.
            value: value.chars().take(64).collect(),
            rule,
        };
        if let Some(zone) = &self.time_zone
            && !is_zone(zone)
        {
            let rule = "an IANA name such as Europe/Berlin";
            return Err(setting("time_zone", zone, rule));
        }
        if let Some(language) = &self.language
            && !is_language(language)
        {
            let rule = "a language tag such as de or pt-BR";
            return Err(setting("language", language, rule));
        }
        if let Some(days) = self.retention_days
            && !(1..=MAX_RETENTION_DAYS).contains(&days)
        {
            let rule = "1 to 36500 days";
            return Err(setting("retention_days", &days.to_string(), rule));
        }
        if self.voters != Voters::Identity
            && let Some(field) = [
                ("groups", self.groups.is_empty()),
                ("email_domains", self.email_domains.is_empty()),
            ]
            .iter()
            .find_map(|(field, is_empty)| (!is_empty).then_some(*field))
        {
            let rule = "only for polls whose voters sign in";
            return Err(setting(field, "a list", rule));
        }
        let is_group = |group: &String| {
            let visible = group.chars().all(|c| !c.is_control());
            (1..=MAX_CLAIM_CHARS).contains(&group.chars().count()) && visible
        };
        if let Some(group) = self.groups.iter().find(|group| !is_group(group)) {
            return Err(setting("groups", group, "1 to 200 visible characters each"));
        }
        for domain in &mut self.email_domains {
            domain.make_ascii_lowercase();
            if !is_domain(domain) {
                let rule = "a domain such as example.org";
                return Err(setting("email_domains", domain, rule));
            }
        }
        for (field, count) in [
            ("groups", self.groups.len()),
            ("email_domains", self.email_domains.len()),
        ] {
            if count > MAX_CLAIMS {
                return Err(setting(field, &count.to_string(), "a list of up to 32"));
            }
        }
        if let Some(days) = self.forget_voters_days
            && days > MAX_RETENTION_DAYS
        {
            let rule = "0 to 36500 days";
            return Err(setting("forget_voters_days", &days.to_string(), rule));
        }
        let described = |reason| InvalidPoll::Description { reason };
        self.description = text::check_paragraphs(&self.description).map_err(described)?;
        for (option, description) in &mut self.option_descriptions {
            if !poll.options.iter().any(|known| known.id == *option) {
                let rule = "the id of an option of this poll";
                return Err(setting("option_descriptions", option.as_str(), rule));
            }
            *description = text::check_paragraphs(description).map_err(described)?;
        }
        self.option_descriptions.retain(|_, text| !text.is_empty());
        Ok(self)
    }
}

/// Whether a text has the form of a domain, in small letters.
fn is_domain(domain: &str) -> bool {
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&part.len())
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_part)
}

/// Whether a text has the form of a name in the IANA time zone database. Whether the database has it is not known
/// here.
fn is_zone(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether a text has the form of a language tag (BCP 47).
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= 35
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut PollSettings)) -> Result<PollSettings, InvalidPoll> {
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut settings = PollSettings::default();
        change(&mut settings);
        let poll = poll.build().unwrap().with_settings(settings)?;
        Ok(poll.settings().clone())
    }

    #[test]
    fn a_poll_opens_before_it_closes() {
        let at = |ms| Moment::from_unix_ms(ms);
        let set = |opens, closes| {
            checked(|settings| (settings.opens_at, settings.closes_at) = (opens, closes))
        };
        assert!(set(at(1), at(2)).is_ok());
        assert!(matches!(set(at(2), at(2)), Err(InvalidPoll::Times { .. })));
        let settings = set(at(5), at(7)).unwrap();
        assert_eq!(
            [4, 5, 6, 7].map(|ms| settings.takes(ms)),
            [false, true, true, false]
        );
    }

    #[test]
    fn names_that_mean_nothing_are_refused() {
        for zone in ["", "Europe Berlin", "+01:00", "<b>"] {
            let set = checked(|settings| settings.time_zone = Some(zone.to_owned()));
            assert!(
                matches!(
                    set,
                    Err(InvalidPoll::Setting {
                        field: "time_zone",
                        ..
                    })
                ),
                "{zone}"
            );
        }
        for language in ["", "d", "deutsch sprache", "de-", "1a"] {
            let set = checked(|settings| settings.language = Some(language.to_owned()));
            assert!(
                matches!(
                    set,
                    Err(InvalidPoll::Setting {
                        field: "language",
                        ..
                    })
                ),
                "{language}"
            );
        }
        assert!(checked(|settings| settings.language = Some("zh-Hant-TW".to_owned())).is_ok());
        assert!(checked(|settings| settings.retention_days = Some(0)).is_err());
        let signing_in = |groups: &[&str], domains: &[&str]| {
            let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let (groups, domains): (Vec<_>, Vec<_>) = (all(groups), all(domains));
            checked(|settings| {
                settings.voters = Voters::Identity;
                (settings.groups, settings.email_domains) = (groups, domains);
            })
        };
        let settings = signing_in(&["/members", "Board of directors"], &["Example.ORG"]);
        assert_eq!(settings.unwrap().email_domains, ["example.org"]);
        for (groups, domains) in [
            (vec![""], vec![]),
            (vec!["a\nb"], vec![]),
            (vec!["x"; 33], vec![]),
            (vec![], vec!["@example.org"]),
            (vec![], vec!["-a.org"]),
            (vec![], vec!["a..org"]),
            (vec![], vec!["a.org"; 33]),
        ] {
            assert!(
                signing_in(&groups, &domains).is_err(),
                "{groups:?} {domains:?}"
            );
        }
        assert!(checked(|settings| settings.groups = vec!["x".into()]).is_err());
        assert!(checked(|settings| settings.forget_voters_days = Some(0)).is_ok());
        assert!(checked(|settings| settings.forget_voters_days = Some(36_501)).is_err());
        let option = "c".parse::<OptionId>().unwrap();
        let set = checked(|settings| drop(settings.option_descriptions.insert(option, "?".into())));
        assert!(set.is_err());
    }

    #[test]
    fn a_description_has_paragraphs_and_nothing_that_misleads() {
        let set = |text: &str| {
            checked(|settings| text.clone_into(&mut settings.description))
                .map(|settings| settings.description)
        };
        assert_eq!(
            set("  One.\r\n\r\n\r\nTwo,\nstill two. ").unwrap(),
            "One.\n\nTwo,\nstill two."
        );
        assert!(set("\u{202e}One").is_err());
        assert!(set(&"x".repeat(MAX_DESCRIPTION_CHARS + 1)).is_err());
    }

    #[test]
    fn settings_that_are_not_set_are_not_written() {
        let written = |settings: &PollSettings| serde_json::to_string(settings).unwrap();
        let mut settings = PollSettings::default();
        assert_eq!(written(&settings), "{}");
        settings.revote = false;
        settings.results = ShowResults::AfterVote;
        assert_eq!(
            written(&settings),
            r#"{"revote":false,"results":"after_vote"}"#
        );
        assert_eq!(
            serde_json::from_str::<PollSettings>(&written(&settings)).unwrap(),
            settings
        );
    }

    #[test]
    fn each_rule_for_results_shows_more_than_the_one_before() {
        use ShowResults::{AfterClose, AfterVote, Always, Host};
        let sorted = [Host, AfterClose, AfterVote, Always];
        assert!(sorted.is_sorted());
    }
}
