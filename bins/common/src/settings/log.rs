//! The settings of the log: the levels and the format.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object for each line.
    Json,
}

/// The setting is not a format.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a format; write text or json")]
pub struct BadFormat(String);

impl TryFrom<String> for LogFormat {
    type Error = BadFormat;

    fn try_from(name: String) -> Result<Self, BadFormat> {
        match name.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(BadFormat(name)),
        }
    }
}

/// The levels, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The setting is not valid.
#[derive(Debug, thiserror::Error)]
#[error(
    "log: {what:?} is not a level; write one of {}, or levels by module, such as \
     info,voting_core=debug", LEVELS.join(", ")
)]
pub(crate) struct BadLog {
    what: String,
}

/// Whether the setting is valid.
pub(crate) fn check(log: &str) -> Result<(), BadLog> {
    filter(log).map(drop)
}

/// The filter of this setting. The library itself handles a word that is not a level as a module. It then logs
/// everything of that module, and of the others not even errors.
pub(crate) fn filter(log: &str) -> Result<EnvFilter, BadLog> {
    let bad = |what: &str| BadLog {
        what: what.chars().take(64).collect(),
    };
    let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    let mut names_a_level = false;
    let directives: Vec<_> = split(log).map(str::trim).collect();
    for directive in &directives {
        // The last part is the level. A `=` in brackets belongs to a field of a span.
        let after_span = directive.rfind(']').map_or(0, |end| end + 1);
        match directive[after_span..].rsplit_once('=') {
            Some((target, level)) => {
                let is_target = !(target.contains('=') || target.is_empty() && after_span == 0);
                if !is_level(level.trim()) || !is_target {
                    return Err(bad(directive));
                }
            }
            None if is_level(directive) => names_a_level = true,
            None => return Err(bad(directive)),
        }
    }
    // Errors of modules without a level of their own are logged, unless the setting says otherwise.
    let others = if names_a_level { "" } else { "error," };
    EnvFilter::try_new(format!("{others}{}", directives.join(","))).map_err(|_| bad(log))
}

/// The parts between commas that are not in brackets.
fn split(log: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    log.split(move |c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_levels_by_module_are_taken() {
        for good in [
            "info",
            "WARN",
            "off",
            " info , voting_core=debug ",
            "voting_core::pipeline::worker=trace",
            "warn,voting_core[flush{poll=a}]=debug",
        ] {
            check(good).expect(good);
        }
    }

    #[test]
    fn what_is_no_level_is_named_with_the_levels() {
        for bad in [
            "warning",
            "verbose",
            "information",
            "5",
            "voting=vebose",
            "info,foo=bar=baz",
            "info,voting_core",
            "voting=",
            "=info",
            "info,,debug",
            "a=b=c",
            "info;debug",
            "[=info",
        ] {
            let reported = check(bad).expect_err(bad).to_string();
            assert!(
                reported.contains("off, error, warn, info, debug, trace"),
                "{reported}"
            );
        }
        let reported = check("info,voting=vebose").expect_err("it is bad");
        assert!(
            reported.to_string().contains("\"voting=vebose\""),
            "{reported}"
        );
    }

    #[test]
    fn errors_are_reported_of_what_has_no_level() {
        assert_eq!(
            filter("voting_core=debug").unwrap().to_string(),
            filter("error,voting_core=debug").unwrap().to_string()
        );
    }
}
