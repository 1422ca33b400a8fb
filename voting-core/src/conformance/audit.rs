//! What an [`AuditLog`](crate::store::AuditLog) must keep.
#![allow(missing_docs, reason = "the names are the requirements")]

use super::{
    Backend,
    scene::{poll_id, poll_of},
};
use crate::{
    error::StoreError,
    model::{
        moment::Moment,
        poll::{ChangeTo, PollChange},
        poll_state::{PollState, Seals},
    },
    store::audit::{AuditEntry, AuditNote},
};

async fn change(backend: &Backend, id: &str, to: ChangeTo) -> Result<(), StoreError> {
    let change = PollChange::new(poll_id(id), to);
    let changed = backend.polls.change_poll(&change, "host \"A\"").await;
    changed.map(|_| ())
}

async fn put(backend: &Backend, options: usize) -> Result<(), StoreError> {
    change(
        backend,
        "p",
        ChangeTo::Put(Box::new(poll_of("p", options, 1))),
    )
    .await
}

async fn log(backend: &Backend) -> Vec<AuditEntry> {
    backend.audit.audit_log(0, 1_000).await.expect("the log")
}

pub async fn every_change_of_a_poll_is_in_the_audit_log(backend: &Backend) {
    let began = Moment::now();
    put(backend, 2).await.expect("stored");
    let mut described = poll_of("p", 2, 1).settings().clone();
    described.description = "\u{1f63a}'\"\\".to_owned();
    let described = poll_of("p", 2, 1).with_settings(described);
    let described = ChangeTo::Put(Box::new(described.expect("settings")));
    change(backend, "p", described).await.expect("stored");
    for state in [PollState::Closing, PollState::Final] {
        let to = ChangeTo::State(state(Seals::default()));
        change(backend, "p", to).await.expect("stored");
    }
    let archived = ChangeTo::Archived(true);
    change(backend, "p", archived).await.expect("stored");
    change(backend, "p", ChangeTo::Deleted)
        .await
        .expect("deleted");
    let entries = log(backend).await;
    let actions: Vec<_> = entries.iter().map(|e| e.note.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "poll.created",
            "poll.changed",
            "poll.closing",
            "poll.final",
            "poll.archived",
            "poll.deleted"
        ]
    );
    let mut before = None;
    for entry in &entries {
        let AuditEntry { at, note, .. } = entry;
        assert_eq!(note.by, "host \"A\"");
        assert_eq!(note.poll, Some(poll_id("p")));
        // The clock of a store may be another one than ours.
        assert!(at.since(began) < std::time::Duration::from_secs(3_600));
        assert_eq!(note.before, before, "what the note before it left");
        before.clone_from(&note.after);
    }
    assert_eq!(before, None, "it is deleted");
    let text = entries[1].note.after.as_deref().expect("the poll");
    assert!(text.contains("\u{1f63a}'\\\"\\\\"), "{text}");
}

pub async fn what_changes_nothing_leaves_no_note(backend: &Backend) {
    put(backend, 2).await.expect("stored");
    let before = log(backend).await;
    put(backend, 2).await.expect("nothing to do");
    let open = ChangeTo::State(PollState::Open);
    change(backend, "p", open).await.expect("nothing to do");
    put(backend, 3).await.expect_err("it is open");
    let archived = change(backend, "p", ChangeTo::Archived(true)).await;
    archived.expect_err("it is open");
    let deleted = change(backend, "p", ChangeTo::Deleted).await;
    deleted.expect_err("it is open");
    let deleted = change(backend, "nowhere", ChangeTo::Deleted).await;
    deleted.expect_err("there is none");
    let draft = ChangeTo::Put(Box::new(poll_of("p", 2, 1).as_draft()));
    let draft = change(backend, "p", draft).await;
    draft.expect_err("it is published");
    assert_eq!(log(backend).await, before);
}

pub async fn the_audit_log_is_read_in_order_and_in_pages(backend: &Backend) {
    assert!(log(backend).await.is_empty());
    let note = |number: u32| AuditNote {
        by: format!("token {number}"),
        action: "token.created".to_owned(),
        poll: number.is_multiple_of(2).then(|| poll_id("p")),
        before: None,
        after: Some(format!("{{\"number\":{number}}}")),
    };
    for number in 0..7 {
        let added = backend.audit.add_to_audit_log(&note(number)).await;
        added.expect("added");
    }
    let whole = log(backend).await;
    let notes: Vec<_> = whole.iter().map(|entry| entry.note.clone()).collect();
    assert_eq!(notes, (0..7).map(note).collect::<Vec<_>>());
    assert!(whole.is_sorted_by(|a, b| a.number < b.number && a.at <= b.at));
    assert!(whole[0].number > 0, "0 is before all of them");
    let mut pages = Vec::new();
    loop {
        let after = pages.last().map_or(0, |entry: &AuditEntry| entry.number);
        let page = backend.audit.audit_log(after, 3).await.expect("a page");
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, whole);
    let none = backend.audit.audit_log(0, 0).await.expect("a page");
    assert!(none.is_empty());
    let mut backwards: Vec<AuditEntry> = Vec::new();
    loop {
        let before = backwards.last().map(|entry| entry.number);
        let page = backend.audit.newest_of_audit_log(before, 3).await;
        let page = page.expect("a page");
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        backwards.extend(page);
    }
    backwards.reverse();
    assert_eq!(backwards, whole, "also the newest first");
}
