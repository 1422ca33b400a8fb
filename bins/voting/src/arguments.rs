//! The command line of `voting`: the whole system, or one of its tools.

use clap::{Parser, Subcommand};
use voting_load::LoadArgs;
use voting_service::Cli;

use crate::commands::{
    codes::Codes, doctor::Doctor, export::Export, forget_voters::ForgetVoters,
    import_polls::ImportPolls, migrate::Migrate, rewind::Rewind, settings::Settings, void::Void,
};

/// The whole voting system in one process on one file, and tools for one on Redis and Postgres.
///
/// Without a command it runs the system.
///
/// Settings come from built-in defaults, then the file given with --config, then environment
/// variables (VOTING_VOTE__LISTEN for vote.listen, and so on), then these flags.
#[derive(Debug, Parser)]
#[command(name = "voting", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Cli,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Codes(Codes),
    Doctor(Doctor),
    Config(Settings),
    Export(Export),
    ForgetVoters(ForgetVoters),
    ImportPolls(ImportPolls),
    Load(LoadArgs),
    Migrate(Migrate),
    Rewind(Rewind),
    Void(Void),
}
