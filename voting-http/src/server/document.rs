//! The OpenAPI document of a service, in a form that generators of clients understand.
//!
//! poem-openapi derives shapes and routes from the code. This module adds what cannot be derived: the problems of
//! each operation by status, headers, examples, and the voter's cookie. It also changes two things on which
//! generators fail. A reference beside a description is an `allOf`, which for an enum is not an object. And content
//! types have a charset.

use std::collections::BTreeMap;

use poem_openapi::{registry::Registry, types::Type};
use serde_json::{Map, Value, json};

use crate::problem::{ProblemDocument, kind::ProblemKind};

/// Facts about an operation that its code does not contain.
pub(crate) struct Operation {
    /// Its `operation_id`.
    pub(crate) id: &'static str,
    /// How the operation can fail, besides the ways in which all operations can fail.
    pub(crate) problems: &'static [ProblemKind],
    /// A body to send, as JSON, if the operation takes a body.
    pub(crate) body: Option<&'static str>,
    /// The status and a body of each success.
    pub(crate) answers: &'static [(&'static str, &'static str)],
}

/// Completes a document. `cookie` is the name of the voter's cookie, if the service reads it.
pub(crate) fn complete(derived: &str, cookie: Option<&str>, known: &[&[Operation]]) -> String {
    // The document was serialized a moment ago, so it can be parsed.
    let mut document: Value = serde_json::from_str(derived).unwrap_or_default();
    let mut problems = Registry::new();
    ProblemDocument::register(&mut problems);
    for (name, schema) in &problems.schemas {
        document["components"]["schemas"][name] = json!(schema);
    }
    tidy(&mut document);
    // The URL is relative to the document's own address, so it is also right if the service is mounted in another
    // one.
    document["servers"] = json!([{"url": "."}]);
    document["info"]["license"] =
        json!({"name": "MIT", "url": "https://spdx.org/licenses/MIT.html"});
    if let Some(name) = cookie {
        document["components"]["securitySchemes"]["Voter"] = json!({
            "type": "apiKey",
            "in": "cookie",
            "name": name,
            "description": "Names the voter. It is optional: a request without it comes from a new voter, and the \
                            answer sets it. Send it back, and keep it secret. Its name differs between \
                            deployments."
        });
    }
    close_bodies(&mut document);
    let known: BTreeMap<_, _> = known
        .iter()
        .flat_map(|all| all.iter())
        .map(|one| (one.id, one))
        .collect();
    for operation in operations(&mut document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if let Some(known) = known.get(id) {
            complete_operation(operation, known, cookie.is_some());
        }
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// The completed document with another description of one operation.
pub(crate) fn describe(document: &str, id: &str, words: &str) -> String {
    let mut document: Value = serde_json::from_str(document).unwrap_or_default();
    for operation in operations(&mut document) {
        if operation["operationId"] == id {
            operation["description"] = words.into();
        }
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// Adds that unknown fields of a body are refused. poem-openapi does not say so.
fn close_bodies(document: &mut Value) {
    let bodies = operations(document).filter_map(|operation| operation.get("requestBody"));
    let mut open: Vec<String> = bodies.flat_map(references).collect();
    let schemas = &mut document["components"]["schemas"];
    while let Some(name) = open.pop() {
        let Some(schema) = schemas[&name].as_object_mut() else {
            continue;
        };
        describe_defaults(schema);
        if schema.get("type") == Some(&json!("object"))
            && schema
                .insert("additionalProperties".to_owned(), json!(false))
                .is_none()
        {
            open.extend(references(&schemas[&name]));
        }
    }
}

/// Moves the defaults of a body's fields into their descriptions. Generators of typed clients take a field with a default for
/// one that every request must have, so a new field would break the clients of yesterday.
fn describe_defaults(schema: &mut Map<String, Value>) {
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(Map::values_mut) {
        let Some(default) = field
            .as_object_mut()
            .and_then(|field| field.remove("default"))
        else {
            continue;
        };
        if default != json!("") {
            let words = field["description"].as_str().unwrap_or_default();
            field["description"] = format!("{words} Default: `{default}`.").into();
        }
    }
}

/// The names of the schemas that a part refers to.
fn references(part: &Value) -> Vec<String> {
    match part {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
            Some(reference) => reference
                .rsplit('/')
                .next()
                .map(str::to_owned)
                .into_iter()
                .collect(),
            None => fields.values().flat_map(references).collect(),
        },
        _ => Vec::new(),
    }
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter();
    let items = paths
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut);
    items.flat_map(Map::values_mut)
}

/// Removes parameters from content types, and everything beside a reference.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            if let Some(Value::Array(parts)) = fields.get("allOf")
                && let Some(reference) = parts.iter().find_map(|part| part.get("$ref")).cloned()
                && parts
                    .iter()
                    .filter(|part| part.get("$ref").is_some())
                    .count()
                    == 1
                && parts
                    .iter()
                    .all(|part| part.get("$ref").is_some() || part.get("properties").is_none())
            {
                // What stands beside a reference is ignored. The description stays with the type.
                fields.clear();
                fields.insert("$ref".to_owned(), reference);
                return;
            }
            for field in std::mem::take(fields) {
                let (name, mut value) = field;
                tidy(&mut value);
                let plain = name
                    .split_once("; charset=")
                    .map_or(name.as_str(), |(plain, _)| plain);
                fields.insert(plain.to_owned(), value);
            }
        }
        _ => {}
    }
}

fn complete_operation(operation: &mut Value, known: &Operation, has_voters: bool) {
    let is_protected = !operation["security"].is_null();
    let takes_body = !operation["requestBody"].is_null();
    let mut problems = vec![ProblemKind::Request, ProblemKind::Internal];
    if is_protected {
        problems.extend([
            ProblemKind::Unauthorized,
            ProblemKind::Forbidden,
            ProblemKind::TooManyTokens,
            // A named token is looked up.
            ProblemKind::StoreUnavailable,
        ]);
    }
    if takes_body {
        problems.extend([ProblemKind::TooLarge, ProblemKind::TooSlow]);
    }
    let also = known.problems.iter().copied();
    problems
        .extend(also.filter(|problem| !is_protected || *problem != ProblemKind::StoreUnavailable));
    let mut by_status = BTreeMap::<u16, Vec<ProblemKind>>::new();
    for problem in problems {
        by_status
            .entry(problem.status().as_u16())
            .or_default()
            .push(problem);
    }
    if takes_body {
        by_status.entry(415).or_default().push(ProblemKind::Request);
    }
    for (status, kinds) in by_status {
        operation["responses"][status.to_string()] = problem_response(status, &kinds);
    }
    if let Some(body) = known.body {
        let content = operation["requestBody"]["content"].as_object_mut();
        for media in content.into_iter().flat_map(Map::values_mut) {
            media["example"] = parsed(body);
        }
    }
    for (status, answer) in known.answers {
        let content = operation["responses"][*status]["content"].as_object_mut();
        for media in content.into_iter().flat_map(Map::values_mut) {
            media["example"] = parsed(answer);
        }
    }
    if operation["security"].is_null() {
        operation["security"] = json!([]);
    }
    if has_voters && !operation["responses"]["202"].is_null() {
        // The cookie is optional: a client without the cookie gets one.
        operation["security"] = json!([{"Voter": []}, {}]);
        operation["responses"]["202"]["headers"] = json!({
            "Set-Cookie": {
                "description": "The voter's cookie, if the request had none. Keep it: with it the voter can \
                                change the vote, and a second try counts once. With `Voter-Tag` also a cookie for \
                                this browser session, by which the voting page shows the vote.",
                "schema": {"type": "string"}
            }
        });
    }
}

fn problem_response(status: u16, kinds: &[ProblemKind]) -> Value {
    let types: Vec<_> = kinds
        .iter()
        .map(|kind| format!("`{}`", kind.urn()))
        .collect();
    let example = kinds.first().map(|kind| {
        let title = if *kind == ProblemKind::Request && status == 415 { "Unsupported Media Type" } else { kind.title() };
        json!({"type": kind.urn(), "title": title, "status": status, "detail": "In words, for people."})
    });
    let mut response = json!({
        "description": format!("A problem (RFC 9457) of type {}.", types.join(" or ")),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    });
    let needs_code = kinds.contains(&ProblemKind::CodeNeeded);
    let scheme = match kinds.contains(&ProblemKind::SignInNeeded) {
        true if needs_code => {
            "`Application`: the application that mounts the service signs people in. Or `Voter-Code`: the header, or the \
             cookie that the poll's page sets for a code."
        }
        true => "`Application`: the application that mounts the service signs people in.",
        false => "`Bearer`.",
    };
    match status {
        429 | 503 => {
            response["headers"] = json!({"Retry-After": {
                "description": "Seconds to wait before the next try.",
                "schema": {"type": "integer"}
            }});
        }
        401 => {
            response["headers"] = json!({"WWW-Authenticate": {
                "description": scheme,
                "schema": {"type": "string"}
            }});
        }
        _ => {}
    }
    response
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enum_with_a_description_becomes_a_plain_reference() {
        let mut document = json!({"state": {"allOf": [{"$ref": "#/x"}, {"description": "words"}]}});
        tidy(&mut document);
        assert_eq!(document, json!({"state": {"$ref": "#/x"}}));
        let flattened = json!({"allOf": [{"$ref": "#/x"}, {"type": "object", "properties": {}}]});
        let mut kept = flattened.clone();
        tidy(&mut kept);
        assert_eq!(kept, flattened);
    }

    #[test]
    fn a_content_type_has_no_charset() {
        let mut document = json!({"application/json; charset=utf-8": {}, "text/event-stream": {}});
        tidy(&mut document);
        assert_eq!(
            document,
            json!({"application/json": {}, "text/event-stream": {}})
        );
    }
}
