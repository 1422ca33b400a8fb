//! `voting codes`: issues, revokes and replaces the codes of a poll.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use voting_core::{
    Poll, PollId, PollStore, StoreError,
    model::{
        code::Serial,
        poll::{ChangeTo, CodeChange, CodeRefusal, PollChange},
        poll_key::{PollKey, PollKeyError, PollKeyWrap},
    },
};
use voting_http::export::{CodeFile, CodeFormat};
use voting_service::{Config, Exit, Kept, SecretError, announce, resolve_secret};

use super::{
    export::{CannotExport, Output},
    target::{self, CannotOpen, Target, is_all_in_one},
};

/// Who changes codes here, in the audit log.
const BY: &str = "voting-codes";

/// Issue, revoke and replace the codes of a poll
///
/// Works on Postgres if the settings name it, also while the services run; else on the file of the all-in-one, which must be
/// stopped. The vote services take new codes a second later.
#[derive(Debug, Args)]
pub(crate) struct Codes {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Issue codes, and write them to a file
    ///
    /// They are shown only here: whoever has them can vote with them. Their links need vote.public_url.
    Issue {
        /// The id of the poll
        #[arg(value_name = "POLL")]
        poll: PollId,
        /// How many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        count: u32,
        /// The format of the file
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// The file to write; without it, the standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Revoke a code: it is no longer accepted. A ballot that was cast with it stays
    Revoke {
        /// The id of the poll
        #[arg(value_name = "POLL")]
        poll: PollId,
        /// The serial number of the code
        #[arg(value_name = "SERIAL")]
        serial: Serial,
    },
    /// Replace a code by a new one, which is printed. The old one is no longer accepted. Whoever has the new one is the
    /// same voter
    Replace {
        /// The id of the poll
        #[arg(value_name = "POLL")]
        poll: PollId,
        /// The serial number of the code
        #[arg(value_name = "SERIAL")]
        serial: Serial,
    },
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values: serial, code and link
    Csv,
    /// A page to be printed on A4 and cut: ten cards a sheet, with QR codes
    Html,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotChange {
    #[error(transparent)]
    Open(#[from] CannotOpen),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("codes need the key of the workers and the vote services: set entry_key_file")]
    NoKey,
    #[error("there is no poll {0}")]
    NoPoll(PollId),
    #[error("poll {0} has no key: it was made without codes, or its voters are forgotten")]
    NoPollKey(PollId),
    #[error(transparent)]
    Key(#[from] PollKeyError),
    #[error("cannot change the codes of poll {0}")]
    Store(PollId, #[source] StoreError),
    #[error("the code was changed by somebody else at the same time")]
    Code(#[from] CodeRefusal),
    #[error(
        "the codes {first} to {last} are issued, but not all of them were written; revoke them, or issue others"
    )]
    Write {
        first: Serial,
        last: Serial,
        #[source]
        error: CannotExport,
    },
}

/// The keys under which the keys of polls are wrapped. Those of the all-in-one follow from its secret, which is made beside a
/// database that is not there yet.
pub(crate) fn poll_keys(config: &Config) -> Result<Option<PollKeyWrap>, SecretError> {
    if !is_all_in_one(config) {
        return config.poll_keys();
    }
    let kept = Kept {
        path: &config.beside_database("secret"),
        may_make: !config.sqlite.path.exists(),
    };
    let (value, file) = (config.secret.as_ref(), config.secret_file.as_deref());
    let secret = resolve_secret("secret", value, file, Some(kept))?;
    let secrets = config.with_other_secrets(&secret.key)?;
    Ok(Some(PollKeyWrap::of_secrets(&secrets)))
}

impl Codes {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotChange> {
        let target = Target::of(config)?;
        let keys = poll_keys(config)?.ok_or(CannotChange::NoKey)?;
        match target {
            Target::Postgres => {
                let store = target::postgres(config)?;
                self.change(config, &store, &keys).await
            }
            Target::File(path) => self.change(config, &target::file(path)?, &keys).await,
        }
    }

    async fn change(
        &self,
        config: &Config,
        store: &impl PollStore,
        keys: &PollKeyWrap,
    ) -> Result<Exit, CannotChange> {
        match &self.what {
            What::Issue {
                poll,
                count,
                format,
                output,
            } => {
                let format = match format {
                    Format::Csv => CodeFormat::Csv,
                    Format::Html => CodeFormat::Html,
                };
                let (changed, key) = change(store, keys, poll, CodeChange::Issue(*count)).await?;
                let issued = changed.codes().issued();
                let first = issued - count;
                let url = config.vote.public_url.as_ref();
                if url.is_none() {
                    eprintln!("voting: the file has no links: vote.public_url is not set");
                }
                let file = CodeFile::new(
                    &changed,
                    key,
                    first..issued,
                    format,
                    url.map(|url| format!("{url}/polls/{poll}")),
                );
                let written = write(file, *count, output.as_deref());
                written.map_err(|error| CannotChange::Write {
                    first,
                    last: issued - 1,
                    error,
                })?;
            }
            What::Revoke { poll, serial } => {
                let (changed, _) = change(store, keys, poll, CodeChange::Revoke(*serial)).await?;
                let codes = changed.codes();
                announce(&format!(
                    "Code {serial} of {poll} is revoked: {} of {} codes are.\n",
                    codes.revoked(),
                    codes.issued()
                ));
            }
            What::Replace { poll, serial } => {
                let (changed, key) =
                    change(store, keys, poll, CodeChange::Replace(*serial)).await?;
                let generation = changed.codes().generation(*serial)?;
                let code = key.codes().code(*serial, generation);
                announce(&format!("{code}\n"));
                if let Some(url) = &config.vote.public_url {
                    announce(&format!("{url}/polls/{poll}/c/{code}\n"));
                }
            }
        }
        Ok(Exit::Clean)
    }
}

/// Changes the codes of a poll, whose key is read first: nobody could use codes that cannot be written.
async fn change(
    store: &impl PollStore,
    keys: &PollKeyWrap,
    id: &PollId,
    change: CodeChange,
) -> Result<(Poll, PollKey), CannotChange> {
    let failed = |error| CannotChange::Store(id.clone(), error);
    let none = || CannotChange::NoPoll(id.clone());
    let poll = store.poll(id).await.map_err(failed)?.ok_or_else(none)?;
    let wrapped = poll.wrapped_key();
    let wrapped = wrapped.ok_or_else(|| CannotChange::NoPollKey(id.clone()))?;
    let key = keys.open(id, wrapped)?;
    let change = PollChange::new(id.clone(), ChangeTo::Codes(change));
    let changed = store.change_poll(&change, BY).await.map_err(failed)?;
    Ok((changed.ok_or_else(none)?, key))
}

fn write(mut file: CodeFile, count: u32, path: Option<&Path>) -> Result<(), CannotExport> {
    let bar = progress(count);
    let mut output = Output::create(path)?;
    while let Some(piece) = file.next() {
        output.write(&piece)?;
        bar.set_position(file.written().into());
    }
    output.finish()?;
    bar.finish_and_clear();
    Ok(())
}

/// A bar on a terminal, else nothing.
fn progress(count: u32) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(count.into()), target);
    let template =
        "{elapsed_precise} {wide_bar} {percent:>3}%  {pos} of {len} codes, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
