//! The program `voting-vote`.

use std::process::ExitCode;

use voting_service::StopOn;

fn main() -> ExitCode {
    voting_service::run(
        "voting-vote",
        |config| config.vote.listen,
        |config| voting_vote::run(config, StopOn::Signal),
    )
}
