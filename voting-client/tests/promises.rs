//! The HTTP API keeps what it promised. `openapi/promised/` has what the documents of the last release say. Nothing of it may
//! be gone or changed while the version says that nothing breaks (before 1.0: the same second number).
//!
//! At a release, `UPDATE_PROMISES=1 cargo test -p voting-client --test promises` writes them again. It refuses to if a
//! promise is broken.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

/// What is said of one part of a request or an answer.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    kind: String,
    /// In a request: must be sent. In an answer: is always there.
    always: bool,
    /// `minimum`, `maxLength` and the like.
    bounds: BTreeMap<String, f64>,
    /// The values of an enumeration.
    values: BTreeSet<String>,
}

/// All that a document says, by operation and place. A place begins with `>` in a request, and with `<` in an answer.
type Promises = BTreeMap<String, Said>;

const UPPER: [&str; 3] = ["maximum", "maxLength", "maxItems"];
const LOWER: [&str; 3] = ["minimum", "minLength", "minItems"];

struct Reader<'a> {
    document: &'a Value,
    promises: Promises,
}

impl<'a> Reader<'a> {
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let found = self.document.pointer(reference.strip_prefix('#').unwrap());
                self.resolved(found.unwrap_or_else(|| panic!("no {reference}")))
            }
            None => schema,
        }
    }

    fn schema(&mut self, place: &str, schema: &'a Value, always: bool) {
        assert!(place.len() < 500, "a schema within itself: {place}");
        let schema = self.resolved(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.schema(place, part, always);
        }
        let bounds = UPPER.iter().chain(&LOWER).filter_map(|name| {
            let bound = schema[name].as_f64()?;
            Some((name.to_string(), bound))
        });
        let values = schema["enum"].as_array().into_iter().flatten();
        let said = Said {
            kind: schema["type"].as_str().unwrap_or("any").to_owned(),
            always,
            bounds: bounds.collect(),
            values: values
                .map(|value| value.as_str().unwrap().to_owned())
                .collect(),
        };
        self.promises.insert(place.to_owned(), said);
        let required = schema["required"].as_array();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let always = required.is_some_and(|required| required.contains(&json!(name)));
            self.schema(&format!("{place}.{name}"), field, always);
        }
        if let Some(items) = schema.get("items") {
            self.schema(&format!("{place}[]"), items, true);
        }
    }

    fn content(&mut self, place: &str, of: &'a Value, always: bool) {
        for (kind, content) in of["content"].as_object().into_iter().flatten() {
            self.schema(&format!("{place}:{kind}"), &content["schema"], always);
        }
    }

    fn operation(&mut self, name: &str, operation: &'a Value) {
        let open = operation["security"].as_array();
        let open = open.is_none_or(|all| all.is_empty() || all.contains(&json!({})));
        self.promises.insert(
            format!("{name} <"),
            Said {
                kind: "operation".to_owned(),
                always: open,
                bounds: BTreeMap::new(),
                values: BTreeSet::new(),
            },
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let [place, named] = ["in", "name"].map(|part| parameter[part].as_str().unwrap());
            let required = parameter["required"] == true;
            let place = format!("{name} >{place}:{named}");
            self.schema(&place, &parameter["schema"], required);
        }
        let body = &operation["requestBody"];
        self.content(&format!("{name} >body"), body, body["required"] == true);
        for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
            if status.starts_with('2') {
                let place = format!("{name} <{status}");
                self.content(&place, answer, true);
                for (header, value) in answer["headers"].as_object().into_iter().flatten() {
                    let place = format!("{place}:{header}");
                    self.schema(&place, &value["schema"], false);
                }
            }
        }
    }
}

fn promises(document: &Value) -> Promises {
    let mut reader = Reader {
        document,
        promises: Promises::new(),
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            reader.operation(&format!("{method} {path}"), operation);
        }
    }
    reader.promises
}

/// What of these promises is broken now.
fn broken(before: &Promises, now: &Promises) -> Vec<String> {
    let mut broken = Vec::new();
    let mut tell = |place: &str, what: &dyn Display| broken.push(format!("{place}: {what}"));
    for (place, was) in before {
        let Some(is) = now.get(place) else {
            tell(place, &"gone");
            continue;
        };
        if is.kind != was.kind {
            tell(place, &format!("was {}, is {}", was.kind, is.kind));
        }
        if !place.contains(" >") {
            if was.always && !is.always {
                tell(place, &"was always there, or open to all");
            }
            continue;
        }
        if is.always && !was.always {
            tell(place, &"must be sent now");
        }
        for value in was.values.difference(&is.values) {
            tell(place, &format!("does not take {value} any more"));
        }
        if was.values.is_empty() && !is.values.is_empty() {
            tell(place, &"took any value");
        }
        for (names, narrower) in [
            (UPPER, (|was, is| is < was) as fn(f64, f64) -> bool),
            (LOWER, |was, is| is > was),
        ] {
            for name in names {
                let Some(&is) = is.bounds.get(name) else {
                    continue;
                };
                if was.bounds.get(name).is_none_or(|&was| narrower(was, is)) {
                    tell(place, &format!("{name} is narrower"));
                }
            }
        }
    }
    for (place, is) in now {
        let Some((operation, _)) = place.split_once(" >") else {
            continue;
        };
        let is_old = before.contains_key(&format!("{operation} <"));
        // What is new inside of what is new may be required.
        let parent = place.rfind(['.', ':']).map(|end| &place[..end]);
        let parent = parent.filter(|parent| parent.contains([':', '.']));
        let within_old = parent.is_none_or(|parent| before.contains_key(parent));
        if is_old && within_old && is.always && !before.contains_key(place) {
            tell(place, &"must be sent now");
        }
    }
    broken
}

impl Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let always = if self.always { "always" } else { "sometimes" };
        write!(f, "{} {always}", self.kind)?;
        for (name, bound) in &self.bounds {
            write!(f, " {name}={bound}")?;
        }
        for value in &self.values {
            write!(f, " ={value}")?;
        }
        Ok(())
    }
}

/// A file: the version, then a line for each promise.
fn written(version: &str, promises: &Promises) -> String {
    let lines = promises
        .iter()
        .map(|(place, said)| format!("{place} | {said}\n"));
    format!("{version}\n{}", lines.collect::<String>())
}

fn read(text: &str) -> (String, Promises) {
    let mut lines = text.lines();
    let version = lines.next().unwrap().to_owned();
    let promise = |line: &str| {
        let (place, said) = line.split_once(" | ").expect(line);
        let mut words = said.split(' ');
        let mut said = Said {
            kind: words.next().unwrap().to_owned(),
            always: words.next() == Some("always"),
            bounds: BTreeMap::new(),
            values: BTreeSet::new(),
        };
        for word in words {
            match word.split_once('=').expect(line) {
                ("", value) => drop(said.values.insert(value.to_owned())),
                (name, bound) => drop(said.bounds.insert(name.to_owned(), bound.parse().unwrap())),
            }
        }
        (place.to_owned(), said)
    };
    (version, lines.map(promise).collect())
}

/// Versions with the same one of these do not break each other.
fn series(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    match (numbers.next().unwrap(), numbers.next().unwrap()) {
        (0, minor) => (0, minor),
        (major, _) => (major, 0),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi")
}

fn document(service: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{service}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn nothing_that_was_promised_is_gone_or_changed() {
    for service in ["vote", "result", "worker"] {
        let document = document(service);
        let (version, now) = (
            document["info"]["version"].as_str().unwrap(),
            promises(&document),
        );
        let file = folder().join("promised").join(format!("{service}.txt"));
        if let Ok(text) = std::fs::read_to_string(&file) {
            let (promised, before) = read(&text);
            if series(version) == series(&promised) {
                let broken = broken(&before, &now);
                assert!(
                    broken.is_empty(),
                    "openapi/{service}.json breaks what {promised} promised. Add what is new beside it, or raise the \
                     version:\n{}",
                    broken.join("\n")
                );
            }
        } else {
            assert!(
                std::env::var_os("UPDATE_PROMISES").is_some(),
                "{} is missing",
                file.display()
            );
        }
        if std::env::var_os("UPDATE_PROMISES").is_some() {
            std::fs::write(&file, written(version, &now)).unwrap();
        }
    }
}

#[test]
fn promises_are_read_as_they_were_written() {
    let now = promises(&document("worker"));
    assert!(now.len() > 500, "{}", now.len());
    assert_eq!(
        read(&written("0.1.0", &now)),
        ("0.1.0".to_owned(), now.clone())
    );
    assert!(broken(&now, &now).is_empty());
}

#[test]
fn a_version_that_breaks_has_another_number() {
    assert_eq!(series("0.1.0"), series("0.1.9"));
    assert_ne!(series("0.1.0"), series("0.2.0"));
    assert_eq!(series("1.1.0"), series("1.2.0"));
    assert_ne!(series("0.9.0"), series("1.0.0"));
}

fn object<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    let found = value.pointer_mut(pointer);
    found.expect(pointer).as_object_mut().expect(pointer)
}

#[test]
fn each_way_to_break_a_client_is_found() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 10] = [
        ("get /v1/audit <: gone", |d| {
            object(d, "/paths").remove("/v1/audit");
        }),
        (".revision: gone", |d| {
            object(d, "/components/schemas/Poll/properties").remove("revision");
        }),
        (".title: was string, is integer", |d| {
            object(d, "/components/schemas/Poll/properties/title")["type"] = json!("integer");
        }),
        (".title: was always there", |d| {
            object(d, "/components/schemas/Poll")["required"] = json!([]);
        }),
        (".max_choices: maximum is narrower", |d| {
            object(d, "/components/schemas/NewPoll/properties/max_choices")["maximum"] = json!(10);
        }),
        (".max_choices: must be sent now", |d| {
            let required = object(d, "/components/schemas/NewPoll").get_mut("required");
            required
                .unwrap()
                .as_array_mut()
                .unwrap()
                .push(json!("max_choices"));
        }),
        (".colour: must be sent now", |d| {
            let new = object(d, "/components/schemas/NewPoll");
            new["properties"]["colour"] = json!({"type": "string"});
            new["required"]
                .as_array_mut()
                .unwrap()
                .push(json!("colour"));
        }),
        ("does not take host any more", |d| {
            object(d, "/components/schemas/Role")["enum"] = json!(["operator"]);
        }),
        ("get /v1/audit >query:after: gone", |d| {
            object(d, "/paths/~1v1~1audit/get")["parameters"] = json!([]);
        }),
        ("get /healthz <: was always there, or open to all", |d| {
            object(d, "/paths/~1healthz/get")["security"] = json!([{"Operator": []}]);
        }),
    ];
    let before = promises(&document("worker"));
    for (expected, change) in changes {
        let mut changed = document("worker");
        change(&mut changed);
        let broken = broken(&before, &promises(&changed));
        assert!(
            broken.iter().any(|line| line.contains(expected)),
            "{expected}: {broken:?}"
        );
    }
    // What is only new breaks nobody.
    let mut more = document("worker");
    for name in ["Poll", "NewPoll"] {
        let fields = object(&mut more, &format!("/components/schemas/{name}/properties"));
        fields.insert("colour".to_owned(), json!({"type": "string"}));
    }
    object(&mut more, "/components/schemas/PollState")["enum"] = json!(["open", "new"]);
    let path = object(&mut more, "/paths")["/v1/polls"].clone();
    object(&mut more, "/paths").insert("/v1/more".to_owned(), path);
    assert_eq!(broken(&before, &promises(&more)), Vec::<String>::new());
}
