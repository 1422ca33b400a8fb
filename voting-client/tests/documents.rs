//! The types have what the OpenAPI documents say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use voting_client::{
    Problem,
    types::{
        Accepted, Electorate, Eligibility, OptionOrder, Poll, PollState, Receipt, ReceiptState,
        ShowResults, Tally, Withdrawn,
    },
};

/// Whoever reads a version of a package finds it in the changelog.
#[test]
fn the_packages_for_other_languages_have_this_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        (
            "clients/python/pyproject.toml",
            format!("version = \"{version}\""),
        ),
        (
            "clients/typescript/package.json",
            format!("\"version\": \"{version}\","),
        ),
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let has_it = text.lines().any(|found| found.trim() == line);
        assert!(has_it, "{file} has another version than {version}");
    }
    let clients = std::fs::read_to_string(root.join("docs/clients.md")).unwrap();
    assert!(clients.contains(&format!("voting-client-{version}.tgz")));
}

fn schemas(service: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi");
    let text = std::fs::read_to_string(path.join(format!("{service}.json"))).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    document["components"]["schemas"].clone()
}

/// A value of this schema, with all fields or with those that are always there.
fn value(schemas: &Value, schema: &Value, all: bool) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return value(schemas, &schemas[name], all);
    }
    match schema["type"].as_str().unwrap() {
        "string" => schema["enum"].get(0).cloned().unwrap_or(json!("text")),
        "integer" => json!(1),
        "boolean" => json!(true),
        "array" => json!([value(schemas, &schema["items"], all)]),
        "object" => {
            let required = schema["required"].as_array().unwrap();
            let fields = schema["properties"].as_object().unwrap().iter();
            let fields = fields.filter(|(name, _)| all || required.contains(&json!(name)));
            let fields = fields.map(|(name, field)| (name.clone(), value(schemas, field, all)));
            Value::Object(fields.collect())
        }
        other => panic!("{other}"),
    }
}

fn has<T: Serialize + DeserializeOwned>(service: &str, name: &str) {
    let schemas = schemas(service);
    for all in [true, false] {
        let told = value(&schemas, &schemas[name], all);
        let read: T = serde_json::from_value(told.clone()).expect(name);
        let read = serde_json::to_value(read).unwrap();
        assert_eq!(read, told, "{name} lacks a field of openapi/{service}.json");
    }
}

fn knows<T: DeserializeOwned + std::fmt::Debug>(service: &str, name: &str) {
    for known in schemas(service)[name]["enum"].as_array().unwrap() {
        let value: T = serde_json::from_value(known.clone()).unwrap();
        assert_ne!(format!("{value:?}"), "Unknown", "{name} lacks {known}");
    }
    let value: T = serde_json::from_value(json!("of a later version")).unwrap();
    assert_eq!(format!("{value:?}"), "Unknown");
}

#[test]
fn the_types_have_all_fields_of_the_documents() {
    has::<Poll>("vote", "Poll");
    has::<Poll>("worker", "Poll");
    has::<Accepted>("vote", "Accepted");
    has::<Withdrawn>("vote", "Withdrawn");
    has::<Eligibility>("vote", "Eligibility");
    has::<Problem>("vote", "Problem");
    has::<Problem>("result", "Problem");
    has::<Tally>("result", "Tally");
    has::<Receipt>("result", "Receipt");
}

#[test]
fn the_types_have_all_values_of_the_documents() {
    knows::<PollState>("vote", "PollState");
    knows::<ReceiptState>("result", "ReceiptState");
    knows::<Electorate>("vote", "Voters");
    knows::<ShowResults>("vote", "ShowResults");
    knows::<OptionOrder>("vote", "OptionOrder");
}

#[test]
fn a_field_of_a_later_version_does_no_harm() {
    let told = json!({"receipt": "r", "voter": "v", "of_a_later_version": [1]});
    let read: Accepted = serde_json::from_value(told).unwrap();
    assert_eq!(read.receipt, "r");
}
