//! The values that the web pages show, one struct for each template.
//!
//! The structs contain only what is printed: a number comes with its text (`"1,000 votes"`), so templates format
//! nothing.

use std::borrow::Cow;

use askama::Template;
use poem::{
    Body, Response,
    http::{HeaderValue, header},
};

use crate::{
    pages::{assets, language::Language, other_polls::OtherPolls, preview::Preview, site::Prefix},
    problem::{Problem, on_page::PageText},
    result::rows::Rows,
    texts::Texts,
    views::{
        history_plot::HistoryPlot,
        paragraphs::Piece,
        poll_view::StateView,
        result_texts::ResultTexts,
        text_size::text_size,
        vote_words::{self, PollWords},
    },
};

/// The size of a page with two options. With this capacity the text is not moved while it grows.
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

/// A page in this language as an answer.
pub(crate) fn render_in(t: &Texts, page: &impl Template) -> Response {
    let mut answer = render(page);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(t.tag));
    headers.insert(header::VARY, BY_LANGUAGE);
    answer
}

/// For `Vary`: what decides about the language of a page.
pub(crate) const BY_LANGUAGE: HeaderValue = HeaderValue::from_static("accept-language, cookie");

/// A page that says what failed. `here` is its address, if the page can be asked for in another language.
pub(crate) fn message(
    prefix: &Prefix,
    problem: &Problem,
    detail: PageText<'_>,
    next: Next<'_>,
    here: Option<&str>,
    t: &'static Texts,
) -> Response {
    render_in(
        t,
        &MessagePage {
            t,
            here: here.unwrap_or_default(),
            base: prefix.as_str(),
            assets_version: assets::version(),
            status: problem.status().as_u16(),
            title: problem.page_title(t),
            detail,
            next,
        },
    )
}

/// The link on a page that says what failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next<'a> {
    /// To the same address, once more.
    Again(&'a str),
    /// To the page from which the vote was sent.
    Poll(&'a str),
    /// To the page where people sign in.
    SignIn(&'a str),
    /// To the list of polls.
    AllPolls,
}

/// The outcome of a form post, for browsers that run no scripts.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// True if the vote was not accepted, or may not have been accepted.
    pub(crate) error: bool,
    /// One or two plain sentences: what happened, and what to do next.
    pub(crate) text: String,
}

/// What the service knows of the visitor's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voted {
    /// No vote is known: it was not cast, or is not remembered.
    Unknown,
    /// The choices of the vote are shown.
    Shown,
    /// The vote is blank.
    Blank,
    /// There is a vote, and the visitor had its choices forgotten.
    Forgotten,
}

/// One choice on the vote page.
#[derive(Debug, Clone)]
pub(crate) struct VoteOption<'a> {
    /// The identifier that is sent as `vote`.
    pub(crate) id: &'a str,
    /// The text for people, of any length and in any script.
    pub(crate) label: &'a str,
    /// A further text below the label; empty if there is none.
    pub(crate) about: &'a str,
    /// True if this browser is known to have voted for the option.
    pub(crate) chosen: bool,
    /// True if the option is selected in the form, sent or not.
    pub(crate) ticked: bool,
}

/// The result on the page of a poll that is final.
#[derive(Debug, Clone)]
pub(crate) struct Outcome<'a> {
    pub(crate) texts: &'a ResultTexts,
    pub(crate) rows: Rows<'a>,
}

/// The page that asks for a code, or whether another code is to be replaced.
#[derive(Debug, Clone, Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    pub(crate) base: &'a str,
    pub(crate) assets_version: &'a str,
    /// The question.
    pub(crate) title: &'a str,
    pub(crate) description: Vec<Vec<Piece<'a>>>,
    pub(crate) language: Language<'a>,
    /// The address of the poll's page.
    pub(crate) address: &'a str,
    /// What is wrong with the last code.
    pub(crate) error: Option<&'a str>,
    /// A valid code, where the browser has another one.
    pub(crate) instead: Option<&'a str>,
    pub(crate) result_url: Option<String>,
}

/// The page with the receipt of this browser's vote.
#[derive(Debug, Clone, Template)]
#[template(path = "receipt.html")]
pub(crate) struct ReceiptPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead.
    pub(crate) here: &'a str,
    pub(crate) base: &'a str,
    pub(crate) assets_version: &'a str,
    /// The question.
    pub(crate) title: &'a str,
    pub(crate) language: Language<'a>,
    /// The address of the poll's page. The receipt as a file is below it.
    pub(crate) address: &'a str,
    /// The receipt as text.
    pub(crate) code: &'a str,
    /// The page of the result service that takes the code, if there is one to link to.
    pub(crate) check_url: Option<String>,
    /// Whether a form may send the code there.
    pub(crate) sends: bool,
}

/// The page that says what became of a vote.
#[derive(Debug, Clone, Template)]
#[template(path = "check.html")]
pub(crate) struct CheckPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page. It has no code.
    pub(crate) here: &'a str,
    pub(crate) base: &'a str,
    pub(crate) assets_version: &'a str,
    /// What became of the vote, if there was a code.
    pub(crate) checked: Option<Checked<'a>>,
    /// What is wrong with the code.
    pub(crate) error: Option<&'a str>,
}

/// What became of a vote. It never says for what the vote is.
#[derive(Debug, Clone)]
pub(crate) struct Checked<'a> {
    /// Whether the vote is the one of its voter that counts.
    pub(crate) counts: bool,
    pub(crate) words: &'static str,
    /// Why it was not counted; empty if it was, or if it waits.
    pub(crate) reason: &'static str,
    /// The minute in which it was cast.
    pub(crate) cast: Option<String>,
    /// The question, unless the poll is gone.
    pub(crate) title: Option<&'a str>,
    pub(crate) language: Option<Language<'a>>,
    /// The result of the poll.
    pub(crate) poll_url: Option<String>,
}

/// The voting page.
#[derive(Debug, Clone, Template)]
#[template(path = "vote.html")]
pub(crate) struct VotePage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted: `""` or e.g. `"/vote"`, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes, so that assets can be cached for ever.
    pub(crate) assets_version: &'a str,
    /// What previews of this page show.
    pub(crate) preview: Preview<'a>,
    /// Identifier of the poll, e.g. `cats-vs-dogs`.
    pub(crate) poll: &'a str,
    /// The question.
    pub(crate) title: &'a str,
    /// The choices, in ballot order (2 to 63).
    pub(crate) options: Vec<VoteOption<'a>>,
    /// How many options one vote may name. 1: radio buttons, or for two options a button each. More: checkboxes.
    pub(crate) max_choices: usize,
    /// Whether a voter may vote again.
    pub(crate) revote: bool,
    /// If the poll is not open, labels stay readable and nothing can be sent.
    pub(crate) state: StateView,
    /// What is said of the poll, here and by the script.
    pub(crate) words: PollWords,
    /// Differs if the form differs. The script loads the page again if the poll has another one.
    pub(crate) shape: String,
    /// When the poll opens, in milliseconds since 1970.
    pub(crate) opens_ms: Option<u64>,
    /// When the poll closes, in milliseconds since 1970.
    pub(crate) closes_ms: Option<u64>,
    /// How long it is until the poll opens or closes, in words.
    pub(crate) time_left: Option<String>,
    /// The service's time, in milliseconds since 1970, if the poll opens or closes at a set time. The script does not
    /// depend on the clock of the browser.
    pub(crate) now_ms: Option<u64>,
    /// The paragraphs below the question.
    pub(crate) description: Vec<Vec<Piece<'a>>>,
    /// The language of the poll's texts.
    pub(crate) language: Language<'a>,
    /// The page's own address. Without scripts the form is sent there; the addresses that the script requests are
    /// below it.
    pub(crate) address: String,
    /// Where the script sends `PUT {"choices":["a"]}`. Same origin.
    pub(crate) ballot_url: String,
    /// A short opaque tag of this voter. The script sends it with each vote, so that a vote without this voter's
    /// cookie is refused.
    pub(crate) voter_tag: String,
    /// Differs for each confirmed vote. `None` if no vote is remembered.
    pub(crate) ballot_mark: Option<String>,
    /// Whether the visitor came without a cookie. Then the script checks whether the browser keeps the cookie.
    pub(crate) new_voter: bool,
    /// Whether the application says who votes, in place of our cookie.
    pub(crate) login: bool,
    /// Whether the visitor votes with a code.
    pub(crate) has_code: bool,
    /// Whether the visitor has a session, which can be ended here.
    pub(crate) has_session: bool,
    /// Who could link a vote to a person, in sentences.
    pub(crate) secrecy: [Cow<'static, str>; 2],
    /// What the service knows of the visitor's vote.
    pub(crate) voted: Voted,
    /// Whether a voter may vote blank.
    pub(crate) takes_blank: bool,
    /// Whether a voter may take the vote back.
    pub(crate) takes_back: bool,
    /// Whether a later vote may have replaced the one that is shown.
    pub(crate) unsure: bool,
    /// The result page, if there is one to link to.
    pub(crate) result_url: Option<String>,
    /// The same, if the result is shown to this voter once the voter has voted.
    pub(crate) see_result_url: Option<String>,
    /// The result, if the poll is final and this process can read its result.
    pub(crate) outcome: Option<Outcome<'a>>,
    /// Whether the page has the result once the poll is final.
    pub(crate) awaits_outcome: bool,
    /// To whom the result is shown, and when, if it is hidden from this voter.
    pub(crate) why_hidden: Option<String>,
    /// Whether the script may have to do a proof of work.
    pub(crate) proves: bool,
    /// A signed time stamp: from when on the form may be sent, where it has to wait.
    pub(crate) proof: Option<String>,
    /// The outcome of the form post that led to this page.
    pub(crate) notice: Option<Notice>,
    /// Other polls to link to.
    pub(crate) other_polls: OtherPolls<'a>,
    /// The name of the replica that answered, if pages show it.
    pub(crate) served_by: Option<&'a str>,
    /// Whether a host looks at a draft: the page is as for a voter, and nothing can be sent.
    pub(crate) is_preview: bool,
}

impl VotePage<'_> {
    /// Two options with one choice stand side by side; everything else is a list.
    fn is_duo(&self) -> bool {
        self.options.len() == 2 && self.max_choices == 1
    }

    /// From this number of options on, the page has a link that skips them.
    fn is_long(&self) -> bool {
        self.options.len() > 8
    }

    fn is_open(&self) -> bool {
        self.state == StateView::Open
    }

    /// Whether the poll has been open, and will not be again.
    fn is_over(&self) -> bool {
        matches!(
            self.state,
            StateView::Closing | StateView::Final | StateView::Archived
        )
    }

    /// Whether a vote can be sent.
    fn takes(&self) -> bool {
        self.is_open() && (self.revote || !self.has_vote())
    }

    fn has_vote(&self) -> bool {
        matches!(self.voted, Voted::Shown | Voted::Blank)
    }

    /// Whether the button for a blank vote can be used.
    fn offers_blank(&self) -> bool {
        self.takes() && self.voted != Voted::Blank
    }

    /// Whether there may be a vote to take back.
    fn offers_back(&self) -> bool {
        self.is_open() && self.voted != Voted::Unknown
    }

    /// The line under the question while the poll is open. It depends on what is known of the vote.
    fn hint(&self) -> &str {
        match self.voted {
            Voted::Unknown => &self.words.before,
            Voted::Shown => &self.words.after,
            Voted::Blank => self.words.blank,
            Voted::Forgotten => self.words.forgotten,
        }
    }

    /// Until when one can vote. Before the poll opens it is not seen and keeps its room.
    fn deadline(&self) -> &str {
        match self.voted {
            _ if self.is_over() => "",
            Voted::Unknown => &self.words.deadline,
            _ => &self.words.deadline_after,
        }
    }

    /// When a page of a poll that is not open yet is loaded again, in seconds: a moment after the opening, and after ten
    /// minutes at the latest, since the opening may be moved.
    fn reload_after(&self) -> Option<u64> {
        let opens = self
            .opens_ms
            .filter(|_| self.state == StateView::Scheduled)?;
        let left = opens.saturating_sub(self.now_ms?) / 1000 + 2;
        Some(left.clamp(5, 600))
    }

    /// Whether the page loads itself again without scripts: the last votes are being counted, and then there is a result.
    fn awaits_count(&self) -> bool {
        self.state == StateView::Closing && self.awaits_outcome && self.notice.is_none()
    }

    /// What a share is a part of, where a vote may name several options.
    fn about_shares(&self) -> String {
        let whole = self.t.share(1000, false);
        self.t.shares_of_voters(self.max_choices as u64, &whole)
    }

    fn show_all(&self) -> String {
        self.t.show_all(self.options.len() as u64)
    }

    /// What stands in the line under the question once the poll is closed.
    fn room_for_closed(&self) -> &'static str {
        vote_words::closed_line(self.revote, self.t)
    }

    /// How long it is until the poll opens or closes.
    fn countdown(&self) -> Option<&str> {
        self.time_left.as_deref()
    }

    /// The words for the script.
    fn words_json(&self) -> String {
        serde_json::to_string(&self.words).unwrap_or_default()
    }

    /// The words beside a chosen option. `vote.js` uses the same words.
    fn chosen_word(&self) -> &'static str {
        if !self.revote {
            // A vote of before counts, if there was one.
            &self.t.received_word
        } else if self.unsure {
            &self.t.last_confirmed
        } else {
            &self.t.your_vote
        }
    }

    /// The words on an option of two that was not chosen. `vote.js` uses the same words.
    fn other_word(&self) -> &'static str {
        match (self.takes(), self.has_vote()) {
            (true, true) => &self.t.change_to_this,
            (true, false) => &self.t.vote,
            (false, _) => "",
        }
    }

    /// The words on the button that sends. `vote.js` uses the same words.
    fn send_word(&self) -> &'static str {
        match (self.is_open(), self.has_vote()) {
            (false, _) => self.words.shut,
            (true, true) if !self.revote => &self.t.received_word,
            (true, true) => &self.t.change_vote,
            (true, false) => &self.t.vote,
        }
    }

    /// The longest of the usual messages. The page reserves space for it, so that nothing moves when a message
    /// appears.
    fn room_for(&self) -> String {
        let t = self.t;
        let unknown = [
            t.in_a_row(&t.unknown, &t.try_again),
            t.in_a_row(&t.kept, &t.do_not_send),
        ];
        let longest = |messages: &mut dyn Iterator<Item = String>| {
            let message = messages.max_by_key(|message| message.chars().count());
            message.unwrap_or_default()
        };
        if !self.is_duo() {
            return longest(&mut unknown.into_iter());
        }
        let labels = self
            .options
            .iter()
            .map(|option| vote_words::quoted(option.label, t));
        let thanks = labels.map(|label| match self.revote {
            true => t.vote_is_in(&label),
            false => self.words.thanks.to_owned(),
        });
        let thanks = thanks.map(|thanks| t.in_a_row(&thanks, &t.see_results));
        longest(&mut thanks.chain(unknown))
    }

    /// Both cards have the same text size, which fits the longer label.
    fn label_size(&self) -> &'static str {
        let longest = self.options.iter().map(|o| o.label.chars().count()).max();
        text_size(longest.unwrap_or(0), 9, 28)
    }

    fn title_size(&self) -> &'static str {
        text_size(self.title.chars().count(), 28, 80)
    }
}

/// The result page, which is live if scripts run.
#[derive(Debug, Clone, Template)]
#[template(path = "result.html")]
pub(crate) struct ResultPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// What previews of this page show.
    pub(crate) preview: Preview<'a>,
    /// The numbers with their words.
    pub(crate) result: &'a ResultTexts,
    /// The options as they are asked for.
    pub(crate) rows: Rows<'a>,
    /// The word beside the options that this browser has voted for.
    pub(crate) your_word: &'a str,
    /// That the numbers may be out of date, and since when, if newer ones cannot be read.
    pub(crate) stalled_since: Option<String>,
    /// Where the script finds the event stream, and the same result as one document. Same origin.
    pub(crate) live_url: String,
    /// Reloads the page if `result.js` does not run.
    pub(crate) guard: &'static str,
    /// Whether the history could be read.
    pub(crate) shows_history: bool,
    /// The plot of the history; `None` before the first vote.
    pub(crate) plot: Option<HistoryPlot>,
    /// The address at which the script gets a new plot; of the same origin.
    pub(crate) history_url: String,
    /// The voting page, if there is one to link to.
    pub(crate) vote_url: Option<String>,
    /// The paragraphs below the question.
    pub(crate) description: Vec<Vec<Piece<'a>>>,
    /// The language of the poll's texts.
    pub(crate) language: Language<'a>,
    /// Other polls to link to.
    pub(crate) other_polls: OtherPolls<'a>,
    /// The name of the replica that answered, if pages show it.
    pub(crate) served_by: Option<&'a str>,
}

/// The plot on the result page, by itself.
#[derive(Debug, Clone, Template)]
#[template(path = "history.html")]
pub(crate) struct HistoryPart<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The language of the poll's texts.
    pub(crate) language: Language<'a>,
    /// `None` before the first vote.
    pub(crate) plot: Option<HistoryPlot>,
}

impl HistoryPart<'_> {
    fn span(&self, plot: &HistoryPlot) -> String {
        span(plot, self.t)
    }
}

/// From when to when a plot shows the votes.
fn span(plot: &HistoryPlot, t: &Texts) -> String {
    t.span_of_time(&plot.begin, &plot.end, &plot.zone)
}

impl ResultPage<'_> {
    /// The screen for an audience.
    fn present_url(&self) -> String {
        format!("{}/present", self.here)
    }

    fn span(&self, plot: &HistoryPlot) -> String {
        span(plot, self.t)
    }

    /// What the shares of a poll with several choices are shares of.
    fn about_shares(&self) -> String {
        let whole = self.t.share(1000, false);
        self.t
            .shares_of_voters(self.result.max_choices as u64, &whole)
    }

    fn show_all(&self) -> String {
        self.t.show_all(self.result.options.len() as u64)
    }

    /// `Not updated since {since}`, where the script puts the time.
    fn stalled_template(&self) -> String {
        self.t.stalled_since("{since}")
    }

    fn is_open(&self) -> bool {
        self.result.state == StateView::Open
    }

    fn is_final(&self) -> bool {
        self.result.state.is_final()
    }
}

/// The page of a result that is not shown.
#[derive(Debug, Clone, Template)]
#[template(path = "hidden.html")]
pub(crate) struct HiddenPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// What previews of this page show.
    pub(crate) preview: Preview<'a>,
    /// The question.
    pub(crate) title: &'a str,
    /// `1 voter`, `1,000 voters`.
    pub(crate) turnout: String,
    /// To whom the result is shown, and when.
    pub(crate) reason: &'a str,
    /// Where the script asks whether the result is shown. Same origin.
    pub(crate) follow_url: String,
    /// The voting page, if there is one to link to.
    pub(crate) vote_url: Option<String>,
    /// An address of the voting page that leads who has voted to the result.
    pub(crate) granted_url: Option<String>,
    /// The language of the poll's texts.
    pub(crate) language: Language<'a>,
    /// Other polls to link to.
    pub(crate) other_polls: OtherPolls<'a>,
    /// The name of the replica that answered, if pages show it.
    pub(crate) served_by: Option<&'a str>,
}

impl HiddenPage<'_> {
    /// The screen for an audience.
    fn present_url(&self) -> String {
        format!("{}/present", self.here)
    }

    fn title_size(&self) -> &'static str {
        text_size(self.title.chars().count(), 28, 80)
    }
}

/// The page that asks a voter to sign in, in place of the ballot.
#[derive(Debug, Clone, Template)]
#[template(path = "vote_sign_in.html")]
pub(crate) struct SignInPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// The question.
    pub(crate) title: &'a str,
    /// The paragraphs below the question.
    pub(crate) description: Vec<Vec<Piece<'a>>>,
    /// The language of the poll's texts.
    pub(crate) language: Language<'a>,
    /// What the voter has to do, or why the voter may not vote.
    pub(crate) detail: &'a str,
    /// Where people sign in, if it is known.
    pub(crate) sign_in_url: Option<&'a str>,
    /// The result page, if its result is shown to everybody.
    pub(crate) result_url: Option<String>,
}

/// A poll in the list of all polls.
#[derive(Debug, Clone)]
pub(crate) struct PollRow<'a> {
    /// The address of its page, with the base prefix.
    pub(crate) href: String,
    /// The question.
    pub(crate) title: &'a str,
    /// The language of the question.
    pub(crate) language: Language<'a>,
    /// Whether it is open, being closed, or final.
    pub(crate) state: StateView,
    /// How long it is until the poll opens or closes.
    pub(crate) time_left: Option<String>,
}

/// Polls under a heading.
#[derive(Debug, Clone)]
pub(crate) struct PollRows<'a> {
    /// The state of the first of them; the others are of the same kind.
    pub(crate) state: StateView,
    pub(crate) rows: Vec<PollRow<'a>>,
}

/// All polls, on several pages.
#[derive(Debug, Clone, Template)]
#[template(path = "polls.html")]
pub(crate) struct PollListPage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// What previews of this page show.
    pub(crate) preview: Preview<'a>,
    /// The text that is searched for; empty for all polls.
    pub(crate) query: &'a str,
    /// Whether there is anything to search in.
    pub(crate) has_search: bool,
    /// How many of the polls are open.
    pub(crate) open: usize,
    /// How many polls there are, or were found.
    pub(crate) total: usize,
    /// The polls on this page: open ones first, and among them the newest first.
    pub(crate) groups: Vec<PollRows<'a>>,
    /// The number of this page, from 1.
    pub(crate) page: usize,
    /// How many pages there are, at least 1.
    pub(crate) pages: usize,
    /// The address of the page before.
    pub(crate) previous_url: Option<String>,
    /// The address of the page after.
    pub(crate) next_url: Option<String>,
    /// The name of the replica that answered, if pages show it.
    pub(crate) served_by: Option<&'a str>,
}

impl PollListPage<'_> {
    fn page_of(&self) -> String {
        let number = |number: usize| self.t.number(number as u64);
        self.t.page_of(&number(self.page), &number(self.pages))
    }

    /// The line below the headline.
    fn summary(&self) -> String {
        let (t, total, open) = (self.t, self.total as u64, self.open as u64);
        if !self.query.is_empty() {
            let query = t.quoted(&t.marked_off(self.query));
            return match total {
                0 => t.nothing_found(&query),
                _ => t.found(total, &query),
            };
        }
        match (total, open) {
            (0, _) => t.no_poll_yet.clone(),
            (_, 0) => t.none_open(total),
            (total, open) if open == total => t.all_open(total),
            (total, open) => t.some_open(total, &t.number(open)),
        }
    }
}

impl PollRow<'_> {
    /// What is said beside the title: the heading says the state.
    fn note(&self, t: &'static Texts) -> &str {
        match self.state {
            StateView::Closing => &t.being_counted,
            _ => self.time_left.as_deref().unwrap_or_default(),
        }
    }
}

impl PollRows<'_> {
    fn heading(&self, t: &'static Texts) -> &'static str {
        match self.state {
            StateView::Open => &t.open,
            StateView::Draft | StateView::Scheduled => &t.not_open_yet,
            StateView::Closing | StateView::Final | StateView::Archived => &t.closed,
        }
    }
}

/// A page that only shows a message, such as "404 Not found".
#[derive(Debug, Clone, Template)]
#[template(path = "message.html")]
pub(crate) struct MessagePage<'a> {
    /// The texts in the language of the page.
    pub(crate) t: &'static Texts,
    /// The address of the page, to which the links of the languages lead. Empty if it cannot be asked for.
    pub(crate) here: &'a str,
    /// URL prefix where the service is mounted, without a final slash.
    pub(crate) base: &'a str,
    /// Changes whenever an asset changes.
    pub(crate) assets_version: &'a str,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// A few words: what happened.
    pub(crate) title: &'a str,
    /// A sentence or two: why, and what to do next.
    pub(crate) detail: PageText<'a>,
    /// The link to the next step.
    pub(crate) next: Next<'a>,
}

impl MessagePage<'_> {
    fn code(&self) -> String {
        self.status.to_string()
    }
}
