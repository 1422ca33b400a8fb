//! The process: how it starts, stops, and comes back after it was killed under load.

mod support;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use support::{Voting, agent, command, get};

fn vote(agent: &ureq::Agent, url: &str, choice: &str) -> bool {
    let form = agent
        .post(url)
        .content_type("application/x-www-form-urlencoded");
    form.send(format!("vote={choice}"))
        .is_ok_and(|answer| answer.status() == 200)
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

/// What clients know of their votes when the process is gone.
#[derive(Default)]
struct Known {
    /// Receipts of ballots that were acknowledged.
    receipts: Vec<String>,
    /// Ballots that got no answer.
    unanswered: u64,
}

/// Votes with eight clients, each ballot as a voter of its own, until the process is gone.
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
    let url = format!("{}/v1/polls/cats-vs-dogs/recount", voting.operator);
    let bearer = format!("Bearer {}", voting.operator_token());
    let mut recount = agent
        .post(url)
        .header("authorization", bearer)
        .send_empty()
        .unwrap();
    assert!(
        recount
            .body_mut()
            .read_to_string()
            .unwrap()
            .contains(r#""agrees":true"#)
    );
    let pipeline = voting.settled();
    let number = |name: &str| pipeline[name].as_u64().unwrap();
    assert_eq!(
        number("accepted"),
        number("counted") + number("superseded") + number("rejected")
    );
}

/// A voter that changes its vote on and on until the process is gone: the last choice that was
/// acknowledged, and those after it that got no answer.
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
    fs::write(folder.path().join("poll.toml"), poll).unwrap();
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
        // Each voter's last acknowledged choice, or one that was under way after it.
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
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let slow = ["--config", "slow.toml"];
        fs::write(
            folder.path().join("slow.toml"),
            "[worker]\nmax_wait_ms = 10000",
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
    fs::write(folder.path().join("lunch.toml"), lunch).unwrap();
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

/// Starts it with settings that it must refuse; what it says.
fn refused(folder: &Path, settings: &str) -> String {
    fs::write(folder.join("bad.toml"), settings).expect("written");
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
    fs::write(folder.path().join("file"), "x").unwrap();
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
    let output = Command::new(env!("CARGO_BIN_EXE_voting"))
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

    fs::remove_file(folder.path().join("voting-data/secret")).unwrap();
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

/// The command, with these limits of open files, as a shell sets them.
fn limited(folder: &Path, limits: &str, log: &Path) -> Command {
    let inner = command(folder);
    let mut outer = Command::new("sh");
    outer.current_dir(folder);
    outer.args(["-c", &format!("ulimit {limits}; exec \"$@\""), "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.stderr(File::create(log).unwrap());
    outer
}

/// Asks for an event stream, and says whether it got one.
fn watch(url: &str) -> (TcpStream, bool) {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    let path = "/v1/polls/cats-vs-dogs/tally/events";
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut status = [0; 12];
    let answered =
        stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut status).is_ok();
    (stream, answered && &status == b"HTTP/1.1 200")
}

fn metrics(url: &str) -> String {
    let mut answer = agent().get(format!("{url}/metrics")).call().unwrap();
    answer.body_mut().read_to_string().unwrap()
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let voting = Voting::start_by(folder.path(), &mut limited(folder.path(), "-Sn 256", &log));
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
    let voting = Voting::start_by(folder.path(), &mut limited(folder.path(), "-n 512", &log));
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
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("max_connections is lower"), "{log}");
    assert!(
        log.contains("one address holds its share of the event streams"),
        "{log}"
    );
}

#[test]
fn votes_that_a_proxy_makes_look_strange_are_told_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let voting = Voting::start_by(folder.path(), &mut limited(folder.path(), "-Sn 1024", &log));
    for _ in 0..5 {
        // As nginx passes it on with a bare `proxy_pass`.
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
    let log = fs::read_to_string(log).unwrap();
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
    assert_eq!(tokens.len(), 1, "{log}");
    assert!(
        tokens[0].contains("127.0.0.1") && !tokens[0].contains("wrong 0"),
        "{log}"
    );
}
