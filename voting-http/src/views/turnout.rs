//! How many people have voted, in words.

use voting_core::{Poll, model::poll::VoterScheme};

use super::shares::share_of;
use crate::texts::Texts;

/// `13 voters`; of a poll with codes `13 of 40 voted (32.5%)`. Valid codes are those that are issued and not revoked.
///
/// A vote that was cast with a code counts also after the code was revoked. So there may be more voters than valid codes:
/// then only the voters are said.
pub(crate) fn turnout(poll: &Poll, voters: u64, t: &Texts) -> String {
    let codes = poll.codes();
    let valid = u64::from(codes.issued()).saturating_sub(codes.revoked() as u64);
    if poll.voter_scheme() != VoterScheme::Code || valid == 0 || voters > valid {
        return t.voters(voters);
    }
    t.voted_of(voters, &t.number(valid), &share_of(voters, valid, t))
}

#[cfg(test)]
mod tests {
    use voting_core::model::{
        moment::Moment,
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters, change},
        poll_key::PollKeyWrap,
    };

    use super::*;

    fn changed(stored: Option<&Poll>, to: ChangeTo) -> Poll {
        let to = PollChange::new("p".parse().unwrap(), to);
        let changed = change(stored, &to, Moment::from_unix_ms(1).unwrap());
        changed.unwrap().poll.unwrap()
    }

    #[test]
    fn the_turnout_of_a_poll_with_codes_is_a_share_of_the_codes_that_are_valid() {
        let builder = Poll::builder("p", "P?").option("a", "A").option("b", "B");
        let mut settings = PollSettings::default();
        let t = Texts::english();
        let open = builder.clone().build().unwrap();
        assert_eq!(turnout(&open, 1, t), "1 voter");
        settings.voters = Voters::Codes;
        let poll = builder.settings(settings).build().unwrap();
        let wrap = PollKeyWrap::new(&voting_core::SecretKey::new([1; 32]).unwrap());
        let key = wrap.make(poll.id()).unwrap();
        let poll = changed(None, ChangeTo::New(Box::new(poll.with_key(key))));
        assert_eq!(turnout(&poll, 0, t), "0 voters");
        let poll = changed(Some(&poll), ChangeTo::Codes(CodeChange::Issue(9)));
        assert_eq!(turnout(&poll, 0, t), "0 of 9 voted (0%)");
        let poll = changed(Some(&poll), ChangeTo::Codes(CodeChange::Revoke(2)));
        assert_eq!(turnout(&poll, 1, t), "1 of 8 voted (12.5%)");
        assert_eq!(turnout(&poll, 8, t), "8 of 8 voted (100%)");
        assert_eq!(turnout(&poll, 9, t), "9 voters");
    }
}
