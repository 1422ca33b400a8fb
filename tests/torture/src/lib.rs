//! Runs the services as processes on private servers, under load, while everything around them fails
//! in a way that a seed decides; then counts whether a ballot was lost or counted twice.

mod addresses;
pub mod ask;
pub mod broken;
pub mod cast;
pub mod disk;
mod faults;
pub mod inject;
mod journal;
pub mod link;
mod loads;
mod logs;
pub mod plan;
pub mod player;
pub mod processes;
pub mod programs;
pub mod report;
pub mod run;
pub mod stage;
mod waiting;
mod watch;
