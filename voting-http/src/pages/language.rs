//! The language of a poll's texts. The page around them may be in another one.

use voting_core::Poll;

/// Languages that are written from right to left, unless their tag names another script.
const RIGHT_TO_LEFT: [&str; 12] = [
    "ar", "arc", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi",
];

/// Scripts that are written from right to left.
const SCRIPTS: [&str; 8] = [
    "adlm", "arab", "hebr", "mand", "nkoo", "rohg", "syrc", "thaa",
];

/// The attributes of an element with a text of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language<'a> {
    /// The tag of the language; empty if it is not known, which says so in HTML too.
    pub(crate) tag: &'a str,
    /// `ltr`, `rtl`, or `auto`: by the text itself.
    pub(crate) dir: &'static str,
}

impl<'a> Language<'a> {
    pub(crate) fn of(poll: &'a Poll) -> Self {
        let tag = poll.settings().language.as_deref();
        Self {
            tag: tag.unwrap_or_default(),
            dir: tag.map_or("auto", direction),
        }
    }
}

/// The direction in which a language is written: `ltr` or `rtl`.
pub(crate) fn direction(tag: &str) -> &'static str {
    let mut parts = tag.split('-').map(str::to_ascii_lowercase);
    let language = parts.next().unwrap_or_default();
    let is_rtl = match parts.find(|part| part.len() == 4 && !part.starts_with(char::is_numeric)) {
        Some(script) => SCRIPTS.contains(&script.as_str()),
        None => RIGHT_TO_LEFT.contains(&language.as_str()),
    };
    match is_rtl {
        true => "rtl",
        false => "ltr",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_says_the_direction_and_without_one_the_language() {
        for (tag, dir) in [
            ("de", "ltr"),
            ("AR", "rtl"),
            ("he-IL", "rtl"),
            ("az-Arab-IR", "rtl"),
            ("ku-Latn", "ltr"),
            ("de-1996", "ltr"),
        ] {
            assert_eq!(direction(tag), dir, "{tag}");
        }
    }
}
