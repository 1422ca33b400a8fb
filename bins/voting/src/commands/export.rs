//! `voting export`: the tally or the ballots of a poll as a file.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use voting_core::{
    ExportStore, PollId, StoreError,
    backends::sqlite::SqliteReader,
    error::in_one_line,
    store::{AuditLog, audit::AuditNote},
};
use voting_http::export::{BallotFile, ExportFormat, tally_file, warning};
use voting_service::{Config, Exit};

use super::target::{self, CannotOpen, Target};

/// Write the tally or the ballots of a poll to a file
///
/// Reads Postgres if the settings name it, else the file of the all-in-one, also while the services run.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The id of the poll
    #[arg(value_name = "POLL")]
    poll: PollId,
    /// The ballots instead of the tally: what each voter chose, without the voter and the time, in random order; only
    /// of a final poll
    #[arg(long)]
    ballots: bool,
    /// The format of the file
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write; without it, the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values, for spreadsheets
    Csv,
    /// JSON, for programs
    Json,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotExport {
    #[error(transparent)]
    Open(#[from] CannotOpen),
    #[error("cannot export poll {0}")]
    Store(PollId, #[source] StoreError),
    #[error("the export is not whole")]
    Broken(#[source] StoreError),
    #[error("cannot write {0}")]
    Write(String, #[source] io::Error),
}

impl Export {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotExport> {
        match Target::of(config)? {
            Target::Postgres => {
                let store = target::postgres(config)?;
                self.export(&store, Some(&store)).await
            }
            Target::File(path) => self.export(&SqliteReader::new(path), None).await,
        }
    }

    async fn export(
        &self,
        store: &impl ExportStore,
        audit: Option<&dyn AuditLog>,
    ) -> Result<Exit, CannotExport> {
        let format = self.format.into();
        if self.ballots {
            self.export_ballots(store, audit, format).await?;
        } else {
            let failed = |error| CannotExport::Store(self.poll.clone(), error);
            let counted = store.counted_poll(&self.poll).await.map_err(failed)?;
            let missing = || failed(StoreError::NoPoll(self.poll.clone()));
            let (poll, tally) = counted.ok_or_else(missing)?;
            let handed_in = match format {
                ExportFormat::Json => store.handed_in(&self.poll).await.map_err(failed)?,
                ExportFormat::Csv => None,
            };
            let mut output = Output::create(self.output.as_deref())?;
            output.write(tally_file(&poll, &tally, handed_in, format).as_bytes())?;
            output.finish()?;
        }
        Ok(Exit::Clean)
    }

    async fn export_ballots(
        &self,
        store: &impl ExportStore,
        audit: Option<&dyn AuditLog>,
        format: ExportFormat,
    ) -> Result<(), CannotExport> {
        let bar = progress();
        let failed = |error| CannotExport::Store(self.poll.clone(), error);
        let export = store.export_ballots(&self.poll).await.map_err(failed)?;
        let head = export.head().clone();
        let note = AuditNote {
            by: "export".to_owned(),
            action: "poll.exported".to_owned(),
            poll: Some(self.poll.clone()),
            before: None,
            after: Some(
                serde_json::json!({"ballots": head.ballots, "format": format.as_str()}).to_string(),
            ),
        };
        let unnoted = match audit {
            // The file belongs to the service that uses it.
            None => Some("the file of the all-in-one is only read".to_owned()),
            Some(audit) => {
                let noted = audit.add_to_audit_log(&note).await;
                noted.err().map(|error| in_one_line(&error))
            }
        };
        if let Some(why) = unnoted {
            eprintln!("voting: this export is not in the audit log: {why}");
        }
        if let Some(warning) = warning(&head) {
            eprintln!("voting: {warning}");
        }
        begin(&bar, head.ballots);
        let mut output = Output::create(self.output.as_deref())?;
        let mut file = BallotFile::new(export, format);
        while let Some(piece) = file.next().await {
            output.write(&piece.map_err(CannotExport::Broken)?)?;
            bar.set_position(file.written());
        }
        output.finish()?;
        bar.finish_and_clear();
        Ok(())
    }
}

/// A bar on a terminal, else nothing.
fn progress() -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {spinner}  {msg}") {
        bar.set_style(style);
    }
    bar.set_message("the store puts the ballots in random order");
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// The store has begun to send this many ballots.
fn begin(bar: &ProgressBar, ballots: u64) {
    let template =
        "{elapsed_precise} {wide_bar} {percent:>3}%  {pos} of {len} ballots, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_length(ballots);
}

/// Where the file is written. Until it is whole, it has another name, so no half of it is taken for the whole.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    /// The name until then, and the name of the whole file.
    names: Option<(PathBuf, PathBuf)>,
}

impl Output {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, CannotExport> {
        let Some(path) = path else {
            return Ok(Self {
                writer: BufWriter::new(Box::new(io::stdout())),
                names: None,
            });
        };
        let mut part: OsString = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)
            .map_err(|error| CannotExport::Write(part.display().to_string(), error))?;
        Ok(Self {
            writer: BufWriter::new(Box::new(file)),
            names: Some((part, path.to_owned())),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CannotExport> {
        let written = self.writer.write_all(bytes);
        written.map_err(|error| self.failed(error))
    }

    pub(crate) fn finish(mut self) -> Result<(), CannotExport> {
        let written = self.writer.flush();
        written.map_err(|error| self.failed(error))?;
        if let Some((part, path)) = self.names.take() {
            fs::rename(part, &path)
                .map_err(|error| CannotExport::Write(path.display().to_string(), error))?;
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> CannotExport {
        let name = match &self.names {
            Some((part, _)) => part.display().to_string(),
            None => "the standard output".to_owned(),
        };
        CannotExport::Write(name, error)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.names {
            // It is not whole. If it cannot be removed, its name says so.
            let _ = fs::remove_file(part);
        }
    }
}
