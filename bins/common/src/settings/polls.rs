//! Reads the polls of the settings field by field, so that a fault names the poll and the field.

use std::collections::{BTreeSet, HashMap};

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use serde::{Deserialize, de::DeserializeOwned};
use voting_core::{
    Poll, PollOption,
    model::poll::{MAX_LABEL_CHARS, check_text},
};

use voting_http::OnceJson;

use crate::settings::{provenance::in_short, typed};

const POLL_FIELDS: [&str; 4] = ["id", "title", "max_choices", "options"];
const OPTION_FIELDS: [&str; 2] = ["id", "label"];

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
            _ => "it has something else than a list of polls".to_owned(),
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
    let options = fields.take_list("options");
    let options: Vec<Option<PollOption>> = options?
        .into_iter()
        .enumerate()
        .map(|(at, value)| option(format!("{place}.options[{at}]"), value, faults))
        .collect();
    let options: Option<Vec<PollOption>> = options.into_iter().collect();
    let (id, title, max_choices, options) = (id?, title?, max_choices?, options?);
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
    if faults.0.len() > known {
        return None;
    }
    match Poll::new(id, title, options, max_choices) {
        Ok(poll) => Some(poll),
        Err(error) => {
            faults.add(&place, &error.to_string());
            None
        }
    }
}

fn option(place: String, value: Value, faults: &mut Faults) -> Option<PollOption> {
    let mut fields = Fields::of(place, value, &OPTION_FIELDS, faults)?;
    let (id, label) = (fields.take("id"), fields.take("label"));
    Some(PollOption {
        id: id?,
        label: label?,
    })
}
