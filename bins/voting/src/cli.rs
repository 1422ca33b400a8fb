//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

/// The whole voting system in one process, on one file.
///
/// Settings come from built-in defaults, then the file given with --config, then environment
/// variables (VOTING_VOTE__LISTEN for vote.listen, and so on), then these flags.
#[derive(Debug, Default, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to serve the voting page; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) vote_listen: Option<SocketAddr>,
    /// Where to serve the result page
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) result_listen: Option<SocketAddr>,
    /// Where to serve the operator's API
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) worker_listen: Option<SocketAddr>,
    /// The file that holds the ballots; it is made when missing
    #[arg(long, value_name = "FILE")]
    pub(crate) sqlite_path: Option<PathBuf>,
}

impl Cli {
    /// The flags that were given, as settings.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let address = |address: &Option<SocketAddr>| address.map(|address| address.to_string());
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        [
            ("vote.listen", address(&self.vote_listen)),
            ("result.listen", address(&self.result_listen)),
            ("worker.listen", address(&self.worker_listen)),
            ("sqlite.path", self.sqlite_path.as_ref().map(path)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }
}
