//! Compares `docs/reference/settings.md` with the code: names, types and descriptions are read from `config.rs`;
//! defaults and bounds are those that the programs use.
//!
//! `UPDATE_DOCS=1 cargo test -p voting-service --lib reference` writes it again.

use std::{collections::BTreeMap, fs, path::Path};

use syn::{Attribute, Expr, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

use crate::settings::{
    bounds::BOUNDS, cli::Cli, config::Config, layers::PREFIX, provenance::leaves,
};

const DOCUMENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/settings.md"
);

const INTRODUCTION: &str = "\
# Settings reference

<!-- Generated from bins/common/src/settings/config.rs: UPDATE_DOCS=1 cargo test -p voting-service --lib reference -->

All settings, with their defaults. [Settings](../settings.md) says where settings come from, has an example file, and
explains polls, secrets and addresses.
";

struct Structs(BTreeMap<String, Section>);

struct Section {
    about: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// The type, without `Option`.
    kind: String,
    about: String,
}

fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join(" ")
}

/// The last part of a type's path with its arguments. For an `Option`, it is the type inside.
fn kind(of: &Type) -> String {
    let Type::Path(path) = of else {
        panic!("a setting whose type is no path");
    };
    let last = path.path.segments.last().expect("a name");
    let name = last.ident.to_string();
    let PathArguments::AngleBracketed(inner) = &last.arguments else {
        return name;
    };
    let Some(GenericArgument::Type(inner)) = inner.args.first() else {
        panic!("{name} of no type");
    };
    match name.as_str() {
        "Option" => kind(inner),
        _ => format!("{name}<{}>", kind(inner)),
    }
}

impl Structs {
    fn read() -> Self {
        let file = syn::parse_file(include_str!("config.rs")).expect("Rust");
        let mut structs = BTreeMap::new();
        for item in file.items {
            let Item::Struct(item) = item else { continue };
            let Fields::Named(fields) = item.fields else {
                continue;
            };
            let fields = fields.named.iter().map(|field| Field {
                name: field.ident.as_ref().expect("a name").to_string(),
                kind: kind(&field.ty),
                about: docs(&field.attrs),
            });
            let section = Section {
                about: docs(&item.attrs),
                fields: fields.collect(),
            };
            structs.insert(item.ident.to_string(), section);
        }
        Self(structs)
    }
}

fn kind_in_words(kind: &str) -> &'static str {
    match kind {
        "String" => "text",
        "Hidden" => "secret text",
        "PathBuf" => "path",
        "bool" => "`true` or `false`",
        "u16" | "u32" | "u64" | "usize" => "whole number",
        "NonZeroU16" => "port",
        "NonZeroU32" => "whole number",
        "f64" => "number",
        "SocketAddr" => "address and port",
        "PublicUrl" => "URL",
        "LogFormat" => "`text` or `json`",
        "TrustedProxies" => "list of addresses",
        "PollId" => "poll id",
        "Vec<PublicUrl>" => "list of URLs",
        "Vec<WebhookHost>" => "list of hosts and networks",
        "Vec<PathBuf>" => "list of paths",
        "Vec<PollId>" => "list of poll ids",
        "Vec<String>" => "list of texts",
        "Vec<Poll>" => "list of polls",
        other => panic!("say in words what a {other} is"),
    }
}

/// The unit in which a name ends, and the bounds.
fn range(key: &str) -> String {
    let unit = match key.rsplit_once('_') {
        Some((_, "ms")) => "milliseconds",
        Some((_, "s")) => "seconds",
        Some((_, "hours")) => "hours",
        Some((_, "days")) => "days",
        _ => "",
    };
    let bounds = BOUNDS.iter().find(|bounds| bounds.key == key);
    let bounds = bounds.map_or("", |bounds| bounds.range.trim_start_matches("in "));
    match (unit, bounds) {
        ("", bounds) => bounds.to_owned(),
        (unit, "") => unit.to_owned(),
        (unit, bounds) => format!("{unit}, {bounds}"),
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn document() -> String {
    let structs = Structs::read();
    let defaults: BTreeMap<String, Option<String>> = leaves(&Config::default()).collect();
    let flags = Cli {
        vote_listen: Some(([0; 4], 0).into()),
        result_listen: Some(([0; 4], 0).into()),
        worker_listen: Some(([0; 4], 0).into()),
        sqlite_path: Some("x".into()),
        ..Cli::default()
    };
    let flags: BTreeMap<_, _> = flags
        .settings()
        .map(|(key, _)| (key, format!("--{}", key.replace('.', "-"))))
        .collect();
    let mut listed = Vec::new();
    let row = |key: String, field: &Field, listed: &mut Vec<String>| {
        let flag = flags.get(key.as_str());
        let flag = flag.map_or_else(String::new, |flag| format!(", `{flag}`"));
        let default = defaults.get(&key).expect("a setting has a default or none");
        let default = default
            .as_ref()
            .map_or_else(String::new, |value| format!("`{value}`"));
        let row = format!(
            "| `{key}` | `{}`{flag} | {} | {default} | {} | {} |\n",
            variable(&key),
            kind_in_words(&field.kind),
            range(&key),
            field.about
        );
        listed.push(key);
        row
    };
    const HEAD: &str = "\n| setting | variable, flag | type | default | unit, range | what it is for |\n\
                        | --- | --- | --- | --- | --- | --- |\n";
    let (mut single, mut sections) = (format!("\n## At the top\n{HEAD}"), String::new());
    for field in &structs.0["Config"].fields {
        let Some(section) = structs.0.get(&field.kind) else {
            single += &row(field.name.clone(), field, &mut listed);
            continue;
        };
        let name = &field.name;
        sections += &format!("\n## `[{name}]`\n\n{}\n{HEAD}", field.about);
        assert!(!section.about.is_empty());
        for inner in &section.fields {
            sections += &row(format!("{name}.{}", inner.name), inner, &mut listed);
        }
    }
    listed.sort();
    let known: Vec<_> = defaults.keys().cloned().collect();
    assert_eq!(listed, known, "each setting is listed once");
    for bounds in &BOUNDS {
        assert!(known.iter().any(|key| key == bounds.key), "{}", bounds.key);
    }
    format!("{INTRODUCTION}{single}{sections}")
}

#[test]
fn the_reference_is_that_of_the_code() {
    let wanted = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(Path::new(DOCUMENT).parent().expect("a folder")).expect("made");
        fs::write(DOCUMENT, &wanted).expect("written");
    }
    let there = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        there == wanted,
        "docs/reference/settings.md is out of date: \
         UPDATE_DOCS=1 cargo test -p voting-service --lib reference"
    );
}
