//! Lists, which are a text with commas in the environment. What is empty is left out.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Reads a list. A text is a list with commas between.
pub(crate) fn read<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    fn item<T: FromStr<Err: fmt::Display>, E: Error>(text: &str) -> Result<T, E> {
        text.trim().parse().map_err(E::custom)
    }

    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or a text with commas")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let items = text.split(',').filter(|text| !text.trim().is_empty());
            items.map(item).collect()
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
            let mut items = Vec::new();
            while let Some(text) = list.next_element::<String>()? {
                if !text.trim().is_empty() {
                    items.push(item(&text)?);
                }
            }
            Ok(items)
        }
    }

    from.deserialize_any(List(PhantomData))
}
