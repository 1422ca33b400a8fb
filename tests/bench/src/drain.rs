//! Ballots a second from a full log to Postgres, against the bare statements fed from memory, and against the same with the
//! ballots in partitions.

use std::time::{Duration, Instant};

use postgres::Client;
use tokio::runtime::Runtime;
use uuid::Uuid;
use voting_core::{
    Ballot, Choices, VoteSink, VoterId,
    backends::{
        postgres::{Partitions, Postgres, PostgresOptions},
        redis::{Redis, RedisOptions},
    },
};
use voting_testing::{Deployment, Program, Programs, ServiceKind};

use crate::{
    figures::median,
    setup::{client, deploy, ready},
};

/// As the worker is shipped.
const BATCH: usize = 5_000;

/// As many as the goal is about.
const PARTITIONS: u16 = 8;

/// Who casts at a time: it decides how many ballots an entry has.
const CASTERS: usize = 256;

/// The store's tables, as far as the count needs them.
const TABLES: &str = "
    CREATE TABLE ballots (poll integer NOT NULL, voter uuid NOT NULL, choices bigint NOT NULL,
        prev bigint, shard integer NOT NULL, ms bigint NOT NULL, n bigint NOT NULL,
        PRIMARY KEY (poll, voter)) WITH (fillfactor = 80);
    CREATE TABLE tallies (poll integer NOT NULL, stripe smallint NOT NULL,
        option smallint NOT NULL, votes bigint NOT NULL, PRIMARY KEY (poll, stripe, option));
    CREATE TABLE turnouts (poll integer NOT NULL, stripe smallint NOT NULL,
        voters bigint NOT NULL, version bigint NOT NULL, PRIMARY KEY (poll, stripe));";

const UPSERT: &str = "
    INSERT INTO ballots AS b (poll, voter, choices, prev, shard, ms, n)
    SELECT 1, unnest($1::uuid[]), unnest($2::bigint[]), NULL::bigint, 0,
        unnest($3::bigint[]), unnest($4::bigint[])
    ON CONFLICT (poll, voter) DO UPDATE
    SET prev = b.choices, choices = excluded.choices, shard = excluded.shard,
        ms = excluded.ms, n = excluded.n
    WHERE (excluded.ms, excluded.n, excluded.shard) > (b.ms, b.n, b.shard)
    RETURNING choices, prev";

const TURNOUT: &str = "
    INSERT INTO turnouts AS t VALUES (1, 0, $1, 1) ON CONFLICT (poll, stripe)
    DO UPDATE SET voters = t.voters + excluded.voters, version = t.version + excluded.version";

const TALLY: &str = "
    INSERT INTO tallies AS t SELECT 1, 0, option, votes
    FROM unnest($1::smallint[], $2::bigint[]) AS d (option, votes)
    ON CONFLICT (poll, stripe, option) DO UPDATE SET votes = t.votes + excluded.votes";

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, rounds: usize, log: usize) {
    println!("drain: ballots a second from a log of {log} to Postgres, as shipped");
    let deployment = deploy(programs);
    ready(deployment.worker()).kill();
    let bare = deployment.postgres.database("bare");
    let mut bare = Client::connect(&bare, postgres::NoTls).expect("connected");
    bare.batch_execute(TABLES).expect("made");
    let (mut bares, mut ones, mut twos) = (Vec::new(), Vec::new(), Vec::new());
    let (mut parted_ones, mut parted_twos) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bares.push(flush_bare(&mut bare, log));
        ones.push(drain(&deployment, runtime, log, 1));
        move_into(&deployment, runtime, PARTITIONS);
        parted_ones.push(drain(&deployment, runtime, log, 1));
        parted_twos.push(drain(&deployment, runtime, log, 2));
        move_into(&deployment, runtime, 1);
        twos.push(drain(&deployment, runtime, log, 2));
        let last = |rates: &[f64]| rates.last().copied().unwrap_or_default();
        println!(
            "  bare {:.0}/s, one worker {:.0}/s, two {:.0}/s; in {PARTITIONS} partitions {:.0}/s, {:.0}/s",
            last(&bares),
            last(&ones),
            last(&twos),
            last(&parted_ones),
            last(&parted_twos)
        );
    }
    let share = |some: &[f64], of: &[f64]| {
        let pairs = some.iter().zip(of);
        median(pairs.map(|(one, other)| one / other).collect())
    };
    let (of_bare, of_one) = (share(&ones, &bares), share(&twos, &ones));
    let (of_whole, of_whole_by_two) = (share(&parted_ones, &ones), share(&parted_twos, &twos));
    let [bares, ones, twos, parted_ones, parted_twos] =
        [bares, ones, twos, parted_ones, parted_twos].map(median);
    println!(
        "  bare statements {bares:.0}/s; one worker {ones:.0}/s, {of_bare:.2} of it (goal 0.9); \
         two workers {twos:.0}/s, {of_one:.2} of one (goal 1.6 with cores for them)"
    );
    println!(
        "  in {PARTITIONS} partitions: one worker {parted_ones:.0}/s, {of_whole:.2} of one table (goal 0.9); \
         two workers {parted_twos:.0}/s, {of_whole_by_two:.2} of it"
    );
}

/// The table has no rows that anybody needs.
fn move_into(deployment: &Deployment, runtime: &Runtime, partitions: u16) {
    begin_afresh(&mut client(deployment));
    let store = Postgres::new(&deployment.database, PostgresOptions::default());
    let partitions = Partitions::new(partitions).expect("not too many");
    let moved = runtime.block_on(store.expect("an address").repartition(partitions));
    moved.expect("moved");
}

type Columns = (Vec<Uuid>, Vec<i64>, Vec<i64>, Vec<i64>);

/// Each measurement begins with empty tables and nothing of the last one left to be written, or the
/// later ones would pay for the earlier.
fn begin_afresh(client: &mut Client) {
    for tidy in ["TRUNCATE ballots, tallies, turnouts", "CHECKPOINT"] {
        client.batch_execute(tidy).expect("tidied");
    }
}

fn flush_bare(client: &mut Client, ballots: usize) -> f64 {
    let batches: Vec<Columns> = (0..ballots / BATCH)
        .map(|batch| {
            let numbers = 0..i64::try_from(BATCH).unwrap_or(0);
            let ms = i64::try_from(batch).unwrap_or(0) + 1_000_000;
            (
                (0..BATCH).map(|_| Uuid::now_v7()).collect(),
                numbers.clone().map(|number| 1 + number % 2).collect(),
                vec![ms; BATCH],
                numbers.collect(),
            )
        })
        .collect();
    // As the worker has them.
    let [upsert, turnout, tally] =
        [UPSERT, TURNOUT, TALLY].map(|text| client.prepare(text).expect("prepared"));
    begin_afresh(client);
    let begun = Instant::now();
    for (voters, choices, ms, n) in &batches {
        let mut transaction = client.transaction().expect("begun");
        let rows = transaction.query(&upsert, &[voters, choices, ms, n]);
        let rows = rows.expect("written");
        let mut votes = [0_i64; 2];
        for row in &rows {
            let (now, before): (i64, Option<i64>) = (row.get(0), row.get(1));
            votes[usize::from(now == 2)] += 1;
            if let Some(before) = before {
                votes[usize::from(before == 2)] -= 1;
            }
        }
        transaction
            .execute(&turnout, &[&(votes[0] + votes[1])])
            .expect("written");
        transaction
            .execute(&tally, &[&vec![0_i16, 1], &votes.to_vec()])
            .expect("written");
        transaction.commit().expect("committed");
    }
    rate(batches.len() * BATCH, begun.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a few million")]
fn rate(ballots: usize, time: Duration) -> f64 {
    ballots as f64 / time.as_secs_f64()
}

/// Fills the log, then starts workers and watches them.
pub(crate) fn drain(
    deployment: &Deployment,
    runtime: &Runtime,
    ballots: usize,
    workers: usize,
) -> f64 {
    runtime.block_on(fill(&deployment.redis.url(), ballots, CASTERS));
    let mut client = client(deployment);
    begin_afresh(&mut client);
    let voters = "SELECT COALESCE(SUM(voters), 0)::bigint FROM turnouts";
    let voters = client.prepare(voters).expect("prepared");
    let mut count = || {
        let row = client.query_one(&voters, &[]).expect("an answer");
        usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)
    };
    // All at once, and watched from the beginning: they are at work long before they are ready.
    let working: Vec<Program> = (0..workers)
        .map(|_| Program::start(&mut deployment.command(ServiceKind::Worker)))
        .collect();
    // The ends are left out: the start of the processes, and a last batch that is not full.
    let (from, to) = (ballots / 10, ballots * 95 / 100);
    let mut await_count = |goal: usize| {
        loop {
            let now = count();
            if now >= goal {
                return (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let (first, begun) = await_count(from);
    let (last, ended) = await_count(to);
    await_count(ballots);
    for worker in working {
        worker.signal("TERM");
        assert!(worker.wait().success());
    }
    rate(last - first, ended - begun)
}

/// Casts ballots of new voters, from so many tasks.
pub(crate) async fn fill(url: &str, ballots: usize, casters: usize) {
    let redis = Redis::new(url, RedisOptions::default()).expect("an address");
    let sink = std::sync::Arc::new(redis.sink());
    let tasks = (0..casters).map(|caster| {
        let sink = sink.clone();
        tokio::spawn(async move {
            let choices = Choices::from_bits(1 + (caster as u64) % 2).expect("an option");
            let share = ballots / casters + usize::from(caster < ballots % casters);
            for _ in 0..share {
                let ballot = Ballot {
                    poll: "cats-vs-dogs".parse().expect("an id"),
                    voter: VoterId::issue(),
                    choices,
                    rules: None,
                };
                sink.cast(ballot).await.expect("cast");
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}
