//! The history of a poll's votes as clients see it.

use poem_openapi::Object;
use voting_core::{
    Poll,
    model::{moment::Moment, vote_history::VoteHistory},
};

use crate::views::poll_view::StateView;

/// How the votes of a poll grew with time.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "History")]
pub(crate) struct HistoryView {
    /// Names the poll.
    pub(crate) poll: String,
    /// Whether ballots are taken, and whether the count can still change.
    pub(crate) state: StateView,
    /// The version of the tally that the last point shows.
    pub(crate) version: u64,
    /// The ids of the options, in the order of `votes`.
    pub(crate) options: Vec<String>,
    /// At most 120 points, sorted by time. The first is from before the first vote, as far as this is known. The last
    /// shows the tally of this version. None before the first vote.
    pub(crate) points: Vec<PointView>,
}

/// The votes at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "HistoryPoint", skip_serializing_if_is_none)]
pub(crate) struct PointView {
    /// The moment, in RFC 3339.
    pub(crate) at: String,
    /// Voters whose ballot counted at that moment.
    pub(crate) voters: u64,
    /// The votes for each option. Absent: the result was hidden then, or only the sum is known.
    pub(crate) votes: Option<Vec<u64>>,
}

impl HistoryView {
    pub(crate) fn new(poll: &Poll, state: StateView, history: &VoteHistory) -> Self {
        let options = poll.options().iter();
        let points = history.points.iter().map(|point| PointView {
            at: shown_at(point.at, poll).to_string(),
            voters: point.voters,
            votes: point.votes.clone(),
        });
        Self {
            poll: poll.id().to_string(),
            state,
            version: history.tally.version,
            options: options.map(|option| option.id.to_string()).collect(),
            points: points.collect(),
        }
    }
}

/// A span of time may end after now, or after the poll has closed.
pub(crate) fn shown_at(at: Moment, poll: &Poll) -> Moment {
    let now = Moment::now();
    let end = poll.settings().closes_at.filter(|closes| *closes < now);
    at.min(end.unwrap_or(now))
}
