//! What a run is to do.

use std::{fmt, path::PathBuf, time::Duration};

use voting_testing::Programs;

use crate::{broken::Broken, plan::Pace};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the faults.
    pub seed: u64,
    /// How many.
    pub faults: usize,
    /// How fast they come.
    pub pace: Pace,
    /// So many at a time, at most.
    pub at_once: usize,
    /// Ballots a second, over all.
    pub rate: f64,
    /// Goes on until so many are acknowledged.
    pub ballots: u64,
    /// So long a service may take until it is ready again and does its work.
    pub patience: Duration,
    /// What is broken, to see that the run fails.
    pub broken: Option<Broken>,
    /// Whether the data of Redis and Postgres is kept whatever comes.
    pub keep: bool,
    /// Where each run has a folder; `target/torture` unless given.
    pub logs: Option<PathBuf>,
}

/// The command that does the same again.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cargo run")?;
        match Programs::own_profile().as_deref() {
            Ok("dev") | Err(_) => {}
            Ok("release") => f.write_str(" --release")?,
            Ok(other) => write!(f, " --profile {other}")?,
        }
        write!(
            f,
            " -p voting-torture -- --seed {} --faults {} --gap-ms {} --longest-ms {} --at-once {} \
             --rate {} --ballots {} --patience-ms {}",
            self.seed,
            self.faults,
            self.pace.gap.as_millis(),
            self.pace.longest.as_millis(),
            self.at_once,
            self.rate,
            self.ballots,
            self.patience.as_millis(),
        )?;
        if let Some(broken) = self.broken {
            let name = clap::ValueEnum::to_possible_value(&broken);
            let name = name.map(|name| name.get_name().to_owned());
            write!(f, " --broken {}", name.unwrap_or_default())?;
        }
        if self.keep {
            f.write_str(" --keep")?;
        }
        if let Some(logs) = &self.logs {
            // Quoted, as a shell reads it.
            let logs = logs.to_string_lossy().replace('\'', r"'\''");
            write!(f, " --logs '{logs}'")?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Options {
    /// As little as there can be.
    pub(crate) fn least() -> Self {
        Self {
            seed: 1,
            faults: 0,
            pace: Pace {
                gap: Duration::ZERO,
                longest: Duration::ZERO,
            },
            at_once: 1,
            rate: 1.0,
            ballots: 0,
            patience: Duration::ZERO,
            broken: None,
            keep: false,
            logs: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_the_same_again_has_all_that_was_set() {
        let options = Options {
            keep: true,
            logs: Some("a folder".into()),
            broken: Some(Broken::AckBeforeCommit),
            ..Options::least()
        };
        let command = options.to_string();
        // Tests are built as the profile `dev` is, and lie elsewhere.
        assert!(command.starts_with("cargo run"), "{command}");
        let all = "-p voting-torture -- --seed 1 --faults 0 --gap-ms 0 --longest-ms 0 --at-once 1 \
                   --rate 1 --ballots 0 --patience-ms 0 --broken ack-before-commit --keep \
                   --logs 'a folder'";
        assert!(command.ends_with(all), "{command}");
    }
}
