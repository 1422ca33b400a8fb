//! `docs/testing.md` and `docs/security.md` name tests and files that there are.

mod repository;

use std::{collections::BTreeSet, fs, path::Path};

use repository::files;
use voting_testing::root;

/// The names of the tests in a source file: functions with an attribute of a test, the requirements of the conformance
/// suite, which a macro makes tests of, and the names that `does_not_pass!` makes tests of, each on a line of its own
/// before a colon.
fn tests_in(path: &str, source: &str) -> Vec<String> {
    let is_suite = path.contains("src/conformance/");
    let is_broken = path.contains("tests/conformance/broken/");
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test");
            continue;
        }
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let signature = ["pub ", "pub(super) ", "async "]
            .iter()
            .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        if let Some(rest) = signature.strip_prefix("fn ") {
            let end = rest.find(|c: char| !is_of_a_name(c)).unwrap_or(rest.len());
            if is_test || is_suite {
                tests.push(rest[..end].to_owned());
            }
        } else if let Some(name) = line.strip_suffix(':').filter(|_| is_broken)
            && name.chars().all(is_of_a_name)
        {
            tests.push(name.to_owned());
        }
        // What else an attribute may have, on further lines, ends with a bracket.
        if !line.ends_with(")]") {
            is_test = false;
        }
    }
    tests
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// Whether a name is the one that is meant, in which `…` stands for any part.
fn is_meant(meant: &str, name: &str) -> bool {
    let parts: Vec<_> = meant.split('…').map(str::trim).collect();
    let [first, between @ .., last] = parts.as_slice() else {
        return meant == name;
    };
    let Some(rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return false;
    };
    for part in between {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    true
}

/// A text in backticks, and where it stands.
struct Mention<'a> {
    line: usize,
    text: &'a str,
    /// In the last column of a table whose head says that this tells what was seen.
    is_seen: bool,
}

/// What a document has in backticks, other than blocks of code.
fn mentions(document: &str) -> Vec<Mention<'_>> {
    let (mut is_code, mut tells_what_was_seen) = (false, false);
    let mut before = "";
    let mut mentions = Vec::new();
    for (line, text) in (1..).zip(document.lines()) {
        if text.starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let cells = text.trim_end_matches(['|', ' ']);
        let last = cells.rfind('|').unwrap_or(cells.len());
        if text.starts_with("| ---") {
            tells_what_was_seen =
                before.ends_with("| seen |") || before.ends_with("| test that failed |");
        }
        before = text;
        let mut at = 0;
        for (nth, part) in text.split('`').enumerate() {
            if nth % 2 == 1 {
                mentions.push(Mention {
                    line,
                    text: part,
                    is_seen: text.starts_with('|') && tells_what_was_seen && at > last,
                });
            }
            at += part.len() + 1;
        }
    }
    mentions
}

/// Whether this is the name of a test and nothing else, such as a setting: it is long, or stands where tests do.
fn names_a_test(mention: &Mention<'_>) -> bool {
    let text = mention.text;
    let is_name = |c: char| is_of_a_name(c) || matches!(c, ':' | '…' | ' ');
    let underscores = text.matches('_').count();
    text.chars().all(is_name)
        && (underscores >= 3
            || text.contains('…')
            || mention.is_seen && underscores > 0 && !text.contains(' '))
}

/// Whether this is the name of a file or a folder of the repository.
fn names_a_file(text: &str) -> bool {
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let ends = [".rs", ".sh", ".md", ".yaml", ".toml", ".py", ".ts", ".lua"];
    text.chars().all(is_path)
        && !text.starts_with('/')
        && !text.starts_with("target/")
        && (text.contains('/') || ends.iter().any(|end| text.ends_with(end)))
}

/// Whether there is a file or folder of this name, from the root or from any folder.
fn is_there(files: &BTreeSet<String>, name: &str) -> bool {
    let name = name.trim_start_matches("./").trim_end_matches('/');
    files.iter().any(|file| {
        let all = format!("/{file}/");
        all.contains(&format!("/{name}/"))
    })
}

/// A test of the repository.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    file: String,
    name: String,
}

/// All tests of the repository.
fn tests(files: &BTreeSet<String>) -> BTreeSet<Test> {
    let sources = files
        .iter()
        .filter(|file| Path::new(file).extension().is_some_and(|it| it == "rs"));
    let tests = sources.flat_map(|file| {
        let source = fs::read_to_string(root().join(file)).expect("a text");
        let named = tests_in(file, &source).into_iter();
        named.map(|name| Test {
            file: file.clone(),
            name,
        })
    });
    tests.collect()
}

/// Whether a test is the one that is meant, by its name and the file or folder that it is in.
fn is_test(test: &Test, module: &str, name: &str) -> bool {
    let file = [test.file.clone()].into();
    is_meant(name, &test.name)
        && (module.is_empty()
            || is_there(&file, module)
            || is_there(&file, &format!("{module}.rs")))
}

/// What is mentioned and is not there.
fn missing(document: &str, files: &BTreeSet<String>, tests: &BTreeSet<Test>) -> Vec<String> {
    let mut missing = Vec::new();
    for mention in mentions(document) {
        let Mention { line, text, .. } = mention;
        if names_a_test(&mention) {
            let (module, name) = text.rsplit_once("::").unwrap_or(("", text));
            if !tests.iter().any(|test| is_test(test, module, name)) {
                missing.push(format!("line {line}: no test {text}"));
            }
        } else if names_a_file(text) && !is_there(files, text) {
            missing.push(format!("line {line}: no file {text}"));
        }
    }
    missing
}

#[test]
fn each_test_and_file_that_the_list_of_guards_names_exists() {
    let files = files();
    let tests = tests(&files);
    let own = "each_test_and_file_that_the_list_of_guards_names_exists";
    assert!(tests.iter().any(|test| test.name == own));
    let document = fs::read_to_string(root().join("docs/testing.md")).expect("a text");
    let named = mentions(&document)
        .iter()
        .filter(|it| names_a_test(it))
        .count();
    assert!(named > 300, "only {named} names of tests were recognised");
    let missing = missing(&document, &files, &tests);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The rows of the table of ASVS items: number, what it asks, how it is met, and what shows that.
fn asvs_rows(document: &str) -> Vec<[&str; 4]> {
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim));
    let rows = cells.filter_map(|cells| <[&str; 4]>::try_from(cells.collect::<Vec<_>>()).ok());
    let is_number = |text: &str| {
        let parts = text.split('.');
        parts.clone().count() == 3 && parts.into_iter().all(|part| part.parse::<u8>().is_ok())
    };
    rows.filter(|[item, ..]| is_number(item)).collect()
}

#[test]
fn each_test_that_the_security_page_names_exists_and_what_is_met_has_one() {
    let files = files();
    let document = fs::read_to_string(root().join("docs/security.md")).expect("a text");
    let missing = missing(&document, &files, &tests(&files));
    assert!(missing.is_empty(), "{}", missing.join("\n"));

    let rows = asvs_rows(&document);
    assert!(rows.len() > 100, "only {} items", rows.len());
    let items: BTreeSet<_> = rows.iter().map(|[item, ..]| *item).collect();
    assert_eq!(items.len(), rows.len(), "an item is there twice");
    let verdicts = ["Met.", "In part.", "Not met.", "Does not apply."];
    for [item, _, how, shown] in rows {
        let verdict = verdicts.iter().find(|verdict| how.starts_with(**verdict));
        let verdict = verdict.unwrap_or_else(|| panic!("{item} does not say whether it is met"));
        let is_shown = shown.contains('`') || shown.contains("](");
        assert!(*verdict != "Met." || is_shown, "what shows {item}?");
        let says_more = how.len() > verdict.len() + 1;
        assert!(
            *verdict == "Met." || says_more,
            "what is missing of {item}?"
        );
    }
}

#[test]
fn what_a_document_names_and_is_not_there_is_found() {
    let files = ["docs/testing.md", "voting-core/src/pipeline/worker/run.rs"];
    let files = files.map(str::to_owned).into();
    let run = "voting-core/src/pipeline/worker/run.rs";
    let tests = ["a_vote_counts_once_only", "it_works"].map(|name| Test {
        file: run.to_owned(),
        name: name.to_owned(),
    });
    let tests = tests.into();
    let document = "`a_vote_counts_…` `… once_only` `it_works_no_longer_at_all` `run.rs` `worker/` `gone.rs`\n\
        `target/x.rs` `/polls/` `max_wait` `gone::a_vote_counts_once_only` `testing.md::a_vote_counts_once_only` `run::a_vote_…_once_only`\n\
        ```\n`no_test_of_this_name`\n```\n\
        | guard | seen |\n| --- | --- |\n| `max_wait` | `it_works`, `it_worked`; `a_…_twice_…` |\n";
    assert_eq!(
        missing(document, &files, &tests),
        [
            "line 1: no test it_works_no_longer_at_all",
            "line 1: no file gone.rs",
            "line 2: no test gone::a_vote_counts_once_only",
            "line 8: no test it_worked",
            "line 8: no test a_…_twice_…",
        ]
    );
}

#[test]
fn the_tests_of_a_source_file_are_found() {
    let source = "#[test]\nfn one_test() {\n    helper();\n}\n\nfn helper() {}\n\n\
        #[tokio::test(flavor = \"multi_thread\")]\n#[ignore = \"slow\"]\nasync fn another_test() {}\n";
    assert_eq!(tests_in("a/src/b.rs", source), ["one_test", "another_test"]);
    let suite = "/// It holds.\npub async fn a_requirement(backend: &Backend) {}\n";
    assert_eq!(tests_in("a/src/conformance/b.rs", suite), ["a_requirement"]);
    assert!(tests_in("a/src/b.rs", suite).is_empty());
    let broken = "does_not_pass! {\n    one_that_loses:\n        it() => of work::counts;\n}\n";
    let path = "a/tests/conformance/broken/b.rs";
    assert_eq!(tests_in(path, broken), ["one_that_loses"]);
}
