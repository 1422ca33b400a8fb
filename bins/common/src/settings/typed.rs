//! Reads settings with exactly their types. The `config` crate converts: it rounds 2.9, and takes `true` for a number.
//!
//! In a file each value has a type, and only the right type is accepted. In a variable or a flag every value is text,
//! and numbers and booleans are parsed from it. The same applies to polls in `VOTING_POLLS`.

use config::{Value, ValueKind};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, Error, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use voting_http::Unfit;

use crate::settings::layers::is_bare;

/// A wrong value: its path below the value that was read (empty if it is that value itself), and the reason.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: String,
    pub(crate) why: Unfit,
}

/// Reads a value.
///
/// # Errors
/// Names the first inner value that is not valid.
pub(crate) fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(Typed(value)).map_err(|error| {
        let place = error.path().to_string();
        Fault {
            place: if place == "." { String::new() } else { place },
            why: error.into_inner(),
        }
    })
}

#[derive(Clone, Copy)]
struct Typed<'de>(&'de Value);

impl<'de> Typed<'de> {
    /// The text of a value from a variable or a flag.
    fn bare_text(self) -> Option<&'de str> {
        match &self.0.kind {
            ValueKind::String(text) if is_bare(self.0) => Some(text.trim()),
            _ => None,
        }
    }

    fn whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let Some(text) = self.bare_text() else {
            return self.deserialize_any(visitor);
        };
        match (text.parse(), text.parse()) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => Err(Unfit::invalid_type(Unexpected::Str(text), &visitor)),
        }
    }

    fn fraction<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.bare_text().map(str::parse) {
            Some(Ok(number)) => visitor.visit_f64(number),
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Typed<'de> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let other = |what| Err(Unfit::invalid_type(Unexpected::Other(what), &visitor));
        match &self.0.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(*value),
            ValueKind::I64(number) => visitor.visit_i64(*number),
            ValueKind::U64(number) => visitor.visit_u64(*number),
            ValueKind::I128(_) | ValueKind::U128(_) => other("a number that is too large"),
            ValueKind::Float(number) => visitor.visit_f64(*number),
            ValueKind::String(text) => visitor.visit_borrowed_str(text),
            ValueKind::Table(_) => other("a section"),
            ValueKind::Array(list) => {
                let mut items = SeqDeserializer::new(list.iter().map(Typed));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let ValueKind::Table(table) = &self.0.kind else {
            // The value is not shown: if the end of a name is missing, the value may be a password.
            return Err(Unfit::custom(format_args!(
                "it must be a section; known in it: {}",
                known.join(", ")
            )));
        };
        let fields = table
            .iter()
            .map(|(name, value)| (name.as_str(), Typed(value)));
        let mut fields = MapDeserializer::new(fields);
        let value = visitor.visit_map(&mut fields)?;
        fields.end()?;
        Ok(value)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let Some(text) = self.bare_text() else {
            return self.deserialize_any(visitor);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => visitor.visit_bool(true),
            "false" | "no" | "off" | "0" => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.whole(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.fraction(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.fraction(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let ValueKind::String(text) = &self.0.kind else {
            return Err(Unfit::custom(format_args!(
                "it must be one of {}",
                known.join(", ")
            )));
        };
        let text: de::value::StrDeserializer<'_, Unfit> = text.trim().into_deserializer();
        text.deserialize_enum(name, known, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    // An ignored value may have any type.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
    }
}

impl<'de> IntoDeserializer<'de, Unfit> for Typed<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
