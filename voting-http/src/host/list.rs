//! All polls of the host.

use askama::Template;
use poem::Response;
use voting_core::{
    Poll,
    model::{moment::Moment, poll::Phase},
};

use super::{Frame, Visit, times};
use crate::{pages::templates::render, problem::Problem, views::result_texts::counted};

/// The polls on one page. For each of them a tally is read.
const ON_A_PAGE: usize = 50;

/// Which polls are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    /// All but drafts and the archive.
    Current,
    Drafts,
    Archived,
}

impl Show {
    const ALL: [Self; 3] = [Self::Current, Self::Drafts, Self::Archived];

    fn from_key(key: Option<&str>) -> Self {
        match key {
            Some("drafts") => Self::Drafts,
            Some("archived") => Self::Archived,
            _ => Self::Current,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Drafts => "drafts",
            Self::Archived => "archived",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Current => "Polls",
            Self::Drafts => "Drafts",
            Self::Archived => "Archive",
        }
    }

    fn has(self, phase: Phase) -> bool {
        let of = match phase {
            Phase::Draft => Self::Drafts,
            Phase::Archived => Self::Archived,
            _ => Self::Current,
        };
        self == of
    }
}

/// A link to the polls of one kind.
struct Tab {
    show: Show,
    polls: usize,
    is_here: bool,
}

struct Row {
    id: String,
    title: String,
    phase: Phase,
    /// How many voters, unless it is a draft or not known.
    voters: Option<String>,
    /// When it opens or closes, in words.
    when: Option<String>,
}

impl Row {
    fn phase_word(&self) -> &'static str {
        phase_word(self.phase)
    }
}

#[derive(Template)]
#[template(path = "host/list.html")]
struct ListPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    tabs: Vec<Tab>,
    show: Show,
    /// How many polls there are of all kinds.
    total: usize,
    rows: Vec<Row>,
    /// What waits to be counted, in words.
    lag: String,
    page: usize,
    pages: usize,
}

/// The word for where a poll is in its life.
pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Draft => "Draft",
        Phase::Scheduled => "Scheduled",
        Phase::Open => "Open",
        Phase::Closing => "Being counted",
        Phase::Final => "Closed",
        Phase::Archived => "Archived",
    }
}

/// When a poll opens or closes next, in words.
fn when(poll: &Poll, phase: Phase, now: Moment) -> Option<String> {
    let settings = poll.settings();
    let (word, at) = match phase {
        Phase::Scheduled => ("Opens", settings.opens_at?),
        Phase::Open => ("Closes", settings.closes_at?),
        _ => return None,
    };
    let zone = settings.time_zone.as_deref();
    let (at, until) = (times::for_people(at, zone), times::until(at, now));
    Some(format!("{word} {until}: {at}"))
}

/// What waits to be counted, in words.
pub(super) async fn lag(visit: &Visit) -> String {
    let Ok(stats) = visit.parts().queue.stats().await else {
        return "The ballot log does not answer: it is not known how many ballots wait to be counted.".into();
    };
    let waited = |oldest: u64| visit.now.unix_ms().saturating_sub(oldest) / 1_000;
    match (stats.pending, stats.oldest_pending_ms.map(waited)) {
        (0, _) => "All ballots are counted.".into(),
        (pending, Some(seconds)) if seconds > 1 => format!(
            "{} to be counted; the oldest one for {}.",
            waits(pending),
            counted(seconds, "second")
        ),
        (pending, _) => format!("{} to be counted.", waits(pending)),
    }
}

fn waits(ballots: u64) -> String {
    let verb = if ballots == 1 { "waits" } else { "wait" };
    format!("{} {verb}", counted(ballots, "ballot"))
}

/// `GET /`: all polls, the newest first.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    let polls = visit.parts().polls.polls().await?;
    let show = Show::from_key(visit.query("show").as_deref());
    let now = visit.now;
    let tabs = Show::ALL.map(|tab| Tab {
        show: tab,
        polls: polls.iter().filter(|poll| tab.has(poll.phase(now))).count(),
        is_here: tab == show,
    });
    let shown: Vec<_> = polls
        .iter()
        .rev()
        .filter(|poll| show.has(poll.phase(now)))
        .collect();
    let pages = shown.len().div_ceil(ON_A_PAGE).max(1);
    let asked = visit.query("page").and_then(|page| page.parse().ok());
    let page = asked.unwrap_or(1).clamp(1, pages);
    let mut rows = Vec::new();
    for poll in shown.iter().skip((page - 1) * ON_A_PAGE).take(ON_A_PAGE) {
        let phase = poll.phase(now);
        let tally = match phase {
            Phase::Draft | Phase::Scheduled => None,
            _ => visit.parts().store.tally(poll.id()).await?,
        };
        rows.push(Row {
            id: poll.id().to_string(),
            title: poll.title().to_owned(),
            phase,
            voters: tally.map(|tally| counted(tally.voters, "voter")),
            when: when(poll, phase, now),
        });
    }
    let frame = visit.frame();
    Ok(render(&ListPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        tabs: tabs.into(),
        show,
        total: polls.len(),
        rows,
        lag: lag(&visit).await,
        page,
        pages,
    }))
}
