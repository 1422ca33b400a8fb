//! A tally as clients see it.

use poem_openapi::Object;
use voting_core::{Poll, Tally};

use crate::views::poll_view::StateView;

/// The count of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Tally", skip_serializing_if_is_none)]
pub(crate) struct TallyView {
    /// Names the poll.
    pub(crate) poll: String,
    /// Whether ballots are taken, and whether the count can still change.
    pub(crate) state: StateView,
    /// Grows whenever the tally changes, and only then.
    pub(crate) version: u64,
    /// Voters whose ballot counts, with those who voted blank.
    pub(crate) voters: u64,
    /// Of these, the voters who voted blank. Absent: none did, and the poll does not allow it.
    pub(crate) blank: Option<u64>,
    /// Voters who took their ballot back, and are not among `voters`. Absent: none.
    pub(crate) withdrawn: Option<u64>,
    /// Voters whose ballot an operator has voided. They are not among `voters`. Absent: none.
    pub(crate) voided: Option<u64>,
    /// The votes, in the poll's order of options.
    pub(crate) options: Vec<OptionTally>,
}

/// The votes for one option.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct OptionTally {
    /// Names the option.
    pub(crate) id: String,
    /// The option in words.
    pub(crate) label: String,
    /// How many voters chose it.
    pub(crate) votes: u64,
}

impl TallyView {
    pub(crate) fn new(poll: &Poll, state: StateView, tally: &Tally) -> Self {
        let options = poll
            .options()
            .iter()
            .zip(&tally.votes)
            .map(|(option, votes)| OptionTally {
                id: option.id.to_string(),
                label: option.label.clone(),
                votes: *votes,
            });
        Self {
            poll: poll.id().to_string(),
            state,
            version: tally.version,
            voters: tally.voters,
            blank: Some(tally.blank).filter(|blank| *blank > 0 || poll.settings().blank),
            withdrawn: Some(tally.withdrawn).filter(|withdrawn| *withdrawn > 0),
            voided: Some(tally.voided).filter(|voided| *voided > 0),
            options: options.collect(),
        }
    }
}
