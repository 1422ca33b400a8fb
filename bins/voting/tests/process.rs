//! The process: how it starts, stops, and starts again after it was killed under load.

mod support;

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use support::{Voting, command, get};
use voting_testing::agent;

fn vote(agent: &ureq::Agent, url: &str, choice: &str) -> bool {
    let form = agent
        .post(url)
        .content_type("application/x-www-form-urlencoded");
    form.send(format!("vote={choice}"))
        .is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn a_file_with_ballots_does_not_start_with_another_secret() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    assert!(vote(&agent(), &voting.vote, "b"));
    voting.signal("TERM");
    assert!(voting.wait().success());
    let mut other = command(folder.path());
    other.env("VOTING_SECRET", "another secret of 32 bytes or more");
    let refused = other.output().expect("it starts");
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("were cast under another secret"), "{why}");
    // The system has the same state as before.
    let voting = Voting::start(folder.path());
    assert!(vote(&agent(), &voting.vote, "b"));
}

#[test]
fn a_cookie_that_cannot_be_read_is_logged_once_and_without_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = command(folder.path());
    command.stderr(std::fs::File::create(&log).expect("a file"));
    let voting = Voting::start_as(folder.path(), &mut command);
    for _ in 0..5 {
        let page = agent()
            .get(&voting.vote)
            .header("cookie", "voter=strange-value");
        let page = page.config().http_status_as_error(false).build().call();
        assert_eq!(page.expect("an answer").status(), 400);
    }
    voting.signal("TERM");
    assert!(voting.wait().success());
    let log = std::fs::read_to_string(&log).expect("a log");
    let told = log.matches("refused a voter cookie, no ballot is counted for it");
    assert_eq!(told.count(), 1, "{log}");
    assert!(!log.contains("strange-value"), "{log}");
}

#[test]
fn a_thousand_votes_by_fifty_clients_at_once_are_a_thousand_votes() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    assert!(vote(&agent(), &voting.vote, "b"));
    let begin = Barrier::new(50);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let agent = agent();
                begin.wait();
                for _ in 0..20 {
                    assert!(vote(&agent, &voting.vote, "a"));
                }
            });
        }
    });
    let pipeline = voting.settled();
    assert_eq!(
        (&pipeline["accepted"], &pipeline["counted"]),
        (&1001.into(), &1001.into())
    );
    let tally = voting.tally();
    assert_eq!(tally["options"][0]["votes"], 1000);
    assert_eq!(tally["options"][1]["votes"], 1);
}

/// What clients know about their votes after the process is gone.
#[derive(Default)]
struct Known {
    /// Receipts of ballots that were acknowledged.
    receipts: Vec<String>,
    /// Ballots that got no answer.
    unanswered: u64,
}

/// Votes with eight clients until the process is gone. Each ballot is from a new voter.
fn vote_until_gone(voting: Voting, after: u64) -> Known {
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", voting.vote);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let gone = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (url, acknowledged, gone) = (url.clone(), acknowledged.clone(), gone.clone());
            thread::spawn(move || {
                let mut known = Known::default();
                let agent = agent();
                while !gone.load(Ordering::Acquire) {
                    let ballot = agent.put(&url).content_type("application/json");
                    match ballot.send(r#"{"choices":["a"]}"#) {
                        Ok(mut answer) => {
                            assert_eq!(answer.status(), 202);
                            let body = answer.body_mut().read_to_string();
                            let Ok(body) = body else {
                                known.unanswered += 1;
                                continue;
                            };
                            let accepted: serde_json::Value =
                                serde_json::from_str(&body).expect("JSON");
                            known
                                .receipts
                                .push(accepted["receipt"].as_str().expect("a receipt").to_owned());
                            acknowledged.fetch_add(1, Ordering::AcqRel);
                        }
                        Err(_) => known.unanswered += 1,
                    }
                }
                known
            })
        })
        .collect();
    while acknowledged.load(Ordering::Acquire) < after {
        thread::yield_now();
    }
    voting.kill();
    gone.store(true, Ordering::Release);
    let mut all = Known::default();
    for client in clients {
        let known = client.join().expect("no panic");
        all.receipts.extend(known.receipts);
        all.unanswered += known.unanswered;
    }
    all
}

#[test]
fn killed_under_load_it_has_lost_no_acknowledged_vote_and_counts_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut receipts = Vec::new();
    let mut unanswered = 0;
    for after in [50, 700, 1, 300] {
        let known = vote_until_gone(Voting::start(folder.path()), after);
        receipts.extend(known.receipts);
        unanswered += known.unanswered;
    }
    let voting = Voting::start(folder.path());
    voting.settled();
    let different: HashSet<_> = receipts.iter().collect();
    assert_eq!(
        different.len(),
        receipts.len(),
        "each ballot has a receipt of its own"
    );
    let agent = agent();
    for receipt in &receipts {
        let url = format!("{}/v1/receipts/{receipt}", voting.result);
        let body = agent
            .get(url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        assert!(body.contains(r#""state":"counted""#), "{body}");
    }
    let votes = voting.tally()["options"][0]["votes"].as_u64().unwrap();
    let acknowledged = receipts.len() as u64;
    assert!(
        (acknowledged..=acknowledged + unanswered).contains(&votes),
        "{acknowledged} acknowledged, {unanswered} unanswered, {votes} counted"
    );
    let recount = voting.api().recount("cats-vs-dogs").unwrap();
    assert_eq!(recount["agrees"], true, "{recount}");
    let pipeline = voting.settled();
    let number = |name: &str| pipeline[name].as_u64().unwrap();
    assert_eq!(
        number("accepted"),
        number("counted") + number("superseded") + number("rejected")
    );
}

/// A voter that changes its vote until the process is gone. Returns the last choice that was acknowledged, and the
/// choices after it that got no answer.
fn change_until_gone(url: &str, cookie: &str, gone: &AtomicBool) -> (String, HashSet<String>) {
    let agent = agent();
    let (mut last, mut unanswered) = (String::new(), HashSet::new());
    for nth in 0.. {
        if gone.load(Ordering::Acquire) {
            break;
        }
        let choice = ["a", "b", "c", "d"][nth % 4];
        let ballot = agent
            .put(url)
            .header("cookie", cookie)
            .content_type("application/json");
        match ballot.send(format!(r#"{{"choices":["{choice}"]}}"#)) {
            Ok(answer) if answer.status() == 202 => {
                choice.clone_into(&mut last);
                unanswered.clear();
            }
            _ => _ = unanswered.insert(choice.to_owned()),
        }
    }
    (last, unanswered)
}

#[test]
fn killed_while_voters_change_their_minds_it_keeps_the_last_choice_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let poll = "[[polls]]\nid = 'p'\ntitle = 'Which?'\noptions = [{id='a',label='A'},\
                {id='b',label='B'},{id='c',label='C'},{id='d',label='D'}]";
    std::fs::write(folder.path().join("poll.toml"), poll).unwrap();
    let start = || Voting::start_with(folder.path(), &["--config", "poll.toml"]);
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..3 {
        let voting = start();
        let url = format!("{}/v1/polls/p/ballot", voting.vote);
        while cookies.len() < 4 {
            let page = agent().get(&voting.vote).call().unwrap();
            let cookie = page.headers()["set-cookie"].to_str().unwrap();
            cookies.push(cookie.split(';').next().unwrap().to_owned());
        }
        let gone = AtomicBool::new(false);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let voters: Vec<_> = cookies
                .iter()
                .map(|cookie| scope.spawn(|| change_until_gone(&url, cookie, &gone)))
                .collect();
            let counted = || {
                let tally = get(&format!("{}/v1/polls/p/tally", voting.result));
                tally["version"].as_u64().unwrap()
            };
            let before = counted();
            while counted() < before + 4 {
                thread::yield_now();
            }
            voting.kill();
            gone.store(true, Ordering::Release);
            voters
                .into_iter()
                .map(|voter| voter.join().unwrap())
                .collect()
        });

        let voting = start();
        let pipeline = voting.settled();
        let number = |name: &str| pipeline[name].as_u64().unwrap();
        assert_eq!(number("counted"), 4);
        assert_eq!(number("accepted"), 4 + number("superseded"));
        let tally = get(&format!("{}/v1/polls/p/tally", voting.result));
        let mut votes = ["a", "b", "c", "d"].map(|id| {
            let option = tally["options"].as_array().unwrap().iter();
            let option = option.clone().find(|option| option["id"] == id).unwrap();
            (id, option["votes"].as_u64().unwrap())
        });
        // The counted choice is each voter's last acknowledged one, or one in flight after it.
        let mut open = Vec::new();
        for (last, unanswered) in outcomes {
            if unanswered.is_empty() {
                let (_, left) = votes.iter_mut().find(|(id, _)| *id == last).unwrap();
                *left = left
                    .checked_sub(1)
                    .expect("the last acknowledged choice counts");
            } else {
                open.push((last, unanswered));
            }
        }
        let left: u64 = votes.iter().map(|(_, left)| left).sum();
        assert_eq!(left, open.len() as u64);
        for (id, left) in votes {
            let able = open
                .iter()
                .filter(|(last, more)| last == id || more.contains(id));
            assert!(left <= able.count() as u64, "{id}: {left} of {open:?}");
        }
        voting.signal("TERM");
        assert_eq!(voting.wait().code(), Some(0));
    }
}

#[test]
fn asked_to_stop_it_counts_what_was_cast_and_exits_well() {
    // If the tests themselves run under `nohup`, the program inherits that SIGHUP is ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let signals: &[&str] = match ignored {
        Some(mask) if mask & 1 == 1 => &["TERM", "INT"],
        _ => &["TERM", "INT", "HUP"],
    };
    for &signal in signals {
        let folder = tempfile::tempdir().unwrap();
        let slow = ["--config", "slow.toml"];
        std::fs::write(
            folder.path().join("slow.toml"),
            "[worker]\nmax_wait_ms = 10000\nmin_wait_ms = 10000",
        )
        .unwrap();
        let voting = Voting::start_with(folder.path(), &slow);
        let agent = agent();
        for _ in 0..30 {
            assert!(vote(&agent, &voting.vote, "a"));
        }
        assert_eq!(voting.tally()["voters"], 0, "the batch is still open");
        voting.signal(signal);
        assert_eq!(voting.wait().code(), Some(0), "{signal}");
        let database = rusqlite::Connection::open(folder.path().join("voting-data/voting.db"));
        let counted = database.unwrap().query_row(
            "SELECT voters, (SELECT COUNT(*) FROM log) FROM polls",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        assert_eq!(counted, Ok((30, 0)));
        assert!(
            !folder.path().join("voting-data/voting.db-wal").exists(),
            "all of it is in the one file"
        );
    }
}

#[test]
fn votes_cookies_and_polls_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let lunch = "[[polls]]\nid='lunch'\ntitle='Lunch?'\n\
                 options=[{id='x',label='X'},{id='y',label='Y'}]";
    std::fs::write(folder.path().join("lunch.toml"), lunch).unwrap();
    let voting = Voting::start_with(folder.path(), &["--config", "lunch.toml"]);
    let agent = agent();
    let url = format!("{}/v1/polls/lunch/ballot", voting.vote);
    let first = agent
        .put(&url)
        .content_type("application/json")
        .send(r#"{"choices":["x"]}"#);
    let cookie = first.unwrap().headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    voting.signal("TERM");
    voting.wait();

    let voting = Voting::start(folder.path());
    let url = format!("{}/v1/polls/lunch/ballot", voting.vote);
    let again = agent
        .put(&url)
        .header("cookie", cookie.split(';').next().unwrap());
    let again = again
        .content_type("application/json")
        .send(r#"{"choices":["y"]}"#)
        .unwrap();
    assert_eq!(again.status(), 202);
    voting.settled();
    let tally = get(&format!("{}/v1/polls/lunch/tally", voting.result));
    assert_eq!(
        (&tally["voters"], &tally["options"][1]["votes"]),
        (&1.into(), &1.into())
    );
}

/// Starts the program with settings that it must refuse. Returns its message.
fn refused(folder: &std::path::Path, settings: &str) -> String {
    std::fs::write(folder.join("bad.toml"), settings).expect("written");
    let output = command(folder)
        .args(["--config", "bad.toml"])
        .stdout(Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("a text")
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path(), "[vote]\nlissten = '127.0.0.1:80'");
    assert!(
        said.contains("lissten") && said.lines().count() == 1,
        "{said}"
    );
    let said = refused(folder.path(), "secret = 'short'");
    assert!(said.contains("secret is too short"), "{said}");
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let said = refused(folder.path(), "[sqlite]\npath = 'file/voting.db'");
    assert!(said.contains("file/voting.db.lock"), "{said}");

    let running = Voting::start(folder.path());
    let said = refused(folder.path(), "");
    assert!(said.contains("in use by another process"), "{said}");
    let port = running.vote.rsplit(':').next().unwrap();
    let said = command(folder.path())
        .args(["--sqlite-path", "other.db", "--vote-listen"])
        .output();
    assert_eq!(
        said.unwrap().status.code(),
        Some(2),
        "a flag without its value"
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_voting"))
        .current_dir(folder.path())
        .args([
            "--sqlite-path",
            "other.db",
            "--vote-listen",
            &format!("127.0.0.1:{port}"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot serve the voting page"), "{said}");
    drop(running);

    let said = refused(folder.path(), "default_poll = 'none'");
    assert!(said.contains("default_poll is none"), "{said}");

    let running = Voting::start(folder.path());
    assert!(vote(&agent(), &running.vote, "a"));
    running.kill();
    let said = refused(
        folder.path(),
        "[[polls]]\nid='cats-vs-dogs'\ntitle='t'\n\
         options=[{id='a',label='A'},{id='c',label='C'}]",
    );
    assert!(
        said.contains("cats-vs-dogs") && said.contains("other options"),
        "{said}"
    );

    std::fs::remove_file(folder.path().join("voting-data/secret")).unwrap();
    let said = refused(folder.path(), "");
    assert!(said.contains("voting-data/secret is missing"), "{said}");
}

#[test]
fn a_restart_leaves_the_operators_labels() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let poll = r#"{"id":"cats-vs-dogs","title":"Felines or canines?","options":
        [{"id":"a","label":"Felines"},{"id":"b","label":"Canines"}]}"#;
    let put = agent()
        .post(format!("{}/v1/polls", voting.operator))
        .header(
            "authorization",
            format!("Bearer {}", voting.operator_token()),
        )
        .content_type("application/json")
        .send(poll);
    assert_eq!(put.unwrap().status(), 200);
    voting.signal("TERM");
    voting.wait();
    let voting = Voting::start(folder.path());
    assert_eq!(voting.tally()["options"][0]["label"], "Felines");
}

#[test]
fn started_so_as_to_outlive_its_terminal_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut nohup = std::process::Command::new("nohup");
    nohup
        .arg(env!("CARGO_BIN_EXE_voting"))
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    for flag in ["--vote-listen", "--result-listen", "--worker-listen"] {
        nohup.args([flag, "localhost:0"]);
    }
    let mut program = voting_testing::Program::start(&mut nohup);
    let url = program.address("Vote:");
    program.signal("HUP");
    for _ in 0..3 {
        assert!(vote(&agent(), &url, "a"));
    }
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
}

/// Starts the program with its standard error output in a file, and stops it again. Returns the contents of this file
/// and of its standard output.
fn lines_of(
    folder: &std::path::Path,
    set_up: impl FnOnce(&mut std::process::Command, &std::fs::File),
) -> (Vec<String>, Vec<String>) {
    let log = folder.join("log");
    let file = std::fs::File::create(&log).expect("the log");
    let mut command = command(folder);
    set_up(&mut command, &file);
    command.stderr(file);
    let mut program = voting_testing::Program::start(&mut command);
    let mut said: Vec<_> = (0..3).map(|_| program.line().expect("a line")).collect();
    // Waits until the program has logged whether it is ready.
    voting_testing::await_that("it is ready", || {
        let log = std::fs::read_to_string(&log).expect("the log");
        log.contains("ready")
    });
    program.signal("TERM");
    said.extend(std::iter::from_fn(|| program.line()));
    assert_eq!(program.wait().code(), Some(0));
    let log = std::fs::read_to_string(&log).expect("the log");
    (log.lines().map(str::to_owned).collect(), said)
}

#[test]
fn as_json_each_line_is_an_object_also_where_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let (log, said) = lines_of(folder.path(), |command, _| {
        command.env("VOTING_LOG_FORMAT", "json");
    });
    let objects: Vec<serde_json::Value> = log
        .iter()
        .chain(&said)
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for object in &objects {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(object[field].is_string(), "no {field} in {object}");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(objects.iter().any(|object| object["version"] == version));
    assert!(objects.iter().any(|object| object["message"] == "ready"));
    let services: Vec<_> = objects
        .iter()
        .filter(|object| object["address"].is_string())
        .map(|object| object["service"].as_str().unwrap())
        .collect();
    assert_eq!(services, ["vote", "result", "operator", "host"]);
    // The reason why it does not start has the same format.
    for settings in [
        "log_format = 'json'\nsecret = 'short'",
        "log_format = 'json'\nworker.max_ballots = 'x'",
    ] {
        let said = refused(folder.path(), settings);
        let last = said.lines().last().expect("a line");
        let object: serde_json::Value = serde_json::from_str(last).expect(last);
        assert_eq!(object["level"], "ERROR");
    }
}

#[test]
fn to_the_journal_each_line_has_its_priority_and_no_time() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let stream = |file: &std::fs::File, off: u64| {
        let of = file.metadata().unwrap();
        format!("{}:{}", of.dev(), of.ino() + off)
    };
    let (log, _) = lines_of(folder.path(), |command, file| {
        command.env("JOURNAL_STREAM", stream(file, 0));
        // This setting causes a warning.
        command.env("VOTING_VOTE__PUBLIC_URL", "https://vote.test");
    });
    for line in &log {
        assert!(
            line.starts_with('<') && line.as_bytes()[2] == b'>',
            "{line}"
        );
        assert!(!line.contains("Z "), "a time in {line}");
    }
    let of = |priority: &str, text: &str| {
        log.iter()
            .any(|line| line.starts_with(priority) && line.contains(text))
    };
    assert!(of("<6>", "starting") && of("<6>", "ready"), "{log:#?}");
    assert!(
        of(
            "<4>",
            "only one of vote.public_url and result.public_url is set"
        ),
        "{log:#?}"
    );
    // In other outputs, the lines have the usual format, although the variable is inherited.
    let (log, _) = lines_of(folder.path(), |command, file| {
        command.env("JOURNAL_STREAM", stream(file, 1));
    });
    assert!(log.iter().all(|line| line.contains("Z ")), "{log:#?}");
    assert!(log.iter().all(|line| !line.starts_with('<')), "{log:#?}");
}

#[test]
fn the_courses_labels_are_taken_for_the_default_poll() {
    let folder = tempfile::tempdir().unwrap();
    let with = |labels: &[(&str, &str)]| {
        let mut command = command(folder.path());
        command.envs(labels.iter().copied());
        let mut program = voting_testing::Program::start(&mut command);
        let _vote = program.address("Vote:");
        let result = program.address("Result:");
        let tally = get(&format!("{result}/v1/polls/cats-vs-dogs/tally"));
        let label = |index: usize| {
            tally["options"][index]["label"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        [
            tally["title"].as_str().unwrap_or_default().to_owned(),
            label(0),
            label(1),
        ]
    };
    assert_eq!(
        with(&[("OPTION_A", "Tea"), ("OPTION_B", "Coffee")])[1..],
        ["Tea", "Coffee"]
    );
    // The labels are kept until they are set again.
    assert_eq!(with(&[])[1..], ["Tea", "Coffee"]);
    assert_eq!(with(&[("OPTION_B", "Mate")])[1..], ["Tea", "Mate"]);
}

#[test]
fn a_poll_that_was_put_can_be_voted_in_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    for number in 0..5 {
        let id = format!("poll-{number}");
        // Somebody has asked for the poll just before.
        let ballot = format!("{}/v1/polls/{id}/ballot", voting.vote);
        let cast = || {
            let cast = agent().put(&ballot).content_type("application/json");
            cast.send(r#"{"choices":["a"]}"#).unwrap().status()
        };
        assert_eq!(cast(), 404);
        let poll = format!(
            r#"{{"id":"{id}","title":"?","options":[{{"id":"a","label":"A"}},{{"id":"b","label":"B"}}]}}"#
        );
        let mut put = agent()
            .post(format!("{}/v1/polls", voting.operator))
            .header(
                "authorization",
                format!("Bearer {}", voting.operator_token()),
            )
            .content_type("application/json")
            .send(poll)
            .unwrap();
        assert_eq!(put.status(), 201);
        let stored = put.body_mut().read_to_string().unwrap();
        assert!(stored.contains(r#""published":true"#), "{stored}");
        assert_eq!(cast(), 202);
    }
}

#[test]
fn the_example_poll_goes_once_others_are_configured_unless_somebody_has_voted_in_it() {
    for has_voted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let voting = Voting::start(folder.path());
        if has_voted {
            assert!(vote(&agent(), &voting.vote, "a"));
        }
        voting.signal("TERM");
        voting.wait();
        std::fs::write(
            folder.path().join("lunch.toml"),
            "[[polls]]\nid='lunch'\ntitle='Lunch?'\n\
             options=[{id='a',label='A'},{id='b',label='B'}]",
        )
        .unwrap();
        let voting = Voting::start_with(folder.path(), &["--config", "lunch.toml"]);
        let names = |voting: &Voting| -> Vec<String> {
            let polls = get(&format!("{}/v1/polls", voting.vote));
            let polls = polls["polls"].as_array().expect("a list");
            polls
                .iter()
                .map(|poll| poll["id"].as_str().expect("an id").to_owned())
                .collect()
        };
        if has_voted {
            assert_eq!(names(&voting), ["cats-vs-dogs", "lunch"]);
            assert_eq!(voting.tally()["voters"], 1);
            continue;
        }
        assert_eq!(names(&voting), ["lunch"]);
        // Without other polls, it is made again, as at the first start.
        voting.signal("TERM");
        voting.wait();
        let voting = Voting::start(folder.path());
        assert_eq!(names(&voting), ["lunch", "cats-vs-dogs"]);
        assert!(vote(&agent(), &voting.vote, "a"));
    }
}

/// The command with these limits of open files, as a shell sets them.
fn limited(folder: &std::path::Path, limits: &str, log: &std::path::Path) -> std::process::Command {
    let inner = command(folder);
    let mut outer = std::process::Command::new("sh");
    outer.current_dir(folder);
    outer.args(["-c", &format!("ulimit {limits}; exec \"$@\""), "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.stderr(std::fs::File::create(log).expect("an answer"));
    outer
}

/// Requests an event stream. Returns whether the service opened one.
fn watch(url: &str) -> (std::net::TcpStream, bool) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("an answer");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("an answer");
    let path = "/v1/polls/cats-vs-dogs/tally/events";
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut status = [0; 12];
    let answered =
        stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut status).is_ok();
    (stream, answered && &status == b"HTTP/1.1 200")
}

fn metrics(url: &str) -> String {
    let mut answer = agent()
        .get(format!("{url}/metrics"))
        .call()
        .expect("an answer");
    answer.body_mut().read_to_string().expect("an answer")
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let voting = Voting::start_as(folder.path(), &mut limited(folder.path(), "-Sn 256", &log));
    let viewers: Vec<_> = (0..300).map(|_| watch(&voting.result)).collect();
    assert!(viewers.iter().all(|(_, watches)| *watches));
    for _ in 0..20 {
        assert!(vote(&agent(), &voting.vote, "a"));
    }
}

#[test]
fn where_few_files_may_be_open_there_are_fewer_connections_and_votes_get_through() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let voting = Voting::start_as(folder.path(), &mut limited(folder.path(), "-n 512", &log));
    let told = metrics(&voting.result);
    let limit = told
        .lines()
        .find_map(|line| line.strip_prefix("voting_connections_limit "));
    let limit: usize = limit.unwrap().parse().unwrap();
    assert!((64..512).contains(&limit), "{limit}");
    let viewers: Vec<_> = (0..400).map(|_| watch(&voting.result)).collect();
    let watching = viewers.iter().filter(|(_, watches)| *watches).count();
    assert!(watching > 20 && watching < limit, "{watching} of {limit}");
    for _ in 0..20 {
        assert!(vote(&agent(), &voting.vote, "a"));
    }
    assert_eq!(
        agent()
            .get(format!("{}/readyz", voting.result))
            .call()
            .unwrap()
            .status(),
        200
    );
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("the limit of open files is too low for max_connections"),
        "{log}"
    );
    assert!(
        log.contains("one address holds its share of the event streams"),
        "{log}"
    );
}

#[test]
fn votes_that_a_proxy_makes_look_strange_are_reported_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let voting = Voting::start_as(folder.path(), &mut limited(folder.path(), "-Sn 1024", &log));
    for _ in 0..5 {
        // nginx with a simple `proxy_pass` sends this header.
        let post = agent()
            .post(&voting.vote)
            .header("origin", "http://vote.example");
        let post = post.content_type("application/x-www-form-urlencoded");
        assert_eq!(post.send("vote=a").unwrap().status(), 403);
    }
    for number in 0..5 {
        let ask = agent().get(format!("{}/v1/pipeline", voting.operator));
        let ask = ask.header("authorization", format!("Bearer wrong {number}"));
        assert_eq!(ask.call().unwrap().status(), 401);
    }
    let host = voting
        .vote
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let port = host.rsplit(':').next().unwrap().to_owned();
    drop(voting);
    let log = std::fs::read_to_string(log).unwrap();
    let lines = |what: &str| {
        log.lines()
            .filter(|line| line.contains(what))
            .collect::<Vec<_>>()
    };
    let origins = lines("vote.public_url");
    assert_eq!(origins.len(), 1, "once a minute: {log}");
    for part in ["http://vote.example", &port, "WARN"] {
        assert!(origins[0].contains(part), "{part}: {log}");
    }
    let tokens = lines("wrong operator's tokens");
    assert_eq!(tokens.len(), 5, "each: {log}");
    for line in tokens {
        assert!(
            line.contains("127.0.0.1") && !line.contains("wrong 0"),
            "{log}"
        );
    }
}
