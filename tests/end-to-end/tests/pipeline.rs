//! The services on Redis and Postgres, as processes, while parts of them fail.

mod support;

use std::{collections::BTreeMap, fs, thread, time::Duration};

use support::{Crowd, all_is_well, close, settled, tally};
use voting_testing::{
    Authority, CLAIM_TIMEOUT, Deployment, Engine, RedisCluster, ReplicatedRedis, Service, agent,
    await_some, await_that, newer_stores,
};

#[test]
fn each_service_starts_before_its_stores_and_becomes_ready_by_itself() {
    let mut deployment = Deployment::new();
    deployment.redis.kill();
    deployment.postgres.kill();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    for service in [&vote, &worker, &result] {
        let alive = agent().get(format!("{}/healthz", service.url)).call();
        assert_eq!(alive.expect("an answer").status(), 200);
        assert!(!service.is_ready());
    }
    deployment.postgres.launch();
    await_that("the result service is ready without Redis", || {
        result.is_ready()
    });
    assert!(!vote.is_ready() && !worker.is_ready());
    deployment.redis.launch();
    await_that("the worker is ready", || worker.is_ready());
    await_that("the vote service is ready", || vote.is_ready());

    let form = agent().post(format!("{}/", vote.url));
    let form = form
        .content_type("application/x-www-form-urlencoded")
        .send("vote=b");
    assert_eq!(form.expect("an answer").status(), 200);
    settled(&worker);
    assert_eq!(tally(&result)["options"][1]["votes"], 1);
    for service in [vote, worker, result] {
        assert_eq!(service.stop().code(), Some(0));
    }
}

/// Of these cookies, and what a browser does with them.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    /// Looks at the page and votes there; the status of each.
    fn vote(&mut self, vote: &Service) -> [u16; 2] {
        let page = agent().get(format!("{}/", vote.url));
        let page = page.header("cookie", self.header()).call();
        let page = self.keep(&page.expect("an answer"));
        let form = agent().post(format!("{}/", vote.url));
        let form = form
            .header("cookie", self.header())
            .content_type("application/x-www-form-urlencoded")
            .send("vote=b");
        [page, self.keep(&form.expect("an answer"))]
    }

    fn header(&self) -> String {
        let cookies = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &ureq::http::Response<ureq::Body>) -> u16 {
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            let cookie = set.split(';').next().and_then(|set| set.split_once('='));
            let (name, value) = cookie.expect("a cookie");
            self.0.insert(name.to_owned(), value.to_owned());
        }
        answer.status().as_u16()
    }
}

#[test]
fn vote_services_with_different_secrets_count_a_voter_once() {
    let mut deployment = Deployment::new();
    let log = tempfile::NamedTempFile::new().expect("a file");
    let (worker, result, ours) = (deployment.worker(), deployment.result(), deployment.vote());
    await_that("the vote service is ready", || ours.is_ready());
    deployment.log = Some(log.reopen().expect("a file"));
    let other = "another secret of the tests, 32 bytes or more";
    deployment.more.push(("VOTING_SECRET", other.to_owned()));
    let foreign = deployment.vote();
    let mut jar = Jar::default();
    for _ in 0..3 {
        assert_eq!(jar.vote(&ours), [200, 200]);
        assert_eq!(jar.vote(&foreign), [200, 503]);
    }
    assert!(!foreign.is_ready() && ours.is_ready());
    settled(&worker);
    assert_eq!(tally(&result)["voters"], 1);
    let metrics = agent().get(format!("{}/metrics", foreign.url)).call();
    let metrics = metrics.expect("an answer").body_mut().read_to_string();
    let metrics = metrics.expect("a text");
    for line in [
        "voting_casts_total{outcome=\"foreign-secret\"} 3",
        "voting_foreign_secret 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let told = fs::read_to_string(log.path()).expect("a log");
    assert!(
        told.contains("refusing ballots: the log accepts a secret that is not here"),
        "{told}"
    );
    let doctor = deployment.voting(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert!(found.contains("FAIL  secret: "), "{found}");

    // An operator changes the secret on purpose: as docs/operations.md says.
    assert_eq!(ours.stop().code(), Some(0));
    deployment.redis.command(&["DEL", "voting:secrets"]);
    await_that("the other one is ready", || foreign.is_ready());
    assert_eq!(jar.vote(&foreign), [200, 200]);
    settled(&worker);
    assert_eq!(tally(&result)["voters"], 2);
}

#[test]
fn of_two_vote_services_with_different_secrets_that_start_at_once_one_is_ready() {
    let mut deployment = Deployment::new();
    let worker = deployment.worker();
    await_that("the worker is ready", || worker.is_ready());
    let secrets = ["a", "b"].map(|letter| letter.repeat(32));
    let votes: Vec<_> = secrets
        .iter()
        .map(|secret| {
            deployment.more = vec![("VOTING_SECRET", secret.clone())];
            deployment.vote()
        })
        .collect();
    let statuses: Vec<_> = thread::scope(|scope| {
        let casts: Vec<_> = votes
            .iter()
            .map(|vote| scope.spawn(|| Jar::default().vote(vote)[1]))
            .collect();
        casts
            .into_iter()
            .map(|cast| cast.join().expect("no panic"))
            .collect()
    });
    let taken = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(taken, 1, "{statuses:?}");
    assert_eq!(votes.iter().filter(|vote| vote.is_ready()).count(), 1);
}

#[test]
fn a_worker_that_is_killed_over_and_over_loses_nothing_and_counts_nothing_twice() {
    let deployment = Deployment::new();
    let (vote, result) = (deployment.vote(), deployment.result());
    let mut worker = deployment.worker();
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..6 {
        crowd.await_more(300);
        worker.kill();
        worker = deployment.worker();
    }
    crowd.await_more(300);
    let known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "voters notice nothing"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn while_postgres_is_away_votes_are_taken_and_then_the_backlog_drains() {
    let mut deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for in_order in [true, false] {
        crowd.await_more(200);
        if in_order {
            deployment.postgres.stop();
        } else {
            deployment.postgres.kill();
        }
        crowd.await_more(1_000);
        assert!(vote.is_ready(), "the vote service does not need Postgres");
        deployment.postgres.launch();
        await_that("the worker is ready again", || worker.is_ready());
    }
    let known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "voters notice nothing"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_redis_that_is_killed_and_comes_back_has_lost_no_acknowledged_vote() {
    let mut deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..3 {
        crowd.await_more(300);
        deployment.redis.kill();
        await_that("the vote service is not ready", || !vote.is_ready());
        deployment.redis.launch();
        await_that("the vote service is ready again", || vote.is_ready());
    }
    crowd.await_more(300);
    let known = crowd.disperse();
    assert!(
        known.refused > 0,
        "in between, voters are asked to come back"
    );
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_redis_that_is_lost_with_its_disk_has_lost_no_acknowledged_vote() {
    if newer_stores().is_none() {
        return;
    }
    let mut servers = ReplicatedRedis::start(Engine::Valkey, 1);
    let mut deployment = Deployment::new();
    deployment.more = vec![
        ("VOTING_REDIS__URL", servers.url()),
        ("VOTING_REDIS__SENTINELS", servers.sentinels()),
        ("VOTING_REDIS__REPLICAS", "1".to_owned()),
    ];
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    servers.lose_master();
    // A new machine, with an empty disk.
    servers.add_replica();
    crowd.await_more(300);
    let known = crowd.disperse();
    all_is_well(&worker, &result, &known);
    let doctor = deployment.voting(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert!(found.contains("ok    redis replicas: "), "{found}");
    assert!(vote.is_ready() && worker.is_ready(), "{found}");
}

#[test]
fn a_vote_service_that_is_killed_has_kept_what_it_acknowledged() {
    let deployment = Deployment::new();
    let (worker, result) = (deployment.worker(), deployment.result());
    let steady = deployment.vote();
    await_that("the vote service is ready", || steady.is_ready());
    let doomed = deployment.vote();
    let crowd = Crowd::gather(&[&steady, &doomed]);
    crowd.await_more(500);
    doomed.kill();
    crowd.await_more(500);
    let known = crowd.disperse();
    assert!(known.unanswered > 0);
    all_is_well(&worker, &result, &known);
}

#[test]
fn a_worker_that_was_paused_for_too_long_counts_nothing_twice() {
    let deployment = Deployment::new();
    let (vote, result) = (deployment.vote(), deployment.result());
    let (paused, relief) = (deployment.worker(), deployment.worker());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    for _ in 0..3 {
        crowd.await_more(300);
        paused.signal("STOP");
        // Long enough for the other one to take over what this one holds.
        thread::sleep(CLAIM_TIMEOUT * 2);
        crowd.await_more(100);
        paused.signal("CONT");
    }
    let known = crowd.disperse();
    all_is_well(&relief, &result, &known);
    assert_eq!(paused.stop().code(), Some(0));
}

#[test]
fn entries_that_cannot_be_read_are_set_aside_and_the_rest_counts() {
    let deployment = Deployment::new();
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    let push = |fields: &[&str]| {
        let add = ["XADD", "voting:{0}:log", "*"];
        deployment.redis.command(&[&add, fields].concat());
    };
    for _ in 0..5 {
        crowd.await_more(50);
        push(&["b", "not an entry", "n", "1"]);
        push(&["vote", "a"]);
    }
    crowd.await_more(50);
    let known = crowd.disperse();
    let pipeline = settled(&worker);
    await_that("all entries are read", || {
        let letters = settled(&worker)["rejected"].as_u64();
        letters == Some(10)
    });
    let voters = tally(&result)["voters"].as_u64().expect("a number");
    assert_eq!(voters, known.receipts.len() as u64, "{pipeline}");
}

/// Casts a ballot for a voter, who is given a cookie with the first one.
fn cast(vote: &Service, cookie: &mut Option<String>, choice: &str) {
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", vote.url);
    let mut ballot = agent().put(url).content_type("application/json");
    if let Some(cookie) = cookie {
        ballot = ballot.header("cookie", cookie.as_str());
    }
    let answer = ballot
        .send(format!(r#"{{"choices":["{choice}"]}}"#))
        .expect("an answer");
    assert_eq!(answer.status(), 202);
    if cookie.is_none() {
        let set = answer.headers()["set-cookie"].to_str().expect("a text");
        *cookie = set.split(';').next().map(str::to_owned);
    }
}

#[test]
fn with_several_workers_the_last_choice_of_a_fickle_voter_counts() {
    for workers in [2, 4] {
        let deployment = Deployment::new();
        let (vote, result) = (deployment.vote(), deployment.result());
        let workers: Vec<_> = (0..workers).map(|_| deployment.worker()).collect();
        await_that("the vote service is ready", || vote.is_ready());
        let crowd = Crowd::gather(&[&vote]);
        let mut cookie = None;
        for nth in 0..301 {
            cast(&vote, &mut cookie, if nth % 2 == 0 { "b" } else { "a" });
        }
        let known = crowd.disperse();
        let pipeline = settled(&workers[0]);
        let tally = tally(&result);
        assert_eq!(tally["options"][0]["votes"], known.receipts.len() as u64);
        assert_eq!(tally["options"][1]["votes"], 1, "the last one was for Dogs");
        assert_eq!(pipeline["superseded"], 300);
    }
}

#[test]
fn a_redis_at_its_memory_limit_refuses_loses_nothing_and_recovers_by_itself() {
    let mut deployment = Deployment::new();
    deployment
        .more
        .push(("VOTING_REDIS__RETENTION_HOURS", "0".to_owned()));
    let (vote, mut worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(200);
    let info = deployment.redis.command(&["INFO", "memory"]);
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used
        .and_then(|used| used.trim().parse().ok())
        .expect("a number");
    // The worker stands still, so the log grows until there is no room.
    worker.signal("STOP");
    let limit = (used + 200_000).to_string();
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", &limit]);
    crowd.await_refusal();
    // It goes on under the same limit, and so makes room.
    worker.signal("CONT");
    crowd.await_more(500);
    // However far beyond the limit it is, what is in the log is counted.
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "1"]);
    crowd.await_refusal();
    // Also by a worker that only starts then.
    worker.kill();
    worker = deployment.worker();
    settled(&worker);
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "0"]);
    crowd.await_more(100);
    let known = crowd.disperse();
    assert!(known.refused > 0);
    assert_eq!(known.unanswered, 0, "a refusal leaves no doubt");
    all_is_well(&worker, &result, &known);
}

#[test]
fn restarting_every_process_one_after_another_goes_unnoticed() {
    let mut deployment = Deployment::new();
    deployment
        .more
        .push(("VOTING_DRAIN_DELAY_MS", "1000".to_owned()));
    let mut votes = [deployment.vote(), deployment.vote()];
    let mut workers = [deployment.worker(), deployment.worker()];
    let mut results = [deployment.result(), deployment.result()];
    await_that("all are ready", || {
        let all = votes.iter().chain(&workers).chain(&results);
        all.into_iter().all(Service::is_ready)
    });
    let crowd = Crowd::gather(&[&votes[0], &votes[1]]);
    for index in 0..2 {
        crowd.await_more(200);
        // As a load balancer sees it: the one that leaves is not ready, so the other is used.
        votes[index].signal("TERM");
        await_that("it is not ready", || !votes[index].is_ready());
        let other = votes[1 - index].url.clone();
        crowd
            .places
            .lock()
            .expect("sound")
            .clone_from(&vec![other.clone()]);
        let new = deployment.vote();
        await_that("the new one is ready", || new.is_ready());
        let old = std::mem::replace(&mut votes[index], new);
        assert_eq!(old.wait().code(), Some(0));
        *crowd.places.lock().expect("sound") = vec![other, votes[index].url.clone()];

        crowd.await_more(200);
        let old = std::mem::replace(&mut workers[index], deployment.worker());
        assert_eq!(old.stop().code(), Some(0));
        let old = std::mem::replace(&mut results[index], deployment.result());
        assert_eq!(old.stop().code(), Some(0));
    }
    crowd.await_more(200);
    let known = crowd.disperse();
    assert_eq!(
        (known.refused, known.unanswered),
        (0, 0),
        "no voter saw an error"
    );
    all_is_well(&workers[0], &results[0], &known);
}

#[test]
fn in_a_log_that_was_made_anew_on_a_slow_clock_newer_ballots_still_win() {
    let mut deployment = Deployment::new();
    let result = deployment.result();
    let mut cookie = None;
    {
        let (vote, worker) = (deployment.vote(), deployment.worker());
        await_that("the vote service is ready", || vote.is_ready());
        // As on a clock that is a day ahead.
        for shard in 0..4 {
            let log = format!("voting:{{{shard}}}:log");
            let now = deployment.redis.command(&["TIME"]);
            let now: u64 = now
                .lines()
                .next()
                .and_then(|s| s.parse().ok())
                .expect("seconds");
            deployment
                .redis
                .command(&["XSETID", &log, &format!("{}000-0", now + 24 * 3600)]);
        }
        cast(&vote, &mut cookie, "a");
        settled(&worker);
        assert_eq!(tally(&result)["options"][0]["votes"], 1);
    }
    deployment.redis.wipe();
    deployment.redis.launch();
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the vote service is ready", || vote.is_ready());
    cast(&vote, &mut cookie, "b");
    await_that("the newer ballot counts", || {
        settled(&worker);
        tally(&result)["options"][1]["votes"] == 1
    });
    assert_eq!(tally(&result)["voters"], 1);
    // What is looked at again finds nothing that differs.
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(tally(&result)["options"][1]["votes"], 1);
}

#[test]
fn a_poll_that_is_closed_under_load_counts_all_that_was_acknowledged_and_never_changes_again() {
    let mut deployment = Deployment::new();
    let (awake, asleep) = (deployment.vote(), deployment.vote());
    let (doomed, worker, result) = (
        deployment.worker(),
        deployment.worker(),
        deployment.result(),
    );
    await_that("both are ready", || awake.is_ready() && asleep.is_ready());
    let crowd = Crowd::gather(&[&awake, &asleep]);
    crowd.await_more(500);
    // One that still takes the poll for open when it is long final.
    asleep.signal("STOP");
    doomed.kill();
    close(&worker);
    deployment.redis.kill();
    deployment.redis.launch();
    let last = await_some("the poll is final", || {
        let tally = tally(&result);
        (tally["state"] == "final").then_some(tally)
    });
    asleep.signal("CONT");
    let known = crowd.disperse();
    all_is_well(&worker, &result, &known);
    assert_eq!(tally(&result), last);
}

#[test]
fn on_encrypted_stores_votes_are_taken_counted_and_shown() {
    let authority = Authority::new();
    let mut deployment = Deployment::encrypted(&authority);
    let (vote, worker, result) = (deployment.vote(), deployment.worker(), deployment.result());
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    deployment.redis.kill();
    crowd.await_refusal();
    deployment.redis.launch();
    crowd.await_more(100);
    deployment.postgres.kill();
    crowd.await_more(100);
    deployment.postgres.launch();
    let known = crowd.disperse();
    all_is_well(&worker, &result, &known);
    assert_eq!(worker.stop().code(), Some(0));
}

#[test]
fn on_a_cluster_votes_are_counted_also_those_for_a_master_that_was_away() {
    let mut cluster = RedisCluster::start();
    let deployment = Deployment::on(&cluster);
    let (vote, result) = (deployment.vote(), deployment.result());
    let workers = [deployment.worker(), deployment.worker()];
    await_that("the vote service is ready", || vote.is_ready());
    let crowd = Crowd::gather(&[&vote]);
    crowd.await_more(300);
    cluster.masters[2].kill();
    await_that("the vote service is not ready", || !vote.is_ready());
    crowd.await_refusal();
    // The voters of other shards notice nothing.
    crowd.await_more(100);
    cluster.masters[2].launch();
    await_that("the vote service is ready again", || vote.is_ready());
    crowd.await_more(300);
    let known = crowd.disperse();
    all_is_well(&workers[0], &result, &known);
    let log = "voting:{0}:log";
    let consumers = || {
        let owner = &cluster.masters[cluster.owner(log)];
        owner.command(&["XINFO", "CONSUMERS", log, "workers"])
    };
    for worker in workers {
        assert_eq!(worker.stop().code(), Some(0));
    }
    assert_eq!(consumers(), "", "workers that ended are forgotten");
}

#[test]
fn a_vote_service_whose_ballots_are_all_refused_is_not_ready_until_they_are_taken() {
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(fs::File::create(&log).expect("a file"));
    let (vote, worker) = (deployment.vote(), deployment.worker());
    await_that("the vote service is ready", || vote.is_ready());
    // Nobody makes room in Redis.
    worker.kill();
    let cast = || {
        let form = agent().post(format!("{}/", vote.url));
        let form = form.content_type("application/x-www-form-urlencoded");
        form.send("vote=a").expect("an answer").status().as_u16()
    };
    assert_eq!(cast(), 200);
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = || {
        assert_eq!(cast(), 503);
        !vote.is_ready()
    };
    await_that("it is not ready", refused);
    // Redis itself says so after the first one; after some more it is known what became of ballots. The reason
    // is for the log, not for everybody.
    await_that("it says why", || {
        assert!(refused());
        let says = fs::read_to_string(&log).expect("a log");
        let mut lines = says.lines();
        lines.any(|line| line.contains("the last ballots were not stored") && line.contains("OOM"))
    });
    // With nobody who tries, as when a balancer sends nobody: it comes back by itself.
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "0"]);
    await_that("it is ready again", || vote.is_ready());
    assert_eq!(cast(), 200);
    // With somebody who tries, at once.
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "1"]);
    await_that("it is not ready", refused);
    deployment
        .redis
        .command(&["CONFIG", "SET", "maxmemory", "0"]);
    // Each of the shards that have refused takes one.
    await_that("it is ready soon", || cast() == 200 && vote.is_ready());
    vote.stop();
}
