//! Clocks that are wrong.
//!
//! A small library is loaded before the C library, and shifts what programs read as the time of day. It is compiled
//! from `clock.c` when it is first needed, by the C compiler that Rust needs anyway. The package `faketime` would do
//! it too, but must be installed first, shifts more clocks than whoever sets the clock of a machine does, and
//! is not made to set a clock while a program runs. A time namespace of Linux has no time of day of its own.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

const SOURCE: &str = include_str!("clock.c");

/// A clock that differs from the machine's, by a time that can change while programs run.
#[derive(Debug)]
pub struct Clock {
    folder: TempDir,
}

impl Clock {
    /// One that is ahead of the machine's by so many milliseconds, or behind it.
    ///
    /// # Panics
    /// There is no C compiler.
    pub fn ahead_by_ms(shift: i64) -> Self {
        let clock = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        File::create_new(clock.file()).expect("a file");
        clock.set(shift);
        clock
    }

    /// Sets it, also for programs that run.
    pub fn set(&self, shift: i64) {
        let file = File::options().write(true).open(self.file());
        let written = file.expect("a file").write_all_at(&shift.to_ne_bytes(), 0);
        written.expect("written");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shift")
    }

    /// What a program must have in its environment.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", library()), ("SHIFTED_CLOCK", self.file())]
    }

    /// Makes a program that is started by this command have the clock.
    pub fn give_to(&self, command: &mut Command) {
        command.envs(self.environment());
    }
}

/// The compiled library, which all processes of the tests share.
fn library() -> PathBuf {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("clock.c");
        fs::write(&source, SOURCE).expect("written");
        let made = folder.path().join("clock.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        let compiled = compiler.arg(&made).arg(&source).args(["-ldl"]).status();
        assert!(compiled.expect("a C compiler").success());
        // Renamed into its place, since other tests may load it at this moment.
        let kept = std::env::temp_dir().join(format!("voting-tests-clock-{}.so", digest(SOURCE)));
        let beside = kept.with_extension(std::process::id().to_string());
        fs::copy(&made, &beside).expect("copied");
        fs::rename(&beside, &kept).expect("renamed");
        kept
    });
    LIBRARY.clone()
}

fn digest(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::{
        process::Stdio,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use super::*;

    fn now(clock: &Clock) -> Duration {
        let mut date = Command::new("date");
        clock.give_to(date.arg("+%s.%N").stderr(Stdio::inherit()));
        let reported = String::from_utf8(date.output().expect("date is there").stdout);
        let seconds: f64 = reported.expect("a text").trim().parse().expect("a number");
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_program_reads_the_time_that_its_clock_was_set_to() {
        let clock = Clock::ahead_by_ms(0);
        for shift in [3_600_000, -3_600_000, -1, 1_999, 0] {
            clock.set(shift);
            let real = || {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("after 1970")
            };
            let (before, reported, after) = (real(), now(&clock), real());
            let reported = reported.as_micros() as i128 - i128::from(shift) * 1_000;
            // Half a second is more than the rounding, and less than what a wrong sign would make of most shifts.
            let (before, after) = (before.as_micros() as i128, after.as_micros() as i128);
            assert!(
                before - 500 <= reported && reported <= after + 500,
                "{shift}: {reported} {before}"
            );
        }
    }
}
