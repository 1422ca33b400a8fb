//! What a ballot takes in Redis and in Postgres, to reckon with.

use std::{fs, time::Duration};

use tokio::runtime::Runtime;
use voting_testing::{Deployment, Programs, within};

use crate::{
    drain::fill,
    setup::{client, deploy, ready},
};

/// Who casts at a time: a lone voter's ballot is an entry of its own.
const CASTERS: [usize; 2] = [1, 256];

const BALLOTS: usize = 50_000;

/// More than it takes to count them, also where the programs are not optimised.
const LONG: Duration = Duration::from_secs(300);

pub(crate) fn measure(programs: &Programs, runtime: &Runtime) {
    println!("sizes: of a ballot of a new voter, in a poll with two options");
    for casters in CASTERS {
        let deployment = deploy(programs);
        let mut client = client(&deployment);
        let mut ask = |sql: &str| -> i64 { client.query_one(sql, &[]).expect("answered").get(0) };
        ready(deployment.worker()).kill();
        let (entries, log) = (of_streams(&deployment, &["XLEN"]), aof(&deployment));
        runtime.block_on(fill(&deployment.redis.url(), BALLOTS, casters));
        let entries = of_streams(&deployment, &["XLEN"]) - entries;
        let memory = of_streams(&deployment, &["MEMORY", "USAGE"]);
        let log = aof(&deployment) - log;

        let wal = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        let before = ask(wal);
        let worker = deployment.worker();
        let voters = "SELECT COALESCE(SUM(voters), 0)::bigint FROM turnouts";
        let all = i64::try_from(BALLOTS).expect("some thousand");
        let counted = within(LONG, || (ask(voters) >= all).then_some(()));
        counted.expect("all is counted");
        worker.stop();
        let wal = ask(wal) - before;
        let table = ask("SELECT pg_total_relation_size('ballots')");
        let each = |bytes: i64| bytes / all;
        println!(
            "  entries of {} ballots: {} bytes of memory in Redis and {} on its disk; {} in \
             Postgres' tables, {} of its log",
            all / entries.max(1),
            each(memory),
            each(log),
            each(table),
            each(wal),
        );
    }
}

/// The sum over all streams of what a command says.
fn of_streams(deployment: &Deployment, command: &[&str]) -> i64 {
    let keys = deployment.redis.command(&["KEYS", "*:log"]);
    let of = |key: &str| -> i64 {
        let asked = [command, &[key]].concat();
        deployment.redis.command(&asked).parse().expect("a number")
    };
    keys.lines().map(of).sum()
}

/// Bytes of the append-only files.
fn aof(deployment: &Deployment) -> i64 {
    let folder = deployment.redis.command(&["CONFIG", "GET", "dir"]);
    let folder = folder.lines().nth(1).expect("a folder").to_owned();
    let files = fs::read_dir(format!("{folder}/appendonlydir")).expect("it is there");
    let sizes = files.map(|file| file.expect("a file").metadata().expect("a size").len());
    i64::try_from(sizes.sum::<u64>()).expect("not that large")
}
