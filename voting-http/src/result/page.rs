//! The result page.

use poem::{Endpoint, Request, Response};

use super::ResultService;
use crate::{
    assets,
    polls::{PagePlace, Shown},
    site::Prefix,
    tally_view::{OptionTally, TallyView},
    views::{self, ResultOption, ResultPage},
};

/// `GET`: the page.
pub(super) struct Show(pub(super) ResultService, pub(super) PagePlace);

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        let poll = match service.polls.of_shown_page(self.1, &request).await? {
            Shown::Here(poll) => poll,
            Shown::Elsewhere(there) => return Ok(there),
        };
        let snapshot = service.live.current(&poll).await?;
        let tally = &snapshot.view;
        let prefix = Prefix::of(&request);
        let base = prefix.as_str();
        let all = service.polls.all().await.unwrap_or_default();
        Ok(views::render(&ResultPage {
            base,
            assets_version: assets::version(),
            poll: poll.id().as_str(),
            title: poll.title(),
            state: tally.state,
            max_choices: poll.max_choices(),
            voters: tally.voters,
            voters_text: votes_text(tally.voters),
            options: rows(tally),
            tally_version: tally.version,
            events_url: format!("{base}/v1/polls/{}/tally/events", poll.id()),
            vote_url: service.site.peer.poll_url(&request, poll.id()),
            other_polls: views::other_polls(base, &all, poll.id()),
            served_by: &service.site.served_by,
        }))
    }
}

fn rows(tally: &TallyView) -> Vec<ResultOption<'_>> {
    let most = tally.options.iter().map(|option| option.votes).max();
    tally
        .options
        .iter()
        .map(|OptionTally { id, label, votes }| ResultOption {
            id,
            label,
            votes: *votes,
            votes_text: votes_text(*votes),
            percent: percent(*votes, tally.voters),
            leading: *votes > 0 && Some(*votes) == most,
        })
        .collect()
}

/// The share in percent, rounded to a tenth. `result.js` computes the same.
fn percent(votes: u64, voters: u64) -> f64 {
    if voters == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody sees the 16th digit")]
    let share = votes as f64 / voters as f64;
    (share * 1000.0).round() / 10.0
}

/// Such as `1 vote` or `1,000 votes`.
fn votes_text(votes: u64) -> String {
    let digits = votes.to_string();
    let mut text = String::with_capacity(digits.len() + 12);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(if votes == 1 { " vote" } else { " votes" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_told_as_people_write_them() {
        let texts = [0, 1, 12, 999, 1_000, 1_234_567].map(votes_text);
        assert_eq!(
            texts,
            [
                "0 votes",
                "1 vote",
                "12 votes",
                "999 votes",
                "1,000 votes",
                "1,234,567 votes"
            ]
        );
    }

    #[test]
    fn shares_are_rounded_to_a_tenth_of_a_percent() {
        assert_eq!(percent(0, 0).to_string(), "0");
        assert_eq!(percent(1, 3).to_string(), "33.3");
        assert_eq!(percent(2, 3).to_string(), "66.7");
        assert_eq!(percent(5, 5).to_string(), "100");
    }
}
