//! After the faults: the voters of a poll are forgotten, the log hands out all its ballots again, a worker is killed
//! meanwhile, and the tally is the same.

use std::{io, process::Command, sync::Arc};

use serde_json::{Value, json};
use voting_testing::{Operator, PostgresServer, Programs, TOKEN, agent, text_of};

use crate::{
    addresses::Addresses, ask, cluster::Cluster, error::RunError, process::Process,
    target::ServiceId,
};

const POLL: &str = "forgotten";

/// Each has one ballot.
const VOTERS: usize = 300;

/// What is wrong; nothing if the result is the same.
pub(crate) async fn judge(
    cluster: &Cluster,
    addresses: &Addresses,
    programs: &Programs,
) -> Result<Vec<String>, RunError> {
    let mut workers = Vec::new();
    for (which, process) in &cluster.services {
        if matches!(which, ServiceId::Worker(_)) {
            workers.push(Arc::clone(process).lock_owned().await);
        }
    }
    let postgres = cluster.postgres.lock().await.server.url("voting");
    let (votes, asked) = (addresses.votes.clone(), addresses.workers.clone());
    let voting = programs.path("voting");
    let done = tokio::task::spawn_blocking(move || {
        let mut processes: Vec<&mut Process> =
            workers.iter_mut().map(|worker| &mut **worker).collect();
        // Until now, counted ballots were removed at once.
        for process in &mut processes {
            process.stop();
            process.set("VOTING_REDIS__RETENTION_HOURS", "1");
            process.start();
        }
        let before = forgets(&votes, &asked).map_err(RunError::Never)?;
        for process in &mut processes {
            process.stop();
        }
        // A worker that was killed is taken for one at work for a while.
        let rewind = || {
            let mut rewind = Command::new(&voting);
            rewind.env_clear().envs(processes[0].settings());
            let rewound = rewind.arg("rewind").output().ok()?;
            rewound.status.success().then_some(())
        };
        ask::until(rewind).ok_or(RunError::Never("the log is rewound"))?;
        for process in &mut processes {
            process.start();
        }
        processes[0].kill();
        processes[0].start();
        Ok(compare(&asked[0], &postgres, &before))
    });
    done.await.map_err(io::Error::other)?
}

/// Votes in a poll until it is final, and has its voters forgotten. The recount before.
fn forgets(votes: &[String], workers: &[String]) -> Result<Value, &'static str> {
    let worker = &workers[0];
    ask::until(|| ask::add_poll(worker, POLL)).ok_or("a poll is added")?;
    for vote in votes {
        ask::until(|| ask::knows(vote, POLL).then_some(())).ok_or("a vote service knows it")?;
    }
    for (number, vote) in (0..VOTERS).zip(votes.iter().cycle()) {
        let choice = ["a", "b"][usize::from(number % 3 == 0)];
        let body = json!({"choices": [choice]}).to_string();
        let url = format!("{vote}/v1/polls/{POLL}/ballot");
        let cast = || {
            let ballot = agent().put(&url).content_type("application/json");
            ballot
                .send(&body)
                .ok()
                .filter(|answer| answer.status() == 202)
        };
        ask::until(cast).ok_or("a ballot is acknowledged")?;
    }
    let operator = Operator::new(worker, TOKEN);
    operator.close(POLL);
    let is_final = || {
        let poll = operator.get(&format!("polls/{POLL}"))?;
        (poll["state"] == "final").then_some(())
    };
    ask::until(is_final).ok_or("the poll is final")?;
    let before = ask::until(|| ask::recount(worker, POLL)).ok_or("a recount")?;
    let forget = format!("polls/{POLL}/forget-voters?confirm={POLL}");
    let forget = || {
        let answer = operator.post(&forget).ok()?;
        text_of(answer)
            .contains("voters_forgotten_at")
            .then_some(())
    };
    ask::until(forget).ok_or("the voters are forgotten")?;
    Ok(before)
}

/// What is not as it was before.
fn compare(worker: &str, postgres: &str, before: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    ask::until(|| ask::is_ready(worker).then_some(()));
    let pipeline = ask::settled(worker).unwrap_or_default();
    let number = |name: &str| pipeline[name].as_u64().unwrap_or_default();
    let told = number("counted") + number("superseded") + number("rejected");
    if number("pending") > 0 || number("accepted") != told {
        wrong.push(format!(
            "after a rewind the counters do not add up: {pipeline}"
        ));
    }
    let after = ask::until(|| ask::recount(worker, POLL)).unwrap_or_default();
    if after != *before || after["agrees"] != true || after["kept"]["voters"] != json!(VOTERS) {
        wrong.push(format!(
            "without voters the result was {before}, and is {after}"
        ));
    }
    let stored =
        format!("SELECT count(*) FROM ballots JOIN polls ON key = poll WHERE id = '{POLL}'");
    match PostgresServer::sql(postgres, &stored) {
        Ok(ballots) if ballots == "0" => {}
        other => wrong.push(format!("ballots of voters that are forgotten: {other:?}")),
    }
    wrong
}
