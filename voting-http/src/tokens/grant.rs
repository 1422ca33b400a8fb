//! Grants: who has voted in a poll may see its result. The vote service gives a grant after a vote, and the result
//! service takes it. It is a sealed text that names nobody, so it can be passed on.

use std::time::Duration;

use voting_core::{
    PollId,
    model::{moment::Moment, secrets::Secrets},
};

use crate::tokens::{sealed::SealingKeys, signed::InvalidToken};

/// How long a grant is accepted. A browser gets a cookie for it at once.
const LIFE: Duration = Duration::from_secs(60);

/// How far the clocks of two services may differ.
const SLACK: Duration = Duration::from_secs(60);

/// Makes and reads the grants of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct GrantKey(SealingKeys);

impl GrantKey {
    pub(crate) fn new(secrets: &Secrets) -> Self {
        Self(SealingKeys::new(secrets, "result grant 1"))
    }

    /// A grant for the result of this poll.
    pub(crate) fn issue(&self, poll: &PollId, now: Moment) -> String {
        let until = now.plus(LIFE).unix_ms().to_be_bytes();
        let mut grant = String::new();
        let context = [poll.as_str().as_bytes()];
        let message = |message: &mut Vec<u8>| message.extend(until);
        self.0.seal(&context, until.len(), message, &mut grant);
        grant
    }

    /// Whether the text is a grant for the result of this poll, and its time is not over.
    pub(crate) fn is_valid(&self, grant: &str, poll: &PollId, now: Moment) -> bool {
        self.until(grant, poll).is_ok_and(|until| {
            let latest = now.plus(LIFE + SLACK);
            now < until && until <= latest
        })
    }

    fn until(&self, grant: &str, poll: &PollId) -> Result<Moment, InvalidToken> {
        let context = [poll.as_str().as_bytes()];
        let until = self.0.open(&context, grant.as_bytes())?;
        let until = until.try_into().map_err(|_| InvalidToken)?;
        Moment::from_unix_ms(u64::from_be_bytes(until)).ok_or(InvalidToken)
    }
}

#[cfg(test)]
mod tests {
    use voting_core::SecretKey;

    use super::*;

    fn key(byte: u8) -> GrantKey {
        GrantKey::new(&secrets(byte))
    }

    fn secrets(byte: u8) -> Secrets {
        Secrets::new(SecretKey::new([byte; 32]).unwrap())
    }

    #[test]
    fn a_grant_of_another_secret_is_taken_while_it_is_read() {
        let (next, poll) = (SecretKey::new([2; 32]).unwrap(), "five".parse().unwrap());
        let now = Moment::now();
        let both = GrantKey::new(&secrets(1).reading(next));
        assert!(both.is_valid(&key(2).issue(&poll, now), &poll, now));
        assert!(both.is_valid(&key(1).issue(&poll, now), &poll, now));
        assert!(key(1).is_valid(&both.issue(&poll, now), &poll, now));
        assert!(!both.is_valid(&key(3).issue(&poll, now), &poll, now));
    }

    #[test]
    fn a_grant_is_for_its_poll_and_a_minute() {
        let (poll, other) = ("five".parse().unwrap(), "six".parse().unwrap());
        let at = |ms: u64| Moment::from_unix_ms(1_790_000_000_000 + ms).unwrap();
        let grant = key(1).issue(&poll, at(0));
        assert!(key(1).is_valid(&grant, &poll, at(0)));
        assert!(key(1).is_valid(&grant, &poll, at(59_999)));
        assert!(!key(1).is_valid(&grant, &poll, at(60_000)));
        assert!(!key(1).is_valid(&grant, &other, at(0)));
        assert!(!key(2).is_valid(&grant, &poll, at(0)));
        for bad in ["", "A", &grant[1..], "ä"] {
            assert!(!key(1).is_valid(bad, &poll, at(0)), "{bad}");
        }
    }
}
