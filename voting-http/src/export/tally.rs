//! The tally of a poll as a file.

use std::borrow::Cow;

use poem_openapi::{Object, types::ToJSON};
use voting_core::{Poll, Tally, model::moment::Moment};

use super::csv;
use crate::views::poll_view::StateView;

/// A share is rounded to this many parts of the whole.
const PARTS: u32 = 1_000_000;

/// A poll's count, to be kept or published.
#[derive(Debug, Object)]
#[oai(rename = "ExportedTally", skip_serializing_if_is_none)]
pub(crate) struct TallyExport {
    /// Names the poll.
    poll: String,
    /// The question.
    title: String,
    /// Where the poll is in its life. Before `final` the count can change.
    state: StateView,
    /// When the poll opened or opens, in RFC 3339; absent if no time was set.
    opens_at: Option<String>,
    /// When the poll closed or closes; absent if no time was set.
    closes_at: Option<String>,
    /// When the poll became final.
    final_at: Option<String>,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// Whether voters may vote again. If so, the last ballot of a voter counts, else the first.
    revote: bool,
    /// The rule of counting in words.
    counting: String,
    /// Voters whose ballot counts, with those who voted blank.
    voters: u64,
    /// Of these, the voters who voted blank; absent if the poll does not allow it.
    blank: Option<u64>,
    /// Voters who took their ballot back, and are not among `voters`; absent if there are none.
    withdrawn: Option<u64>,
    /// Voters whose ballot an operator has voided, and who are not among `voters`. Absent: none.
    voided: Option<u64>,
    /// Of the `voters`, those whose ballot a trusted server has handed in: a kiosk, a telephone service, paper. Absent: none, or
    /// not known since the voters of the poll are forgotten.
    handed_in: Option<u64>,
    /// When the file was made.
    exported_at: String,
    /// The votes, in the poll's order of options.
    options: Vec<OptionExport>,
}

/// The votes for one option.
#[derive(Debug, Object)]
#[oai(rename = "ExportedOption", skip_serializing_if_is_none)]
struct OptionExport {
    /// Names the option.
    id: String,
    /// The option in words.
    label: String,
    /// How many voters chose it.
    votes: u64,
    /// Its votes divided by the voters, rounded to six decimals; absent if nobody voted.
    share: Option<f64>,
}

/// The rule of counting in words.
pub(super) fn counting(poll: &Poll) -> String {
    let choices = match poll.max_choices() {
        1 => "Each voter chooses one option.".to_owned(),
        max => format!("Each voter chooses 1 to {max} options."),
    };
    let which = if poll.settings().revote {
        "last"
    } else {
        "first"
    };
    let blank = match poll.settings().blank {
        true => " A voter may vote blank, for no option.",
        false => "",
    };
    format!("{choices}{blank} If a voter has voted more than once, the {which} ballot counts.")
}

fn share(votes: u64, voters: u64) -> Option<f64> {
    let (votes, voters) = (u128::from(votes), u128::from(voters));
    let parts = (votes * u128::from(PARTS) * 2 + voters).checked_div(voters * 2)?;
    // There are never more votes for an option than voters.
    let parts = u32::try_from(parts).unwrap_or(PARTS);
    Some(f64::from(parts) / f64::from(PARTS))
}

impl TallyExport {
    pub(crate) fn new(poll: &Poll, tally: &Tally, handed_in: Option<u64>) -> Self {
        let settings = poll.settings();
        let text = |moment: Moment| moment.to_string();
        let options = poll.options().iter().zip(&tally.votes);
        let options = options.map(|(option, votes)| OptionExport {
            id: option.id.to_string(),
            label: option.label.clone(),
            votes: *votes,
            share: share(*votes, tally.voters),
        });
        Self {
            poll: poll.id().to_string(),
            title: poll.title().to_owned(),
            state: StateView::now(poll),
            opens_at: settings.opens_at.map(text),
            closes_at: settings.closes_at.map(text),
            final_at: poll.final_at().map(text),
            max_choices: poll.max_choices(),
            revote: settings.revote,
            counting: counting(poll),
            voters: tally.voters,
            blank: settings.blank.then_some(tally.blank),
            withdrawn: Some(tally.withdrawn).filter(|withdrawn| *withdrawn > 0),
            voided: Some(tally.voided).filter(|voided| *voided > 0),
            handed_in: handed_in.filter(|handed_in| *handed_in > 0),
            exported_at: text(Moment::now()),
            options: options.collect(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        self.to_json_string() + "\n"
    }

    pub(crate) fn to_csv(&self) -> String {
        let mut file = csv::MARK.to_owned();
        let names = [
            "option",
            "label",
            "votes",
            "share",
            "voters",
            "poll",
            "title",
            "state",
            "opens_at",
            "closes_at",
            "final_at",
            "max_choices",
            "revote",
            "counting",
            "exported_at",
        ];
        csv::row(&mut file, names.map(Cow::from));
        // Blank votes are a row without an option's id.
        let blank = self.blank.map(|votes| OptionExport {
            id: String::new(),
            label: "Blank".to_owned(),
            votes,
            share: share(votes, self.voters),
        });
        for option in self.options.iter().chain(&blank) {
            let share = option.share.map(|share| share.to_string());
            let fields: [Cow<'_, str>; 15] = [
                (&option.id).into(),
                (&option.label).into(),
                option.votes.to_string().into(),
                share.unwrap_or_default().into(),
                self.voters.to_string().into(),
                (&self.poll).into(),
                (&self.title).into(),
                self.state.as_str().into(),
                self.opens_at.as_deref().unwrap_or_default().into(),
                self.closes_at.as_deref().unwrap_or_default().into(),
                self.final_at.as_deref().unwrap_or_default().into(),
                self.max_choices.to_string().into(),
                self.revote.to_string().into(),
                (&self.counting).into(),
                (&self.exported_at).into(),
            ];
            csv::row(&mut file, fields);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::PollSettings;

    use super::*;

    #[test]
    fn a_share_is_rounded_and_of_nobody_there_is_none() {
        assert_eq!(share(2, 3), Some(0.666_667));
        assert_eq!(share(0, 3), Some(0.0));
        assert_eq!(share(3, 3), Some(1.0));
        assert_eq!(share(u64::MAX, u64::MAX), Some(1.0));
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn each_option_has_a_row_with_all_about_the_poll() {
        let mut settings = PollSettings::default();
        settings.revote = false;
        settings.opens_at = Some("2026-11-27T18:00:00+01:00".parse().unwrap());
        let poll = Poll::builder("p", "=1+1, \"sure\"?").settings(settings);
        let poll = poll.option("a", "@Ana").option("b", "Bo").build().unwrap();
        let mut tally = Tally::empty(poll.id().clone(), 2);
        (tally.voters, tally.votes) = (3, vec![2, 1]);
        let export = TallyExport {
            exported_at: "now".to_owned(),
            ..TallyExport::new(&poll, &tally, None)
        };
        let state = StateView::now(&poll).as_str();
        let about = format!(
            "3,p,\"'=1+1, \"\"sure\"\"?\",{state},2026-11-27T17:00:00Z,,,1,false,\"Each voter chooses one option. \
             If a voter has voted more than once, the first ballot counts.\",now"
        );
        let expected = format!(
            "\u{feff}option,label,votes,share,voters,poll,title,state,opens_at,closes_at,final_at,max_choices,revote,\
             counting,exported_at\r\na,\"'@Ana\",2,0.666667,{about}\r\nb,Bo,1,0.333333,{about}\r\n"
        );
        assert_eq!(export.to_csv(), expected);
    }
}
