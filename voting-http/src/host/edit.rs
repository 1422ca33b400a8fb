//! Making and editing a poll.

use askama::Template;
use poem::Response;
use voting_core::{
    Poll,
    model::poll::{MAX_OPTIONS, Phase, ShowResults},
};

use super::{
    Frame, Visit, preview, see,
    times::{self, Region},
    typed::{FieldError, Typed, TypedOption},
};
use crate::{
    operator::{
        changes::{self, Expected},
        form::PollForm,
    },
    pages::templates::render,
    problem::{Problem, kind::ProblemKind},
};

/// What somebody else has stored meanwhile.
struct Newer {
    /// The field, what is stored, and what was typed.
    differences: Vec<(&'static str, String, String)>,
}

#[derive(Template)]
#[template(path = "host/edit.html")]
struct EditPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    /// Where the form is sent.
    action: String,
    /// The poll's id; `None` while it is made.
    stored: Option<String>,
    /// How many changes the stored poll had when this form was made.
    revision: u64,
    phase: Phase,
    typed: Typed,
    errors: Vec<FieldError>,
    newer: Option<Newer>,
    /// The field in which the host goes on.
    focus: String,
    regions: &'static [Region],
}

impl EditPage {
    fn heading(&self) -> &'static str {
        match (self.stored.is_some(), self.phase) {
            (false, _) => "Make a poll",
            (true, Phase::Draft) => "Edit the draft",
            (true, _) => "Edit the poll",
        }
    }

    /// Whether the poll is not published yet.
    fn is_draft(&self) -> bool {
        self.phase == Phase::Draft
    }

    /// Whether what gives a ballot its meaning can no longer change.
    fn is_fixed(&self) -> bool {
        !matches!(self.phase, Phase::Draft | Phase::Scheduled)
    }

    /// Whether groups or e-mail domains are typed, or are not valid.
    fn names_claims(&self) -> bool {
        let typed = &self.typed;
        let is_typed = !typed.groups.is_empty() || !typed.email_domains.is_empty();
        is_typed || self.error("groups").is_some() || self.error("email_domains").is_some()
    }

    /// Whether the texts and the times can no longer change.
    fn is_frozen(&self) -> bool {
        self.is_fixed() && self.phase != Phase::Open
    }

    fn can_add(&self) -> bool {
        !self.is_fixed() && self.typed.options.len() < MAX_OPTIONS
    }

    fn error(&self, field: &str) -> Option<&str> {
        let error = self.errors.iter().find(|error| error.field == field)?;
        Some(&error.text)
    }

    fn option_error(&self, field: &str, index: impl std::fmt::Display) -> Option<&str> {
        self.error(&format!("{field}-{index}"))
    }

    fn focuses(&self, field: &str) -> bool {
        self.focus == field
    }

    fn focuses_option(&self, index: impl std::fmt::Display) -> bool {
        self.focus == format!("label-{index}")
    }

    fn has_results(&self, key: &str) -> bool {
        self.typed.results == key
    }

    /// Whether the result of an open poll can still be shown by this rule: it is never hidden again.
    fn can_show(&self, key: &str) -> bool {
        let order = ["host", "after_close", "after_vote", "always"];
        let place = |key: &str| order.iter().position(|known| *known == key);
        !self.is_fixed() || place(key) >= place(&self.typed.results)
    }

    fn opens_twice(&self) -> bool {
        self.typed.is_twice(&self.typed.opens_at)
    }

    fn closes_twice(&self) -> bool {
        self.typed.is_twice(&self.typed.closes_at)
    }

    /// The zone of the poll, if it is not among those that can be chosen.
    fn other_zone(&self) -> Option<&str> {
        let zone = self.typed.time_zone.as_str();
        let mut all = self.regions.iter().flat_map(|region| &region.zones);
        (zone != times::UTC && !zone.is_empty() && all.all(|(name, _)| name != zone))
            .then_some(zone)
    }
}

/// What a button of the form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Do {
    Add,
    Remove(usize),
    Up(usize),
    Down(usize),
    /// Save, as a draft if it is one.
    Save,
    Publish,
    /// Show the page as voters will see it, without saving it.
    Preview,
}

impl Do {
    fn from_key(key: &str) -> Self {
        let index = |text: &str| text.parse().unwrap_or(usize::MAX);
        match key.split_once('-') {
            Some(("remove", at)) => Self::Remove(index(at)),
            Some(("up", at)) => Self::Up(index(at)),
            Some(("down", at)) => Self::Down(index(at)),
            _ if key == "add" => Self::Add,
            _ if key == "publish" => Self::Publish,
            _ if key == "preview" => Self::Preview,
            _ => Self::Save,
        }
    }
}

/// Changes the rows of options. Returns the field in which the host goes on; `None` if the button does not do this.
fn arrange(options: &mut Vec<TypedOption>, what: Do) -> Option<String> {
    let last = options.len().saturating_sub(1);
    let at = match what {
        Do::Add if options.len() < MAX_OPTIONS => {
            options.push(TypedOption::default());
            options.len() - 1
        }
        Do::Remove(index) if index <= last && !options.is_empty() => {
            options.remove(index);
            // The form always has two rows.
            options.resize(options.len().max(2), TypedOption::default());
            index.min(options.len() - 1)
        }
        Do::Up(index) if (1..=last).contains(&index) => {
            options.swap(index, index - 1);
            index - 1
        }
        Do::Down(index) if index < last => {
            options.swap(index, index + 1);
            index + 1
        }
        Do::Save | Do::Publish | Do::Preview => return None,
        _ => last,
    };
    Some(format!("label-{at}"))
}

impl Visit {
    fn edit_page(&self, stored: Option<&Poll>, typed: Typed) -> EditPage {
        let frame = self.frame();
        let action = match stored {
            Some(poll) => format!("{}/polls/{}/edit", frame.base, poll.id()),
            None => format!("{}/polls/new", frame.base),
        };
        EditPage {
            base: frame.base.clone(),
            assets_version: frame.assets_version,
            frame,
            action,
            stored: stored.map(|poll| poll.id().to_string()),
            revision: stored.map_or(0, Poll::revision),
            phase: stored.map_or(Phase::Draft, |poll| poll.phase(self.now)),
            typed,
            errors: Vec::new(),
            newer: None,
            focus: String::new(),
            regions: times::regions(),
        }
    }
}

/// `GET /polls/new`.
pub(super) async fn new(visit: Visit) -> Result<Response, Problem> {
    let polls = visit.parts().polls.polls().await?;
    // A host usually stays in one zone.
    let mut zones = polls.iter().rev().map(|poll| &poll.settings().time_zone);
    let zone = zones.find_map(Option::as_deref).unwrap_or(times::UTC);
    let mut page = visit.edit_page(None, Typed::empty(zone));
    page.focus = "title".to_owned();
    Ok(render(&page))
}

/// `GET /polls/:poll/edit`.
pub(super) async fn edit(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let page = visit.edit_page(Some(&poll), Typed::of_poll(&poll));
    Ok(render(&page))
}

/// `POST /polls/new` and `POST /polls/:poll/edit`.
pub(super) async fn save(visit: Visit) -> Result<Response, Problem> {
    let is_new = visit.request.raw_path_param("poll").is_none();
    let stored = if is_new {
        None
    } else {
        Some(visit.poll().await?)
    };
    let mut typed = Typed::of_form(&visit.form);
    if let Some(stored) = &stored {
        typed.id = stored.id().to_string();
    }
    let what = Do::from_key(visit.form.text("do"));
    if let Some(focus) = arrange(&mut typed.options, what) {
        let mut page = visit.edit_page(stored.as_ref(), typed);
        page.focus = focus;
        // The form is still based on what was stored when it was made.
        page.revision = visit.revision().unwrap_or(page.revision);
        return Ok(render(&page));
    }
    if what == Do::Preview
        && let Ok(poll) = typed.to_poll()
    {
        return Ok(preview::show(&visit, &poll));
    }
    // A poll with errors is told of them, and is not saved.
    let publishes = what == Do::Publish;
    match try_save(&visit, stored.as_ref(), &typed, publishes).await {
        Ok(poll) => {
            let done = match (publishes, poll.is_draft()) {
                (true, _) => "published",
                (false, true) => "draft-saved",
                (false, false) => "saved",
            };
            let to = format!("/polls/{}?done={done}", poll.id());
            Ok(see(&visit.prefix, &to))
        }
        Err(Unsaved::Fields(errors)) => {
            let mut page = visit.edit_page(stored.as_ref(), typed);
            page.revision = visit.revision().unwrap_or(page.revision);
            page.errors = errors;
            let invalid = Problem::invalid("The poll was not saved.");
            Ok(invalid.finish(render(&page)))
        }
        Err(Unsaved::Newer(problem)) => {
            // What is stored now, beside what was typed. To save again is to save over it.
            let Some(now) = visit
                .parts()
                .polls
                .poll(stored_id(stored.as_ref())?)
                .await?
            else {
                return Err(problem);
            };
            let differences = Typed::of_poll(&now).differences(&typed);
            let mut page = visit.edit_page(Some(&now), typed);
            page.newer = Some(Newer { differences });
            Ok(problem.finish(render(&page)))
        }
        Err(Unsaved::Problem(problem)) => {
            let mut page = visit.edit_page(stored.as_ref(), typed);
            page.revision = visit.revision().unwrap_or(page.revision);
            page.errors = vec![FieldError::new("", problem.detail())];
            Ok(problem.finish(render(&page)))
        }
    }
}

fn stored_id(stored: Option<&Poll>) -> Result<&voting_core::PollId, Problem> {
    stored.map(Poll::id).ok_or_else(Problem::internal)
}

/// Why a poll was not saved.
enum Unsaved {
    /// Fields are not valid.
    Fields(Vec<FieldError>),
    /// Somebody else has changed the poll meanwhile.
    Newer(Problem),
    Problem(Problem),
}

impl Visit {
    /// The revision on which the form is based.
    fn revision(&self) -> Option<u64> {
        self.form.text("revision").parse().ok()
    }
}

async fn try_save(
    visit: &Visit,
    stored: Option<&Poll>,
    typed: &Typed,
    publishes: bool,
) -> Result<Poll, Unsaved> {
    let poll = typed.to_poll().map_err(Unsaved::Fields)?;
    let was_draft = stored.is_none_or(Poll::is_draft);
    let is_draft = was_draft && !publishes;
    check_times(&poll, stored).map_err(|error| Unsaved::Fields(vec![error]))?;
    if let Some(stored) = stored
        && !is_draft
        && !was_draft
        && poll.settings().results < stored.settings().results
        && stored.phase(visit.now) != Phase::Scheduled
    {
        let text = "The poll has opened: its result can be shown to more people, never to fewer.";
        return Err(Unsaved::Fields(vec![FieldError::new("results", text)]));
    }
    let mut form = PollForm::from(&poll);
    form.draft = Some(is_draft);
    let expected = match stored {
        None => Expected::Nothing,
        Some(stored) => Expected::Revision(visit.revision().unwrap_or(stored.revision())),
    };
    let service = &visit.parts().service;
    let saved = service.save_poll(&form, expected, visit.by()).await;
    match saved {
        Ok(saved) => Ok(saved.poll),
        Err(problem) if problem.kind() != ProblemKind::RevisionChanged => {
            Err(Unsaved::Problem(problem))
        }
        Err(_) if stored.is_none() => Err(Unsaved::Fields(vec![taken()])),
        Err(problem) => Err(Unsaved::Newer(problem)),
    }
}

fn taken() -> FieldError {
    let text = "There is, or was, a poll with this address. Choose another address.";
    FieldError::new("id", text)
}

/// Whether the times that are new are still to come.
fn check_times(poll: &Poll, stored: Option<&Poll>) -> Result<(), FieldError> {
    let text = "This moment has passed. Choose a later one, or leave the field empty.";
    changes::check_times(poll, stored).map_err(|invalid| FieldError::new(invalid.field, text))
}

/// What is shown to voters of the results, for the radio buttons.
pub(super) const RESULTS: [(&str, &str, ShowResults); 4] = [
    (
        "always",
        "Everybody, from the beginning",
        ShowResults::Always,
    ),
    (
        "after_vote",
        "Who has voted, and everybody once the poll is closed",
        ShowResults::AfterVote,
    ),
    (
        "after_close",
        "Everybody, once the poll is closed",
        ShowResults::AfterClose,
    ),
    ("host", "Only hosts", ShowResults::Host),
];

impl EditPage {
    fn results(&self) -> [(&'static str, &'static str, ShowResults); 4] {
        RESULTS
    }

    /// The summary of errors, each with a link to its field.
    fn summary(&self) -> String {
        match self.errors.len() {
            1 => "The poll was not saved. One thing is to be corrected:".to_owned(),
            number => format!("The poll was not saved. {number} things are to be corrected:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[&str]) -> Vec<TypedOption> {
        let rows = labels.iter().map(|label| TypedOption {
            label: (*label).to_owned(),
            ..TypedOption::default()
        });
        rows.collect()
    }

    #[test]
    fn rows_are_added_moved_and_removed() {
        for (button, after, focus) in [
            ("add", &["a", "b", "c", ""][..], "label-3"),
            ("up-2", &["a", "c", "b"], "label-1"),
            ("down-0", &["b", "a", "c"], "label-1"),
            ("remove-1", &["a", "c"], "label-1"),
            ("up-0", &["a", "b", "c"], "label-2"),
            ("remove-x", &["a", "b", "c"], "label-2"),
        ] {
            let mut options = rows(&["a", "b", "c"]);
            let focused = arrange(&mut options, Do::from_key(button));
            assert_eq!(options, rows(after), "{button}");
            assert_eq!(focused.as_deref(), Some(focus), "{button}");
        }
        let mut options = rows(&["a", "b"]);
        arrange(&mut options, Do::Remove(0));
        assert_eq!(options, rows(&["b", ""]));
        let mut options = rows(&["x"; MAX_OPTIONS]);
        arrange(&mut options, Do::Add);
        assert_eq!(options.len(), MAX_OPTIONS);
        assert_eq!(arrange(&mut options, Do::from_key("draft")), None);
    }
}
