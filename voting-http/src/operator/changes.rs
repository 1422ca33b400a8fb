//! Changes of polls, for the API and for the host's pages. `by` is who changes, for the audit log.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};
use voting_core::{
    Poll, PollId, PollState, StoreError,
    model::{
        moment::Moment,
        poll::{ChangeRefusal, ChangeTo, Phase, PollChange, PollExtras, PollSettings},
        poll_state::Seals,
    },
};

use super::{
    OperatorService,
    form::{InvalidForm, PollForm},
};
use crate::{
    cache::polls::FRESH_MISS,
    edge::strict_json,
    problem::{Problem, kind::ProblemKind},
};

/// How long a request waits until a stored poll is published.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(3);

/// How often the directory is asked during this time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long ago an opening may be that is new: a form has minutes, and its reader needs some time.
const OPENED_AGO: Duration = Duration::from_secs(90);

/// How often a change is tried that depends on what is stored, and that somebody else is changing too.
const TRIES: usize = 5;

/// What must be stored for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever is there, or nothing.
    Any,
    /// No poll of this id, now or ever.
    Nothing,
    /// A poll of any revision.
    Stored,
    /// The poll, with this revision.
    Revision(u64),
}

/// A poll that was stored.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// The poll as it is now.
    pub(crate) poll: Poll,
    /// Whether there was no such poll before.
    pub(crate) is_new: bool,
    /// Whether the vote services find the poll as it is now. A draft is never found.
    pub(crate) is_published: bool,
}

/// Whether the times of a poll that is to replace `before` are still to come. Times that are stored already may have
/// passed, except the closing of a draft.
///
/// # Errors
/// Says which of the times has passed.
pub(crate) fn check_times(poll: &Poll, before: Option<&Poll>) -> Result<(), InvalidForm> {
    let now = Moment::now();
    let (settings, stored) = (poll.settings(), before.map(Poll::settings));
    let passed = |field, what: &str, at| InvalidForm {
        field,
        sentence: format!("The poll cannot {what} at {at}: this moment has passed."),
    };
    if let Some(opens) = settings.opens_at
        && stored.and_then(|stored| stored.opens_at) != Some(opens)
        && opens.plus(OPENED_AGO) < now
    {
        return Err(passed("opens_at", "open", opens));
    }
    let is_new = stored.and_then(|stored| stored.closes_at) != settings.closes_at
        || before.is_some_and(Poll::is_draft);
    match settings.closes_at {
        Some(closes) if is_new && closes <= now => Err(passed("closes_at", "close", closes)),
        _ => Ok(()),
    }
}

/// The poll of a form that changes a stored poll. Where the form does not say whether the poll is a draft, or who sees the
/// result, it keeps what is stored: by the default, the result of a running poll would be shown to everybody, and nobody
/// could take that back.
fn keeping(mut poll: Poll, form: &PollForm, stored: &Poll) -> Result<Poll, Problem> {
    if form.draft.is_none() && stored.is_draft() {
        poll = poll.as_draft();
    }
    if form.results.is_some() {
        return Ok(poll);
    }
    let mut settings = poll.settings().clone();
    settings.results = stored.settings().results;
    Ok(poll.with_settings(settings).map_err(InvalidForm::from)?)
}

/// A poll as the change of a stored one: with other settings, and no draft any more.
fn published(poll: &Poll, settings: PollSettings) -> Result<Poll, Problem> {
    let poll = poll.clone().with_extras(PollExtras::default());
    Ok(poll.with_settings(settings).map_err(InvalidForm::from)?)
}

fn put(poll: Poll) -> ChangeTo {
    ChangeTo::Put(Box::new(poll))
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(there) = target.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            there.remove(name);
        } else {
            merge(there.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

impl OperatorService {
    /// All polls, also drafts and archived ones, the oldest first.
    pub(crate) async fn stored_polls(&self) -> Result<Vec<Poll>, Problem> {
        Ok(self.0.pipeline.polls.polls().await?)
    }

    /// The poll with this id, in any state.
    ///
    /// # Errors
    /// There is no such poll, or the store does not answer.
    pub(crate) async fn stored_poll(&self, name: &str) -> Result<Poll, Problem> {
        let id: PollId = name.parse().map_err(|_| Problem::no_poll(name))?;
        let poll = self.0.pipeline.polls.poll(&id).await?;
        poll.ok_or_else(|| Problem::no_poll(name))
    }

    /// Stores a poll, or gives a stored one this definition and these settings. Waits until the vote services find it,
    /// for up to three seconds.
    ///
    /// # Errors
    /// The form is not valid, what is stored is not what is expected, or the poll can no longer be changed so.
    pub(crate) async fn save_poll(
        &self,
        form: &PollForm,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        let poll = form.to_poll()?;
        let before = self.0.pipeline.polls.poll(poll.id()).await?;
        if expected == Expected::Stored && before.is_none() {
            return Err(Problem::no_poll(poll.id().as_str()));
        }
        let poll = match &before {
            Some(stored) => keeping(poll, form, stored)?,
            None => poll,
        };
        check_times(&poll, before.as_ref())?;
        let to = match expected {
            Expected::Nothing => ChangeTo::New(Box::new(poll.clone())),
            _ => put(poll.clone()),
        };
        let mut change = PollChange::new(poll.id().clone(), to);
        if let Expected::Revision(revision) = expected {
            change.if_revision = Some(revision);
        }
        match self.change(&change, before.as_ref(), by).await {
            Err(StoreError::ChangeRefused(id, ChangeRefusal::Exists)) => Err(Problem::new(
                ProblemKind::RevisionChanged,
                format!("Poll {id} is stored already."),
            )),
            saved => Ok(saved?),
        }
    }

    /// Stores a poll that a program brings along. If it is stored already, it gets the title and the labels of this
    /// form, and its settings stay. A form that has settings of its own is then refused, unless they are the stored ones.
    ///
    /// # Errors
    /// As [`save_poll`](Self::save_poll).
    pub(crate) async fn define_poll(&self, form: &PollForm, by: &str) -> Result<Saved, Problem> {
        let poll = form.to_poll()?;
        loop {
            let before = self.0.pipeline.polls.poll(poll.id()).await?;
            let to = match &before {
                None => {
                    check_times(&poll, None)?;
                    ChangeTo::New(Box::new(poll.clone()))
                }
                Some(stored) => {
                    let says_more = form.draft.is_some()
                        || form.results.is_some()
                        || *poll.settings() != PollSettings::default();
                    let is_same = poll.settings() == stored.settings()
                        && poll.is_draft() == stored.is_draft();
                    if says_more && !is_same {
                        return Err(Problem::conflict(format!(
                            "Poll {} is stored with other settings; PUT and PATCH change them.",
                            poll.id()
                        )));
                    }
                    ChangeTo::Defined(Box::new(poll.clone()))
                }
            };
            let change = PollChange::new(poll.id().clone(), to);
            match self.change(&change, before.as_ref(), by).await {
                // Somebody else has just stored it.
                Err(StoreError::ChangeRefused(_, ChangeRefusal::Exists)) => {}
                saved => return Ok(saved?),
            }
        }
    }

    /// Changes single fields of a poll by a JSON merge patch (RFC 7396) of its form.
    ///
    /// # Errors
    /// As [`save_poll`](Self::save_poll).
    pub(crate) async fn patch_poll(
        &self,
        name: &str,
        patch: &Value,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        self.change_stored(name, expected, by, |stored| {
            let mut patched = serde_json::to_value(PollForm::from(stored)).unwrap_or_default();
            merge(&mut patched, patch);
            let form: PollForm = strict_json::of_value(&patched).map_err(Problem::invalid)?;
            if form.id != stored.id().as_str() {
                return Err(Problem::invalid("The id of a poll cannot change."));
            }
            let poll = keeping(form.to_poll()?, &form, stored)?;
            check_times(&poll, Some(stored))?;
            Ok(Some(put(poll)))
        })
        .await
    }

    /// Publishes a draft. A poll that is published stays as it is.
    ///
    /// # Errors
    /// One of its times has passed; or as [`save_poll`](Self::save_poll).
    pub(crate) async fn publish_poll(
        &self,
        name: &str,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        self.change_stored(name, expected, by, |stored| {
            if !stored.is_draft() {
                return Ok(None);
            }
            check_times(stored, Some(stored))?;
            Ok(Some(put(published(stored, stored.settings().clone())?)))
        })
        .await
    }

    /// Opens a poll now: a draft, or a poll that is to open later. A poll that is open stays as it is.
    ///
    /// # Errors
    /// The poll is closed; or as [`save_poll`](Self::save_poll).
    pub(crate) async fn open_poll(
        &self,
        name: &str,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        self.change_stored(name, expected, by, |stored| {
            let now = Moment::now();
            // Whole seconds are easier to read.
            let now = Moment::from_unix_ms(now.unix_ms() / 1_000 * 1_000).unwrap_or(now);
            let mut settings = stored.settings().clone();
            match stored.phase(now) {
                Phase::Open => return Ok(None),
                Phase::Draft | Phase::Scheduled => {}
                phase => {
                    return Err(Problem::conflict(format!(
                        "Poll {} is {}, so it cannot open.",
                        stored.id(),
                        phase.as_str()
                    )));
                }
            }
            settings.opens_at = settings.opens_at.map(|opens| opens.min(now));
            let poll = published(stored, settings)?;
            check_times(&poll, Some(stored))?;
            Ok(Some(put(poll)))
        })
        .await
    }

    /// Closes a poll for good. Every ballot that was acknowledged before counts. Returns the poll as it is then: closing,
    /// or final if it was so already.
    ///
    /// # Errors
    /// The poll is a draft, or there is no such poll.
    pub(crate) async fn close_poll(&self, name: &str, by: &str) -> Result<Poll, Problem> {
        let found = self.stored_poll(name).await?;
        if found.is_draft() {
            return Err(Problem::conflict(format!(
                "Poll {} is a draft, so it cannot close. It can be published or deleted.",
                found.id()
            )));
        }
        let closing = PollState::Closing(Seals::default());
        let polls = &self.0.pipeline.polls;
        let state = polls.advance_poll_by(found.id(), &closing, by).await?;
        let state = state.ok_or_else(|| Problem::no_poll(name))?;
        if found.state().is_open() {
            tracing::info!(poll = %found.id(), by, "the poll is closing");
        }
        Ok(found.in_state(state))
    }

    /// Puts a final poll into the archive, or takes it out.
    ///
    /// # Errors
    /// The poll is not final, there is none, or it is not what is expected.
    pub(crate) async fn archive_poll(
        &self,
        name: &str,
        archived: bool,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        self.change_stored(name, expected, by, |_| {
            Ok(Some(ChangeTo::Archived(archived)))
        })
        .await
    }

    /// Forgets the voters of a final poll.
    ///
    /// # Errors
    /// `confirm` is not the poll's id; the poll is not final; there is none; or it is not what is expected.
    pub(crate) async fn forget_voters(
        &self,
        name: &str,
        confirm: Option<&str>,
        expected: Expected,
        by: &str,
    ) -> Result<Saved, Problem> {
        let saved = self.change_stored(name, expected, by, |poll| {
            let id = poll.id();
            // A poll whose voters are needed is refused for that reason, whatever is confirmed.
            let is_possible = poll.state().is_final() && !poll.voters_are_forgotten();
            if is_possible && confirm != Some(id.as_str()) {
                return Err(Problem::conflict(format!(
                    "This cannot be undone. Confirm with the id of poll {id} that its voters are to be forgotten."
                )));
            }
            Ok(Some(ChangeTo::VotersForgotten))
        });
        let saved = saved.await?;
        tracing::info!(poll = %saved.poll.id(), by, "the voters of the poll are forgotten");
        Ok(saved)
    }

    /// Deletes a draft or a final poll, with its ballots. Its id is never used again.
    ///
    /// # Errors
    /// The poll has ballots and `confirm` is not its id; it is neither a draft nor final; there is none; or it is not
    /// what is expected.
    pub(crate) async fn delete_poll(
        &self,
        name: &str,
        confirm: Option<&str>,
        expected: Expected,
        by: &str,
    ) -> Result<(), Problem> {
        let poll = self.stored_poll(name).await?;
        let id = poll.id();
        let tally = self.0.pipeline.store.tally(id).await?;
        let voters = tally.map_or(0, |tally| tally.voters);
        // A poll that cannot be deleted is refused for that reason, whatever is confirmed.
        if voters > 0 && poll.state().is_final() && confirm != Some(id.as_str()) {
            return Err(Problem::conflict(format!(
                "Poll {id} has the ballots of {voters} voters. Confirm with its id that they are to be deleted."
            )));
        }
        let mut change = PollChange::new(id.clone(), ChangeTo::Deleted);
        if let Expected::Revision(revision) = expected {
            change.if_revision = Some(revision);
        }
        self.0.pipeline.polls.change_poll(&change, by).await?;
        tracing::info!(poll = %id, by, "the poll is deleted");
        Ok(())
    }

    /// Makes the change that `make` says of the stored poll; none if it says so. If somebody else changes the poll
    /// meanwhile, `make` is asked again, unless a revision is expected.
    async fn change_stored(
        &self,
        name: &str,
        expected: Expected,
        by: &str,
        make: impl Fn(&Poll) -> Result<Option<ChangeTo>, Problem>,
    ) -> Result<Saved, Problem> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let stored = self.stored_poll(name).await?;
            let revision = match expected {
                Expected::Revision(revision) => revision,
                _ => stored.revision(),
            };
            // What `make` would say of another revision does not matter.
            let is_expected = revision == stored.revision();
            let to = if is_expected { make(&stored)? } else { None };
            let change = PollChange {
                poll: stored.id().clone(),
                // Texts that the poll has already: it stays as it is.
                to: to.unwrap_or_else(|| ChangeTo::Defined(Box::new(stored.clone()))),
                if_revision: Some(revision),
            };
            match self.change(&change, Some(&stored), by).await {
                Err(StoreError::RevisionChanged { .. }) if is_expected && tries > 0 => {}
                saved => return Ok(saved?),
            }
        }
    }

    /// Makes a change after which there is a poll, and waits until it is published.
    async fn change(
        &self,
        change: &PollChange,
        before: Option<&Poll>,
        by: &str,
    ) -> Result<Saved, StoreError> {
        let stored = self.0.pipeline.polls.change_poll(change, by).await?;
        let poll = stored.ok_or_else(|| StoreError::NoPoll(change.poll.clone()))?;
        let is_published = !poll.is_draft()
            && timeout(PUBLISHED_WITHIN, self.is_published(&poll))
                .await
                .is_ok();
        Ok(Saved {
            poll,
            is_new: before.is_none(),
            is_published,
        })
    }

    /// Waits until the vote services find the poll as it is now. They look in the directory.
    async fn is_published(&self, poll: &Poll) {
        let mut was_there = false;
        loop {
            let found = self.0.pipeline.directory.poll(poll.id()).await;
            let is_there = found.is_ok_and(|found| {
                found.is_some_and(|found| {
                    found.title() == poll.title()
                        && found.options() == poll.options()
                        && found.settings() == poll.settings()
                })
            });
            // The poll must be seen twice: another worker may still write a list that it has read before.
            if is_there && was_there {
                return;
            }
            was_there = is_there;
            // A vote service that has just looked up the polls does not look again within this time.
            sleep(if is_there { FRESH_MISS } else { LOOK_AGAIN }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_merged_as_its_standard_says() {
        // The examples of RFC 7396, appendix A.
        for (original, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut merged = original;
            merge(&mut merged, &patch);
            assert_eq!(merged, result, "{patch}");
        }
    }
}
