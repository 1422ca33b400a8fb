//! Lists of texts.

use std::fmt;

use serde::{
    Deserializer,
    de::{SeqAccess, Visitor},
};

/// Reads a list of texts. A text is a list with commas between. There are no empty ones.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct Names;

    fn kept<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(kept(text.split(',')))
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
            let mut names: Vec<String> = Vec::new();
            while let Some(name) = list.next_element()? {
                names.push(name);
            }
            Ok(kept(names.iter().map(String::as_str)))
        }
    }

    from.deserialize_any(Names)
}
