//! Measures whole paths against bounds of the same machine, side by side in one run. Absolute figures
//! move with the machine; what counts are the ratios.
//!
//! `cargo run --release -p voting-bench` runs all, and with names only those. The services run as
//! processes built for release, on servers of their own, on the loopback interface. Their files are in
//! the folder for temporary files: `TMPDIR=/dev/shm` leaves out what the disk costs.
//!
//! Failures panic: a measurement cannot go on without its server.

mod bulk;
mod drain;
mod events;
mod figures;
mod footprint;
mod intake;
mod noop;
mod overload;
mod result;
mod setup;
mod sizes;
mod viewers;
mod visible;
mod wrk;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use voting_testing::Programs;

/// As the services have it, so that the handler that does nothing is no slower for this.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures whole paths of the voting system
#[derive(Parser)]
struct Cli {
    /// What to measure; all unless named
    #[arg(value_enum)]
    what: Vec<What>,
    /// Rounds of intake, bulk, drain, events and visible, of which the median is told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that one measurement of a rate takes
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections over which votes come in
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    connections: Vec<usize>,
    /// Viewers of one result service
    #[arg(long, default_value_t = 10_000)]
    viewers: usize,
    /// Ballots in the large poll
    #[arg(long, default_value_t = 10_000_000)]
    ballots: i64,
    /// Times that the store is asked for the tally of each poll, four a second
    #[arg(long, default_value_t = 400)]
    looks: usize,
    /// Ballots in the log that is drained
    #[arg(long, default_value_t = 500_000)]
    log: usize,
    /// The programs' build profile
    #[arg(long, default_value = "release")]
    profile: String,
    /// A folder with services that were built before; they are measured in place of those of this version
    #[arg(long)]
    programs: Option<PathBuf>,
    /// A folder with the services of another build, of which intake is measured beside
    #[arg(long)]
    beside: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Intake,
    Bulk,
    Drain,
    Events,
    Result,
    Viewers,
    Visible,
    Overload,
    Footprint,
    Sizes,
    /// Serve the handler that intake is compared with
    #[value(hide = true)]
    Noop,
}

fn main() {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if cli.what == [What::Noop] {
        return runtime.block_on(noop::serve());
    }
    let programs = match &cli.programs {
        Some(folder) => Programs::in_folder(folder),
        None => Programs::of_profile(&cli.profile),
    };
    let wanted = |what| cli.what.is_empty() || cli.what.contains(&what);
    if wanted(What::Footprint) {
        footprint::measure(&programs, &runtime, cli.seconds);
    }
    if wanted(What::Intake) {
        intake::measure(
            &programs,
            cli.beside.as_deref().map(Programs::in_folder).as_ref(),
            &runtime,
            cli.rounds,
            cli.seconds,
            &cli.connections,
        );
    }
    if wanted(What::Bulk) {
        bulk::measure(&programs, cli.rounds, cli.log);
    }
    if wanted(What::Drain) {
        drain::measure(&programs, &runtime, cli.rounds, cli.log);
    }
    if wanted(What::Events) {
        events::measure(&programs, &runtime, cli.rounds, cli.seconds, cli.log);
    }
    if wanted(What::Visible) {
        visible::measure(&programs, &runtime, cli.rounds, cli.seconds);
    }
    if wanted(What::Overload) {
        overload::measure(&programs, &runtime, cli.seconds);
    }
    if wanted(What::Sizes) {
        sizes::measure(&programs, &runtime);
    }
    if wanted(What::Viewers) {
        viewers::measure(&programs, &runtime, cli.viewers, cli.seconds);
    }
    if wanted(What::Result) {
        result::measure(&programs, cli.ballots, cli.looks);
    }
}
