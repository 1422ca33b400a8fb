//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

use crate::settings::listen;

/// Part of the voting system.
///
/// Settings come from built-in defaults, then the file given with --config, then environment
/// variables (VOTING_VOTE__LISTEN for vote.listen, and so on), then these flags.
#[derive(Debug, Default, Parser)]
#[command(version)]
pub struct Cli {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Address of the voting page; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen::parse)]
    pub vote_listen: Option<SocketAddr>,
    /// Address of the result page
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen::parse)]
    pub result_listen: Option<SocketAddr>,
    /// Address of the operator's API
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen::parse)]
    pub worker_listen: Option<SocketAddr>,
    /// The file that holds the ballots of the all-in-one; it is made if it is missing
    #[arg(long, value_name = "FILE")]
    pub sqlite_path: Option<PathBuf>,
    /// Ask the running service with the same settings whether it is ready; exits with 0 if so, else with 1
    #[arg(long)]
    pub healthcheck: bool,
    /// List everything that is wrong with the settings, without starting; exits with 0 if nothing is, else with 1
    #[arg(long)]
    pub check_config: bool,
}

impl Cli {
    /// The flags that were given, as settings.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
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
