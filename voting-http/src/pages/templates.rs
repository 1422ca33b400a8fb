//! What the web pages need to know, one struct per template.
//!
//! The structs hold only what is printed: numbers come with their text
//! (`"1,000 votes"`) so that templates never format anything.

use askama::Template;
use poem::{
    Body, Response,
    http::{HeaderValue, header},
};

use crate::{
    pages::{assets, other_polls::OtherPolls, preview::Preview, site::Prefix},
    problem::{Problem, UNKNOWN},
    views::{
        poll_view::StateView, result_texts::ResultTexts, since::Since, text_size::text_size,
        vote_words,
    },
};

/// Bytes that a page of two options has room in, so that it need not be moved while it grows.
const ROOM: usize = 8 * 1024;

/// A page as an answer.
pub(crate) fn render(page: &impl Template) -> Response {
    let mut html = String::with_capacity(ROOM);
    match page.render_into(&mut html) {
        Ok(()) => {
            let mut answer = Response::from(Body::from(html));
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            answer
        }
        Err(error) => {
            tracing::error!(%error, "could not render a page");
            Problem::internal().to_response()
        }
    }
}

/// A page that says what went wrong.
pub(crate) fn message(
    prefix: &Prefix,
    problem: &Problem,
    detail: &str,
    next: Next<'_>,
) -> Response {
    render(&MessagePage {
        base: prefix.as_str(),
        assets_version: assets::version(),
        status: problem.status().as_u16(),
        title: problem.title(),
        detail,
        next,
    })
}

/// Where a page that says what went wrong leads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next<'a> {
    /// To the same address once more.
    Again(&'a str),
    /// To the page from which a vote was sent.
    Poll(&'a str),
    /// To where people sign in.
    SignIn(&'a str),
    /// To the list of polls.
    AllPolls,
}

/// The outcome of a form post, for browsers that run no scripts.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// True when the vote was not taken, or may not have been.
    pub(crate) error: bool,
    /// One or two plain sentences. Say what happened and what to do next.
    pub(crate) text: String,
}

/// What is known of the visitor's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voted {
    /// Nothing: not cast, or not remembered.
    Unknown,
    /// Its choices are shown.
    Shown,
    /// There is one, and its choices were forgotten on request.
    Forgotten,
}

/// One choice on the vote page.
#[derive(Debug, Clone)]
pub(crate) struct VoteOption<'a> {
    /// The identifier sent as `vote`.
    pub(crate) id: &'a str,
    /// The text people read. Any length, any script.
    pub(crate) label: &'a str,
    /// True when the server knows that this browser voted for it.
    pub(crate) chosen: bool,
    /// True when it is selected in the form, sent or not.
    pub(crate) ticked: bool,
}

/// The ballot.
#[derive(Debug, Clone, Template)]
#[template(path = "vote.html")]
pub(crate) struct VotePage<'a> {
    /// URL prefix where the service is mounted: `""` or e.g. `"/vote"`, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes, so that assets can be cached for ever.
    pub(crate) assets_version: &'a str,
    /// What links to this page show of it.
    pub(crate) preview: Preview<'a>,
    /// Identifier of the poll, e.g. `cats-vs-dogs`.
    pub(crate) poll: &'a str,
    /// The question.
    pub(crate) title: &'a str,
    /// The choices, in ballot order (2 to 63).
    pub(crate) options: Vec<VoteOption<'a>>,
    /// How many options one vote may name. 1: radio buttons, or for two options a button each. More: checkboxes.
    pub(crate) max_choices: usize,
    /// Unless it is open, labels stay readable and nothing can be sent.
    pub(crate) state: StateView,
    /// The page's own address. The form is posted there without scripts; what the page asks for is below it.
    pub(crate) address: String,
    /// Where the script sends `PUT {"choices":["a"]}`. Same origin.
    pub(crate) ballot_url: String,
    /// Opaque short tag of this voter. Whoever is told to be the voter of this tag must send the voter's cookie.
    pub(crate) voter_tag: String,
    /// Another one for each vote that was confirmed, if one is remembered.
    pub(crate) ballot_mark: Option<String>,
    /// Whether the visitor came without a cookie. Then the script looks whether it is kept.
    pub(crate) new_voter: bool,
    /// Whether the application says who votes, and not a cookie of ours.
    pub(crate) login: bool,
    /// What is known of the visitor's vote.
    pub(crate) voted: Voted,
    /// Whether a later vote may have taken the place of the one that is shown.
    pub(crate) unsure: bool,
    /// The result page, when there is one to link to.
    pub(crate) result_url: Option<String>,
    /// Outcome of the form post that led to this page.
    pub(crate) notice: Option<Notice>,
    /// Other polls to link to.
    pub(crate) other_polls: OtherPolls<'a>,
    /// Name of the replica that answered, if it is to be told.
    pub(crate) served_by: Option<&'a str>,
}

impl VotePage<'_> {
    /// Two options with one choice stand side by side; everything else is a list.
    fn is_duo(&self) -> bool {
        self.options.len() == 2 && self.max_choices == 1
    }

    /// So many options that there is a way past them.
    fn is_long(&self) -> bool {
        self.options.len() > 8
    }

    fn is_open(&self) -> bool {
        self.state == StateView::Open
    }

    fn has_vote(&self) -> bool {
        self.voted == Voted::Shown
    }

    /// The line under the question while the poll is open, by what is known of the vote.
    fn hint(&self, voted: Voted) -> String {
        match (voted, self.max_choices, self.options.len()) {
            (Voted::Forgotten, ..) => {
                "A vote was cast in this browser. If you vote now, your vote takes its place."
                    .into()
            }
            (Voted::Unknown, 1, 2) => "Pick one to vote.".into(),
            (Voted::Unknown, 1, _) => "Pick one, then send your vote.".into(),
            (Voted::Unknown, max, _) => format!("Choose up to {max}, then send your vote."),
            (Voted::Shown, 1, 2) => {
                "You have voted. To change your vote, pick the other one.".into()
            }
            (Voted::Shown, 1, _) => {
                "You have voted. To change your vote, pick another one and send again.".into()
            }
            (Voted::Shown, max, _) => {
                format!("You have voted. You can choose others, up to {max}, and send again.")
            }
        }
    }

    fn hint_now(&self) -> String {
        self.hint(self.voted)
    }

    /// Beside a chosen option. `vote.js` uses the same words.
    fn chosen_word(&self) -> &'static str {
        if self.unsure {
            "Last confirmed vote"
        } else {
            "Your vote"
        }
    }

    /// A message as long as they usually are: the page keeps room for it, so that nothing moves when one comes.
    fn room_for(&self) -> String {
        let unknown = format!("{UNKNOWN} Try again");
        if !self.is_duo() {
            return unknown;
        }
        let labels = self
            .options
            .iter()
            .map(|option| vote_words::quoted(option.label));
        let thanks = labels.map(|label| {
            format!("Your vote for {label} is in. You can change your vote until the poll closes. See results")
        });
        let messages = thanks.chain([unknown]);
        messages
            .max_by_key(|message| message.chars().count())
            .unwrap_or_default()
    }

    /// Both cards take the same size, the one that suits the longer label.
    fn label_size(&self) -> &'static str {
        let longest = self.options.iter().map(|o| o.label.chars().count()).max();
        text_size(longest.unwrap_or(0), 9, 28)
    }

    fn title_size(&self) -> &'static str {
        text_size(self.title.chars().count(), 28, 80)
    }
}

/// The result, live when scripts run.
#[derive(Debug, Clone, Template)]
#[template(path = "result.html")]
pub(crate) struct ResultPage<'a> {
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// What links to this page show of it.
    pub(crate) preview: Preview<'a>,
    /// The numbers and their words.
    pub(crate) result: &'a ResultTexts,
    /// Since when the numbers may be out of date, if newer ones cannot be read.
    pub(crate) stalled_since: Option<Since>,
    /// Where the script finds the event stream, and the same in one piece. Same origin.
    pub(crate) live_url: String,
    /// Reloads the page if `result.js` does not run.
    pub(crate) guard: &'static str,
    /// The vote page, when there is one to link to.
    pub(crate) vote_url: Option<String>,
    /// Other polls to link to.
    pub(crate) other_polls: OtherPolls<'a>,
    /// Name of the replica that answered, if it is to be told.
    pub(crate) served_by: Option<&'a str>,
}

impl ResultPage<'_> {
    fn is_open(&self) -> bool {
        self.result.state == StateView::Open
    }

    fn is_final(&self) -> bool {
        self.result.state == StateView::Final
    }
}

/// A poll in the list of all.
#[derive(Debug, Clone)]
pub(crate) struct PollRow<'a> {
    /// Where its page is, base prefix included.
    pub(crate) href: String,
    /// The question.
    pub(crate) title: &'a str,
    /// Whether it is open, being closed, or final.
    pub(crate) state: StateView,
}

/// All polls, in pages.
#[derive(Debug, Clone, Template)]
#[template(path = "polls.html")]
pub(crate) struct PollListPage<'a> {
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// What links to this page show of it.
    pub(crate) preview: Preview<'a>,
    /// How many polls are open.
    pub(crate) open: usize,
    /// How many there are.
    pub(crate) total: usize,
    /// Those of this page: open ones first, the newest first.
    pub(crate) rows: Vec<PollRow<'a>>,
    /// Which page it is, from 1.
    pub(crate) page: usize,
    /// How many pages there are, at least 1.
    pub(crate) pages: usize,
    /// The page before.
    pub(crate) previous_url: Option<String>,
    /// The page after.
    pub(crate) next_url: Option<String>,
    /// Name of the replica that answered, if it is to be told.
    pub(crate) served_by: Option<&'a str>,
}

impl PollListPage<'_> {
    /// The line below the headline.
    fn summary(&self) -> String {
        match (self.total, self.open) {
            (0, _) => "There is no poll here yet.".into(),
            (1, 1) => "1 poll, which is open.".into(),
            (1, _) => "1 poll, which is closed.".into(),
            (total, open) if open == total => format!("{total} polls, all of them open."),
            (total, 0) => format!("{total} polls, none of them open."),
            (total, open) => format!("{total} polls, {open} of them open."),
        }
    }
}

impl PollRow<'_> {
    fn state_word(&self) -> &'static str {
        match self.state {
            StateView::Open => "Open",
            StateView::Closing => "Being counted",
            StateView::Final => "Closed",
        }
    }
}

/// A page that only says something, such as "404 Not found".
#[derive(Debug, Clone, Template)]
#[template(path = "message.html")]
pub(crate) struct MessagePage<'a> {
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// A few words: what happened.
    pub(crate) title: &'a str,
    /// A sentence or two: why, and what to do next.
    pub(crate) detail: &'a str,
    /// Where to go from here.
    pub(crate) next: Next<'a>,
}
