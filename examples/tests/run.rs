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
        String::from_utf8(output.stdout).expect("a text"),
        "Tea: 2\nCoffee: 1\n"
    );
    // The file keeps them.
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).expect("a text"),
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

/// What a finished example has written.
fn output(program: &str) -> String {
    let output = Command::new(program).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("a text")
}

#[test]
fn rule_sets_the_ballot_of_a_stranger_aside() {
    assert_eq!(
        output(env!("CARGO_BIN_EXE_rule")),
        "Counted\nrejected: not-eligible\nAda: 1, Bob: 0\n"
    );
}

#[test]
fn publish_tells_each_result() {
    assert_eq!(
        output(env!("CARGO_BIN_EXE_publish")),
        "drinks: [1, 0]\ndrinks: [1, 1]\ndrinks: [2, 1]\n"
    );
}

#[test]
fn timed_counts_what_it_times() {
    let reported = output(env!("CARGO_BIN_EXE_timed"));
    assert!(reported.starts_with("3 ballots counted\n"), "{reported}");
}

/// Asks as a browser does that has signed in, or has not.
fn ask(method: &str, url: &str, session: Option<&str>, body: &str) -> (u16, String, String) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent();
    let kind = if method == "PUT" {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("accept", "text/html")
        .header("content-type", kind)
        .header("cookie", session.unwrap_or_default())
        .body(body.to_owned());
    let mut answer = agent.run(request.expect("a request")).expect("an answer");
    let cookie = answer.headers().get("set-cookie");
    let cookie = cookie.map_or("", |cookie| cookie.to_str().expect("a text"));
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let status = answer.status().as_u16();
    (
        status,
        cookie,
        answer.body_mut().read_to_string().expect("a text"),
    )
}

#[test]
fn axum_counts_each_user_once_and_nobody_else() {
    let mut axum = Program::start(Command::new(env!("CARGO_BIN_EXE_axum")).arg("127.0.0.1:0"));
    let root = axum.address("") + "/";
    let (page, ballot) = (
        format!("{root}vote/polls/venue"),
        format!("{root}vote/v1/polls/venue/ballot"),
    );
    let (status, cookie, body) = ask("GET", &page, None, "");
    assert_eq!((status, cookie.as_str()), (401, ""));
    assert!(body.contains(r#"href="/">Sign in"#), "{body}");
    let forged = Some("session=ada.00");
    for session in [None, forged] {
        let (status, cookie, body) = ask("PUT", &ballot, session, r#"{"choices":["pub"]}"#);
        assert_eq!((status, cookie.as_str()), (401, ""), "{body}");
    }
    for (user, choices) in [("ada", ["pub", "park"]), ("bob", ["pub", "pub"])] {
        let (_, session, _) = ask("GET", &format!("{root}login/{user}"), None, "");
        let session = Some(session.as_str());
        let (status, cookie, body) = ask("GET", &page, session, "");
        assert_eq!((status, cookie.as_str()), (200, ""), "{body}");
        assert!(body.contains(r#"action="/vote/polls/venue""#), "{body}");
        for choice in choices {
            let (status, cookie, body) = ask(
                "PUT",
                &ballot,
                session,
                &format!(r#"{{"choices":["{choice}"]}}"#),
            );
            assert_eq!((status, cookie.as_str()), (202, ""), "{body}");
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let tally = format!("{root}results/v1/polls/venue/tally");
    loop {
        let reported = get(&tally);
        if reported.contains(r#""voters":2"#) && reported.matches(r#""votes":1"#).count() == 2 {
            break;
        }
        assert!(Instant::now() < deadline, "{reported}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
