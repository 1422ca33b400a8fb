//! The OpenAPI documents can be used: generated clients in Python and TypeScript vote, read, create and close a
//! poll, a linter finds nothing, and schemathesis finds no answer that the documents do not declare. And the packages in
//! `clients/` are current and work.

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use support::{Voting, browser::Browser, command};
use voting_testing::root;

/// The exit code if the tools cannot be installed, for example without a network.
const NO_TOOLS: i32 = 77;

#[test]
fn generated_clients_can_do_all_that_the_documents_say() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    succeeds_against(&voting, "tests/clients/run.sh");
}

/// They work from a page of another site, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_packages_for_other_languages_are_current_and_work() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::of(&root().join("target/clients/typescript"));
    let voting = Voting::start_as(
        folder.path(),
        command(folder.path()).env("VOTING_API_ORIGINS", &site.origin),
    );
    if !succeeds_against(&voting, "../../clients/try.sh") {
        return;
    }
    let browser = Browser::start(true).await;
    let page = format!("{}/examples/live.html", site.origin);
    let Voting { vote, result, .. } = &voting;
    let live = format!("{page}?vote={vote}&result={result}&poll=cats-vs-dogs");
    browser.goto(&live).await;
    browser.reads("h1", "Cats vs Dogs!").await;
    browser.click("button[value=a]").await;
    browser.reads("#told", "Your vote is in.").await;
    browser.reads("#votes-a", "1").await;
    // The voter is remembered.
    browser.client.refresh().await.unwrap();
    browser.click("button[value=b]").await;
    browser.reads("#votes-b", "1").await;
    browser.reads("#votes-a", "0").await;
    browser.reads("#state", "1 voters").await;
    browser.end().await;
}

/// A site of static files. It ends with the test.
struct Site {
    server: Child,
    origin: String,
}

impl Site {
    /// Serves this folder.
    fn of(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]);
        let command = command.arg("--directory").arg(folder);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("python3");
        let mut told = String::new();
        let output = server.stdout.take().expect("its output");
        let read = BufReader::new(output).read_line(&mut told);
        read.expect("it says where it listens");
        let (_, address) = told.split_once("(http").expect("an address");
        let (address, _) = address.split_once("/)").expect("an address");
        let origin = format!("http{address}");
        Self { server, origin }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs a script, by its path from this package. Whether its tools can be had here.
fn succeeds_against(voting: &Voting, script: &str) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let ran = Command::new("bash")
        .arg(script)
        .env("VOTE", &voting.vote)
        .env("RESULT", &voting.result)
        .env("OPERATOR", &voting.operator)
        .env("TOKEN", voting.operator_token())
        .env(
            "WORK",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients"),
        )
        .output()
        .expect("bash");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    let is_expected = std::env::var("EXPECT_CLIENTS").is_ok_and(|value| !value.is_empty());
    if ran.status.code() == Some(NO_TOOLS) && !is_expected {
        eprintln!("skipped: the generators of clients cannot be had here: {told}");
        return false;
    }
    assert!(ran.status.success(), "{told}");
    true
}
