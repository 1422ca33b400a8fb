//! Says why a value in JSON or in a setting is invalid, in the words of the person who wrote it and not of Rust's
//! types.

use std::{borrow::Cow, fmt};

use serde::de::{Error, Expected, Unexpected};

/// How many characters of an invalid text are shown.
const SHOWN_CHARS: usize = 64;

/// Why a value is invalid, such as `it is the number 2.9, and must be a whole number, 0 or more`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Unfit {
    fn new(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = wanted.to_string();
        Self(format!(
            "it is {}, and must be {}",
            found_in_words(found),
            wanted_in_words(&wanted)
        ))
    }
}

impl Error for Unfit {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(found, wanted)
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(found, wanted)
    }
}

fn found_in_words(found: Unexpected<'_>) -> Cow<'static, str> {
    match found {
        Unexpected::Bool(value) => value.to_string().into(),
        Unexpected::Unsigned(number) => format!("the number {number}").into(),
        Unexpected::Signed(number) => format!("the number {number}").into(),
        // The number is shown with its fraction, even if that is 0, since the fraction is the reason.
        Unexpected::Float(number) => format!("the number {number:?}").into(),
        Unexpected::Str(text) => {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            format!("{shown:?}").into()
        }
        Unexpected::Unit | Unexpected::Option => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "an object".into(),
        Unexpected::Other(words) => words.to_owned().into(),
        _ => "something else".into(),
    }
}

/// Puts serde's description of the expected type, in the words of Rust, into plain words.
fn wanted_in_words(wanted: &str) -> Cow<'_, str> {
    match wanted {
        "a string" | "string" | "path string" => "a text".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "f32" | "f64" => "a number".into(),
        "u8" => whole(u8::MIN, u8::MAX),
        "u16" => whole(u16::MIN, u16::MAX),
        "a nonzero u16" => whole(1, u16::MAX),
        "u32" => whole(u32::MIN, u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "a map" => "an object".into(),
        _ if wanted.starts_with("struct ") => "an object".into(),
        _ => wanted.into(),
    }
}

fn whole<T: fmt::Display>(least: T, most: T) -> Cow<'static, str> {
    format!("a whole number in {least} to {most}").into()
}
