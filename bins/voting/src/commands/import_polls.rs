//! `voting import-polls`: stores many polls at once.

use std::{fs, io, path::PathBuf};

use clap::Args;
use voting_core::{
    ExportStore, Poll, PollStore, SecretKey, StoreError,
    backends::sqlite::{OpenError, Sqlite, SqliteOptions, SqliteReader},
    error::in_one_line,
    model::{
        moment::Moment,
        poll::{PollChange, change},
        poll_key::PollKeyWrap,
    },
};
use voting_service::{Config, Exit, SecretError, StoreSettings, announce, polls_of_text};

use super::{codes::poll_keys, target::is_all_in_one};

/// Store the polls of a file
///
/// The file has a list of polls, as JSON or TOML, each with the fields of a poll in the settings ([[polls]]). A stored
/// poll gets the definition and the settings of the file, as far as its state allows. Prints what was done to each
/// poll. A poll that is published does not show its result to more people unless --show-results is there, too. Exits
/// with 0 if none was refused, else with 1. The all-in-one must be stopped.
#[derive(Debug, Args)]
pub(crate) struct ImportPolls {
    /// The file with the polls
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Change nothing, and print what would be done to each poll
    ///
    /// It cannot say that the id of a deleted poll is used again, and that older programs must be stopped first.
    #[arg(long)]
    dry_run: bool,
    /// Store a poll also if its result is then shown to more people, as with a file without `results`
    ///
    /// Once a poll has opened, this cannot be undone.
    #[arg(long)]
    show_results: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotImport {
    #[error(transparent)]
    Settings(#[from] StoreSettings),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("nothing was stored; {} has errors: {}", file.display(), faults.join("; "))]
    Faults { file: PathBuf, faults: Vec<String> },
    #[error("stop the all-in-one first, or store the polls by the operator's API")]
    Open(#[from] OpenError),
    #[error("cannot look up poll {0}")]
    LookUp(voting_core::PollId, #[source] StoreError),
}

/// What became of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Created,
    Changed,
    Unchanged,
}

impl Became {
    fn of(before: Option<&Poll>, after: Option<&Poll>) -> Self {
        match before {
            None => Self::Created,
            Some(before) if after.is_some_and(|after| after == before) => Self::Unchanged,
            Some(_) => Self::Changed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl ImportPolls {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotImport> {
        let read = fs::read_to_string(&self.file);
        let text = read.map_err(|error| CannotImport::Read(self.file.clone(), error))?;
        let polls = polls_of_text(&text).map_err(|faults| CannotImport::Faults {
            file: self.file.clone(),
            faults,
        })?;
        if !is_all_in_one(config) {
            let store = config.postgres()?;
            if self.dry_run {
                let has_keys = config.poll_keys()?.is_some();
                return try_all(Some(&store), &polls, has_keys, self.show_results).await;
            }
            let keyed = config.keyed_polls(&store, poll_keys(config)?);
            return store_all(&store, &keyed, &polls, self.show_results).await;
        }
        let path = &config.sqlite.path;
        if self.dry_run {
            let reader = path.exists().then(|| SqliteReader::new(path));
            return try_all(reader.as_ref(), &polls, true, self.show_results).await;
        }
        let keys = poll_keys(config)?;
        let store = Sqlite::open(path, SqliteOptions::default())?;
        let keyed = config.keyed_polls(&store, keys);
        store_all(&store, &keyed, &polls, self.show_results).await
    }
}

const SHOWS_MORE: &str = "its result would be shown to more people, which cannot be undone once it has opened; name the stored rule as \
     `results`, or repeat this with --show-results";

/// Refuses a poll, and says so, if the result of the published poll would be shown to more people.
fn refuses_to_show(before: Option<&Poll>, poll: &Poll, exit: &mut Exit) -> bool {
    let shows_more = before.is_some_and(|before| {
        !before.is_draft() && before.settings().results < poll.settings().results
    });
    if shows_more {
        refuse(poll, SHOWS_MORE, exit);
    }
    shows_more
}

async fn look_up(store: &impl ExportStore, poll: &Poll) -> Result<Option<Poll>, CannotImport> {
    let found = store.counted_poll(poll.id()).await;
    let found = found.map_err(|error| CannotImport::LookUp(poll.id().clone(), error))?;
    Ok(found.map(|(poll, _)| poll))
}

async fn store_all(
    reads: &impl ExportStore,
    store: &impl PollStore,
    polls: &[Poll],
    shows: bool,
) -> Result<Exit, CannotImport> {
    let mut exit = Exit::Clean;
    for poll in polls {
        let before = look_up(reads, poll).await?;
        if !shows && refuses_to_show(before.as_ref(), poll, &mut exit) {
            continue;
        }
        let put = PollChange {
            // The report must be true also if somebody else changes the poll at this moment.
            if_revision: before.as_ref().map(Poll::revision),
            ..PollChange::put(poll.clone())
        };
        let stored = store.change_poll(&put, "import-polls").await;
        let stored = stored.map(|after| Became::of(before.as_ref(), after.as_ref()));
        say(poll, stored, &mut exit);
    }
    Ok(exit)
}

/// Says what would become of the polls. `None`: there is no store yet.
async fn try_all(
    store: Option<&impl ExportStore>,
    polls: &[Poll],
    has_keys: bool,
    shows: bool,
) -> Result<Exit, CannotImport> {
    // Nothing is stored, so any key does.
    let any = SecretKey::new([0; SecretKey::MIN_LEN]).ok();
    let keys = any.filter(|_| has_keys).map(|any| PollKeyWrap::new(&any));
    let mut exit = Exit::Clean;
    for poll in polls {
        let before = match store {
            Some(store) => look_up(store, poll).await?,
            None => None,
        };
        if !shows && refuses_to_show(before.as_ref(), poll, &mut exit) {
            continue;
        }
        let key = keys.as_ref().and_then(|keys| keys.make(poll.id()).ok());
        let poll = match key {
            Some(key) => poll.clone().with_key(key),
            None => poll.clone(),
        };
        let changed = change(
            before.as_ref(),
            &PollChange::put(poll.clone()),
            Moment::now(),
        );
        let tried = changed.map(|changed| Became::of(before.as_ref(), changed.poll.as_ref()));
        say(&poll, tried, &mut exit);
    }
    announce("Nothing was changed: this was a dry run.\n");
    Ok(exit)
}

fn say(poll: &Poll, became: Result<Became, StoreError>, exit: &mut Exit) {
    let id = poll.id();
    match became {
        Ok(became) => announce(&format!("{id}: {}\n", became.as_str())),
        Err(error) => refuse(poll, &in_one_line(&error), exit),
    }
}

fn refuse(poll: &Poll, why: &str, exit: &mut Exit) {
    *exit = Exit::Failed;
    announce(&format!("{}: refused: {why}\n", poll.id()));
}
