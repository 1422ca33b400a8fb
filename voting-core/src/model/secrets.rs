//! The secrets of a deployment while one takes the place of another: those that a service has, and those that a log
//! accepts.

use crate::{
    error::StoreError,
    model::secret::{Fingerprint, SecretKey},
};

/// The secrets of a service: it makes cookies and receipts under the current one, and reads those that were made under
/// any of them.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: SecretKey,
    others: Vec<SecretKey>,
}

impl Secrets {
    /// Only this secret.
    pub fn new(current: SecretKey) -> Self {
        Self {
            current,
            others: Vec::new(),
        }
    }

    /// Also reads what was made under this secret: the next one, or the one before.
    #[must_use]
    pub fn reading(mut self, other: SecretKey) -> Self {
        if self.all().all(|known| known.as_bytes() != other.as_bytes()) {
            self.others.push(other);
        }
        self
    }

    /// The secret under which cookies and receipts are made.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// The secrets that are only read: nothing new is made under them.
    pub fn others(&self) -> &[SecretKey] {
        &self.others
    }

    /// All secrets, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// Their fingerprints.
    pub fn known(&self) -> KnownSecrets {
        KnownSecrets {
            current: self.current.fingerprint(),
            others: self.others.iter().map(SecretKey::fingerprint).collect(),
        }
    }
}

impl From<&SecretKey> for Secrets {
    fn from(secret: &SecretKey) -> Self {
        Self::new(secret.clone())
    }
}

impl From<&Secrets> for Secrets {
    fn from(secrets: &Secrets) -> Self {
        secrets.clone()
    }
}

/// The fingerprints of a service's [`Secrets`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSecrets {
    /// That of the secret under which the service makes cookies.
    pub current: Fingerprint,
    /// Those of the secrets that are only read.
    pub others: Vec<Fingerprint>,
}

impl KnownSecrets {
    /// Whether the service reads cookies of the secret with this fingerprint.
    pub fn reads(&self, secret: Fingerprint) -> bool {
        self.current == secret || self.others.contains(&secret)
    }
}

impl From<Fingerprint> for KnownSecrets {
    fn from(current: Fingerprint) -> Self {
        Self {
            current,
            others: Vec::new(),
        }
    }
}

/// What a log keeps of secrets. The voters of its ballots may have cookies under each secret that it accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSecrets {
    /// The fingerprints of the secrets that it accepts. The one that came last is the last.
    pub accepted: Vec<Fingerprint>,
    /// Those of secrets that it accepted before. A secret that is accepted again may still be in this list.
    pub dropped: Vec<Fingerprint>,
}

impl LogSecrets {
    /// What the log keeps once a service with these secrets takes ballots; `None` if nothing changes.
    ///
    /// The first service's secret is accepted. A service that reads the cookies of all accepted secrets adds its own. A
    /// service whose own is the one that came last drops those that it does not read. So a secret is exchanged in three
    /// steps: all services read both, all make cookies under the new one, the old one is dropped.
    ///
    /// # Errors
    /// [`StoreError::ForeignSecret`] in all other cases. The service cannot read the cookies of some voters, and they
    /// would count again.
    pub fn admit(&self, known: &KnownSecrets) -> Result<Option<Self>, StoreError> {
        let ours = known.current;
        let (read, unread): (Vec<_>, Vec<_>) = self
            .accepted
            .iter()
            .partition(|secret| known.reads(**secret));
        let is_last = self.accepted.last() == Some(&ours);
        if !unread.is_empty() && !is_last {
            return Err(StoreError::ForeignSecret {
                ours,
                allowed: self.accepted.clone(),
            });
        }
        if unread.is_empty() && self.accepted.contains(&ours) {
            return Ok(None);
        }
        let mut next = Self {
            accepted: read,
            dropped: self.dropped.clone(),
        };
        if !next.accepted.contains(&ours) {
            next.accepted.push(ours);
        }
        for secret in unread {
            if !next.dropped.contains(&secret) {
                next.dropped.push(secret);
            }
        }
        Ok(Some(next))
    }

    /// The fingerprints of the secrets that the log accepted before, and does not accept now.
    pub fn no_longer_accepted(&self) -> Vec<Fingerprint> {
        let dropped = self.dropped.iter().copied();
        dropped
            .filter(|secret| !self.accepted.contains(secret))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32]).unwrap()
    }

    fn print(byte: u8) -> Fingerprint {
        secret(byte).fingerprint()
    }

    fn known(current: u8, others: &[u8]) -> KnownSecrets {
        let others = others.iter().map(|byte| secret(*byte));
        others
            .fold(Secrets::new(secret(current)), Secrets::reading)
            .known()
    }

    /// What a log has after these services have come, one after another.
    fn after(services: &[(u8, &[u8])]) -> Result<LogSecrets, StoreError> {
        let mut log = LogSecrets::default();
        for (current, others) in services {
            if let Some(next) = log.admit(&known(*current, others))? {
                log = next;
            }
        }
        Ok(log)
    }

    fn accepted(services: &[(u8, &[u8])]) -> Option<Vec<Fingerprint>> {
        match after(services) {
            Ok(log) => Some(log.accepted),
            Err(StoreError::ForeignSecret { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }

    const OLD: (u8, &[u8]) = (1, &[]);
    const FIRST: (u8, &[u8]) = (1, &[2]);
    const SECOND: (u8, &[u8]) = (2, &[1]);
    const THIRD: (u8, &[u8]) = (2, &[]);

    #[test]
    fn a_secret_is_exchanged_in_three_steps_and_back_with_services_of_two_steps_at_a_time() {
        for (services, wanted) in [
            ([OLD, OLD].as_slice(), [1].as_slice()),
            (&[OLD, FIRST, OLD, FIRST], &[1]),
            (&[OLD, FIRST, SECOND, FIRST, SECOND], &[1, 2]),
            (&[OLD, FIRST, SECOND, THIRD, SECOND, THIRD], &[2]),
            // Back from each step to the one before.
            (&[OLD, FIRST, OLD], &[1]),
            (&[OLD, FIRST, SECOND, FIRST], &[1, 2]),
            (&[OLD, FIRST, SECOND, THIRD, SECOND], &[2]),
            // And the old one again, by the same steps.
            (&[THIRD, SECOND, FIRST, OLD, FIRST], &[1]),
        ] {
            let wanted: Vec<_> = wanted.iter().map(|byte| print(*byte)).collect();
            assert_eq!(accepted(services), Some(wanted), "{services:?}");
        }
    }

    #[test]
    fn who_cannot_read_the_cookies_of_some_voters_is_refused() {
        for services in [
            [OLD, THIRD].as_slice(),
            // The first step was left out at one service.
            &[OLD, FIRST, SECOND, OLD],
            // The third step was done before all had done the second.
            &[OLD, FIRST, SECOND, THIRD, OLD],
            &[OLD, FIRST, SECOND, THIRD, FIRST, THIRD],
            // A third secret comes before the first has gone.
            &[OLD, FIRST, SECOND, (3, &[2])],
        ] {
            assert_eq!(accepted(services), None, "{services:?}");
        }
    }

    #[test]
    fn a_log_knows_which_secrets_it_has_dropped() {
        let dropped = |services: &[(u8, &[u8])]| after(services).unwrap().no_longer_accepted();
        assert_eq!(dropped(&[OLD, FIRST, SECOND]), []);
        assert_eq!(dropped(&[OLD, FIRST, SECOND, THIRD]), [print(1)]);
        // One service still makes cookies under it: it is accepted again.
        assert_eq!(dropped(&[OLD, FIRST, SECOND, THIRD, FIRST]), []);
        let once_more: [(u8, &[u8]); 5] = [OLD, SECOND, THIRD, (3, &[2]), (3, &[])];
        assert_eq!(dropped(&once_more), [print(1), print(2)]);
    }

    #[test]
    fn a_secret_is_among_those_of_a_service_once() {
        let secrets = Secrets::new(secret(1))
            .reading(secret(2))
            .reading(secret(1));
        assert_eq!((secrets.all().count(), secrets.others().len()), (2, 1));
        assert!(secrets.known().reads(print(2)) && !secrets.known().reads(print(3)));
    }
}
