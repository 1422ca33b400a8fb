//! Runs the services as processes on private servers, under load, while everything around them fails
//! in a way that a seed decides; then counts whether a ballot was lost or counted twice.

mod addresses;
mod ask;
mod broken;
mod cluster;
pub mod disk;
mod electorate;
mod error;
mod faults;
mod forgotten;
mod inject;
mod journal;
mod loads;
mod logs;
mod options;
mod plan;
mod process;
mod programs;
mod report;
mod run;
mod target;
mod timed;
mod voided;
mod watch;

pub use self::{
    broken::Broken, error::RunError, options::Options, plan::Pace, report::Report, run::run,
};
