//! The program `voting-result`.

use std::process::ExitCode;

use voting_service::StopOn;

fn main() -> ExitCode {
    voting_service::run(
        "voting-result",
        |config| config.result.listen,
        |config| voting_result::run(config, StopOn::Signal),
    )
}
