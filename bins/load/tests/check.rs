//! The check finds what is wrong, and nothing where nothing is.

mod support;

use std::{
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use support::{
    Services,
    liar::{Deed, Liar},
};
use voting_load::{History, Load, Pace, Plan, Verdict, check};
use voting_testing::PostgresServer;

/// One for all tests; it ends with the process.
static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// A new database.
fn database(name: &str) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Relaxed);
    SERVER.database(&format!("{name}_{made}"))
}

async fn run(plan: Plan) -> History {
    let load = Load::start(plan).expect("it starts");
    load.done().await;
    load.stop().await
}

/// Runs SQL behind everybody's back; so many rows are changed.
async fn tamper(url: &str, sql: &'static str) -> u64 {
    let url = url.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("connected");
        client.execute(sql, &[]).expect("done")
    });
    done.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_with_a_pipeline_that_works() {
    for form in [false, true] {
        let url = database(if form { "form" } else { "json" });
        let services = Services::on_postgres(&url).await;
        let mut sources = services.sources(Some(&url));
        let plan = Plan {
            form,
            ..services.plan()
        };
        let history = run(plan.clone()).await;
        let counts = history.counts();
        assert_eq!(
            (counts.acknowledged, counts.ended()),
            (600, 600),
            "{counts:?}"
        );
        assert_eq!(history.voters(), 200);
        assert_eq!(history.acknowledgement().len(), 600);
        assert_eq!(history.visible().len(), 200);
        let verdict = check(&history, &sources).await.expect("a verdict");
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!((verdict.counted, verdict.superseded), (200, 400));
        assert_eq!(verdict.receipts_asked, if form { 0 } else { 200 });

        // Now others were there before.
        sources.look_before("cats-vs-dogs").await.expect("a look");
        let plan = Plan {
            pace: Pace::Rate(2_000.0),
            ..plan
        };
        let history = run(plan).await;
        let verdict = check(&history, &sources).await.expect("a verdict");
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!((verdict.counted, verdict.superseded), (200, 400));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doubts_and_refusals_are_no_losses() {
    for form in [false, true] {
        let url = database(if form { "form" } else { "json" });
        let deeds = [(3, Deed::Doubt), (5, Deed::Refuse)];
        let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &deeds)).await;
        let plan = Plan {
            form,
            ..services.plan()
        };
        let history = run(plan).await;
        let counts = history.counts();
        assert_eq!((counts.unknown, counts.refused), (200, 80), "{counts:?}");
        let sources = services.sources(Some(&url));
        let verdict = check(&history, &sources).await.expect("a verdict");
        assert!(verdict.is_clean(), "{verdict:?}");
        assert!(verdict.unknown_counted > 0, "{verdict:?}");
    }
}

/// A load on Postgres, with `deed` done to every hundredth ballot; or with SQL run afterwards.
async fn verdict_after(deed: Option<Deed>, sql: Option<&'static str>) -> Verdict {
    let url = database("voting");
    let deeds: Vec<_> = deed.map(|deed| (100, deed)).into_iter().collect();
    let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &deeds)).await;
    let plan = Plan {
        voters: None,
        changes: 0.0,
        ..services.plan()
    };
    let history = run(plan).await;
    let sources = services.sources(Some(&url));
    if let Some(sql) = sql {
        let clean = check(&history, &sources).await.expect("a verdict");
        assert!(clean.is_clean(), "{clean:?}");
        assert_eq!(tamper(&url, sql).await, 1);
    }
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert!(!verdict.is_clean(), "{verdict:?}");
    assert!(!verdict.examples.is_empty());
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_that_is_gone_from_the_store_is_lost() {
    let sql =
        "DELETE FROM ballots WHERE voter = (SELECT voter FROM ballots ORDER BY voter LIMIT 1)";
    let verdict = verdict_after(None, Some(sql)).await;
    assert_eq!((verdict.lost, verdict.counted), (1, 599));
    assert_eq!(verdict.miscounted, 2, "one voter and one vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_that_was_altered_is_wrong() {
    let sql = "UPDATE ballots SET choices = 3 - choices
               WHERE voter = (SELECT voter FROM ballots ORDER BY voter LIMIT 1)";
    let verdict = verdict_after(None, Some(sql)).await;
    assert_eq!((verdict.wrong, verdict.lost), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_choice_that_stays_is_a_loss() {
    let sql = "UPDATE ballots SET choices = 3 - choices, ms = ms - 1
               WHERE voter = (SELECT voter FROM ballots ORDER BY voter LIMIT 1)";
    let verdict = verdict_after(None, Some(sql)).await;
    assert_eq!((verdict.lost, verdict.wrong), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_of_nobody_is_double() {
    let sql = "INSERT INTO ballots SELECT poll, gen_random_uuid(), choices, NULL, shard, ms, n
               FROM ballots LIMIT 1";
    let verdict = verdict_after(None, Some(sql)).await;
    assert_eq!((verdict.double, verdict.counted), (1, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tally_that_was_altered_is_miscounted() {
    let sql = "UPDATE tallies SET votes = votes + 1
               WHERE ctid = (SELECT min(ctid) FROM tallies)";
    let verdict = verdict_after(None, Some(sql)).await;
    assert_eq!(
        (verdict.miscounted, verdict.lost, verdict.double),
        (1, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_that_was_acknowledged_and_not_stored_is_lost() {
    let verdict = verdict_after(Some(Deed::Lose), None).await;
    assert_eq!((verdict.lost, verdict.counted), (6, 594));
    assert_eq!(verdict.double, 6, "the liar votes in their place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_that_was_refused_and_counts_is_double() {
    let verdict = verdict_after(Some(Deed::Keep), None).await;
    assert_eq!((verdict.double, verdict.lost), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_that_is_in_the_log_twice_is_double() {
    let verdict = verdict_after(Some(Deed::Repeat), None).await;
    assert_eq!((verdict.double, verdict.lost), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_receipts_alone_a_loss_in_the_all_in_one_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("voting.db");
    let services = Services::on_sqlite(&file).await;
    let history = run(services.plan()).await;
    let sources = services.sources(None);
    let clean = check(&history, &sources).await.expect("a verdict");
    assert!(clean.is_clean(), "{clean:?}");
    let tampered = tokio::task::spawn_blocking(move || {
        let store = rusqlite::Connection::open(file).expect("opened");
        let sql =
            "DELETE FROM ballots WHERE voter = (SELECT voter FROM ballots ORDER BY voter LIMIT 1)";
        store.execute(sql, []).expect("done")
    });
    assert_eq!(tampered.await.expect("no panic"), 1);
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert_eq!((verdict.lost, verdict.counted), (1, 199), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_all_the_ballots_that_it_holds_up() {
    let url = database("voting");
    let stall = [(50, Deed::Stall(Duration::from_millis(500)))];
    let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, &stall)).await;
    let plan = Plan {
        pace: Pace::Rate(200.0),
        ballots: Some(90),
        connections: 1,
        ..services.plan()
    };
    let history = run(plan).await;
    assert_eq!(history.counts().acknowledged, 90);
    let latencies = history.acknowledgement();
    // 40 of the 90 fall due while the 50th is held up.
    let most = Duration::from_micros(latencies.value_at_quantile(0.6));
    assert!(most > Duration::from_millis(200), "{most:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_vote_service_goes_a_load_can_be_sent_elsewhere() {
    let url = database("voting");
    let [gone, stays] = [(); 2].map(|()| Services::on_postgres(&url));
    let (gone, stays) = (gone.await, stays.await);
    let plan = Plan {
        ballots: None,
        voters: None,
        changes: 0.0,
        ..gone.plan()
    };
    let load = Load::start(plan).expect("it starts");
    let acknowledged = async |more: u64| {
        let goal = load.counts().acknowledged + more;
        while load.counts().acknowledged < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    acknowledged(100).await;
    load.redirect(std::slice::from_ref(&stays.vote))
        .expect("an address");
    acknowledged(100).await;
    // Nothing is in flight there any more.
    let before = load.counts();
    drop(gone);
    acknowledged(100).await;
    let history = load.stop().await;
    let counts = history.counts();
    assert_eq!(
        (counts.unknown, counts.unreachable, before.unexpected),
        (0, 0, 0),
        "{counts:?}"
    );
}

/// The program's exit code and what it says.
async fn program(arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voting-load"));
    command.args(arguments).arg("--json");
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let output = output.await.expect("no panic");
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_the_promise_was_kept() {
    for (name, deeds, code) in [("well", &[][..], 0), ("ill", &[(50, Deed::Lose)], 1)] {
        let url = database(name);
        let services = Services::on_postgres_with(&url, |sink| Liar::of(sink, deeds)).await;
        let (vote, result) = (services.vote.as_str(), services.result.as_str());
        let arguments = ["--vote", vote, "--result", result, "--postgres", &url];
        let more = ["--ballots", "200", "--patience", "1"];
        let (exit, said) = program(&[&arguments[..], &more].concat()).await;
        assert_eq!(exit, Some(code), "{said}");
        assert_eq!(said["counts"]["acknowledged"], 200);
        assert_eq!(said["lost"], if code == 0 { 0 } else { 4 });
        assert_eq!(said["clean"], code == 0);
        assert_eq!(said["visible"]["count"], 200);
    }
    let nowhere = ["--vote", "http://127.0.0.1:1"];
    assert_eq!(program(&nowhere).await.0, Some(2));
}
