//! A load generator that is also a checker: it casts ballots, remembers what each voter was told, and
//! then checks that each voter's last acknowledged ballot counts, once.
//!
//! The checks are those of a set and of registers: an acknowledged ballot must be there, a refused one
//! must not, and one of unknown outcome may or may not.

mod answer;
mod args;
mod cast;
mod check;
mod counts;
mod crowd;
mod expected;
mod history;
mod http;
mod judge;
mod load;
mod pace;
mod plan;
mod progress;
mod receipts;
mod recount;
mod report;
mod run;
mod service;
mod signals;
mod store;
mod token;
mod verdict;
mod waiting;
mod watch;

pub use self::{
    args::LoadArgs,
    check::{Before, CheckError, Sources, Step, check, check_telling},
    counts::Counts,
    history::History,
    load::{Load, StartError},
    plan::{InvalidPlan, Pace, Plan},
    report::Latencies,
    run::run,
    store::Told,
    token::Secret,
    verdict::Verdict,
};
