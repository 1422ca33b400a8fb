//! What keeps the sources in order: where dependencies come from and how they are kept fresh, and what scripts must
//! not do.

mod repository;

use std::{collections::BTreeSet, fs, path::Path};

use repository::files;
use serde_norway::Value;
use voting_testing::root;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn yaml(path: &str) -> Value {
    serde_norway::from_str(&text(path)).expect(path)
}

/// What the dependency bot calls the kind of a list of dependencies.
fn ecosystem(path: &str) -> Option<&'static str> {
    let name = Path::new(path).file_name()?.to_str()?;
    Some(match name {
        "Cargo.lock" => "cargo",
        "Dockerfile" => "docker",
        "compose.yaml" => "docker-compose",
        "package.json" => "npm",
        "requirements.txt" => "pip",
        _ if path.starts_with(".github/workflows/") => "github-actions",
        _ => return None,
    })
}

#[test]
fn the_dependency_bot_looks_at_each_list_of_dependencies() {
    let bot = yaml(".github/dependabot.yml");
    let mut watched = BTreeSet::new();
    for update in bot["updates"].as_sequence().expect("a list") {
        let kind = update["package-ecosystem"].as_str().expect("a kind");
        let one = update["directory"].as_str().into_iter();
        let several = update["directories"].as_sequence().into_iter().flatten();
        for folder in one.chain(several.filter_map(Value::as_str)) {
            watched.insert((kind.to_owned(), folder.to_owned()));
        }
    }
    let mut expected = BTreeSet::new();
    for file in files() {
        let Some(kind) = ecosystem(&file) else {
            continue;
        };
        let folder = Path::new(&file).parent().and_then(Path::to_str);
        // The bot finds the workflows by itself.
        let folder = folder.filter(|_| kind != "github-actions").unwrap_or("");
        expected.insert((kind.to_owned(), format!("/{folder}")));
    }
    assert!(expected.len() >= 6, "{expected:?}");
    assert_eq!(watched, expected);
}

#[test]
fn known_weaknesses_are_looked_for_each_night_and_sources_are_named() {
    let nightly = yaml(".github/workflows/nightly.yml");
    let jobs = nightly["jobs"].as_mapping().expect("jobs");
    let steps = jobs
        .values()
        .filter_map(|job| job["steps"].as_sequence())
        .flatten();
    let deny: Vec<_> = steps
        .filter(|step| {
            let uses = step["uses"].as_str().unwrap_or_default();
            uses.starts_with("EmbarkStudios/cargo-deny-action@")
        })
        .collect();
    assert_eq!(deny.len(), 1);
    assert_eq!(deny[0]["with"]["command"], "check advisories");
    // What comes from elsewhere than the one registry fails the check.
    for line in [
        "unknown-registry = \"deny\"",
        "unknown-git = \"deny\"",
        "allow-registry = [\"https://github.com/rust-lang/crates.io-index\"]",
    ] {
        assert!(text("deny.toml").contains(line), "{line}");
    }
    let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let text = text(lock);
        let sources = text.lines().filter(|line| line.starts_with("source = "));
        let strange: Vec<_> = sources.filter(|line| *line != registry).collect();
        assert!(strange.is_empty(), "{lock}: {strange:?}");
    }
}

/// What scripts of pages must not do: compare without looking at the types, or make code or markup of texts.
const FORBIDDEN: [&str; 9] = [
    " == ",
    " != ",
    "eval(",
    "new Function",
    "innerHTML = ",
    "outerHTML = ",
    "insertAdjacentHTML",
    "document.write",
    "__proto__",
];

#[test]
fn scripts_compare_strictly_and_make_no_code_or_markup_of_texts() {
    let mut scripts = 0;
    for file in files() {
        let is_script = Path::new(&file).extension().is_some_and(|it| it == "js");
        if !is_script || !file.starts_with("voting-http/assets/") {
            continue;
        }
        scripts += 1;
        for (line, code) in (1..).zip(text(&file).lines()) {
            for forbidden in FORBIDDEN {
                assert!(!code.contains(forbidden), "{file}:{line}: {forbidden}");
            }
        }
    }
    assert!(scripts >= 4, "{scripts}");
}
