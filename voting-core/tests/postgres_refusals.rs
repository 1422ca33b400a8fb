//! Ballots that Postgres refuses, for good or for the time being.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use support::{Database, at, ballot, batch, connect, in_words, poll_id, receipt, votes};
use voting_core::{
    BallotLog, BatchFlusher, DeadLetterStore, ReceiptState, TallyStore, Worker, WorkerOptions,
    backends::{
        memory::{Memory, MemoryOptions},
        postgres::{Postgres, PostgresOptions},
    },
    log::entry,
    model::{position::ShardId, rejection::RejectReason},
    store::{batch::Batch, dead_letter::DeadLetter},
};
use voting_testing::PostgresServer;

fn uuid(voter: u128) -> String {
    format!("'{}'", uuid::Uuid::from_u128(voter))
}

/// From now on the table refuses these voters.
fn bar(database: &Database, voters: &[u128]) {
    let voters: Vec<_> = voters.iter().map(|voter| uuid(*voter)).collect();
    let voters = voters.join(",");
    database.sql(&format!(
        "ALTER TABLE ballots ADD CONSTRAINT barred CHECK (voter NOT IN ({voters})) NOT VALID"
    ));
}

async fn state(store: &Postgres, voter: u128, ms: u64) -> ReceiptState {
    let state = store.receipt_state(&receipt(voter, ms)).await;
    state.expect("a state")
}

const UNSTORABLE: ReceiptState = ReceiptState::Rejected(RejectReason::Unstorable);

/// A thousand voters, of whom these are refused: the others count, now and when it is done again.
async fn all_but(culprits: &[u128]) {
    let database = Database::new();
    let store = database.with_poll().await;
    bar(&database, culprits);
    let thousand = batch(1, (1..=1000).map(|voter| ballot(voter, 0b01)));
    let report = store.flush(&thousand).await.expect("flushed").report;
    let rejected = culprits.len() as u64;
    assert_eq!((report.counted, report.superseded), (1000 - rejected, 0));
    assert_eq!((report.rejected, report.already_applied), (rejected, 0));
    assert_eq!(votes(&store, 1000).await.0, [1000 - rejected, 0]);
    let letters = store.dead_letters(None, 2000).await.expect("dead letters");
    let voters: Vec<_> = letters
        .iter()
        .map(|letter| {
            assert_eq!(
                (letter.reason, letter.ballots),
                (RejectReason::Unstorable, 1)
            );
            assert!(letter.detail.contains("\"barred\""), "{}", letter.detail);
            entry::decode(&letter.payload).expect("a ballot")[0].voter
        })
        .collect();
    let barred: Vec<_> = culprits
        .iter()
        .map(|voter| ballot(*voter, 1).voter)
        .collect();
    assert_eq!(voters, barred);
    for voter in [1, 500, 1000] {
        let is_barred = culprits.contains(&voter);
        let expected = if is_barred {
            UNSTORABLE
        } else {
            ReceiptState::Counted
        };
        let ms = u64::try_from(voter).expect("small");
        assert_eq!(state(&store, voter, ms).await, expected, "{voter}");
    }

    let again = store.flush(&thousand).await.expect("flushed").report;
    assert_eq!((again.counted, again.superseded), (0, 0));
    assert_eq!((again.rejected, again.already_applied), (0, 1000));
    assert_eq!(votes(&store, 1000).await.0, [1000 - rejected, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_ballots_one_is_refused_and_the_others_count() {
    all_but(&[500]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_ballots_several_are_refused_and_the_others_count() {
    all_but(&[1, 2, 3, 250, 251, 500, 777, 1000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_ballots_all_are_refused() {
    all_but(&(1..=1000).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ballot_that_is_refused_only_in_the_commit_is_found_too() {
    let database = Database::new();
    let store = database.with_poll().await;
    database.sql(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.voter = {} THEN RAISE 'not this one' USING ERRCODE = 'check_violation'; END IF;
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON ballots
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
        uuid(7)
    ));
    let ten = batch(1, (1..=10).map(|voter| ballot(voter, 0b01)));
    let report = store.flush(&ten).await.expect("flushed").report;
    assert_eq!((report.counted, report.rejected), (9, 1));
    assert_eq!(votes(&store, 10).await.0, [9, 0]);
    assert_eq!(state(&store, 7, 7).await, UNSTORABLE);
    let letters = store.dead_letters(None, 10).await.expect("dead letters");
    assert_eq!(letters[0].detail, "not this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counted_before_the_table_refused_it_still_counts_when_it_is_replayed() {
    let database = Database::new();
    let store = database.with_poll().await;
    let first = batch(1, (1..=10).map(|voter| ballot(voter, 0b01)));
    store.flush(&first).await.expect("flushed");
    bar(&database, &[3, 4]);
    let mut more = batch(1, (1..=20).map(|voter| ballot(voter, 0b01)));
    // This one is older than what counts of its voter, and was told as superseded.
    store
        .flush(&batch(50, [ballot(5, 0b10)]))
        .await
        .expect("flushed");
    more.ballots.retain(|placed| placed.position != at(5));
    let report = store.flush(&more).await.expect("flushed").report;
    assert_eq!((report.counted, report.rejected), (10, 0));
    assert_eq!(votes(&store, 21).await.0, [19, 1]);
    assert_eq!(state(&store, 3, 3).await, ReceiptState::Counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_ballot_counts_when_the_newer_one_of_its_batch_is_refused() {
    let database = Database::new();
    let store = Arc::new(database.with_poll().await);
    database.sql("ALTER TABLE ballots ADD CHECK (choices <> 2)");
    let log = Memory::new(MemoryOptions::default());
    // All in one batch. The last choice of voter 1 is refused, so that the one before it counts;
    // voter 2 has no other; of voter 3 all are refused but the first;
    // what voter 4 chose first is not even tried.
    let ballots = [
        (1, 1),
        (1, 1),
        (1, 2),
        (2, 2),
        (3, 1),
        (3, 2),
        (3, 2),
        (4, 2),
        (4, 1),
    ];
    let mut receipts = Vec::new();
    for (voter, bits) in ballots {
        let entry = entry::of_one(&ballot(voter, bits));
        let entry = log.append(ShardId(0), entry).await.expect("appended");
        let mut receipt = receipt(voter, 1);
        receipt.position = voting_core::model::position::Position::new(ShardId(0), entry, 0);
        receipts.push(receipt);
    }
    let queue = Arc::new(log.queue());
    let options = WorkerOptions::default();
    let worker = Worker::new(queue, store.clone(), store.clone(), options).start();
    worker.stop().await;
    let (counted, totals) = votes(&store, 9).await;
    assert_eq!(counted, [3, 0]);
    assert_eq!(
        (totals.counted, totals.superseded, totals.rejected),
        (3, 2, 4)
    );
    let mut states = Vec::new();
    for receipt in &receipts {
        states.push(store.receipt_state(receipt).await.expect("a state"));
    }
    let (counted, superseded) = (ReceiptState::Counted, ReceiptState::Superseded);
    assert_eq!(
        states,
        [
            superseded, counted, UNSTORABLE, UNSTORABLE, counted, UNSTORABLE, UNSTORABLE,
            superseded, counted,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_ballot_counts_when_the_newer_one_was_refused_in_another_batch() {
    let database = Database::new();
    let store = database.with_poll().await;
    database.sql("ALTER TABLE ballots ADD CHECK (choices <> 2)");
    let newer = batch(2, [ballot(1, 0b10)]);
    store.flush(&newer).await.expect("flushed");
    // Both come, the newer one again.
    let older = batch(1, [ballot(1, 0b01)]);
    let both = Batch {
        entries: [older.entries, newer.entries].concat(),
        ballots: newer.ballots,
        replaced: older.ballots,
        ..Batch::default()
    };
    store.flush(&both).await.expect("flushed");
    assert_eq!(votes(&store, 2).await.0, [1, 0]);
    assert_eq!(state(&store, 1, 1).await, ReceiptState::Counted);
    assert_eq!(state(&store, 1, 2).await, UNSTORABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_by_itself_makes_no_dead_letter() {
    let database = Database::new();
    let patient = database.with_poll().await;
    let one = batch(1, [ballot(1, 0b01)]);
    patient.flush(&one).await.expect("flushed");
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(300),
        ..PostgresOptions::default()
    };
    let store = Postgres::new(&database.url, options).expect("an address");

    // Another session holds the voter's row for longer than the store waits.
    let mut psql = PostgresServer::psql(&database.url);
    let holder = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = holder.expect("psql is there");
    let mut input = holder.stdin.take().expect("its input");
    let hold = "BEGIN; SELECT 'held' FROM ballots FOR UPDATE;\n";
    input.write_all(hold.as_bytes()).expect("written");
    let mut said = String::new();
    let mut output = BufReader::new(holder.stdout.take().expect("its output"));
    output.read_line(&mut said).expect("a line");
    assert_eq!(said, "held\n");

    let two = batch(2, [ballot(1, 0b10), ballot(2, 0b10)]);
    let error = store.flush(&two).await.expect_err("no answer in time");
    assert!(in_words(&error).contains("timeout"), "{}", in_words(&error));
    assert_eq!(votes(&patient, 1).await.0, [1, 0]);
    drop(input);
    holder.wait().expect("gone");
    store.flush(&two).await.expect("flushed");
    assert_eq!(votes(&store, 3).await.0, [0, 2]);
    assert_eq!(store.dead_letters(None, 9).await.expect("none"), []);
}

fn unreadable(detail: &str) -> Batch {
    let mut batch = batch(1, [ballot(0xfee1_dead, 0b01)]);
    batch.dead_letters.push(DeadLetter {
        position: at(5),
        reason: RejectReason::Malformed,
        detail: detail.to_owned(),
        payload: vec![0xfe, 0xe1, 0xde, 0xad],
        ballots: 2,
    });
    batch.entries.push(((ShardId(0), at(5).entry()), 0));
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_words_are_refused_has_them_spelt_out() {
    let database = Database::new();
    let store = database.with_poll().await;
    database.sql("ALTER TABLE dead_letters ADD CHECK (detail !~ '[^ -~]')");
    store
        .flush(&unreadable("ein Stück"))
        .await
        .expect("flushed");
    let letters = store.dead_letters(None, 9).await.expect("dead letters");
    assert_eq!(letters[0].detail, "ein St\\u{fc}ck");
    assert_eq!(votes(&store, 3).await.0, [1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_cannot_be_stored_keeps_its_batch_in_the_log() {
    let database = Database::new();
    let store = database.with_poll().await;
    database.sql("ALTER TABLE dead_letters ADD CONSTRAINT none CHECK (ballots = 0)");
    let batch = unreadable("");
    let error = in_words(&store.flush(&batch).await.expect_err("refused"));
    assert!(
        error.contains("\"none\"") && error.contains("23514"),
        "{error}"
    );
    assert!(
        !error.contains("fee1dead"),
        "the ballot is in a log: {error}"
    );
    assert_eq!(votes(&store, 0).await.0, [0, 0]);
    database.sql("ALTER TABLE dead_letters DROP CONSTRAINT none");
    store.flush(&batch).await.expect("flushed");
    assert_eq!(votes(&store, 3).await.0, [1, 0]);
    let kept = connect(&database.url).tally(&poll_id()).await;
    assert_eq!(kept.expect("an answer").expect("the poll").voters, 1);
}
