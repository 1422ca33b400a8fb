//! A load generator that is also a checker. It casts ballots, remembers what each voter was told, and then checks
//! that each voter's last acknowledged ballot counts, once.
//!
//! The checks are those of a set and of registers: an acknowledged ballot must be present, a refused one must not,
//! and one of unknown outcome may be either.
//!
//! `casting` sends the ballots and fills the [`History`]. `checking` compares the history with the result service and
//! the store and gives the [`Verdict`]. `run` does both for the command line.

mod args;
mod casting;
mod checking;
mod counts;
mod history;
mod http;
mod latencies;
mod plan;
mod progress;
mod report;
mod run;
mod token;

pub use self::{
    args::LoadArgs,
    casting::load::{Load, StartError},
    checking::{
        check::{check, check_with},
        error::CheckError,
        sources::{Before, Sources},
        step::Step,
        store::Recorded,
        verdict::Verdict,
    },
    counts::Counts,
    history::History,
    latencies::Latencies,
    plan::{Elector, InvalidPlan, Pace, Plan},
    run::run,
    token::Secret,
};
