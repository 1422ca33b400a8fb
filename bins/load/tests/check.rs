//! The check finds what is wrong, and nothing where nothing is.

mod support;

use std::time::Duration;

use support::Services;
use voting_load::{History, Load, Pace, Plan, check};
use voting_testing::PostgresServer;

async fn run(plan: Plan) -> History {
    let load = Load::start(plan).expect("it starts");
    load.done().await;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_with_a_pipeline_that_works() {
    let server = PostgresServer::start();
    for form in [false, true] {
        let url = server.database(if form { "form" } else { "json" });
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

        // Others were there before.
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
async fn a_stall_shows_in_all_the_ballots_that_it_holds_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let services = Services::on_sqlite(&folder.path().join("voting.db")).await;
    let plan = Plan {
        pace: Pace::Rate(100.0),
        ballots: Some(50),
        connections: 1,
        ..services.plan()
    };
    let history = run(plan).await;
    assert_eq!(history.counts().acknowledged, 50);
    let _ = Duration::ZERO;
}
