//! Prints the findings: line by line for people, or as one JSON document for machines.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use serde::Serialize;

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    /// It works, but is probably not intended.
    Warn,
    /// The check could not find out.
    Unknown,
    Fail,
}

impl Level {
    /// The word in the output, four characters wide.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok  ",
            Self::Warn => "warn",
            Self::Unknown => "?   ",
            Self::Fail => "FAIL",
        }
    }

    /// The terminal's colour: green, yellow, cyan, red.
    fn colour(self) -> u8 {
        match self {
            Self::Ok => 32,
            Self::Warn => 33,
            Self::Unknown => 36,
            Self::Fail => 31,
        }
    }
}

/// One line of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) todo: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            found: found.into(),
            todo: None,
        }
    }

    pub(crate) fn unknown(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            level: Level::Unknown,
            ..Self::ok(check, found)
        }
    }

    pub(crate) fn warn(
        check: &'static str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warn,
            todo: Some(todo.into()),
            ..Self::ok(check, found)
        }
    }

    pub(crate) fn fail(
        check: &'static str,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(check, found, todo)
        }
    }

    fn text(&self) -> String {
        let Self { check, found, .. } = self;
        let text = match &self.todo {
            Some(todo) => format!("{check}: {found}. To do: {todo}"),
            None => format!("{check}: {found}"),
        };
        // A part of the text comes from other programs. It must not add lines or move the cursor.
        text.replace(char::is_control, " ")
    }
}

/// All findings.
#[derive(Debug)]
pub(crate) struct Report {
    is_json: bool,
    is_coloured: bool,
    findings: Vec<Finding>,
}

impl Report {
    /// Lines are printed at once; a document is printed at the end.
    pub(crate) fn new(is_json: bool) -> Self {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self {
            is_json,
            is_coloured: is_wanted && io::stdout().is_terminal(),
            findings: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.is_json {
            let (word, text) = (finding.level.word(), finding.text());
            if self.is_coloured {
                let colour = finding.level.colour();
                print(&format!("\x1b[{colour}m{word}\x1b[0m  {text}\n"));
            } else {
                print(&format!("{word}  {text}\n"));
            }
        }
        self.findings.push(finding);
    }

    fn worst(&self) -> Level {
        let has = |level| self.findings.iter().any(|finding| finding.level == level);
        let by_gravity = [Level::Fail, Level::Unknown, Level::Warn];
        let worst = by_gravity.into_iter().find(|level| has(*level));
        worst.unwrap_or(Level::Ok)
    }

    /// Prints the rest. The code is 0 if nothing is wrong, 1 if something is, and 2 if something could not be found
    /// out.
    pub(crate) fn finish(self) -> ExitCode {
        let worst = self.worst();
        if self.is_json {
            let document = serde_json::json!({"level": worst, "checks": self.findings});
            print(&format!("{document:#}\n"));
        }
        match worst {
            Level::Ok | Level::Warn => ExitCode::SUCCESS,
            Level::Fail => ExitCode::FAILURE,
            Level::Unknown => ExitCode::from(2),
        }
    }
}

fn print(text: &str) {
    // The reader may have closed the output.
    let _ = io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_weighs_more_than_what_is_not_known() {
        let worst = |findings: &[Finding]| {
            let mut report = Report::new(true);
            for finding in findings {
                report.add(finding.clone());
            }
            report.worst()
        };
        let (ok, unknown) = (Finding::ok("a", "b"), Finding::unknown("a", "b"));
        let (warn, fail) = (Finding::warn("a", "b", "c"), Finding::fail("a", "b", "c"));
        assert_eq!(worst(&[]), Level::Ok);
        assert_eq!(worst(&[ok.clone(), warn.clone()]), Level::Warn);
        assert_eq!(worst(&[warn.clone(), unknown.clone()]), Level::Unknown);
        assert_eq!(worst(&[fail, unknown, warn, ok]), Level::Fail);
    }

    #[test]
    fn a_finding_is_one_line_whatever_is_in_it() {
        let text = Finding::warn("a", "b\n\x1b[2Jc", "d\r\ne").text();
        assert_eq!(text, "a: b  [2Jc. To do: d  e");
    }
}
