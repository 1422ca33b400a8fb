//! Lists of files.

use std::{fmt, path::PathBuf};

use serde::{
    Deserializer,
    de::{SeqAccess, Visitor},
};

/// Reads a list of files. A text is a list with commas between.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    struct Files;

    impl<'de> Visitor<'de> for Files {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of files")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let files = text.split(',').map(str::trim);
            Ok(files
                .filter(|file| !file.is_empty())
                .map(PathBuf::from)
                .collect())
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
            let mut files = Vec::new();
            while let Some(file) = list.next_element::<String>()? {
                files.push(PathBuf::from(file.trim()));
            }
            Ok(files)
        }
    }

    from.deserialize_any(Files)
}
