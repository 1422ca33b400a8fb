//! `voting load` as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use voting_load::{LoadArgs, run};

#[derive(Parser)]
#[command(name = "voting-load", version)]
struct Cli {
    #[command(flatten)]
    args: LoadArgs,
}

fn main() -> ExitCode {
    run(&Cli::parse().args)
}
