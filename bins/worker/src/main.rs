//! The program `voting-worker`.

use std::process::ExitCode;

use voting_service::StopOn;

fn main() -> ExitCode {
    voting_service::run(
        "voting-worker",
        |config| config.worker.listen,
        |config| voting_worker::run(config, StopOn::Signal),
    )
}
