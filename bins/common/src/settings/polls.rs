//! Reads the polls of the settings field by field, so that a fault names the poll and the field.

use std::collections::{BTreeSet, HashMap};

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use serde::{Deserialize, de::DeserializeOwned};
use voting_core::{
    Poll, PollOption,
    model::poll::{MAX_LABEL_CHARS, PollSettings, check_text},
};

use voting_http::OnceJson;

use crate::settings::{provenance::in_short, typed};

const POLL_FIELDS: [&str; 20] = [
    "id",
    "title",
    "description",
    "options",
    "max_choices",
    "voters",
    "groups",
    "email_domains",
    "revote",
    "blank",
    "opens_at",
    "closes_at",
    "time_zone",
    "results",
    "order",
    "listed",
    "language",
    "retention_days",
    "forget_voters_days",
    "draft",
];
const OPTION_FIELDS: [&str; 3] = ["id", "label", "description"];

/// Reads the list of polls.
///
/// # Errors
/// All faults of the list. Each begins with the poll and the field.
pub(crate) fn read(value: Value) -> Result<Vec<Poll>, Vec<String>> {
    let list = match value.kind {
        ValueKind::Array(list) => list,
        ValueKind::String(text) => written(&text).map_err(|fault| vec![fault])?,
        _ => {
            return Err(vec![
                "polls is not a list: write [[polls]] for each poll in the file, or the list as JSON or TOML in \
                 VOTING_POLLS"
                    .to_owned(),
            ]);
        }
    };
    let mut faults = Faults::default();
    if list.is_empty() {
        faults.add("polls", "the list is empty");
    }
    let mut polls: Vec<Poll> = Vec::new();
    let mut places = HashMap::new();
    for (index, value) in list.into_iter().enumerate() {
        let Some(poll) = poll(index, value, &mut faults) else {
            continue;
        };
        if let Some(other) = places.insert(poll.id().clone(), index) {
            let twice = format!("polls[{other}] has the same id, {}", poll.id());
            faults.add(&format!("polls[{index}].id"), &twice);
        }
        polls.push(poll);
    }
    if faults.0.is_empty() {
        Ok(polls)
    } else {
        Err(faults.0)
    }
}

/// Reads a list of polls from a text: JSON, or TOML as in the settings file. A poll has the same fields in both.
///
/// # Errors
/// All faults of the list. Each begins with the poll and the field.
pub fn polls_of_text(text: &str) -> Result<Vec<Poll>, Vec<String>> {
    read(Value::from(text))
}

/// The list in a text: JSON, a list as TOML writes it, or a TOML file with `[[polls]]`.
fn written(text: &str) -> Result<Vec<Value>, String> {
    let of_json = match serde_json::from_str(text).and_then(|OnceJson(list)| Vec::deserialize(list))
    {
        Ok(list) => return Ok(list),
        Err(error) => error,
    };
    let document = if text.starts_with("[[") || !text.starts_with('[') {
        text.to_owned()
    } else {
        format!("polls = {text}")
    };
    let of_toml = match File::from_str(&document, FileFormat::Toml).collect() {
        Ok(mut all) => match all.remove("polls").map(|polls| polls.kind) {
            Some(ValueKind::Array(list)) if all.is_empty() => return Ok(list),
            _ => "it contains something other than a list of polls".to_owned(),
        },
        Err(error) => in_short(&error),
    };
    Err(format!(
        "polls is a list neither in JSON ({of_json}) nor in TOML ({of_toml})"
    ))
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, place: &str, fault: &str) {
        self.0.push(format!("{place}: {fault}"));
    }
}

/// The fields of a poll or an option.
struct Fields<'a> {
    place: String,
    table: Map<String, Value>,
    faults: &'a mut Faults,
}

impl<'a> Fields<'a> {
    fn of(place: String, value: Value, known: &[&str], faults: &'a mut Faults) -> Option<Self> {
        let ValueKind::Table(table) = value.kind else {
            faults.add(
                &place,
                &format!("it is not a table of {}", known.join(", ")),
            );
            return None;
        };
        let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
        for key in unknown.collect::<BTreeSet<_>>() {
            let fault = format!("unknown field {key}; known here: {}", known.join(", "));
            faults.add(&place, &fault);
        }
        Some(Self {
            place,
            table,
            faults,
        })
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.table.remove(name) else {
            self.faults.add(&self.place, &format!("{name} is missing"));
            return None;
        };
        match typed::read(&value) {
            Ok(read) => Some(read),
            Err(fault) => {
                let place = format!("{}.{name}", self.place);
                self.faults.add(&place, &fault.why.to_string());
                None
            }
        }
    }

    /// As [`take`](Self::take), where the field may be missing.
    fn take_if_set<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.table.contains_key(name).then(|| self.take(name))?
    }

    fn take_list(&mut self, name: &str) -> Option<Vec<Value>> {
        match self.table.remove(name).map(|value| value.kind) {
            Some(ValueKind::Array(list)) => return Some(list),
            Some(_) => {
                let place = format!("{}.{name}", self.place);
                self.faults.add(&place, "it is not a list");
            }
            None => self.faults.add(&self.place, &format!("{name} is missing")),
        }
        None
    }
}

fn poll(index: usize, value: Value, faults: &mut Faults) -> Option<Poll> {
    let named = |value: &Value| match &value.kind {
        ValueKind::Table(table) => table.get("id").map(ToString::to_string),
        _ => None,
    };
    // The number shows the place in the file, and the id is easy to search for.
    let place = match named(&value) {
        Some(id) => format!(
            "polls[{index}] ({})",
            id.chars().take(64).collect::<String>()
        ),
        None => format!("polls[{index}]"),
    };
    let mut fields = Fields::of(place.clone(), value, &POLL_FIELDS, faults)?;
    let id = fields.take("id");
    let title: Option<String> = fields.take("title");
    let max_choices = match fields.table.contains_key("max_choices") {
        true => fields.take("max_choices"),
        false => Some(1),
    };
    let before = fields.faults.0.len();
    let (mut settings, draft) = settings(&mut fields);
    let settings_are_read = fields.faults.0.len() == before;
    let options = fields.take_list("options");
    let options: Vec<Option<(PollOption, Option<String>)>> = options?
        .into_iter()
        .enumerate()
        .map(|(at, value)| option(format!("{place}.options[{at}]"), value, faults))
        .collect();
    let options: Option<Vec<_>> = options.into_iter().collect();
    let (id, title, max_choices, options) = (id?, title?, max_choices?, options?);
    for (option, description) in &options {
        let description = description.clone().map(|text| (option.id.clone(), text));
        settings.option_descriptions.extend(description);
    }
    let options: Vec<PollOption> = options.into_iter().map(|(option, _)| option).collect();
    // A wrong text is reported with its field, a fault of the whole poll with the poll.
    let known = faults.0.len();
    let mut check = |place: &str, text: &str| {
        if let Err(reason) = check_text(text) {
            let text: String = text.chars().take(MAX_LABEL_CHARS).collect();
            faults.add(place, &format!("it cannot be {text:?}: {reason}"));
        }
    };
    check(&format!("{place}.title"), &title);
    for (at, option) in options.iter().enumerate() {
        check(&format!("{place}.options[{at}].label"), &option.label);
    }
    if faults.0.len() > known || !settings_are_read {
        return None;
    }
    let poll = Poll::new(id, title, options, max_choices);
    match poll.and_then(|poll| poll.with_settings(settings)) {
        Ok(poll) if draft => Some(poll.as_draft()),
        Ok(poll) => Some(poll),
        Err(error) => {
            faults.add(&place, &error.to_string());
            None
        }
    }
}

/// What a poll has beside its question and its options, and whether it is a draft.
fn settings(fields: &mut Fields<'_>) -> (PollSettings, bool) {
    let mut settings = PollSettings::default();
    if let Some(description) = fields.take_if_set("description") {
        settings.description = description;
    }
    if let Some(voters) = fields.take_if_set("voters") {
        settings.voters = voters;
    }
    if let Some(revote) = fields.take_if_set("revote") {
        settings.revote = revote;
    }
    if let Some(blank) = fields.take_if_set("blank") {
        settings.blank = blank;
    }
    if let Some(results) = fields.take_if_set("results") {
        settings.results = results;
    }
    if let Some(order) = fields.take_if_set("order") {
        settings.order = order;
    }
    if let Some(listed) = fields.take_if_set("listed") {
        settings.listed = listed;
    }
    settings.opens_at = fields.take_if_set("opens_at");
    settings.closes_at = fields.take_if_set("closes_at");
    settings.time_zone = fields.take_if_set("time_zone");
    settings.language = fields.take_if_set("language");
    settings.retention_days = fields.take_if_set("retention_days");
    settings.forget_voters_days = fields.take_if_set("forget_voters_days");
    (settings, fields.take_if_set("draft").unwrap_or_default())
}

/// An option, and its description if it has one.
fn option(
    place: String,
    value: Value,
    faults: &mut Faults,
) -> Option<(PollOption, Option<String>)> {
    let mut fields = Fields::of(place, value, &OPTION_FIELDS, faults)?;
    let (id, label) = (fields.take("id"), fields.take("label"));
    let description = fields.take_if_set("description");
    let option = PollOption {
        id: id?,
        label: label?,
    };
    Some((option, description))
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::{OptionOrder, ShowResults};

    use super::*;

    fn read_file(fields: &str) -> Result<Poll, Vec<String>> {
        let file = format!(
            "[[polls]]\nid = 'lunch'\ntitle = 'Lunch?'\n{fields}\n\
             [[polls.options]]\nid = 'rice'\nlabel = 'Rice'\ndescription = 'With peas.'\n\
             [[polls.options]]\nid = 'soup'\nlabel = 'Soup'\n"
        );
        let file = File::from_str(&file, FileFormat::Toml).collect();
        let polls = file.expect("TOML").remove("polls").expect("polls");
        read(polls).map(|mut polls| polls.remove(0))
    }

    #[test]
    fn all_settings_of_a_poll_are_read() {
        let poll = read_file(
            "description = 'At noon.'\nrevote = false\nopens_at = 2026-11-27T10:00:00+01:00\n\
             closes_at = '2026-11-27T12:00:00Z'\ntime_zone = 'Europe/Berlin'\nresults = 'after_close'\n\
             order = 'shuffled'\nlisted = false\nlanguage = 'en'\nretention_days = 30\n\
             forget_voters_days = 0\ndraft = true",
        );
        let poll = poll.expect("a poll");
        let settings = poll.settings();
        assert_eq!(settings.description, "At noon.");
        let rice = "rice".parse().expect("an id");
        assert_eq!(settings.option_descriptions[&rice], "With peas.");
        let moment = |text: &str| text.parse().ok();
        assert_eq!(settings.opens_at, moment("2026-11-27T09:00:00Z"));
        assert_eq!(settings.closes_at, moment("2026-11-27T12:00:00Z"));
        assert_eq!(settings.results, ShowResults::AfterClose);
        assert_eq!(settings.order, OptionOrder::Shuffled);
        assert_eq!((settings.revote, settings.listed), (false, false));
        assert_eq!(settings.time_zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(settings.language.as_deref(), Some("en"));
        assert_eq!(settings.retention_days, Some(30));
        assert_eq!(settings.forget_voters_days, Some(0));
        assert!(poll.is_draft());
        let plain = read_file("").expect("a poll");
        assert!(plain.settings().revote && !plain.is_draft());
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_poll() {
        for (field, place, why) in [
            ("revote = 3", "polls[0] (lunch).revote", "true or false"),
            (
                "results = 'never'",
                "polls[0] (lunch).results",
                "after_close",
            ),
            (
                "closes_at = 2026-11-27",
                "polls[0] (lunch).closes_at",
                "offset",
            ),
            (
                "time_zone = 'Berlin time'",
                "polls[0] (lunch)",
                "Europe/Berlin",
            ),
            ("retention_days = 0", "polls[0] (lunch)", "36500"),
            (
                "opens_at = 2026-11-27T12:00:00Z\ncloses_at = 2026-11-27T12:00:00Z",
                "polls[0] (lunch)",
                "is not after it opens",
            ),
        ] {
            let faults = read_file(field).expect_err(field);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(place), "{faults:?}");
            assert!(faults[0].contains(why), "{faults:?}");
        }
    }
}
