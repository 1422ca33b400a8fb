//! The whole voting system in one process, on one file.
//!
//! Serves the voting page, the live result and the operator's API, and runs the worker between
//! them: the same library code as the separate services, with the embedded store in place of
//! Redis and Postgres.

mod app;

use std::process::ExitCode;

fn main() -> ExitCode {
    voting_service::run("voting", app::run)
}
