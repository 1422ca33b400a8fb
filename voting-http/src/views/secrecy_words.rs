//! Who could link a vote to a person, and until when, for voters. `docs/privacy.md` has it in full.

use std::borrow::Cow;

use voting_core::{Poll, model::poll::VoterScheme};

use crate::texts::Texts;

/// The sentences for voters of this poll. `named`: the application says who votes.
pub(crate) fn secrecy(poll: &Poll, named: bool, t: &'static Texts) -> [Cow<'static, str>; 2] {
    let fixed = |text: &'static str| Cow::Borrowed(text);
    if poll.voters_are_forgotten() {
        return [fixed(&t.secrecy_forgotten), fixed(&t.secrecy_backups)];
    }
    let stored = match poll.voter_scheme() {
        _ if named => &t.secrecy_application,
        VoterScheme::Code => &t.secrecy_code,
        VoterScheme::Login => &t.secrecy_login,
        VoterScheme::Raw | VoterScheme::Pseudonym => &t.secrecy_cookie,
    };
    let settings = poll.settings();
    let until = match (settings.forget_voters_days, settings.retention_days) {
        (Some(forget), delete) if delete.is_none_or(|delete| forget < delete) => match forget {
            0 => fixed(&t.forgotten_at_close),
            days => t.forgotten_after(days.into()).into(),
        },
        (_, Some(0)) => fixed(&t.deleted_at_close),
        (_, Some(days)) => t.deleted_after(days.into()).into(),
        _ => fixed(&t.kept_for_good),
    };
    [fixed(stored), until]
}

/// The same in one sentence, for the page of a poll that is open. Nothing is called anonymous: whoever runs the site may be
/// able to link a vote to a person.
pub(crate) fn trust(poll: &Poll, named: bool, t: &'static Texts) -> &'static str {
    match poll.voter_scheme() {
        _ if named => &t.trust_application,
        VoterScheme::Code => &t.trust_code,
        VoterScheme::Login => &t.trust_login,
        VoterScheme::Raw | VoterScheme::Pseudonym => &t.trust_cookie,
    }
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
        let said = |poll: &Poll, named| secrecy(poll, named, Texts::english()).join(" ");
        let open = poll(|_| ());
        assert!(said(&open, false).contains("cookie"));
        assert!(!said(&open, true).contains("cookie"));
        let codes = poll(|settings| settings.voters = Voters::Codes);
        assert!(said(&codes, false).contains("your code"));
        let t = Texts::english();
        assert_eq!(trust(&open, false, t), t.trust_cookie);
        assert_eq!(trust(&open, true, t), t.trust_application);
        assert_eq!(trust(&codes, false, t), t.trust_code);
        let logins = poll(|settings| settings.voters = Voters::Identity);
        assert_eq!(trust(&logins, false, t), t.trust_login);
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
        let said = secrecy(&changed.poll.unwrap(), false, Texts::english()).join(" ");
        assert!(said.contains("are forgotten") && said.contains("Backups"));
        assert!(!said.contains("cookie"));
    }

    fn open_and_final() -> Poll {
        poll(|_| ()).in_state(PollState::Final(Seals::default()))
    }
}
