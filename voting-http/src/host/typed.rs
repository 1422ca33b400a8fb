//! A poll as a host types it: texts that may not be valid yet, and what is wrong with them.

use unicode_normalization::UnicodeNormalization;
use voting_core::{
    Poll, PollId, PollOption,
    model::{
        id::OptionId,
        moment::Moment,
        poll::{
            InvalidPoll, MAX_OPTIONS, OptionOrder, PollSettings, ShowResults, Voters, check_text,
        },
    },
};

use super::{
    form::Form,
    times::{self, NoMoment, Which},
};
use crate::problem::capitalized;

/// One option as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypedOption {
    /// Empty: it is made from the label.
    pub(super) id: String,
    pub(super) label: String,
    pub(super) about: String,
}

impl TypedOption {
    fn is_blank(&self) -> bool {
        self.label.trim().is_empty() && self.about.trim().is_empty()
    }
}

/// A poll as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// Empty: it is made from the title.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) options: Vec<TypedOption>,
    pub(super) max_choices: String,
    pub(super) voters: String,
    /// With commas between them.
    pub(super) groups: String,
    pub(super) email_domains: String,
    pub(super) revote: bool,
    pub(super) blank: bool,
    pub(super) results: String,
    pub(super) shuffled: bool,
    pub(super) listed: bool,
    pub(super) language: String,
    pub(super) opens_at: String,
    pub(super) closes_at: String,
    /// Which of two moments, where the local time comes twice.
    pub(super) opens_which: String,
    pub(super) closes_which: String,
    pub(super) time_zone: String,
    pub(super) retention_days: String,
    pub(super) forget_voters_days: String,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    /// The field's id on the page.
    pub(super) field: String,
    pub(super) text: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            text: text.into(),
        }
    }
}

fn results_key(results: ShowResults) -> &'static str {
    match results {
        ShowResults::Always => "always",
        ShowResults::AfterVote => "after_vote",
        ShowResults::AfterClose => "after_close",
        ShowResults::Host => "host",
    }
}

fn which(text: &str) -> Option<Which> {
    match text {
        "first" => Some(Which::First),
        "second" => Some(Which::Second),
        _ => None,
    }
}

fn which_key(which: Option<Which>) -> String {
    match which {
        Some(Which::First) => "first",
        Some(Which::Second) => "second",
        None => "",
    }
    .to_owned()
}

/// A text as an identifier of at most so many characters; empty if nothing of it can be in one.
pub(super) fn slug(text: &str, max: usize) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().nfd() {
        let part = match c {
            'ß' => "ss",
            'æ' => "ae",
            'œ' => "oe",
            'ø' => "o",
            'ł' => "l",
            'đ' | 'ð' => "d",
            'þ' => "th",
            'ı' => "i",
            c if c.is_ascii_alphanumeric() => {
                slug.push(c);
                continue;
            }
            // Marks on letters, and apostrophes within words.
            '\u{300}'..='\u{36f}' | '\'' | '’' => "",
            _ if slug.is_empty() || slug.ends_with('-') => "",
            _ => "-",
        };
        slug.push_str(part);
    }
    slug.truncate(max);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

impl Typed {
    /// A new poll, with two empty options.
    pub(super) fn empty(zone: &str) -> Self {
        Self {
            options: vec![TypedOption::default(); 2],
            max_choices: "1".to_owned(),
            revote: true,
            blank: false,
            results: "always".to_owned(),
            listed: true,
            time_zone: zone.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn of_form(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let mut abouts = form.all("about");
        let mut ids = form.all("option");
        let options = form.all("label").map(|label| TypedOption {
            id: ids.next().unwrap_or_default().to_owned(),
            label: label.to_owned(),
            about: abouts.next().unwrap_or_default().to_owned(),
        });
        Self {
            id: text("id"),
            title: text("title"),
            description: text("description"),
            options: options.take(MAX_OPTIONS + 1).collect(),
            max_choices: text("max_choices"),
            voters: text("voters"),
            groups: text("groups"),
            email_domains: text("email_domains"),
            revote: form.text("revote") != "no",
            blank: form.get("blank").is_some(),
            results: text("results"),
            shuffled: form.text("order") == "shuffled",
            listed: form.get("listed").is_some(),
            language: text("language"),
            opens_at: text("opens_at"),
            closes_at: text("closes_at"),
            opens_which: text("opens_which"),
            closes_which: text("closes_which"),
            time_zone: text("time_zone"),
            retention_days: text("retention_days"),
            forget_voters_days: text("forget_voters_days"),
        }
    }

    pub(super) fn of_poll(poll: &Poll) -> Self {
        let settings = poll.settings();
        let zone_name = settings.time_zone.as_deref().unwrap_or(times::UTC);
        let zone = times::zone(zone_name).unwrap_or(jiff::tz::TimeZone::UTC);
        let local = |at: Option<Moment>| match at {
            Some(at) => times::local(at, &zone),
            None => (String::new(), None),
        };
        let (opens_at, opens_which) = local(settings.opens_at);
        let (closes_at, closes_which) = local(settings.closes_at);
        let options = poll.options().iter().map(|option| TypedOption {
            id: option.id.to_string(),
            label: option.label.clone(),
            about: settings
                .option_descriptions
                .get(&option.id)
                .cloned()
                .unwrap_or_default(),
        });
        Self {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            description: settings.description.clone(),
            options: options.collect(),
            max_choices: poll.max_choices().to_string(),
            voters: match settings.voters {
                Voters::Codes => "codes",
                Voters::Identity => "identity",
                _ => "open",
            }
            .to_owned(),
            groups: settings.groups.join(", "),
            email_domains: settings.email_domains.join(", "),
            revote: settings.revote,
            blank: settings.blank,
            results: results_key(settings.results).to_owned(),
            shuffled: settings.order == OptionOrder::Shuffled,
            listed: settings.listed,
            language: settings.language.clone().unwrap_or_default(),
            opens_at,
            closes_at,
            opens_which: which_key(opens_which),
            closes_which: which_key(closes_which),
            time_zone: zone_name.to_owned(),
            retention_days: settings
                .retention_days
                .map(|days| days.to_string())
                .unwrap_or_default(),
            forget_voters_days: settings
                .forget_voters_days
                .map(|days| days.to_string())
                .unwrap_or_default(),
        }
    }

    /// The poll that is meant, or all that is wrong with it.
    pub(super) fn to_poll(&self) -> Result<Poll, Vec<FieldError>> {
        let mut errors = Vec::new();
        let title = self.checked_title(&mut errors);
        let id = self.checked_id(&mut errors);
        let options = self.checked_options(&mut errors);
        let settings = self.checked_settings(&options, &mut errors);
        let max_choices = match self.max_choices.trim().parse::<usize>() {
            Ok(max) if (1..=options.len().max(1)).contains(&max) => max,
            _ => {
                let most = options.len();
                let text = format!("Enter a number from 1 to {most}, the number of options.");
                errors.push(FieldError::new("max_choices", text));
                1
            }
        };
        let (true, Some(id)) = (errors.is_empty(), id) else {
            return Err(errors);
        };
        let poll = Poll::new(id, title, options, max_choices);
        let poll = poll.and_then(|poll| poll.with_settings(settings));
        poll.map_err(|error| vec![self.field_of(&error)])
    }

    fn checked_title(&self, errors: &mut Vec<FieldError>) -> String {
        if self.title.trim().is_empty() {
            errors.push(FieldError::new("title", "Enter the question."));
        } else if let Err(reason) = check_text(&self.title) {
            let text = format!("This text cannot be shown: {reason}.");
            errors.push(FieldError::new("title", text));
        }
        self.title.clone()
    }

    fn checked_id(&self, errors: &mut Vec<FieldError>) -> Option<PollId> {
        let typed = self.id.trim();
        if !typed.is_empty() {
            let id = typed.parse();
            if id.is_err() {
                let text = "An address has up to 63 of these characters: a to z, 0 to 9, - and _. It begins and ends with \
                            a letter or a digit.";
                errors.push(FieldError::new("id", text));
            }
            return id.ok();
        }
        let made = slug(&self.title, PollId::MAX_LEN);
        if made.is_empty() && !self.title.trim().is_empty() {
            let text =
                "No address can be made from this question: enter one, such as summer-party.";
            errors.push(FieldError::new("id", text));
        }
        made.parse().ok()
    }

    fn checked_options(&self, errors: &mut Vec<FieldError>) -> Vec<PollOption> {
        let mut options: Vec<PollOption> = Vec::new();
        // Ids that are there already are not made again.
        let mut taken: Vec<String> = self
            .options
            .iter()
            .map(|option| option.id.clone())
            .collect();
        for (index, option) in self.options.iter().enumerate() {
            if option.is_blank() {
                continue;
            }
            let field = format!("label-{index}");
            if option.label.trim().is_empty() {
                errors.push(FieldError::new(
                    field,
                    "Enter the option, or remove its description.",
                ));
                continue;
            }
            if let Err(reason) = check_text(&option.label) {
                let text = format!("This text cannot be shown: {reason}.");
                errors.push(FieldError::new(field, text));
                continue;
            }
            let id = match option.id.trim() {
                "" => new_option_id(&option.label, index, &taken),
                there => there.to_owned(),
            };
            let Ok(id) = id.parse::<OptionId>() else {
                errors.push(FieldError::new(
                    field,
                    "This option has an identifier that is not valid.",
                ));
                continue;
            };
            taken.push(id.to_string());
            let label = option.label.clone();
            options.push(PollOption { id, label });
        }
        match options.len() {
            _ if errors.iter().any(|error| error.field.starts_with("label-")) => {}
            0 | 1 => {
                let blank = self.options.iter().position(TypedOption::is_blank);
                let field =
                    blank.map_or_else(|| "add".to_owned(), |index| format!("label-{index}"));
                errors.push(FieldError::new(field, "Enter at least two options."));
            }
            number if number > MAX_OPTIONS => {
                let text = format!("A poll has at most {MAX_OPTIONS} options.");
                errors.push(FieldError::new(format!("label-{MAX_OPTIONS}"), text));
            }
            _ => {}
        }
        options
    }

    fn checked_settings(
        &self,
        options: &[PollOption],
        errors: &mut Vec<FieldError>,
    ) -> PollSettings {
        let mut settings = PollSettings::default();
        let zone_name = match self.time_zone.trim() {
            "" => times::UTC,
            name => name,
        };
        let zone = times::zone(zone_name);
        if zone.is_none() {
            errors.push(FieldError::new(
                "time_zone",
                "Choose a time zone from the list.",
            ));
        }
        let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
        let mut moment = |field: &str, text: &str, chosen: &str| -> Option<Moment> {
            if text.trim().is_empty() {
                return None;
            }
            match times::moment(text, &zone, which(chosen)) {
                Ok(moment) => Some(moment),
                Err(why) => {
                    errors.push(FieldError::new(field, why.text(zone_name)));
                    None
                }
            }
        };
        settings.opens_at = moment("opens_at", &self.opens_at, &self.opens_which);
        settings.closes_at = moment("closes_at", &self.closes_at, &self.closes_which);
        if let (Some(opens), Some(closes)) = (settings.opens_at, settings.closes_at)
            && opens >= closes
        {
            let text = "The poll must close after it opens.";
            errors.push(FieldError::new("closes_at", text));
        }
        settings.time_zone = (zone_name != times::UTC).then(|| zone_name.to_owned());
        settings.description.clone_from(&self.description);
        let labelled = self.options.iter().filter(|option| !option.is_blank());
        for (option, typed) in options.iter().zip(labelled) {
            if !typed.about.trim().is_empty() {
                let about = typed.about.clone();
                settings
                    .option_descriptions
                    .insert(option.id.clone(), about);
            }
        }
        settings.voters = match &*self.voters {
            "codes" => Voters::Codes,
            "identity" => Voters::Identity,
            _ => Voters::Open,
        };
        if settings.voters == Voters::Identity {
            let all = |text: &str| {
                let parts = text.split(',').map(str::trim);
                parts
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect()
            };
            settings.groups = all(&self.groups);
            settings.email_domains = all(&self.email_domains);
        }
        settings.revote = self.revote;
        settings.blank = self.blank;
        settings.results = match &*self.results {
            "host" => ShowResults::Host,
            "after_close" => ShowResults::AfterClose,
            "after_vote" => ShowResults::AfterVote,
            "always" => ShowResults::Always,
            // Whoever sends no rule must not show the result to everybody by that.
            _ => {
                let text = "Choose who sees the result.";
                errors.push(FieldError::new("results", text));
                ShowResults::Host
            }
        };
        if self.shuffled {
            settings.order = OptionOrder::Shuffled;
        }
        settings.listed = self.listed;
        let language = self.language.trim();
        settings.language = (!language.is_empty()).then(|| language.to_owned());
        let days = self.retention_days.trim();
        if !days.is_empty() {
            match days.parse() {
                Ok(days) => settings.retention_days = Some(days),
                Err(_) => {
                    let text = "Enter a number of days from 1 to 36500, or nothing.";
                    errors.push(FieldError::new("retention_days", text));
                }
            }
        }
        let days = self.forget_voters_days.trim();
        if !days.is_empty() {
            match days.parse() {
                Ok(days) => settings.forget_voters_days = Some(days),
                Err(_) => {
                    let text = "Enter a number of days from 0 to 36500, or nothing.";
                    errors.push(FieldError::new("forget_voters_days", text));
                }
            }
        }
        settings
    }

    /// The field that a refusal of the whole poll is about.
    fn field_of(&self, error: &InvalidPoll) -> FieldError {
        let sentence = || format!("{}.", capitalized(&error.to_string()));
        match error {
            InvalidPoll::SameLabels(_, second) | InvalidPoll::RepeatedOption(second) => {
                // The position among all options that are typed, blank ones too.
                let made = |option: &TypedOption| match &*option.id {
                    "" => slug(&option.label, OptionId::MAX_LEN),
                    id => id.to_owned(),
                };
                let index = self.options.iter().rposition(|option| {
                    made(option) == second.as_str()
                        || second.as_str().starts_with(&format!("{}-", made(option)))
                });
                let text = "This option looks like another one: voters could not tell them apart.";
                FieldError::new(format!("label-{}", index.unwrap_or(0)), text)
            }
            InvalidPoll::Description { reason } => {
                let text = format!("This text cannot be shown: {reason}.");
                FieldError::new(self.bad_description(), text)
            }
            InvalidPoll::Setting {
                field: "language", ..
            } => FieldError::new("language", "Enter a language tag, such as de or pt-BR."),
            InvalidPoll::Setting { field, .. } => FieldError::new(*field, sentence()),
            _ => FieldError::new("title", sentence()),
        }
    }

    /// The field with a description that cannot be shown.
    fn bad_description(&self) -> String {
        let is_good = |text: &str| {
            let mut settings = PollSettings::default();
            text.clone_into(&mut settings.description);
            let poll = Poll::builder("p", "P").option("a", "A").option("b", "B");
            poll.settings(settings).build().is_ok()
        };
        if !is_good(&self.description) {
            return "description".to_owned();
        }
        let bad = self
            .options
            .iter()
            .position(|option| !is_good(&option.about));
        format!("about-{}", bad.unwrap_or(0))
    }

    /// The fields that differ from those of another version, with their names, for people.
    pub(super) fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> Vec<(&'static str, String, String)> {
        let options = |typed: &Self| {
            let lines = typed.options.iter().filter(|option| !option.is_blank());
            let lines = lines.map(|option| match option.about.trim() {
                "" => option.label.clone(),
                about => format!("{}: {about}", option.label),
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let fields = |typed: &Self| {
            [
                ("Question", typed.title.clone()),
                ("Description", typed.description.replace('\r', "")),
                ("Options", options(typed)),
                ("Choices for each voter", typed.max_choices.clone()),
                ("Who may vote", typed.voters.clone()),
                ("Groups", typed.groups.clone()),
                ("E-mail domains", typed.email_domains.clone()),
                ("Votes can be changed", yes(typed.revote)),
                ("Blank votes", yes(typed.blank)),
                ("Who sees the result", typed.results.replace('_', " ")),
                ("Options in mixed order", yes(typed.shuffled)),
                ("In the list of polls", yes(typed.listed)),
                ("Language", typed.language.clone()),
                ("Opens", typed.opens_at.clone()),
                ("Closes", typed.closes_at.clone()),
                ("Time zone", typed.time_zone.clone()),
                ("Days until it is deleted", typed.retention_days.clone()),
                (
                    "Days until its voters are forgotten",
                    typed.forget_voters_days.clone(),
                ),
            ]
        };
        let both = fields(self).into_iter().zip(fields(other));
        let other = both.filter(|((_, one), (_, other))| one != other);
        other
            .map(|((name, one), (_, other))| (name, one, other))
            .collect()
    }

    /// Whether a local time comes twice, so that the host has to choose.
    pub(super) fn is_twice(&self, text: &str) -> bool {
        let zone = times::zone(self.time_zone.trim());
        zone.is_some_and(|zone| times::moment(text, &zone, None) == Err(NoMoment::Twice))
    }
}

fn new_option_id(label: &str, index: usize, taken: &[String]) -> String {
    let made = slug(label, OptionId::MAX_LEN - 3);
    let made = match &*made {
        "" => format!("option-{}", index + 1),
        _ => made,
    };
    if !taken.contains(&made) {
        return made;
    }
    let mut numbered = (2..).map(|number: usize| format!("{made}-{number}"));
    numbered.find(|id| !taken.contains(id)).unwrap_or(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Typed {
        let mut typed = Typed::empty("Europe/Berlin");
        typed.title = "What is for lunch?".to_owned();
        typed.options[0].label = "Rice".to_owned();
        typed.options[1].label = "Soup".to_owned();
        typed
    }

    fn errors(change: impl FnOnce(&mut Typed)) -> Vec<String> {
        let mut typed = typed();
        change(&mut typed);
        let errors = typed.to_poll().expect_err("it is not valid");
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn ids_are_made_from_what_people_read() {
        for (text, id) in [
            ("What is for lunch?", "what-is-for-lunch"),
            ("  Käse & Brot! ", "kase-brot"),
            ("Straße", "strasse"),
            ("Łódź – it's here", "lodz-its-here"),
            ("日本", ""),
        ] {
            assert_eq!(slug(text, 63), id);
        }
        assert_eq!(slug("abc def", 4), "abc");
        let poll = typed().to_poll().unwrap();
        assert_eq!(poll.id().as_str(), "what-is-for-lunch");
        assert_eq!(poll.options()[1].id.as_str(), "soup");
    }

    #[test]
    fn options_that_read_alike_in_ids_get_numbers() {
        let mut typed = typed();
        typed.options[0].label = "C++".to_owned();
        typed.options[1].label = "C".to_owned();
        typed.options.push(TypedOption {
            label: "日本".to_owned(),
            ..TypedOption::default()
        });
        let poll = typed.to_poll().unwrap();
        let ids: Vec<_> = poll.options().iter().map(|o| o.id.as_str()).collect();
        assert_eq!(ids, ["c", "c-2", "option-3"]);
    }

    #[test]
    fn a_stored_poll_reads_back_from_its_fields() {
        let mut typed = typed();
        typed.description = "One.\n\nTwo.".to_owned();
        typed.options[1].about = "Hot".to_owned();
        typed.opens_at = "2100-10-31T02:30".to_owned();
        typed.opens_which = "second".to_owned();
        typed.closes_at = "2100-12-01T00:00".to_owned();
        typed.results = "after_close".to_owned();
        typed.language = "de".to_owned();
        typed.retention_days = "30".to_owned();
        typed.forget_voters_days = "0".to_owned();
        typed.shuffled = true;
        typed.listed = false;
        let poll = typed.to_poll().unwrap();
        assert_eq!(Typed::of_poll(&poll).to_poll().unwrap(), poll);
    }

    #[test]
    fn each_error_is_told_at_its_field() {
        assert_eq!(errors(|typed| typed.title.clear()), ["title"]);
        assert_eq!(errors(|typed| typed.title = "日本".to_owned()), ["id"]);
        assert_eq!(errors(|typed| typed.id = "A b".to_owned()), ["id"]);
        assert_eq!(errors(|typed| typed.options[1].label.clear()), ["label-1"]);
        assert_eq!(
            errors(|typed| typed.options[1].label = "Rice ".to_owned()),
            ["label-1"]
        );
        assert_eq!(
            errors(|typed| typed.options[1].about = "\u{202e}".to_owned()),
            ["about-1"]
        );
        assert_eq!(
            errors(|typed| typed.max_choices = "3".to_owned()),
            ["max_choices"]
        );
        assert_eq!(
            errors(|typed| typed.language = "x!".to_owned()),
            ["language"]
        );
        assert_eq!(
            errors(|typed| typed.time_zone = "Europe/Berlim".to_owned()),
            ["time_zone"]
        );
        assert_eq!(
            errors(|typed| typed.retention_days = "0".to_owned()),
            ["retention_days"]
        );
        assert_eq!(
            errors(|typed| typed.forget_voters_days = "-1".to_owned()),
            ["forget_voters_days"]
        );
        let skipped = |typed: &mut Typed| typed.opens_at = "2100-03-28T02:30".to_owned();
        assert_eq!(errors(skipped), ["opens_at"]);
        let twice = |typed: &mut Typed| typed.closes_at = "2100-10-31T02:30".to_owned();
        assert_eq!(errors(twice), ["closes_at"]);
        let all = errors(|typed| {
            typed.title.clear();
            typed.options[0].label.clear();
            typed.max_choices = "x".to_owned();
        });
        assert_eq!(all, ["title", "label-0", "max_choices"]);
    }
}
