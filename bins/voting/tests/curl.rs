//! The commands of docs/curl.md work, and print what the page says.

mod support;

use std::{
    fs,
    process::{Command, Stdio},
};

use support::Voting;
use voting_testing::root;

/// Stands before what each block prints.
const MARK: char = '\u{1e}';

/// The blocks of a page: the language, and the lines.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    let block = fenced.filter_map(|block| block.split_once('\n'));
    block.collect()
}

#[test]
fn the_commands_of_the_page_print_what_it_says() {
    let page = fs::read_to_string(root().join("docs/curl.md")).expect("the page");
    // The first block names the addresses.
    let blocks = blocks(&page).split_off(1);
    let mut script = "set -euo pipefail\n".to_owned();
    let mut expected = Vec::new();
    for (language, lines) in blocks {
        match language {
            "sh" => {
                script += &format!("printf '{MARK}'\n{lines}\n");
                expected.push(None);
            }
            "text" => *expected.last_mut().expect("commands first") = Some(lines),
            other => panic!("a block of {other}"),
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let voting = Voting::start(folder.path());
    let ran = Command::new("bash")
        .args(["-c", &script])
        .env("vote", &voting.vote)
        .env("result", &voting.result)
        .env("host", &voting.operator)
        .env("token", voting.operator_token())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output();
    let ran = ran.expect("bash runs");
    let (told, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{told}\n{errors}");
    let printed: Vec<_> = told.split(MARK).skip(1).collect();
    assert_eq!(printed.len(), expected.len(), "{told}");
    assert!(expected.iter().flatten().count() > 5);
    for (printed, expected) in printed.iter().zip(expected) {
        if let Some(expected) = expected {
            assert_eq!(printed.trim(), expected.trim(), "{errors}");
        }
    }
}
