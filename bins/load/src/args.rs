//! The command line of `voting load`.

use std::{
    fs, io,
    num::NonZeroU32,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Deserialize;

use crate::{
    checking::{
        error::CheckError,
        service::Service,
        sources::{FIRST_ANSWER, Sources},
    },
    counts::Counts,
    latencies::Latencies,
    plan::{Pace, Plan},
    token::Secret,
};

/// A vote service may not know a stored poll for this long.
const LIST_KEPT: Duration = Duration::from_secs(1);

/// How often the vote service is asked during this time.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// Casts ballots, then checks that each acknowledged one counts, once.
///
/// Ctrl-C, SIGTERM or a closed terminal ends the load, and what was cast until then is checked. A second signal ends
/// the program at once.
///
/// Exits with 0 if each acknowledged ballot counts once, and with 1 if not. It exits with 2 if it could not find out,
/// as when nothing was acknowledged or ballots are still pending, and with 3 if only a limit was exceeded
/// (`--max-p99-ms`, `--max-refused`). When the load begins nothing may wait in the log, and nobody else may vote in
/// the poll meanwhile. With `--postgres` others may vote in other polls; then it is not checked whether replaced
/// ballots were stored once.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// A vote service to cast ballots at; may be given several times
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    vote: Vec<String>,
    /// The result service to check with
    #[arg(long, value_name = "URL", default_value = "http://localhost:8081")]
    result: String,
    /// Check in this store, too: postgres://user:password@host/database. Set the environment variable instead to keep
    /// the password out of the list of processes
    #[arg(
        long,
        value_name = "URL",
        env = "VOTING_POSTGRES__URL",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// The poll [default: the first one of the vote service]
    #[arg(long, value_name = "ID")]
    poll: Option<String>,
    /// Ballots per second, however fast the service answers [default: as fast as it answers]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Connections, and so ballots in flight at a time
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: usize,
    /// End after this many ballots [default: 10000, unless there is a duration]
    #[arg(long, value_name = "N")]
    ballots: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// The most voters; further ballots change votes [default: no limit]
    #[arg(long, value_name = "N")]
    voters: Option<NonZeroU32>,
    /// The share of ballots that change a vote, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    changes: f64,
    /// Cast as the page's form does, not as JSON. There are no receipts then, so the ballots can only be checked with
    /// `--postgres`
    #[arg(long)]
    form: bool,
    /// How many seconds an answer may take; after that the ballot's outcome is unknown
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Ask for at most this many receipts, evenly spread over the voters
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    receipts: usize,
    /// Stop waiting when nothing was counted for this many seconds. It must exceed 1.25 times
    /// `redis.claim_timeout_ms`: after that time another worker takes over the entries of a dead one
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    patience: Duration,
    /// A file with the services' secret, to open receipts. Without it the order of each voter's acknowledgements is not
    /// checked, nor whether a receipt belongs to its voter; and with `--postgres` a ballot in the place of another one
    /// is recognised by its choice alone
    #[arg(long, value_name = "FILE", env = "VOTING_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// The secret itself, from the environment, where it does not show in the list of processes
    #[arg(long, env = "VOTING_SECRET", hide = true, hide_env_values = true)]
    secret: Option<String>,
    /// Only cast; check nothing
    #[arg(long)]
    no_check: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// The limits whose excess ends the load with 3.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Limits {
    /// Exit with 3 if the 99th percentile until an acknowledgement is above this many milliseconds
    #[arg(long, value_name = "MS")]
    max_p99_ms: Option<f64>,
    /// Exit with 3 if a greater share of the ballots than this, 0 to 1, was refused or found no service
    #[arg(long, value_name = "SHARE")]
    max_refused: Option<f64>,
}

impl Limits {
    /// A message for each exceeded limit, with the excess.
    pub(crate) fn exceeded(&self, counts: &Counts, latencies: &Latencies) -> Vec<String> {
        let mut exceeded = Vec::new();
        if let Some(most) = self.max_p99_ms
            && latencies.p99_ms > most
        {
            let p99 = latencies.p99_ms;
            exceeded.push(format!(
                "p99 until acknowledged is {p99:.1} ms, above {most} ms"
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody sees the 16th digit")]
        let refused = (counts.refused + counts.unreachable) as f64 / counts.ended().max(1) as f64;
        if let Some(most) = self.max_refused
            && refused > most
        {
            exceeded.push(format!("a share of {refused:.4} is refused, above {most}"));
        }
        exceeded
    }
}

/// Why the arguments are invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidArgs {
    /// Nothing is given to check with.
    #[error(
        "with --form there are no receipts to check by: give --postgres as well, or --no-check to \
         cast only"
    )]
    Unchecked,
    /// The secret is given in two ways.
    #[error("the secret is set both as a value and as a file; set one of them")]
    TwoSecrets,
    /// The file cannot be read.
    #[error("cannot read the secret in {}", .0.display())]
    Secret(PathBuf, #[source] io::Error),
}

/// Reads a time in seconds, such as `1.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Polls {
    polls: Vec<Poll>,
}

#[derive(Deserialize)]
struct Poll {
    id: String,
    options: Vec<PollOption>,
}

#[derive(Deserialize)]
struct PollOption {
    id: String,
}

impl LoadArgs {
    pub(crate) fn check(&self) -> Result<(), InvalidArgs> {
        if self.form && self.postgres.is_none() && !self.no_check {
            return Err(InvalidArgs::Unchecked);
        }
        Ok(())
    }

    /// The secret that opens receipts, if it is given.
    pub(crate) fn secret(&self) -> Result<Option<Secret>, InvalidArgs> {
        // White space is removed, as the services do.
        let trimmed =
            |text: &str| Secret::new(text.trim_start_matches('\u{feff}').trim().as_bytes());
        match (&self.secret, &self.secret_file) {
            (Some(_), Some(_)) => Err(InvalidArgs::TwoSecrets),
            (Some(secret), None) => Ok(Some(trimmed(secret))),
            (None, Some(file)) => {
                let text = fs::read_to_string(file);
                let text = text.map_err(|error| InvalidArgs::Secret(file.clone(), error))?;
                Ok(Some(trimmed(&text)))
            }
            (None, None) => Ok(None),
        }
    }

    /// Asks a vote service for the poll.
    pub(crate) async fn plan(&self) -> Result<Plan, CheckError> {
        let first = self.vote.first().map_or("", String::as_str);
        let service = Service::at(first, FIRST_ANSWER)?;
        let polls: Polls = service.look_up("/v1/polls").await?;
        let mut poll = polls.polls.into_iter().find(|poll| match &self.poll {
            Some(id) => poll.id == *id,
            None => true,
        });
        if let (None, Some(id)) = (&poll, &self.poll)
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        {
            // The poll may be newer than the list, which each replica caches for a second. A question does not make
            // it look the poll up again.
            let begun = Instant::now();
            while poll.is_none() && begun.elapsed() < LIST_KEPT {
                poll = service.find(&format!("/v1/polls/{id}")).await?;
                if poll.is_none() {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
        let poll = poll.ok_or_else(|| {
            let asked = self.poll.as_deref().unwrap_or_default();
            CheckError::Service(format!("there is no poll {asked}"))
        })?;
        let endless = self.ballots.is_none() && self.duration.is_none();
        Ok(Plan {
            votes: self.vote.clone(),
            poll: poll.id,
            options: poll.options.into_iter().map(|option| option.id).collect(),
            pace: self.rate.map_or(Pace::FlatOut, Pace::Rate),
            connections: self.connections,
            ballots: if endless { Some(10_000) } else { self.ballots },
            duration: self.duration,
            voters: self.voters.map(NonZeroU32::get),
            electors: Vec::new(),
            changes: self.changes,
            form: self.form,
            timeout: self.timeout,
            secret: None,
            watch: self.sources().and_then(|sources| sources.result),
        })
    }

    /// The sources for the check; `None` if nothing is to be checked.
    pub(crate) fn sources(&self) -> Option<Sources> {
        (!self.no_check).then(|| Sources {
            result: Some(self.result.clone()),
            postgres: self.postgres.clone(),
            receipts: self.receipts,
            patience: self.patience,
            ..Sources::default()
        })
    }
}
