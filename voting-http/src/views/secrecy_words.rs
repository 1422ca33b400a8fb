//! Who could link a vote to a person, and until when, for voters. `docs/privacy.md` has it in full.

use voting_core::{Poll, model::poll::VoterScheme};

use super::result_texts::counted;

/// The sentences for voters of this poll. `named`: the application says who votes.
pub(crate) fn secrecy(poll: &Poll, named: bool) -> Vec<String> {
    if poll.voters_are_forgotten() {
        return vec![
            "The voters of this poll are forgotten: only the number of votes for each choice is kept.".to_owned(),
            "Backups and logs from before may still say who cast which vote, until they are deleted.".to_owned(),
        ];
    }
    let stored = match poll.voter_scheme() {
        _ if named => {
            "Your vote is stored with a number that the application you signed in to has given you. Whoever runs this \
             site, and knows whose number it is, could tell how you voted."
        }
        VoterScheme::Code => {
            "Your vote is stored with a number that is made from your code, without your name. Whoever runs this site, \
             and knows to whom your code was given, could tell how you voted."
        }
        VoterScheme::Login => {
            "Your vote is stored with a number that is made from the name under which you signed in, without this name. Whoever \
             runs this site, and knows this name, could tell how you voted."
        }
        VoterScheme::Raw | VoterScheme::Pseudonym => {
            "Your vote is stored with a number that is made from a cookie in your browser, without your name. Whoever \
             runs this site, and gets hold of this cookie, could tell how you voted."
        }
    };
    let settings = poll.settings();
    let after = |days: u32| match days {
        0 => "when the poll is closed".to_owned(),
        days => format!("{} after the poll is closed", counted(days.into(), "day")),
    };
    let until = match (settings.forget_voters_days, settings.retention_days) {
        (Some(forget), delete) if delete.is_none_or(|delete| forget < delete) => format!(
            "The voters are forgotten {}. Backups and logs from before may keep them longer.",
            after(forget)
        ),
        (_, Some(delete)) => format!(
            "The votes are deleted {}. Backups and logs may keep them longer.",
            after(delete)
        ),
        _ => "This stays so for as long as the votes, their backups and logs are kept, or until the host has the voters \
              forgotten."
            .to_owned(),
    };
    vec![stored.to_owned(), until]
}

#[cfg(test)]
mod tests {
    use voting_core::model::{
        moment::Moment,
        poll::{ChangeTo, PollChange, PollSettings, Voters, change},
        poll_state::{PollState, Seals},
    };

    use super::*;

    fn poll(set: impl FnOnce(&mut PollSettings)) -> Poll {
        let poll = Poll::builder("p", "Which?")
            .option("a", "A")
            .option("b", "B");
        let mut settings = PollSettings::default();
        set(&mut settings);
        poll.settings(settings).build().unwrap()
    }

    #[test]
    fn what_is_said_fits_the_poll() {
        let said = |poll: &Poll, named| secrecy(poll, named).join(" ");
        let open = poll(|_| ());
        assert!(said(&open, false).contains("cookie"));
        assert!(!said(&open, true).contains("cookie"));
        let codes = poll(|settings| settings.voters = Voters::Codes);
        assert!(said(&codes, false).contains("your code"));
        let days = |forget, delete| {
            said(
                &poll(|settings| {
                    (settings.forget_voters_days, settings.retention_days) = (forget, delete);
                }),
                false,
            )
        };
        let forgotten = days(Some(1), Some(30));
        assert!(forgotten.contains("forgotten 1 day after the poll is closed"));
        assert!(days(Some(0), None).contains("forgotten when the poll is closed"));
        for deleted in [days(Some(30), Some(30)), days(None, Some(30))] {
            assert!(deleted.contains("deleted 30 days after the poll is closed"));
        }
    }

    #[test]
    fn once_the_voters_are_forgotten_only_backups_are_named() {
        let done = open_and_final();
        let forget = PollChange::new(done.id().clone(), ChangeTo::VotersForgotten);
        let changed = change(Some(&done), &forget, Moment::now()).unwrap();
        let said = secrecy(&changed.poll.unwrap(), false).join(" ");
        assert!(said.contains("are forgotten") && said.contains("Backups"));
        assert!(!said.contains("cookie"));
    }

    fn open_and_final() -> Poll {
        poll(|_| ()).in_state(PollState::Final(Seals::default()))
    }
}
