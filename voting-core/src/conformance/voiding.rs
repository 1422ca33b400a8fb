//! What a store must do with ballots that an operator voids: they stay, and do not count, whenever they come.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::sync::Arc;

use super::{
    Backend,
    delete::{HandsOut, delete, letter, make_final, worker},
    scene::{ballot, batch, entry_key, poll_id, poll_of, quick, until, voter},
};
use crate::{
    error::StoreError,
    log::entry::EntryBuilder,
    model::{
        ballot::{Ballot, Choices},
        code::Serial,
        moment::Moment,
        poll::{
            ChangeRefusal, ChangeTo, CodeChange, NewVoided, NewVoiding, Poll, PollChange,
            PollSettings, VoidedBallots, Voiding, Voters, change as change_of,
        },
        poll_key::PollKeyWrap,
        position::{EntryId, Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        secret::SecretKey,
        source::Source,
        tally::Recount,
    },
    pipeline::{replay::Revived, worker::WorkerExit},
    store::batch::{Batch, PlacedBallot},
};

fn at(ms: u64) -> Moment {
    Moment::from_unix_ms(ms).expect("a moment")
}

pub(super) async fn change(
    backend: &Backend,
    id: &str,
    to: ChangeTo,
) -> Result<Option<Poll>, StoreError> {
    let change = PollChange::new(poll_id(id), to);
    backend.polls.change_poll(&change, "operator").await
}

/// From the first millisecond on, and before the second one.
pub(super) fn span(from: u64, until: u64) -> ChangeTo {
    ChangeTo::Voided(Box::new(NewVoiding {
        ballots: NewVoided::Span {
            from: at(from),
            until: at(until),
        },
        reason: "A script.".to_owned(),
    }))
}

/// The ballots of these codes. The voter of a code has its number.
fn codes(serials: &[Serial]) -> ChangeTo {
    let codes = serials
        .iter()
        .map(|serial| (*serial, voter(u128::from(*serial))));
    ChangeTo::Voided(Box::new(NewVoiding {
        ballots: NewVoided::Codes(codes.collect()),
        reason: String::new(),
    }))
}

/// Makes the change, and returns the number of the newest rule.
async fn voided(backend: &Backend, id: &str, to: ChangeTo) -> u32 {
    let poll = change(backend, id, to).await.expect("voided");
    let poll = poll.expect("the poll");
    poll.voidings().iter().last().map_or(0, Voiding::number)
}

async fn undo(backend: &Backend, id: &str, number: u32) {
    let undone = change(backend, id, ChangeTo::VoidingUndone(number)).await;
    undone.expect("undone").expect("the poll");
}

pub(super) async fn flush(backend: &Backend, entries: &[(u64, Ballot)]) {
    let mut batch = batch(entries);
    // As the worker does: where the first ballot counts, the batch says so.
    for poll in backend.polls.polls().await.expect("the polls") {
        if entries.iter().any(|(_, ballot)| ballot.poll == *poll.id()) {
            batch.judge_by(&poll);
        }
    }
    let flushed = backend.flusher.flush(&batch).await;
    flushed.expect("flushed");
}

async fn recount(backend: &Backend, id: &str) -> Recount {
    let recount = backend.tallies.recount(&poll_id(id)).await;
    recount.expect("a recount").expect("the poll")
}

/// Voters, those who voted blank, those who took their ballot back, those whose ballot is voided, and the votes.
type Numbers = (u64, u64, u64, u64, Vec<u64>);

/// The numbers of the tally, which agree with the ballots.
async fn counted(backend: &Backend, id: &str) -> Numbers {
    let recount = recount(backend, id).await;
    assert!(recount.agrees(), "{recount:?}");
    let tally = backend.tallies.tally(&poll_id(id)).await.expect("a tally");
    let tally = tally.expect("the poll");
    assert_eq!(tally, recount.kept);
    (
        tally.voters,
        tally.blank,
        tally.withdrawn,
        tally.voided,
        tally.votes,
    )
}

/// Of the ballot of this voter in the entry at `ms`.
async fn state(backend: &Backend, id: &str, number: u128, ms: u64) -> ReceiptState {
    let (shard, entry) = entry_key(ms, 0);
    let receipt = Receipt {
        poll: poll_id(id),
        voter: voter(number),
        position: Position::new(shard, entry, 0),
    };
    let state = backend.tallies.receipt_state(&receipt).await;
    state.expect("a state")
}

pub(super) async fn has(backend: &Backend, id: &str, set: impl FnOnce(&mut PollSettings)) -> Poll {
    let poll = poll_of(id, 3, 2);
    let mut settings = poll.settings().clone();
    set(&mut settings);
    let poll = poll.with_settings(settings).expect("settings");
    backend.polls.put_poll(&poll).await.expect("stored");
    poll
}

/// A poll with so many codes, of which these are revoked.
async fn has_codes(backend: &Backend, issued: u32, revoked: &[Serial]) {
    let settings = PollSettings {
        voters: Voters::Codes,
        ..PollSettings::default()
    };
    let secret = SecretKey::new([7; 32]).expect("a secret");
    let poll = poll_of("p", 3, 2)
        .with_settings(settings)
        .expect("settings");
    let key = PollKeyWrap::new(&secret).make(poll.id()).expect("a key");
    let stored = backend.polls.put_poll(&poll.with_key(key)).await;
    stored.expect("stored");
    let revoked = revoked.iter().map(|serial| CodeChange::Revoke(*serial));
    for codes in std::iter::once(CodeChange::Issue(issued)).chain(revoked) {
        let changed = change(backend, "p", ChangeTo::Codes(codes)).await;
        changed.expect("changed");
    }
}

pub async fn a_span_voids_the_ballots_in_it_and_no_others(backend: &Backend) {
    for id in ["p", "q"] {
        has(backend, id, |_| ()).await;
        let votes = [
            (19, ballot(id, 1, 0b001)),
            (20, ballot(id, 2, 0b011)),
            (29, ballot(id, 3, 0b110)),
            (30, ballot(id, 4, 0b100)),
        ];
        flush(backend, &votes).await;
    }
    let totals = backend.flusher.totals().await.expect("totals");
    let before = backend.tally().await;
    let (all, without) = ((4, 0, 0, 0, vec![2, 2, 2]), (2, 0, 0, 2, vec![1, 0, 1]));
    assert_eq!(counted(backend, "p").await, all);
    let number = voided(backend, "p", span(20, 30)).await;
    assert_eq!(counted(backend, "p").await, without);
    assert!(backend.tally().await.version > before.version);
    assert_eq!(counted(backend, "q").await, all, "of another poll");
    let states = async || {
        let mut states = Vec::new();
        for (number, ms) in [(1, 19), (2, 20), (3, 29), (4, 30)] {
            states.push(state(backend, "p", number, ms).await);
        }
        states
    };
    let (is_counted, is_voided) = (ReceiptState::Counted, ReceiptState::Voided);
    assert_eq!(
        states().await,
        [is_counted, is_voided, is_voided, is_counted]
    );
    assert_eq!(state(backend, "q", 2, 20).await, is_counted);
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let note = &log.last().expect("an entry").note;
    assert_eq!(
        (note.action.as_str(), note.by.as_str()),
        ("ballots.voided", "operator")
    );

    // The same rule again is no other rule.
    let version = backend.tally().await.version;
    assert_eq!(voided(backend, "p", span(20, 30)).await, number);
    assert_eq!(backend.tally().await.version, version);
    let after = backend.audit.audit_log(0, 100).await.expect("the log");
    assert_eq!(after, log);

    undo(backend, "p", number).await;
    assert_eq!(counted(backend, "p").await, all);
    assert_eq!(states().await, [is_counted; 4]);
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let note = &log.last().expect("an entry").note;
    assert_eq!(note.action, "ballots.voiding-undone");
    let again = change(backend, "p", ChangeTo::VoidingUndone(number)).await;
    assert!(
        matches!(
            again,
            Err(StoreError::ChangeRefused(_, ChangeRefusal::NoVoiding))
        ),
        "{again:?}"
    );
}

/// The ballots that trusted servers hand in.
pub(super) fn handed_in() -> ChangeTo {
    ChangeTo::Voided(Box::new(NewVoiding {
        ballots: NewVoided::HandedIn,
        reason: "A kiosk was broken.".to_owned(),
    }))
}

/// Flushes these ballots as a trusted server hands them in.
async fn hand_in(backend: &Backend, entries: &[(u64, Ballot)]) {
    let mut batch = batch(entries);
    batch.handed_in = batch.entries.iter().map(|(entry, _)| *entry).collect();
    for poll in backend.polls.polls().await.expect("the polls") {
        if entries.iter().any(|(_, ballot)| ballot.poll == *poll.id()) {
            batch.judge_by(&poll);
        }
    }
    let flushed = backend.flusher.flush(&batch).await;
    flushed.expect("flushed");
}

async fn number_handed_in(backend: &Backend, id: &str) -> Option<u64> {
    let number = backend.exports.handed_in(&poll_id(id)).await;
    number.expect("an answer")
}

pub async fn the_source_of_each_voters_ballot_is_kept(backend: &Backend) {
    assert_eq!(number_handed_in(backend, "p").await, None);
    for id in ["p", "q"] {
        has(backend, id, |settings| settings.revote = id == "p").await;
        assert_eq!(number_handed_in(backend, id).await, Some(0));
        flush(
            backend,
            &[(1, ballot(id, 1, 0b001)), (2, ballot(id, 2, 0b001))],
        )
        .await;
        let votes = [
            (3, ballot(id, 2, 0b010)),
            (4, ballot(id, 3, 0b010)),
            (5, ballot(id, 4, 0b010)),
            (6, ballot(id, 5, 0b010)),
        ];
        // Once more changes nothing.
        for _ in 0..2 {
            hand_in(backend, &votes).await;
        }
        flush(backend, &[(7, ballot(id, 4, 0b100))]).await;
    }
    // In the first poll the last ballot of a voter counts, in the second one the first.
    assert_eq!(number_handed_in(backend, "p").await, Some(3));
    assert_eq!(number_handed_in(backend, "q").await, Some(3));
    let withdrawn = Ballot {
        choices: Choices::WITHDRAWN,
        ..ballot("p", 5, 1)
    };
    hand_in(backend, &[(8, withdrawn)]).await;
    assert_eq!(number_handed_in(backend, "p").await, Some(2));
}

pub async fn what_is_handed_in_is_voided_by_its_source_whenever_it_comes(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    flush(
        backend,
        &[(1, ballot("p", 1, 0b001)), (2, ballot("p", 2, 0b001))],
    )
    .await;
    let votes = [(3, ballot("p", 2, 0b010)), (4, ballot("p", 3, 0b010))];
    hand_in(backend, &votes).await;
    let all = (3, 0, 0, 0, vec![1, 2, 0]);
    assert_eq!(counted(backend, "p").await, all);
    let number = voided(backend, "p", handed_in()).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 2, vec![1, 0, 0]));
    assert_eq!(number_handed_in(backend, "p").await, Some(0));
    assert_eq!(state(backend, "p", 1, 1).await, ReceiptState::Counted);
    assert_eq!(state(backend, "p", 2, 3).await, ReceiptState::Voided);
    assert_eq!(
        voided(backend, "p", handed_in()).await,
        number,
        "the same rule"
    );
    // What comes late, and what comes again; and a voter who votes after that counts.
    hand_in(backend, &[(5, ballot("p", 4, 0b100))]).await;
    hand_in(backend, &votes).await;
    flush(backend, &[(6, ballot("p", 2, 0b100))]).await;
    assert_eq!(counted(backend, "p").await, (2, 0, 0, 2, vec![1, 0, 1]));
    assert_eq!(state(backend, "p", 2, 6).await, ReceiptState::Counted);
    undo(backend, "p", number).await;
    assert_eq!(counted(backend, "p").await, (4, 0, 0, 0, vec![1, 1, 2]));
    assert_eq!(number_handed_in(backend, "p").await, Some(2));
}

/// A worker sets a ballot aside that was handed in, and counts it later: it is still one that was handed in.
pub async fn a_dead_letter_of_a_trusted_server_keeps_its_source(backend: &Backend) {
    let queue = Arc::new(HandsOut::default());
    let entry_of = |ms, source, voter, poll| {
        let mut entry = EntryBuilder::from_source(source);
        entry.push(&ballot(poll, voter, 0b01));
        (entry_key(ms, 0), entry.finish().payload)
    };
    queue.again(&[
        entry_of(1, Source::TrustedServer, 1, "p"),
        entry_of(2, Source::Voters, 2, "p"),
        entry_of(3, Source::TrustedServer, 3, "p"),
        entry_of(4, Source::TrustedServer, 4, "q"),
    ]);
    let worker = worker(backend, &queue);
    until(&worker, "all are set aside", |_| queue.acknowledged() == 4).await;
    assert_eq!(worker.stop().await, WorkerExit::Clean);
    backend.has_poll(2, 1).await;
    assert_eq!(backend.letters().await.len(), 4);
    for ms in [1, 2] {
        let (shard, entry) = entry_key(ms, 0);
        let revived = backend.revive(Position::new(shard, entry, 0)).await;
        assert!(matches!(revived, Revived::Flushed(_)), "{revived:?}");
    }
    assert_eq!(backend.votes().await, [2, 0]);
    assert_eq!(number_handed_in(backend, "p").await, Some(1));
    let number = voided(backend, "p", handed_in()).await;
    assert_eq!(backend.votes().await, [1, 0]);
    undo(backend, "p", number).await;
    // Nor does what is left keep its ballot when the poll is deleted.
    make_final(backend, "p").await;
    delete(backend, "p").await;
    for letter in backend.letters().await {
        let is_of_the_poll = letter.position.entry().ms() == 3;
        assert_eq!(letter.payload.is_empty(), is_of_the_poll, "{letter:?}");
    }
}

/// All shards have the same time, so a span is of all of them; and of all ballots of an entry.
pub async fn a_span_is_of_all_shards(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let mut batch = Batch::default();
    for number in 0..12_u16 {
        let shard = ShardId(number % 4);
        let entry = EntryId::new(100 + u64::from(number / 4), u64::from(number)).expect("an id");
        batch.entries.push(((shard, entry), 1));
        batch.ballots.push(PlacedBallot {
            position: Position::new(shard, entry, number),
            ballot: ballot("p", number.into(), 1),
        });
    }
    batch.keep_one_of_each_voter();
    backend.flusher.flush(&batch).await.expect("flushed");
    voided(backend, "p", span(101, 102)).await;
    assert_eq!(counted(backend, "p").await, (8, 0, 0, 4, vec![8, 0, 0]));
}

pub async fn a_ballot_that_comes_late_is_voided_as_well(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    has(backend, "q", |_| ()).await;
    voided(backend, "p", span(20, 30)).await;
    let votes = [
        (10, ballot("p", 1, 0b001)),
        (20, ballot("p", 2, 0b001)),
        (25, ballot("p", 3, 0b011)),
        (26, ballot("q", 3, 0b011)),
        (30, ballot("p", 4, 0b100)),
    ];
    let flushed = backend.flusher.flush(&batch(&votes)).await;
    let report = flushed.expect("flushed").report;
    assert_eq!((report.counted, report.superseded), (5, 0));
    let expected = (2, 0, 0, 2, vec![1, 0, 1]);
    assert_eq!(counted(backend, "p").await, expected);
    assert_eq!(counted(backend, "q").await, (1, 0, 0, 0, vec![1, 1, 0]));
    // And when it comes again.
    let version = backend.tally().await.version;
    for _ in 0..2 {
        flush(backend, &votes).await;
        assert_eq!(counted(backend, "p").await, expected);
    }
    assert_eq!(backend.tally().await.version, version);
    assert_eq!(state(backend, "p", 3, 25).await, ReceiptState::Voided);
}

pub async fn earlier_choices_are_not_revived_and_later_ones_count(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    flush(backend, &[(10, ballot("p", 1, 0b001))]).await;
    flush(backend, &[(20, ballot("p", 1, 0b010))]).await;
    let number = voided(backend, "p", span(20, 30)).await;
    let nothing = (0, 0, 0, 1, vec![0, 0, 0]);
    assert_eq!(counted(backend, "p").await, nothing);
    assert_eq!(state(backend, "p", 1, 10).await, ReceiptState::Superseded);
    // It keeps its place: an older ballot that comes late changes nothing.
    flush(backend, &[(15, ballot("p", 1, 0b100))]).await;
    assert_eq!(counted(backend, "p").await, nothing);
    flush(backend, &[(40, ballot("p", 1, 0b110))]).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 0, vec![0, 1, 1]));
    assert_eq!(state(backend, "p", 1, 20).await, ReceiptState::Superseded);
    assert_eq!(state(backend, "p", 1, 40).await, ReceiptState::Counted);
    // One that is voided takes the place of one that counts, too.
    flush(backend, &[(50, ballot("p", 2, 0b001))]).await;
    voided(backend, "p", span(60, 70)).await;
    flush(backend, &[(60, ballot("p", 2, 0b010))]).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 1, vec![0, 1, 1]));
    undo(backend, "p", number).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 1, vec![0, 1, 1]));
}

pub async fn where_the_first_ballot_counts_it_keeps_its_place(backend: &Backend) {
    has(backend, "p", |settings| settings.revote = false).await;
    flush(backend, &[(20, ballot("p", 1, 0b001))]).await;
    let number = voided(backend, "p", span(20, 30)).await;
    // The first ballot is voided, and the voter has no other.
    flush(backend, &[(40, ballot("p", 1, 0b010))]).await;
    let nothing = (0, 0, 0, 1, vec![0, 0, 0]);
    assert_eq!(counted(backend, "p").await, nothing);
    assert_eq!(state(backend, "p", 1, 20).await, ReceiptState::Voided);
    assert_eq!(state(backend, "p", 1, 40).await, ReceiptState::Superseded);
    // An older one that comes late is the first one then.
    flush(backend, &[(10, ballot("p", 1, 0b100))]).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 0, vec![0, 0, 1]));
    let newer = [(25, ballot("p", 2, 0b010))];
    flush(backend, &newer).await;
    undo(backend, "p", number).await;
    assert_eq!(counted(backend, "p").await, (2, 0, 0, 0, vec![0, 1, 1]));
}

pub async fn blank_ballots_and_those_that_take_one_back_are_voided_as_well(backend: &Backend) {
    has(backend, "p", |settings| settings.blank = true).await;
    let of = |number, choices| Ballot {
        choices,
        ..ballot("p", number, 1)
    };
    let votes = [
        (20, of(1, Choices::BLANK)),
        (21, of(2, Choices::WITHDRAWN)),
        (30, of(3, Choices::BLANK)),
        (31, of(4, Choices::WITHDRAWN)),
    ];
    flush(backend, &votes).await;
    let all = (2, 2, 2, 0, vec![0, 0, 0]);
    assert_eq!(counted(backend, "p").await, all);
    let number = voided(backend, "p", span(20, 30)).await;
    assert_eq!(counted(backend, "p").await, (1, 1, 1, 2, vec![0, 0, 0]));
    assert_eq!(state(backend, "p", 2, 21).await, ReceiptState::Voided);
    undo(backend, "p", number).await;
    assert_eq!(counted(backend, "p").await, all);
}

pub async fn the_ballots_of_revoked_codes_are_voided_whenever_they_come(backend: &Backend) {
    has_codes(backend, 5, &[1, 3, 4]).await;
    let votes = [
        (10, ballot("p", 0, 0b001)),
        (20, ballot("p", 1, 0b010)),
        (30, ballot("p", 2, 0b010)),
    ];
    flush(backend, &votes).await;
    for not_revoked in [codes(&[0]), codes(&[1, 2]), codes(&[9]), codes(&[])] {
        let refused = change(backend, "p", not_revoked).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::CodesNotRevoked))
            ),
            "{refused:?}"
        );
    }
    let one = voided(backend, "p", codes(&[1])).await;
    assert_eq!(counted(backend, "p").await, (2, 0, 0, 1, vec![1, 1, 0]));
    // Of the codes that another rule has, nothing is to be done.
    let others = voided(backend, "p", codes(&[3, 1, 4])).await;
    flush(
        backend,
        &[(40, ballot("p", 1, 0b100)), (41, ballot("p", 3, 0b100))],
    )
    .await;
    assert_eq!(counted(backend, "p").await, (2, 0, 0, 2, vec![1, 1, 0]));
    assert_eq!(state(backend, "p", 1, 40).await, ReceiptState::Voided);
    undo(backend, "p", others).await;
    assert_eq!(counted(backend, "p").await, (3, 0, 0, 1, vec![1, 1, 1]));
    undo(backend, "p", one).await;
    assert_eq!(counted(backend, "p").await, (4, 0, 0, 0, vec![1, 1, 2]));
}

pub async fn a_ballot_counts_again_once_no_rule_voids_it(backend: &Backend) {
    has_codes(backend, 9, &[2]).await;
    let votes = [
        (10, ballot("p", 1, 0b001)),
        (20, ballot("p", 2, 0b010)),
        (30, ballot("p", 3, 0b100)),
    ];
    flush(backend, &votes).await;
    let first = voided(backend, "p", span(10, 25)).await;
    let second = voided(backend, "p", span(20, 35)).await;
    let third = voided(backend, "p", codes(&[2])).await;
    assert_eq!(counted(backend, "p").await, (0, 0, 0, 3, vec![0, 0, 0]));
    undo(backend, "p", first).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 2, vec![1, 0, 0]));
    undo(backend, "p", second).await;
    assert_eq!(counted(backend, "p").await, (2, 0, 0, 1, vec![1, 0, 1]));
    undo(backend, "p", third).await;
    assert_eq!(counted(backend, "p").await, (3, 0, 0, 0, vec![1, 1, 1]));
}

pub async fn racing_rules_and_flushes_end_with_the_ballots_that_no_rule_voids(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let mut tasks = Vec::new();
    for round in 0..12_u64 {
        let entries: Vec<_> = (0..30_u64)
            .map(|number| {
                let place = (round * 5) % 12;
                let bits = 1 << (place % 3);
                (
                    1_000 * (1 + place) + number,
                    ballot("p", number.into(), bits),
                )
            })
            .collect();
        let flusher = Arc::clone(&backend.flusher);
        tasks.push(tokio::spawn(async move {
            flusher.flush(&batch(&entries)).await.expect("flushed");
        }));
        if round % 3 == 0 {
            let polls = Arc::clone(&backend.polls);
            tasks.push(tokio::spawn(async move {
                let make = async |to| {
                    let change = PollChange::new(poll_id("p"), to);
                    polls.change_poll(&change, "operator").await.expect("made")
                };
                // The last round by time is voided for some voters, in the end.
                let from = 12_000 + round;
                let poll = make(span(from, from + 15)).await.expect("the poll");
                let is_ours = |rule: &&Voiding| {
                    matches!(rule.ballots(), VoidedBallots::Span { from: first, .. } if *first == at(from))
                };
                let rule = poll.voidings().iter().find(is_ours).map(Voiding::number);
                if round > 0 {
                    make(ChangeTo::VoidingUndone(rule.expect("a rule"))).await;
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let poll = backend.polls.poll(&poll_id("p")).await.expect("an answer");
    let poll = poll.expect("the poll");
    let voided = (0..30).filter(|number| {
        let (shard, entry) = entry_key(12_000 + number, 0);
        let position = Position::new(shard, entry, 0);
        poll.voidings()
            .void(voter((*number).into()), position, Source::Voters)
    });
    let voided = voided.count() as u64;
    let (left, mut votes) = (30 - voided, vec![0; 3]);
    votes[11 % 3] = left;
    assert_eq!(counted(backend, "p").await, (left, 0, 0, voided, votes));
}

pub async fn of_many_ballots_each_is_voided(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let votes: Vec<_> = (0..25_000_u64)
        .map(|number| {
            (
                1 + number,
                ballot("p", u128::from(number) << 64, 1 << (number % 3)),
            )
        })
        .collect();
    flush(backend, &votes).await;
    let number = voided(backend, "p", span(1, 24_001)).await;
    let left = (1_000, 0, 0, 24_000, vec![333, 333, 334]);
    let is = counted(backend, "p").await;
    assert_eq!(
        (is.0, is.3, is.4.iter().sum::<u64>()),
        (left.0, left.3, 1_000)
    );
    undo(backend, "p", number).await;
    let all = vec![8_334, 8_333, 8_333];
    assert_eq!(counted(backend, "p").await, (25_000, 0, 0, 0, all));
}

pub async fn a_dead_letter_that_is_mended_is_voided_as_well(backend: &Backend) {
    let late = ballot("p", 1, 0b001);
    let dead = Batch {
        entries: vec![(entry_key(20, 0), 0)],
        dead_letters: vec![letter(20, &late)],
        ..Batch::default()
    };
    backend.flusher.flush(&dead).await.expect("flushed");
    has(backend, "p", |_| ()).await;
    voided(backend, "p", span(20, 30)).await;
    let position = dead.dead_letters[0].position;
    assert_eq!(
        state(backend, "p", 1, 20).await,
        ReceiptState::Rejected(RejectReason::UnknownOption)
    );
    let revived = backend.revive(position).await;
    assert!(matches!(revived, Revived::Flushed(_)), "{revived:?}");
    assert_eq!(counted(backend, "p").await, (0, 0, 0, 1, vec![0, 0, 0]));
}

/// The result is of the ballots that count: in an export, without the voters, and when the poll is deleted.
pub async fn a_final_poll_keeps_its_rules(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let votes = [
        (10, ballot("p", 1, 0b001)),
        (20, ballot("p", 2, 0b010)),
        (30, ballot("p", 3, 0b100)),
    ];
    flush(backend, &votes).await;
    let number = voided(backend, "p", span(20, 30)).await;
    make_final(backend, "p").await;
    for to in [span(10, 20), ChangeTo::VoidingUndone(number)] {
        let refused = change(backend, "p", to).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::CountFixed))
            ),
            "{refused:?}"
        );
    }
    let totals = backend.flusher.totals().await.expect("totals");
    assert_eq!(totals.counted, 3);
    let expected = (2, 0, 0, 1, vec![1, 0, 1]);
    for forgets in [false, true] {
        if forgets {
            let forgotten = change(backend, "p", ChangeTo::VotersForgotten).await;
            forgotten.expect("forgotten");
        }
        assert_eq!(counted(backend, "p").await, expected);
        let export = backend.exports.export_ballots(&poll_id("p")).await;
        let mut export = export.expect("an export");
        assert_eq!(export.head().ballots, 2);
        let mut read = Vec::new();
        while let Some(chunk) = export.next().await {
            read.extend(chunk.expect("ballots").into_iter().map(Choices::bits));
        }
        read.sort_unstable();
        assert_eq!(read, [0b001, 0b100]);
        assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
    }
    let forgotten = state(backend, "p", 2, 20).await;
    assert_eq!(forgotten, ReceiptState::VotersForgotten);
    let deleted = change(backend, "p", ChangeTo::Deleted).await;
    assert_eq!(deleted.expect("deleted"), None);
    assert_eq!(backend.flusher.totals().await.expect("totals"), totals);
}

/// A draft has no ballots, and a poll that is not there has no rules.
pub async fn only_ballots_of_a_published_poll_are_voided(backend: &Backend) {
    let none = change(backend, "p", span(1, 2)).await;
    assert!(matches!(none, Err(StoreError::NoPoll(_))), "{none:?}");
    let draft = poll_of("p", 2, 1).as_draft();
    let put = change(backend, "p", ChangeTo::Put(Box::new(draft))).await;
    put.expect("stored");
    let refused = change(backend, "p", span(1, 2)).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::ChangeRefused(_, ChangeRefusal::CountFixed))
        ),
        "{refused:?}"
    );
    let in_the_future = Moment::now().unix_ms() + 3_600_000;
    has(backend, "q", |_| ()).await;
    for to in [span(1, in_the_future), span(2, 2)] {
        let refused = change(backend, "q", to).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::BadSpan))
            ),
            "{refused:?}"
        );
    }
    // Another definition of the poll leaves its rules as they are.
    voided(backend, "q", span(1, 2)).await;
    let other = poll_of("q", 3, 2);
    let put = change(backend, "q", ChangeTo::Put(Box::new(other))).await;
    let put = put.expect("stored").expect("the poll");
    assert_eq!(put.voidings().iter().count(), 1);
}

/// After a store was put back to an earlier time, the copy of the poll that is newer has its rules.
pub async fn the_rules_of_a_poll_that_is_restored_hold(backend: &Backend) {
    has(backend, "p", |_| ()).await;
    let votes = [(10, ballot("p", 1, 0b001)), (20, ballot("p", 2, 0b010))];
    flush(backend, &votes).await;
    let old = backend.polls.poll(&poll_id("p")).await.expect("an answer");
    let old = old.expect("the poll");
    let then = |stored: &Poll, to| {
        let change = PollChange::new(poll_id("p"), to);
        let changed = change_of(Some(stored), &change, Moment::now());
        changed.expect("allowed").poll.expect("the poll")
    };
    let newer = then(&old, span(20, 30));
    let restored = change(backend, "p", ChangeTo::Restored(Box::new(newer.clone()))).await;
    let restored = restored.expect("restored").expect("the poll");
    assert_eq!(restored.voidings(), newer.voidings());
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 1, vec![1, 0, 0]));
    // A ballot that the backup lacks.
    flush(backend, &[(21, ballot("p", 3, 0b010))]).await;
    assert_eq!(counted(backend, "p").await, (1, 0, 0, 2, vec![1, 0, 0]));
    let undone = then(&newer, ChangeTo::VoidingUndone(1));
    let restored = change(backend, "p", ChangeTo::Restored(Box::new(undone))).await;
    restored.expect("restored");
    assert_eq!(counted(backend, "p").await, (3, 0, 0, 0, vec![1, 2, 0]));
    let older = change(backend, "p", ChangeTo::Restored(Box::new(newer))).await;
    older.expect("an answer");
    assert_eq!(counted(backend, "p").await, (3, 0, 0, 0, vec![1, 2, 0]));
}

/// Each voter is in one minute: that of the first ballot. What becomes of it later changes nothing.
pub async fn new_voters_are_counted_by_the_minute(backend: &Backend) {
    let minutes = async |before: Option<u64>, limit| {
        let before = before.map(at);
        let poll = poll_id("p");
        let all = backend.tallies.new_voters(&poll, before, limit).await;
        let all = all.expect("an answer");
        all.map(|all| {
            let all = all.iter().map(|of| (of.minute.unix_ms(), of.voters));
            all.collect::<Vec<_>>()
        })
    };
    assert_eq!(minutes(None, 9).await, None);
    has(backend, "p", |_| ()).await;
    has(backend, "q", |_| ()).await;
    assert_eq!(minutes(None, 9).await, Some(Vec::new()));
    const MINUTE: u64 = 60_000;
    let votes = [
        (MINUTE - 1, ballot("p", 1, 0b001)),
        (MINUTE, ballot("p", 2, 0b001)),
        (2 * MINUTE - 1, ballot("p", 3, 0b001)),
        (2 * MINUTE, ballot("q", 3, 0b001)),
        (9 * MINUTE, ballot("p", 4, 0b001)),
    ];
    let all = vec![(9 * MINUTE, 1), (MINUTE, 2), (0, 1)];
    for _ in 0..2 {
        flush(backend, &votes).await;
        assert_eq!(minutes(None, 9).await, Some(all.clone()));
    }
    // Another ballot of a voter who is known.
    flush(backend, &[(5 * MINUTE, ballot("p", 1, 0b010))]).await;
    voided(backend, "p", span(0, 2 * MINUTE)).await;
    assert_eq!(minutes(None, 9).await, Some(all.clone()));
    assert_eq!(minutes(None, 2).await, Some(all[..2].to_vec()));
    assert_eq!(minutes(Some(9 * MINUTE), 9).await, Some(all[1..].to_vec()));
    assert_eq!(minutes(Some(9 * MINUTE + 1), 9).await, Some(all.clone()));
    assert_eq!(minutes(Some(MINUTE), 9).await, Some(all[2..].to_vec()));
    assert_eq!(minutes(Some(0), 9).await, Some(Vec::new()));
    // Ballots of the same minute that come later.
    flush(backend, &[(9 * MINUTE + 7, ballot("p", 5, 0b001))]).await;
    assert_eq!(minutes(None, 1).await, Some(vec![(9 * MINUTE, 2)]));
    make_final(backend, "p").await;
    let forgotten = change(backend, "p", ChangeTo::VotersForgotten).await;
    forgotten.expect("forgotten");
    assert_eq!(minutes(None, 1).await, Some(vec![(9 * MINUTE, 2)]));
    change(backend, "p", ChangeTo::Deleted)
        .await
        .expect("deleted");
    assert_eq!(minutes(None, 9).await, None);
}

pub async fn what_is_voided_stays_so(backend: Backend) {
    has(&backend, "p", |_| ()).await;
    let mut positions = Vec::new();
    for number in 0..5 {
        positions.push(backend.cast(ballot("p", number, 1)).await);
    }
    // Those in the first millisecond, and that are not counted yet.
    let first = positions.iter().map(|position| position.ms()).min();
    let first = first.expect("a position");
    while Moment::now().unix_ms() <= first {
        tokio::task::yield_now().await;
    }
    voided(&backend, "p", span(first, first + 1)).await;
    assert_eq!(backend.worker(quick()).stop().await, WorkerExit::Clean);
    let in_it = positions.iter().filter(|position| position.ms() == first);
    let in_it = in_it.count() as u64;
    let expected = (5 - in_it, 0, 0, in_it, vec![5 - in_it, 0, 0]);
    assert_eq!(counted(&backend, "p").await, expected);
    let Some(backend) = backend.reopened().await else {
        return;
    };
    assert_eq!(counted(&backend, "p").await, expected);
    undo(&backend, "p", 1).await;
    assert_eq!(counted(&backend, "p").await, (5, 0, 0, 0, vec![5, 0, 0]));
}
