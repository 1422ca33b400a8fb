//! The secrets to which the log in the file is held.

use rusqlite::Connection;

use super::{Inner, begin, lock};
use crate::{
    error::StoreError,
    model::{
        secret::Fingerprint,
        secrets::{KnownSecrets, LogSecrets},
    },
};

const ALL: &str = "SELECT fingerprint, place FROM secrets ORDER BY place, fingerprint";

/// The place of a secret that is not accepted any more.
const DROPPED: i64 = -1;

/// None is accepted if nobody has held the log to one yet.
pub(super) fn held_to(connection: &Connection) -> Result<LogSecrets, StoreError> {
    let mut query = connection.prepare_cached(ALL)?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut there = LogSecrets::default();
    for row in rows {
        let (text, place): (_, i64) = row?;
        let secret = text
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("{text:?} in secrets")))?;
        match place {
            DROPPED => there.dropped.push(secret),
            _ => there.accepted.push(secret),
        }
    }
    Ok(there)
}

fn store(connection: &Connection, secrets: &LogSecrets) -> Result<(), StoreError> {
    connection.execute("DELETE FROM secrets", [])?;
    let mut insert = connection.prepare_cached("INSERT INTO secrets VALUES (?1, ?2)")?;
    for (place, secret) in (0_i64..).zip(&secrets.accepted) {
        insert.execute((secret.to_string(), place))?;
    }
    for secret in secrets.no_longer_accepted() {
        insert.execute((secret.to_string(), DROPPED))?;
    }
    Ok(())
}

impl Inner {
    /// Returns the secrets that are not accepted any more.
    pub(super) fn check_secrets(
        &self,
        ours: &KnownSecrets,
    ) -> Result<Vec<Fingerprint>, StoreError> {
        let there = held_to(&lock(&self.reader))?;
        if let Ok(None) = there.admit(ours) {
            return Ok(there.no_longer_accepted());
        }
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        // Once more: another one may have come, and had its first ballot, since it was read.
        let there = held_to(&transaction)?;
        let next = match there.admit(ours) {
            Ok(None) => return Ok(there.no_longer_accepted()),
            Ok(Some(next)) => next,
            Err(foreign) => {
                // Before the first ballot there is nobody who could count again.
                let may_change = "SELECT accepted = 0 FROM log_state";
                if !transaction.query_row(may_change, [], |row| row.get(0))? {
                    return Err(foreign);
                }
                LogSecrets {
                    accepted: vec![ours.current],
                    ..LogSecrets::default()
                }
            }
        };
        store(&transaction, &next)?;
        self.commit(transaction)?;
        Ok(next.no_longer_accepted())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::{
        Ballot, Choices, SecretKey, VoteSink, VoterId,
        backends::sqlite::{Sqlite, SqliteOptions},
        log::BallotLog,
    };

    fn secret(byte: u8) -> Fingerprint {
        SecretKey::new([byte; 32]).unwrap().fingerprint()
    }

    #[tokio::test]
    async fn from_its_first_ballot_on_a_file_is_held_to_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        for byte in [1, 2, 1] {
            store.check_secrets(&secret(byte).into()).await.unwrap();
        }
        let ballot = Ballot {
            poll: "p".parse().unwrap(),
            voter: VoterId::issue(),
            choices: Choices::from_bits(1).unwrap(),
            rules: None,
        };
        let sink = store.sink();
        sink.cast(ballot).await.unwrap();
        sink.close().await;
        drop((sink, store));
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        store.check_secrets(&secret(1).into()).await.unwrap();
        let foreign = store.check_secrets(&secret(2).into()).await;
        assert!(
            matches!(&foreign, Err(StoreError::ForeignSecret { ours, allowed })
                if *ours == secret(2) && *allowed == [secret(1)]),
            "{foreign:?}"
        );
    }

    #[test]
    fn another_one_that_had_its_first_ballot_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("voting.db");
        let store = Sqlite::open(&path, SqliteOptions::default()).unwrap();
        let inner = &store.0;
        let writer = inner.writer().unwrap();
        let late = std::thread::scope(|scope| {
            let late = scope.spawn(|| inner.check_secrets(&secret(2).into()));
            let has_looked = || {
                let reader = lock(&inner.reader);
                let query = reader.prepare_cached(ALL).unwrap();
                query.get_status(StatementStatus::Run) > 0
            };
            // It has read that no secret is stored, and waits for its turn to write.
            while !has_looked() {
                assert!(!late.is_finished());
                std::thread::yield_now();
            }
            let first = "INSERT INTO secrets VALUES (?1, 0)";
            writer.execute(first, [secret(1).to_string()]).unwrap();
            let ballot = "UPDATE log_state SET accepted = 1";
            writer.execute(ballot, []).unwrap();
            drop(writer);
            late.join().unwrap()
        });
        assert!(
            matches!(&late, Err(StoreError::ForeignSecret { allowed, .. })
                if *allowed == [secret(1)]),
            "{late:?}"
        );
    }
}
