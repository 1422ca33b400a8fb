//! Exports: the choices of a final poll's ballots in random order.
//!
//! An export has a connection of its own. It first copies the choices in random order to a temporary table, which
//! SQLite keeps on the disk if it is large, and ends its read of the database then: however slowly the copy is read,
//! the write-ahead log of the database can be emptied meanwhile.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Sqlite, inspect,
    open::{MIGRATIONS, open_reader},
    read::read_tally,
    rows::read_poll,
};
use crate::{
    error::{ErrorKind, StoreError},
    model::{ballot::Choices, id::PollId, poll::Poll, tally::Tally},
    store::{
        ExportStore,
        export::{BallotExport, CHUNK, ExportHead, ExportSender, FEW, check_exportable},
    },
};

/// A file of the embedded back end that is only read, also while another process uses it. It makes no file, and
/// changes nothing.
#[derive(Debug, Clone)]
pub struct SqliteReader(PathBuf);

impl SqliteReader {
    /// Reads this file. It is opened when something is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

/// Where the export, or the reason why there is none, is awaited.
type Answer = oneshot::Sender<Result<BallotExport, StoreError>>;

/// How a file is opened to be exported.
#[derive(Clone)]
enum Source {
    /// This process uses it.
    Own(PathBuf),
    /// Perhaps another process uses it.
    Other(PathBuf),
}

impl Source {
    fn open(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Own(path) => Ok(open_reader(path)?),
            Self::Other(path) => {
                let connection = inspect::open(path).map_err(StoreError::unavailable)?;
                let behind = MIGRATIONS.pending_migrations(&connection);
                match behind.map_err(StoreError::unavailable)? {
                    0 => Ok(connection),
                    _ => Err(StoreError::of_kind(
                        ErrorKind::Schema,
                        "the file is of another version of this program; start that version, or start this one on it",
                    )),
                }
            }
        }
    }

    /// How the file is now, if nobody may change it while it is read.
    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        match self {
            Self::Own(_) => Ok(None),
            Self::Other(path) => Stamp::of(path).map_err(StoreError::unavailable),
        }
    }

    /// Checks that nobody has changed the file since then.
    fn check_unchanged(&self, before: Option<&Stamp>) -> Result<(), StoreError> {
        if before.is_none() || self.stamp()?.as_ref() == before {
            return Ok(());
        }
        Err(StoreError::unavailable(
            "another process has opened the file meanwhile; export again",
        ))
    }
}

/// When a file without a `-wal` file was last changed. Such a file is used by nobody, and is read without locks.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    changed: SystemTime,
    bytes: u64,
}

impl Stamp {
    /// `None` if the file has a `-wal` file: it is then read with locks.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        if Path::new(&wal).exists() {
            return Ok(None);
        }
        let file = fs::metadata(path)?;
        Ok(Some(Self {
            changed: file.modified()?,
            bytes: file.len(),
        }))
    }
}

fn export(source: &Source, id: &PollId, gone: &CancellationToken, answer: Answer) {
    let prepared = prepare(source, id, gone);
    let (connection, head) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            // Perhaps nobody waits any more.
            let _ = answer.send(Err(error));
            return;
        }
    };
    let (sender, export) = BallotExport::new(head, gone.clone());
    // If nobody waits, `gone` is cancelled with the export.
    let _ = answer.send(Ok(export));
    if let Err(error) = send(&connection, id, &sender) {
        sender.fail(error);
    }
}

/// Copies the choices in random order.
fn prepare(
    source: &Source,
    id: &PollId,
    gone: &CancellationToken,
) -> Result<(Connection, ExportHead), StoreError> {
    let before = source.stamp()?;
    let mut connection = source.open()?;
    let (running, reader) = (connection.get_interrupt_handle(), gone.clone());
    tokio::runtime::Handle::current().spawn(async move {
        reader.cancelled().await;
        running.interrupt();
    });
    let snapshot = connection.transaction()?;
    let found = read_poll(&snapshot, id)?;
    check_exportable(id, found.as_ref().map(|(_, poll)| poll))?;
    let (key, poll) = found.ok_or_else(|| StoreError::NoPoll(id.clone()))?;
    let ballots = match poll.voters_are_forgotten() {
        // A row for each ballot, from the number of ballots for each choice.
        true => {
            "WITH RECURSIVE each (choices, others) AS (
                SELECT choices, ballots - 1 FROM ballots_without_voters
                WHERE poll = ?1 AND choices >= 0
                UNION ALL SELECT choices, others - 1 FROM each WHERE others > 0
             )
             SELECT choices FROM each"
        }
        false => "SELECT choices FROM ballots WHERE poll = ?1 AND choices >= 0",
    };
    snapshot.execute(
        &format!("CREATE TEMP TABLE shuffled AS SELECT choices FROM ({ballots}) ORDER BY random()"),
        [key],
    )?;
    snapshot.commit()?;
    source.check_unchanged(before.as_ref())?;
    let (ballots, few_alike) = connection.query_row(
        "SELECT COALESCE(SUM(voters), 0), COALESCE(SUM(voters) FILTER (WHERE voters < ?1), 0)
         FROM (SELECT COUNT(*) AS voters FROM temp.shuffled GROUP BY choices)",
        [FEW],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let head = ExportHead {
        poll,
        ballots,
        few_alike,
    };
    Ok((connection, head))
}

fn send(connection: &Connection, id: &PollId, sender: &ExportSender) -> Result<(), StoreError> {
    let mut query = connection.prepare("SELECT choices FROM temp.shuffled ORDER BY rowid")?;
    let mut rows = query.query([])?;
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(row) = rows.next()? {
        let bits: i64 = row.get(0)?;
        let choices = Choices::from_column(bits);
        let corrupt = || StoreError::Corrupt(format!("choices {bits} in poll {id}"));
        chunk.push(choices.ok_or_else(corrupt)?);
        if chunk.len() == CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
            sender.send(full, || Ok(()))?;
        }
    }
    if !chunk.is_empty() {
        sender.send(chunk, || Ok(()))?;
    }
    Ok(())
}

async fn export_ballots(source: Source, poll: &PollId) -> Result<BallotExport, StoreError> {
    let gone = CancellationToken::new();
    // If the caller no longer waits, nothing of it goes on.
    let waiting = gone.clone().drop_guard();
    let (answer, answered) = oneshot::channel();
    let poll = poll.clone();
    tokio::task::spawn_blocking(move || export(&source, &poll, &gone, answer));
    let export = answered.await.map_err(StoreError::unavailable)??;
    waiting.disarm();
    Ok(export)
}

fn counted_poll(
    connection: &mut Connection,
    poll: &PollId,
) -> Result<Option<(Poll, Tally)>, StoreError> {
    let snapshot = connection.transaction()?;
    let Some((_, tally)) = read_tally(&snapshot, poll)? else {
        return Ok(None);
    };
    Ok(read_poll(&snapshot, poll)?.map(|(_, poll)| (poll, tally)))
}

fn handed_in(connection: &mut Connection, id: &PollId) -> Result<Option<u64>, StoreError> {
    let snapshot = connection.transaction()?;
    let found = read_poll(&snapshot, id)?;
    let Some((key, _)) = found.filter(|(_, poll)| !poll.voters_are_forgotten()) else {
        return Ok(None);
    };
    // Ballots that are taken back or voided are negative.
    let handed_in = snapshot.query_row(
        "SELECT COUNT(*) FROM ballots WHERE poll = ?1 AND source = 1 AND choices >= 0",
        [key],
        |row| row.get(0),
    )?;
    Ok(Some(handed_in))
}

#[async_trait]
impl ExportStore for Sqlite {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        let poll = poll.clone();
        self.reading(move |inner| counted_poll(&mut super::lock(&inner.reader), &poll))
            .await
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        let (path, poll) = (self.0.path.clone(), poll.clone());
        // It may take long, and must not hold up the readers of tallies meanwhile.
        let read =
            tokio::task::spawn_blocking(move || handed_in(&mut Source::Own(path).open()?, &poll));
        read.await.map_err(StoreError::unavailable)?
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        export_ballots(Source::Own(self.0.path.clone()), poll).await
    }
}

#[async_trait]
impl ExportStore for SqliteReader {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        let (source, poll) = (Source::Other(self.0.clone()), poll.clone());
        let read = tokio::task::spawn_blocking(move || {
            let before = source.stamp()?;
            let counted = counted_poll(&mut source.open()?, &poll)?;
            source.check_unchanged(before.as_ref())?;
            Ok(counted)
        });
        read.await.map_err(StoreError::unavailable)?
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        let (source, poll) = (Source::Other(self.0.clone()), poll.clone());
        let read = tokio::task::spawn_blocking(move || {
            let before = source.stamp()?;
            let handed_in = handed_in(&mut source.open()?, &poll)?;
            source.check_unchanged(before.as_ref())?;
            Ok(handed_in)
        });
        read.await.map_err(StoreError::unavailable)?
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        export_ballots(Source::Other(self.0.clone()), poll).await
    }
}
