//! The committed OpenAPI documents are those of the code.
//!
//! `UPDATE_OPENAPI=1 cargo test -p voting-http --test openapi` writes them anew.

mod support;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};
use voting_core::{SecretKey, Worker, WorkerOptions, backends::memory::Memory};
use voting_http::{OperatorService, ResultService, VoteService};

fn path_of(service: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.join("../openapi").join(format!("{service}.json"))
}

#[tokio::test]
async fn the_committed_documents_are_current() {
    let memory = Memory::default();
    let all = Arc::new(memory.clone());
    let queue = Arc::new(memory.queue());
    let options = WorkerOptions::default();
    let worker = Worker::new(queue.clone(), all.clone(), all.clone(), options).start();
    let secret = support::secret();
    let token = SecretKey::new(support::OPERATOR_TOKEN).unwrap();
    let sink = Arc::new(memory.sink());
    let vote = VoteService::builder(sink, all.clone(), &secret).build();
    let result = ResultService::builder(all.clone(), all.clone(), &secret).build();
    let operator = OperatorService::builder(worker, queue, all, &token).build();
    let documents = [
        ("vote", vote.openapi()),
        ("result", result.openapi()),
        ("worker", operator.openapi()),
    ];
    for (service, document) in documents {
        let path = path_of(service);
        let document = document.trim_end().to_owned() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(&path, &document).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == document,
            "openapi/{service}.json is not current: \
             UPDATE_OPENAPI=1 cargo test -p voting-http --test openapi"
        );
    }
}

/// The committed documents, by service.
fn committed() -> [(&'static str, Value); 3] {
    ["vote", "result", "worker"].map(|service| {
        let text = fs::read_to_string(path_of(service)).expect("the document");
        (service, serde_json::from_str(&text).expect("JSON"))
    })
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// One operation, with what a failed test says of it.
struct Operation<'a> {
    name: String,
    service: &'static str,
    value: &'a Value,
    document: &'a Value,
}

impl Operation<'_> {
    fn responses(&self) -> impl Iterator<Item = (u16, &Value)> {
        fields(&self.value["responses"])
            .map(|(status, response)| (status.parse().expect("a status"), response))
    }

    fn body(&self) -> Option<&Value> {
        self.value.get("requestBody")
    }

    fn is_of_the_operator(&self) -> bool {
        self.service == "worker" && self.name.contains(" /v1/")
    }
}

fn operations<'a>(documents: &'a [(&'static str, Value)]) -> Vec<Operation<'a>> {
    let mut all = Vec::new();
    for (service, document) in documents {
        for (path, item) in fields(&document["paths"]) {
            for (method, value) in fields(item) {
                all.push(Operation {
                    name: format!("{service}: {method} {path}"),
                    service,
                    value,
                    document,
                });
            }
        }
    }
    assert!(all.len() > 15, "{}", all.len());
    all
}

/// Each part of a document that is an object, with the way there.
fn each_object<'a>(
    path: &str,
    value: &'a Value,
    look: &mut impl FnMut(&str, &'a Map<String, Value>),
) {
    match value {
        Value::Array(items) => {
            for item in items {
                each_object(path, item, look);
            }
        }
        Value::Object(fields) => {
            look(path, fields);
            for (name, value) in fields {
                each_object(&format!("{path}/{name}"), value, look);
            }
        }
        _ => {}
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else {
        return schema;
    };
    let pointer = reference.strip_prefix('#').expect("of this document");
    let found = document.pointer(pointer);
    resolved(document, found.unwrap_or_else(|| panic!("no {reference}")))
}

/// Generators make a class of it, and then look for its fields in a text.
#[test]
fn no_schema_is_made_of_a_text_and_something_else() {
    for (service, document) in committed() {
        each_object(service, &document, &mut |path, schema| {
            for part in schema.get("allOf").into_iter().flat_map(|all| {
                let parts = all.as_array();
                parts.into_iter().flatten()
            }) {
                let part = resolved(&document, part);
                assert_eq!(part["type"], "object", "{path}");
            }
            // What stands beside a reference is ignored.
            let is_alone = !schema.contains_key("$ref") || schema.len() == 1;
            assert!(is_alone, "{path}: {schema:?}");
        });
    }
}

#[test]
fn content_types_have_no_parameters() {
    for (service, document) in committed() {
        each_object(service, &document, &mut |path, part| {
            if path.ends_with("/content") {
                let is_plain = part.keys().all(|kind| !kind.contains(';'));
                assert!(is_plain, "{path}: {:?}", part.keys());
            }
        });
    }
}

/// Whoever reads the document knows what to send along: a cookie, a token, or nothing.
#[test]
fn each_operation_says_who_may_do_it() {
    let documents = committed();
    for operation in operations(&documents) {
        let (name, security) = (&operation.name, &operation.value["security"]);
        let expected = if operation.is_of_the_operator() {
            serde_json::json!([{"Operator": []}])
        } else if operation.responses().any(|(status, _)| status == 202) {
            // Without a cookie, too: whoever has none is given one, or has a code or a session.
            serde_json::json!([{"Voter": []}, {}])
        } else {
            serde_json::json!([])
        };
        assert_eq!(*security, expected, "{name}");
        let schemes = &operation.document["components"]["securitySchemes"];
        for (scheme, _) in security.as_array().into_iter().flatten().flat_map(fields) {
            assert!(schemes.get(scheme).is_some(), "{name}: {scheme}");
        }
    }
    let schemes = |index: usize| &documents[index].1["components"]["securitySchemes"];
    let voter = &schemes(0)["Voter"];
    assert_eq!(
        (&voter["type"], &voter["in"]),
        (&"apiKey".into(), &"cookie".into())
    );
    let cookie = voter["name"].as_str().unwrap();
    assert!(cookie.starts_with("voter-"), "{cookie}");
    assert_eq!(schemes(2)["Operator"]["scheme"], "bearer");
}

/// How it can fail is said of each operation, also how all can.
#[test]
fn each_operation_says_how_it_can_fail() {
    for operation in operations(&committed()) {
        let name = &operation.name;
        let statuses: HashSet<_> = operation.responses().map(|(status, _)| status).collect();
        let has = |status| assert!(statuses.contains(&status), "{name}: {status}");
        has(400);
        has(500);
        if operation.is_of_the_operator() {
            has(401);
            has(429);
        }
        if operation.body().is_some() {
            [408, 413, 415].into_iter().for_each(has);
            // Of a body of lines, each has an answer of its own.
            let content = &operation.value["requestBody"]["content"];
            if content.get("application/x-ndjson").is_none() {
                has(422);
            }
        }
        if name.contains("{poll}") || name.contains("{receipt}") || name.contains("{position}") {
            has(404);
        }
        if name.contains(" /v1/") || name.contains("readyz") {
            has(503);
        }
        let known = &operation.document["components"]["schemas"]["ProblemType"]["enum"];
        let known = known.as_array().unwrap();
        for (status, response) in operation.responses().filter(|(status, _)| *status >= 400) {
            let content = &response["content"]["application/problem+json"];
            let schema = "#/components/schemas/Problem";
            assert_eq!(content["schema"]["$ref"], schema, "{name}: {status}");
            assert_eq!(content["example"]["status"], status, "{name}");
            // The words name each type that there can be.
            let description = response["description"].as_str().unwrap();
            let named = description.split('`').skip(1).step_by(2);
            let named: Vec<_> = named.map(Value::from).collect();
            assert!(!named.is_empty(), "{name}: {description}");
            let is_known = named.iter().all(|kind| known.contains(kind));
            assert!(is_known, "{name}: {description}");
            assert!(named.contains(&content["example"]["type"]), "{name}");
        }
    }
}

#[test]
fn headers_that_a_client_needs_are_declared() {
    for operation in operations(&committed()) {
        let name = &operation.name;
        for (status, response) in operation.responses() {
            let headers = &response["headers"];
            let type_of = |header: &str| &headers[header]["schema"]["type"];
            if matches!(status, 429 | 503) {
                assert_eq!(*type_of("Retry-After"), "integer", "{name}: {status}");
            }
            if status == 401 {
                assert_eq!(*type_of("WWW-Authenticate"), "string", "{name}");
            }
            if status == 202 && operation.service == "vote" {
                assert_eq!(*type_of("Set-Cookie"), "string", "{name}");
            }
        }
    }
}

/// What is wrong with a value, going by its schema.
fn misfit(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = resolved(document, schema);
    if let Some(parts) = schema["allOf"].as_array() {
        // Each knows its own fields only.
        let mut all = Map::new();
        let mut required = Vec::new();
        for part in parts.iter().map(|part| resolved(document, part)) {
            all.extend(fields(&part["properties"]).map(|(name, of)| (name.clone(), of.clone())));
            required.extend(part["required"].as_array().into_iter().flatten().cloned());
        }
        let whole = serde_json::json!({"type": "object", "properties": all, "required": required});
        return misfit(document, &whole, value);
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Some(format!("{value} is none of {values:?}"));
    }
    match (schema["type"].as_str().unwrap_or_default(), value) {
        ("object", Value::Object(there)) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let missing = required
                .filter_map(Value::as_str)
                .find(|name| !there.contains_key(*name));
            if let Some(missing) = missing {
                return Some(format!("no {missing} in {value}"));
            }
            there
                .iter()
                .find_map(|(name, value)| match schema["properties"].get(name) {
                    Some(schema) => misfit(document, schema, value),
                    None => Some(format!("{name} is not declared")),
                })
        }
        ("array", Value::Array(items)) => items
            .iter()
            .find_map(|item| misfit(document, &schema["items"], item)),
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => None,
        ("integer", Value::Number(number)) if number.is_u64() => None,
        ("number", Value::Number(_)) => None,
        (kind, value) => Some(format!("{value} is no {kind:?}")),
    }
}

#[test]
fn bodies_and_answers_have_examples_that_fit_their_schemas() {
    let mut seen = 0;
    for operation in operations(&committed()) {
        let bodies = operation.body().into_iter();
        let answers = operation.responses().map(|(_, response)| response);
        for (kind, media) in bodies
            .chain(answers)
            .flat_map(|part| fields(&part["content"]))
        {
            if kind == "text/event-stream" {
                continue;
            }
            let (name, example) = (&operation.name, media.get("example"));
            let example = example.unwrap_or_else(|| panic!("{name}: {kind} without an example"));
            let misfit = misfit(operation.document, &media["schema"], example);
            assert_eq!(misfit, None, "{name}: {kind} {example}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// Unknown fields of a body are refused, so a generated client is told so.
#[test]
fn bodies_have_only_the_fields_that_are_declared() {
    for operation in operations(&committed()) {
        let Some(body) = operation.body() else {
            continue;
        };
        let mut open = vec![&body["content"]["application/json"]["schema"]];
        while let Some(schema) = open.pop() {
            let schema = resolved(operation.document, schema);
            if schema["type"] == "object" {
                let name = &operation.name;
                assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
            }
            open.extend(fields(&schema["properties"]).map(|(_, schema)| schema));
            open.extend(schema.get("items"));
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_no_address_of_a_host() {
    let documents = committed();
    for (service, document) in &documents {
        assert_eq!(
            document["servers"],
            serde_json::json!([{"url": "."}]),
            "{service}"
        );
        assert!(document["info"]["license"]["name"].is_string(), "{service}");
        let of_service = operations(&documents).into_iter();
        let of_service = of_service.filter(|operation| operation.service == *service);
        let names: Vec<_> = of_service
            .map(|operation| {
                operation.value["operationId"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        let different: HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert!(!different.contains(&String::new()), "{names:?}");
    }
}
