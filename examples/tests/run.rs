//! Every example runs and does what it says.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use voting_testing::Program;

#[test]
fn embed_counts_three_votes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("embed.db");
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Tea: 2\nCoffee: 1\n"
    );
    // The file keeps them.
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "Tea: 4\nCoffee: 2\n"
    );
}

fn get(url: &str) -> String {
    let mut answer = ureq::get(url).call().expect("an answer");
    answer.body_mut().read_to_string().expect("a text")
}

#[test]
fn mount_votes_and_shows_results_below_its_own_paths() {
    let mut mount = Program::start(Command::new(env!("CARGO_BIN_EXE_mount")).arg("127.0.0.1:0"));
    let root = mount.address("") + "/";
    assert!(get(&root).contains("The cafeteria"));

    for start in ["vote", "vote/", "vote/polls/lunch"] {
        let page = get(&format!("{root}{start}"));
        for part in [
            r#"action="/vote/polls/lunch""#,
            r#"data-url="/vote/v1/polls/lunch/ballot""#,
            r#"href="/results/polls/lunch""#,
        ] {
            assert!(page.contains(part), "{start}: {part}\n{page}");
        }
        let style = page
            .split('"')
            .find(|part| part.contains("voting.css"))
            .unwrap();
        assert!(style.starts_with("/vote/assets/"));
        assert!(get(&format!("{root}{}", &style[1..])).contains("color-scheme"));
    }
    let form = ureq::post(format!("{root}vote/polls/lunch"))
        .content_type("application/x-www-form-urlencoded")
        .send("vote=pasta");
    assert_eq!(form.unwrap().status(), 200);
    let ballot = ureq::put(format!("{root}vote/v1/polls/lunch/ballot"))
        .content_type("application/json")
        .send(r#"{"choices":["pasta"]}"#);
    assert_eq!(ballot.unwrap().status(), 202);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !get(&format!("{root}results/v1/polls/lunch/tally")).contains(r#""voters":2"#) {
        assert!(Instant::now() < deadline, "the votes never show");
        std::thread::sleep(Duration::from_millis(50));
    }
    let page = get(&format!("{root}results/"));
    assert!(
        page.contains(">2 votes<") && page.contains(r#"href="/vote/polls/lunch""#),
        "{page}"
    );
    assert!(page.contains(r#"data-live="/results/polls/lunch/live""#));
}
