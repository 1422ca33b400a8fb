//! The secret to which the log in the file is held.

use rusqlite::Connection;

use super::{Inner, begin, lock};
use crate::{error::StoreError, model::secret::Fingerprint};

const ALLOWED: &str = "SELECT fingerprint FROM secrets ORDER BY 1";

/// The fingerprints of those that are allowed; none if nobody has held the log to one yet.
pub(super) fn allowed(connection: &Connection) -> Result<Vec<Fingerprint>, StoreError> {
    let mut query = connection.prepare_cached(ALLOWED)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| {
        let text = row?;
        text.parse()
            .map_err(|_| StoreError::Corrupt(format!("{text:?} in secrets")))
    })
    .collect()
}

impl Inner {
    pub(super) fn check_secret(&self, ours: Fingerprint) -> Result<(), StoreError> {
        let there = allowed(&lock(&self.reader))?;
        if there.contains(&ours) {
            return Ok(());
        }
        let mut writer = self.writer()?;
        let transaction = begin(&mut writer)?;
        // Once more: another one may have come, and had its first ballot, since it was read.
        let there = allowed(&transaction)?;
        // Before the first ballot there is nobody who could count again.
        let may_change = "SELECT accepted = 0 FROM log_state";
        if !there.is_empty() && !transaction.query_row(may_change, [], |row| row.get(0))? {
            return Err(StoreError::ForeignSecret {
                ours,
                allowed: there,
            });
        }
        transaction.execute("DELETE FROM secrets", [])?;
        transaction.execute("INSERT INTO secrets VALUES (?1)", [ours.to_string()])?;
        self.commit(transaction)?;
        Ok(())
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
            store.check_secret(secret(byte)).await.unwrap();
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
        store.check_secret(secret(1)).await.unwrap();
        let foreign = store.check_secret(secret(2)).await;
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
            let late = scope.spawn(|| inner.check_secret(secret(2)));
            let has_looked = || {
                let reader = lock(&inner.reader);
                let query = reader.prepare_cached(ALLOWED).unwrap();
                query.get_status(StatementStatus::Run) > 0
            };
            // It has read that there is none, and waits for its turn to write.
            while !has_looked() {
                assert!(!late.is_finished());
                std::thread::yield_now();
            }
            let first = "INSERT INTO secrets VALUES (?1)";
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
