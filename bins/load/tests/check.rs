//! The check finds each fault, and finds none in a system that works.

mod support;

use std::time::Duration;

use support::{
    Services, database,
    liar::{Deed, Liar, Shifted},
    run, tamper,
};
use voting_load::{Load, Pace, Plan, Secret, Sources, Step, Verdict, check, check_with};

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

        // Now there are earlier voters.
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
async fn without_the_secret_it_checks_by_choices_and_says_what_it_did_not_see() {
    let url = database("closed");
    let deeds = [(100, Deed::Lose)];
    let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &deeds)).await;
    let plan = Plan {
        secret: None,
        voters: None,
        changes: 0.0,
        ..services.plan()
    };
    let history = run(plan).await;
    let sources = services.sources(Some(&url));
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert_eq!(
        (verdict.receipts_unopened, verdict.receipts_asked),
        (600, 600)
    );
    assert_eq!((verdict.counted, verdict.double), (594, 6), "{verdict:?}");
    // The places of these ballots in the log are unknown, so it is also unknown whether the store has applied them.
    assert_eq!((verdict.lost, verdict.pending), (0, 6), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_the_secret_does_not_open_is_unexpected() {
    let url = database("strange");
    let services = Services::on_postgres(&url).await;
    let plan = Plan {
        secret: Some(Secret::new(&[8; 32])),
        ..services.plan()
    };
    let history = run(plan).await;
    assert_eq!(history.counts().unexpected, 600);
    assert!(history.surprises()[0].contains("not this voter's receipt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doubts_and_refusals_are_no_losses() {
    for form in [false, true] {
        let url = database(if form { "form" } else { "json" });
        let deeds = [(3, Deed::Doubt), (5, Deed::Refuse)];
        let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &deeds)).await;
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

/// A load on Postgres, with `deed` done to every hundredth ballot, or with SQL that runs afterwards.
async fn verdict_after(deed: Option<Deed>, sql: Option<&'static str>) -> Verdict {
    let url = database("voting");
    let deeds: Vec<_> = deed.map(|deed| (100, deed)).into_iter().collect();
    let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &deeds)).await;
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
async fn by_receipts_alone_a_ballot_that_is_gone_is_seen_and_not_called_lost() {
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
    assert!(!verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.pending, verdict.counted), (1, 199), "{verdict:?}");
    assert_eq!(
        verdict.lost, 0,
        "as far as receipts tell it may be on its way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_all_the_ballots_that_it_holds_up() {
    let url = database("voting");
    let stall = [(50, Deed::Stall(Duration::from_millis(500)))];
    let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &stall)).await;
    let plan = Plan {
        pace: Pace::Rate(200.0),
        ballots: Some(90),
        connections: 1,
        ..services.plan()
    };
    let history = run(plan).await;
    assert_eq!(history.counts().acknowledged, 90);
    let latencies = history.acknowledgement();
    // 40 of the 90 ballots become due while the 50th is delayed.
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
    // No ballot is in flight there any more.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_ballot_that_was_not_stored_is_found() {
    let url = database("replaced");
    let services =
        Services::on_postgres_with(&url, move |sink| Liar::of(sink, &[(30, Deed::Drop)]));
    let services = services.await;
    let mut sources = services.sources(Some(&url));
    sources.look_before("cats-vs-dogs").await.expect("a look");
    let plan = Plan {
        voters: Some(1),
        ballots: Some(100),
        ..services.plan()
    };
    let history = run(plan).await;
    assert_eq!(history.counts().acknowledged, 100);
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert!(!verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.unaccounted, verdict.lost), (3, 0), "{verdict:?}");
    assert_eq!((verdict.superseded, verdict.recorded), (96, Some(97)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_ballot_that_is_stored_twice_is_found() {
    let url = database("repeated");
    let services =
        Services::on_postgres_with(&url, move |sink| Liar::of(sink, &[(30, Deed::Repeat)]));
    let services = services.await;
    let mut sources = services.sources(Some(&url));
    sources.look_before("cats-vs-dogs").await.expect("a look");
    let plan = Plan {
        voters: Some(1),
        ballots: Some(100),
        ..services.plan()
    };
    let history = run(plan).await;
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert!(!verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.excess, verdict.double), (3, 0), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_may_vote_in_other_polls() {
    let url = database("others");
    let services = Services::on_postgres(&url).await;
    let elsewhere = Plan {
        poll: "other".to_owned(),
        ballots: Some(10),
        voters: Some(1),
        watch: None,
        ..services.plan()
    };
    run(elsewhere.clone()).await;
    let mut sources = services.sources(Some(&url));
    sources.look_before("cats-vs-dogs").await.expect("a look");
    let history = run(services.plan()).await;
    let others = run(elsewhere).await;
    assert_eq!(others.counts().acknowledged, 10);
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert!(verdict.is_clean(), "{verdict:?}");
    assert!(verdict.others, "{verdict:?}");
    // This is computed from the load's own ballots: the counters of the store also contain the ballots of others.
    assert_eq!((verdict.superseded, verdict.excess), (400, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tally_that_is_shown_wrong_is_miscounted_though_it_could_be() {
    let url = database("shown");
    let services = Services::on_postgres_between(
        &url,
        Box::new(|sink| Liar::of(sink, &[(3, Deed::Doubt)])),
        Box::new(|shown| std::sync::Arc::new(Shifted(shown))),
    );
    let services = services.await;
    let history = run(services.plan()).await;
    let verdict = check(&history, &services.sources(None)).await;
    assert_eq!(verdict.expect("a verdict").miscounted, 0, "it could be");
    let sources = services.sources(Some(&url));
    let verdict = check(&history, &sources).await.expect("a verdict");
    assert_eq!((verdict.miscounted, verdict.lost), (2, 0), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_seen() {
    let url = database("late");
    let services = Services::on_postgres(&url).await;
    let history = run(services.plan()).await;
    let sources = Sources {
        patience: Duration::from_secs(5),
        ..services.sources(Some(&url))
    };
    let (rests, mut resting) = tokio::sync::mpsc::unbounded_channel();
    let on_step = move |step| {
        if step == Step::Resting {
            let _ = rests.send(());
        }
    };
    // Nobody waits for a report once the check is over.
    let checked = async move { check_with(&history, &sources, &on_step).await };
    let late = async {
        resting.recv().await.expect("it rests");
        let sql = "UPDATE ballots SET choices = 3 - choices, ms = ms - 1
                   WHERE voter = (SELECT voter FROM ballots ORDER BY voter LIMIT 1)";
        tamper(&url, sql).await
    };
    let (verdict, late) = tokio::join!(checked, late);
    assert_eq!(late, 1);
    let verdict = verdict.expect("a verdict");
    assert_eq!(verdict.lost, 1, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_ballot_that_still_counts_may_yet_be_replaced() {
    let url = database("replacing");
    // The load stalls for this long after the first thousand ballots.
    let stall = [(1_001, Deed::Stall(Duration::from_secs(1)))];
    let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &stall)).await;
    let plan = Plan {
        connections: 1,
        ballots: Some(1_010),
        voters: Some(1_000),
        changes: 0.0,
        watch: None,
        ..services.plan()
    };
    let load = Load::start(plan).expect("it starts");
    while load.counts().acknowledged < 1_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    services.stop_worker().await;
    assert_eq!(load.counts().acknowledged, 1_000);
    load.done().await;
    let history = load.stop().await;
    let sources = Sources {
        // With so many voters, the one receipt that is asked for is hardly of the voter with an earlier receipt.
        receipts: 1,
        patience: Duration::from_secs(5),
        ..services.sources(None)
    };
    let (recorded, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let on_step = move |step| {
        let _ = recorded.send(step);
    };
    let checked = async move { check_with(&history, &sources, &on_step).await };
    let goes_on = async {
        while let Some(step) = asked.recv().await {
            if matches!(step, Step::Replaced { of: 1, .. }) {
                break;
            }
        }
        services.start_worker();
    };
    let (verdict, ()) = tokio::join!(checked, goes_on);
    let verdict = verdict.expect("a verdict");
    assert!(verdict.is_clean(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_a_moment_is_asked_again() {
    let url = database("away");
    let services = Services::on_postgres(&url).await;
    let history = run(services.plan()).await;
    let sources = Sources {
        result: None,
        patience: Duration::from_secs(10),
        ..services.sources(Some(&url))
    };
    let waiting = check(&history, &sources).await.expect("a verdict");
    assert!(waiting.is_clean(), "{waiting:?}");
    tamper(&url, "ALTER TABLE ballots RENAME TO away").await;
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tamper(&url, "ALTER TABLE away RENAME TO ballots").await
    };
    let (verdict, _) = tokio::join!(check(&history, &sources), back);
    assert!(verdict.expect("a verdict").is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_in_time_is_missed() {
    let url = database("time");
    let stall = [(1, Deed::Stall(Duration::from_millis(20)))];
    let services = Services::on_postgres_with(&url, move |sink| Liar::of(sink, &stall)).await;
    let plan = Plan {
        pace: Pace::Rate(1_000.0),
        ballots: None,
        duration: Some(Duration::from_millis(500)),
        connections: 1,
        ..services.plan()
    };
    let history = run(plan).await;
    let counts = history.counts();
    assert_eq!(counts.due, 500, "{counts:?}");
    assert!(counts.acknowledged <= 26, "{counts:?}");
    assert_eq!(counts.missed(), 500 - counts.acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_which_nobody_answers_is_passed_over() {
    let url = database("hole");
    let services = Services::on_postgres(&url).await;
    let hole = support::Hole::dig().await;
    let plan = Plan {
        votes: vec![hole.url.clone(), services.vote.clone()],
        timeout: Duration::from_secs(3),
        ballots: Some(100),
        ..services.plan()
    };
    let counts = run(plan.clone()).await.counts();
    assert_eq!(
        (counts.acknowledged, counts.unknown),
        (100, 0),
        "{counts:?}"
    );

    let plan = Plan {
        votes: vec![hole.url.clone()],
        ballots: Some(1),
        ..plan
    };
    let counts = run(plan).await.counts();
    assert_eq!((counts.unreachable, counts.unknown), (1, 0), "{counts:?}");
}
