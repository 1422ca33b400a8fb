//! What a [`PollStore`](crate::PollStore) must keep of a poll's settings and of its life.
#![allow(missing_docs, reason = "the names are the requirements")]

use std::{sync::Arc, time::Duration};

use super::{
    Backend,
    scene::{ballot, batch, entry_key, poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        moment::Moment,
        poll::{ChangeRefusal, ChangeTo, OptionOrder, Poll, PollChange, PollSettings, ShowResults},
        poll_state::{PollState, Seals},
        position::Position,
        rejection::RejectReason,
    },
    store::{batch::Batch, dead_letter::DeadLetter, outcome::Totals},
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn change(
    backend: &Backend,
    id: &str,
    to: ChangeTo,
    if_revision: Option<u64>,
) -> Result<Option<Poll>, StoreError> {
    let change = PollChange {
        if_revision,
        ..PollChange::new(poll_id(id), to)
    };
    backend.polls.change_poll(&change, "somebody").await
}

async fn put(backend: &Backend, poll: &Poll) -> Poll {
    let to = ChangeTo::Put(Box::new(poll.clone()));
    let stored = change(backend, poll.id().as_str(), to, None).await;
    stored.expect("stored").expect("it is not deleted")
}

async fn read(backend: &Backend, id: &str) -> Poll {
    let poll = backend.polls.poll(&poll_id(id)).await.expect("an answer");
    poll.expect("the poll is there")
}

fn with(poll: Poll, set: impl FnOnce(&mut PollSettings)) -> Poll {
    let mut settings = poll.settings().clone();
    set(&mut settings);
    poll.with_settings(settings).expect("settings")
}

fn hours_from_now(hours: u32) -> Option<Moment> {
    Some(Moment::now().plus(HOUR * hours))
}

pub async fn the_settings_of_a_poll_are_kept_whole(backend: &Backend) {
    let all = with(poll_of("all", 2, 1), |settings| {
        settings.description = "One.\n\n\u{1f63a} \"Two\" \\ 'x' %s $1 נעם".to_owned();
        let described = ("o1".parse().expect("an id"), "Of the second".to_owned());
        settings.option_descriptions = [described].into();
        settings.revote = false;
        settings.opens_at = hours_from_now(1);
        settings.closes_at = Moment::from_unix_ms(253_370_764_799_999);
        settings.time_zone = Some("America/Argentina/Buenos_Aires".to_owned());
        settings.results = ShowResults::AfterVote;
        settings.order = OptionOrder::Shuffled;
        settings.listed = false;
        settings.language = Some("pt-BR".to_owned());
        settings.retention_days = Some(36_500);
        settings.forget_voters_days = Some(0);
    });
    let none = poll_of("none", 2, 1);
    for poll in [&all, &none] {
        let stored = put(backend, poll).await;
        assert_eq!(stored.settings(), poll.settings());
        assert_eq!(read(backend, poll.id().as_str()).await, stored);
        assert_eq!(put(backend, poll).await, stored, "once more");
    }
    let listed = backend.polls.polls().await.expect("polls");
    let settings: Vec<_> = listed.iter().map(Poll::settings).collect();
    assert_eq!(settings, [all.settings(), none.settings()]);
    // Each setting can go back to its default.
    let plain = with(poll_of("none", 2, 1), |settings| {
        settings.results = ShowResults::Always;
    });
    let described = with(plain.clone(), |settings| {
        settings.description = "Words".to_owned();
    });
    put(backend, &described).await;
    assert_eq!(read(backend, "none").await.settings().description, "Words");
    put(backend, &plain).await;
    assert_eq!(read(backend, "none").await.settings(), plain.settings());
}

pub async fn a_draft_changes_freely_and_is_published_once(backend: &Backend) {
    let draft = put(backend, &poll_of("p", 2, 1).as_draft()).await;
    assert!(draft.is_draft());
    assert!(read(backend, "p").await.is_draft());
    let other = with(poll_of("p", 5, 3).as_draft(), |settings| {
        settings.revote = false;
        settings.closes_at = hours_from_now(2);
    });
    let changed = put(backend, &other).await;
    assert_eq!(changed.options().len(), 5);
    assert!(changed.pending_window().is_none(), "no log has its times");
    assert_eq!(read(backend, "p").await, changed);
    let published = with(poll_of("p", 3, 1), |settings| {
        settings.closes_at = hours_from_now(2);
    });
    let published = put(backend, &published).await;
    assert!(!published.is_draft());
    assert!(published.window().is_some());
    assert_eq!(read(backend, "p").await, published);
    let to = ChangeTo::Put(Box::new(published.clone().as_draft()));
    let refused = change(backend, "p", to, None).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::ChangeRefused(_, ChangeRefusal::Published))
        ),
        "{refused:?}"
    );
    assert_eq!(read(backend, "p").await, published);
}

pub async fn a_change_that_was_made_of_an_older_revision_is_refused(backend: &Backend) {
    let described = |text: &str| {
        ChangeTo::Put(Box::new(with(poll_of("p", 2, 1), |settings| {
            text.clone_into(&mut settings.description);
        })))
    };
    let missing = change(backend, "p", described("none"), Some(0)).await;
    assert!(
        matches!(
            missing,
            Err(StoreError::RevisionChanged { stored: None, .. })
        ),
        "{missing:?}"
    );
    put(backend, &poll_of("p", 2, 1)).await;
    let first = read(backend, "p").await.revision();
    let changed = change(backend, "p", described("one"), Some(first)).await;
    let changed = changed.expect("stored").expect("the poll");
    assert!(changed.revision() > first);
    assert_eq!(read(backend, "p").await, changed);
    let refused = change(backend, "p", described("two"), Some(first)).await;
    let Err(StoreError::RevisionChanged {
        poll,
        expected,
        stored,
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (poll, expected, stored),
        (poll_id("p"), first, Some(changed.revision()))
    );
    assert_eq!(read(backend, "p").await, changed);
}

pub async fn of_racing_changes_of_one_revision_one_is_made(backend: &Backend) {
    put(backend, &poll_of("p", 2, 1)).await;
    let revision = read(backend, "p").await.revision();
    let changes: Vec<_> = (0..8)
        .map(|number| {
            let polls = Arc::clone(&backend.polls);
            let poll = with(poll_of("p", 2, 1), |settings| {
                settings.description = format!("By {number}");
            });
            let change = PollChange {
                if_revision: Some(revision),
                ..PollChange::put(poll)
            };
            tokio::spawn(async move { polls.change_poll(&change, &format!("host {number}")).await })
        })
        .collect();
    let mut made = Vec::new();
    for change in changes {
        match change.await.expect("no panic") {
            Ok(poll) => made.push(poll.expect("the poll")),
            Err(StoreError::RevisionChanged { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(made, [read(backend, "p").await]);
    let log = backend.audit.audit_log(0, 100).await.expect("the log");
    let changed = log
        .iter()
        .filter(|entry| entry.note.action == "poll.changed");
    assert_eq!(changed.count(), 1);
}

pub async fn new_times_are_pending_until_they_are_settled(backend: &Backend) {
    let opening = |hours| {
        with(poll_of("p", 2, 1), |settings| {
            settings.opens_at = hours_from_now(hours);
        })
    };
    let first = put(backend, &opening(1)).await;
    let window = first.window().expect("it has times");
    assert_eq!(first.pending_window(), None);
    let confirmed = put(backend, &opening(2)).await;
    let pending = confirmed.pending_window().expect("on their way");
    assert!(pending.times > window.times);
    assert_eq!(confirmed.window(), Some(window.clone()));
    assert_ne!(confirmed.version(), first.version());
    assert_eq!(read(backend, "p").await, confirmed);
    let busy = change(backend, "p", ChangeTo::Put(Box::new(opening(3))), None).await;
    assert!(
        matches!(busy, Err(StoreError::ChangeRefused(_, ChangeRefusal::Busy))),
        "{busy:?}"
    );
    let settle = async |times, is_confirmed| {
        let to = ChangeTo::Settled {
            times,
            is_confirmed,
        };
        let settled = change(backend, "p", to, None).await;
        let settled = settled.expect("stored").expect("the poll");
        assert_eq!(read(backend, "p").await, settled);
        settled
    };
    // Not the ones that are on their way.
    assert_eq!(settle(pending.times + 1, true).await, confirmed);
    let settled = settle(pending.times, true).await;
    assert_eq!(settled.pending_window(), None);
    assert_eq!(settled.window(), Some(pending.clone()));
    let again = settle(pending.times, false).await;
    assert_eq!(again.window(), Some(pending.clone()), "it has ended");
    let taken_back = put(backend, &opening(4)).await;
    let second = taken_back.pending_window().expect("on their way");
    let given_up = settle(second.times, false).await;
    let back = given_up.pending_window().expect("on their way");
    assert_eq!(back.opens_at, pending.opens_at);
    assert!(
        back.times > second.times,
        "shards take these in their place"
    );
    assert_eq!(settle(back.times, false).await, given_up);
    let taken_back = settle(back.times, true).await;
    assert_eq!(taken_back.pending_window(), None);
    assert_eq!(taken_back.window(), Some(back));
}

pub async fn only_a_final_poll_is_archived(backend: &Backend) {
    put(backend, &poll_of("p", 2, 1)).await;
    for state in [PollState::Open, PollState::Closing(Seals::default())] {
        let advanced = backend.polls.advance_poll(&poll_id("p"), &state).await;
        assert_eq!(advanced.expect("stored"), Some(state));
        let refused = change(backend, "p", ChangeTo::Archived(true), None).await;
        assert!(
            matches!(
                refused,
                Err(StoreError::ChangeRefused(_, ChangeRefusal::NotFinal))
            ),
            "{refused:?}"
        );
        assert!(!read(backend, "p").await.is_archived());
    }
    let done = PollState::Final([entry_key(3, 1)].into_iter().collect());
    let advanced = backend.polls.advance_poll(&poll_id("p"), &done).await;
    assert_eq!(advanced.expect("stored"), Some(done.clone()));
    assert!(read(backend, "p").await.final_at().is_some());
    for archived in [true, true, false] {
        let changed = change(backend, "p", ChangeTo::Archived(archived), None).await;
        let changed = changed.expect("stored").expect("the poll");
        assert_eq!(changed.is_archived(), archived);
        let stored = read(backend, "p").await;
        assert_eq!(stored, changed);
        assert_eq!(*stored.state(), done);
    }
}

pub async fn a_batch_that_was_judged_by_other_rules_is_refused_whole(backend: &Backend) {
    let timed = with(poll_of("p", 2, 1), |settings| {
        settings.opens_at = Moment::from_unix_ms(1);
    });
    let first = put(backend, &timed).await;
    put(backend, &poll_of("q", 2, 1)).await;
    assert!(!first.version().is_first());
    let votes = |judged_by: &[&Poll]| {
        let mut batch = batch(&[(5, ballot("q", 1, 1)), (6, ballot("p", 2, 1))]);
        for poll in judged_by {
            batch.judge_by(poll);
        }
        let (shard, entry) = entry_key(7, 0);
        batch.entries.push(((shard, entry), 0));
        batch.dead_letters.push(DeadLetter {
            position: Position::new(shard, entry, 0),
            reason: RejectReason::Malformed,
            detail: "no entry".to_owned(),
            payload: vec![0],
            ballots: 1,
        });
        batch
    };
    let is_refused = async |batch: &Batch, poll: &str| {
        let flushed = backend.flusher.flush(batch).await;
        let Err(StoreError::PollChanged(id)) = &flushed else {
            panic!("{flushed:?}")
        };
        assert_eq!(*id, poll_id(poll));
        let totals = backend.flusher.totals().await.expect("totals");
        assert_eq!(totals, Totals::default());
        assert!(backend.letters().await.is_empty());
    };
    let plain = poll_of("p", 2, 1);
    is_refused(&votes(&[&plain]), "p").await;
    let mut by_later = votes(&[&first]);
    by_later.versions.insert(poll_id("q"), first.version());
    is_refused(&by_later, "q").await;
    // A batch may also have judged ballots in a poll of which it then has none.
    let mut without_ballots = votes(&[&first]);
    without_ballots
        .versions
        .insert(poll_id("nowhere"), first.version());
    is_refused(&without_ballots, "nowhere").await;
    // While other times are on their way ballots are judged by both.
    let later = with(timed, |settings| {
        settings.closes_at = hours_from_now(1);
    });
    let second = put(backend, &later).await;
    is_refused(&votes(&[&first]), "p").await;
    let report = backend.flusher.flush(&votes(&[&second])).await;
    let report = report.expect("flushed").report;
    assert_eq!((report.counted, report.rejected), (2, 1));
    let replayed = backend.flusher.flush(&votes(&[&second])).await;
    assert_eq!(replayed.expect("flushed").report.already_applied, 3);
    backend.tally_agrees().await;
}
