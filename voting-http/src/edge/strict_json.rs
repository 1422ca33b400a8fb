//! JSON bodies that all readers understand in the same way: no field twice, no unknown field, no number in place of a
//! text. Other bodies are refused, since a filter in a proxy could read them differently from the service.

use std::{borrow::Cow, fmt, marker::PhantomData};

use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ContentTypeError,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
    types::Type,
};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::{edge::unfit::Unfit, problem::Problem};

/// Editors on Windows write it at the beginning of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A body in JSON, of a type that refuses unknown fields.
#[derive(Debug)]
pub(crate) struct StrictJson<T>(pub(crate) T);

/// Reads a body.
///
/// # Errors
/// Says what is wrong with the body, and where.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err("The body is empty; it must be JSON.".to_owned());
    }
    let node: Node<'_> = serde_json::from_slice(body)
        .map_err(|error| format!("The body is not valid JSON: {error}."))?;
    of_node(&node)
}

/// Reads a value that is JSON already.
///
/// # Errors
/// Says what is wrong with it, and where.
pub(crate) fn of_value<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let node = Node::deserialize(value).map_err(|error| format!("The body: {error}."))?;
    of_node(&node)
}

fn of_node<T: DeserializeOwned>(node: &Node<'_>) -> Result<T, String> {
    serde_path_to_error::deserialize(Strict(node)).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner();
        if path == "." {
            format!("The body: {what}.")
        } else {
            format!("{path}: {what}.")
        }
    })
}

/// Whether a `Content-Type` is JSON, which is UTF-8. Other types whose syntax is JSON, such as
/// `application/problem+json`, are not accepted: they have another meaning.
fn is_json(content_type: &str) -> bool {
    is_of_type(content_type, "application/json")
}

/// Whether a `Content-Type` is this one, in UTF-8.
pub(crate) fn is_of_type(content_type: &str, expected: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    kind.eq_ignore_ascii_case(expected)
        && parts
            .filter(|part| !part.is_empty())
            .all(|part| match part.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                    let value = value.trim_matches('"');
                    ["utf-8", "utf8"]
                        .iter()
                        .any(|utf8| value.eq_ignore_ascii_case(utf8))
                }
                Some(_) => true,
                None => false,
            })
}

/// JSON in which no object has a field twice. If a field occurred twice, two readers could use different values.
#[derive(Debug, Clone, PartialEq)]
pub struct OnceJson(pub Value);

impl<'de> Deserialize<'de> for OnceJson {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Node::deserialize(from).map(|node| Self(node.into()))
    }
}

/// The same, with texts that are not copied if the JSON has them as they are. [`Value`] has a hash table for each
/// object, so a ballot would take longer to read.
#[derive(Debug)]
enum Node<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    List(Vec<Node<'de>>),
    Object(Vec<(Cow<'de, str>, Node<'de>)>),
}

impl From<Node<'_>> for Value {
    fn from(node: Node<'_>) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(value) => value.into(),
            Node::Unsigned(number) => number.into(),
            Node::Signed(number) => number.into(),
            Node::Float(number) => number.into(),
            Node::Text(text) => text.into(),
            Node::List(items) => items.into(),
            Node::Object(fields) => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, value)| (name.into_owned(), value.into()));
                Self::Object(fields.collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(value.to_owned().into()))
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Node<'de>, S::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::List(all))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Node<'de>, M::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = fields.next_entry::<Node<'de>, _>()? {
            let Node::Text(name) = name else {
                return Err(M::Error::custom("the name of a field is not a text"));
            };
            all.push((name, value));
        }
        match repeated(&all) {
            Some(name) => Err(M::Error::custom(format_args!(
                "field `{name}` is there twice"
            ))),
            None => Ok(Node::Object(all)),
        }
    }
}

/// A name that two of the fields have.
fn repeated<'a>(fields: &'a [(Cow<'_, str>, Node<'_>)]) -> Option<&'a str> {
    if fields.len() < 2 {
        return None;
    }
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let mut pairs = names.windows(2);
    pairs.find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Reads a value as `serde_json` does, except that a list is not accepted for an object.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Node<'a>);

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Unsigned(number) => visitor.visit_u64(*number),
            Node::Signed(number) => visitor.visit_i64(*number),
            Node::Float(number) => visitor.visit_f64(*number),
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Strict));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Node::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.as_ref(), Strict(value)));
                let mut fields = MapDeserializer::new(fields);
                let value = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.0 {
            Node::List(_) => Err(Unfit::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.0 {
            Node::Text(name) => visitor.visit_enum(StrDeserializer::new(name)),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Unfit> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<T: Type> Payload for StrictJson<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        is_json(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        Json::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Json::<T>::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for StrictJson<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let body = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        Ok(Self(read(&body).map_err(Problem::bad_request)?))
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for StrictJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: Self::CONTENT_TYPE,
                schema: <Self as Payload>::schema_ref(),
            }],
            required: Self::IS_REQUIRED,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        match request.content_type() {
            Some(kind) if Self::check_content_type(kind) => {
                <Self as ParsePayload>::from_request(request, body).await
            }
            Some(kind) => Err(ContentTypeError::NotSupported {
                content_type: kind.to_owned(),
            }
            .into()),
            None => Err(ContentTypeError::ExpectContentType.into()),
        }
    }
}

/// A body that is a JSON merge patch (RFC 7396). `T` has the fields that can be in it, for the document.
#[derive(Debug)]
pub(crate) struct MergePatch<T>(pub(crate) Value, PhantomData<T>);

const MERGE_PATCH: &str = "application/merge-patch+json";

impl<'a, T: Type> ApiExtractor<'a> for MergePatch<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Json::<T>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = [MERGE_PATCH, Json::<T>::CONTENT_TYPE].map(|content_type| MetaMediaType {
            content_type,
            schema: Json::<T>::schema_ref(),
        });
        Some(MetaRequest {
            description: None,
            content: content.into(),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let kind = request.content_type();
        let kind = kind.ok_or(ContentTypeError::ExpectContentType)?;
        if !is_json(kind) && !is_of_type(kind, MERGE_PATCH) {
            let content_type = kind.to_owned();
            return Err(ContentTypeError::NotSupported { content_type }.into());
        }
        let body = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        let OnceJson(patch) = read(&body).map_err(Problem::bad_request)?;
        if !patch.is_object() {
            let why = "The body is not an object, so it is no patch.";
            return Err(Problem::bad_request(why).into());
        }
        Ok(Self(patch, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        texts: Vec<String>,
        #[serde(default)]
        number: usize,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        id: String,
    }

    #[test]
    fn what_says_one_thing_is_taken() {
        let outer: Outer =
            read(r#"{"inner":[{"id":"\u0061"}],"texts":["a","1"],"number":2}"#.as_bytes()).unwrap();
        assert_eq!(outer.texts, ["a", "1"]);
        assert_eq!((outer.number, outer.inner[0].id.as_str()), (2, "a"));
        let marked: Outer = read("\u{feff} {\"texts\":[]}\r\n".as_bytes()).unwrap();
        assert_eq!(marked.number, 0);
    }

    #[test]
    fn what_says_two_things_is_refused_where_it_does() {
        for (body, says) in [
            (
                r#"{"texts":["a"],"texts":["b"]}"#,
                "field `texts` is there twice",
            ),
            (
                r#"{"texts":[],"t\u0065xts":[]}"#,
                "field `texts` is there twice",
            ),
            (
                r#"{"texts":[],"inner":[{"id":"a","id":"a"}]}"#,
                "field `id` is there twice",
            ),
            (
                r#"{"texts":[1]}"#,
                "texts[0]: it is the number 1, and must be a text",
            ),
            (r#"{"texts":[true]}"#, "texts[0]: it is true, and must"),
            (r#"{"texts":[null]}"#, "texts[0]: it is null, and must"),
            (r#"{"texts":"a"}"#, "texts: it is \"a\", and must be a list"),
            (r#"{"texts":null}"#, "texts: it is null, and must be a list"),
            (
                r#"{"texts":[],"number":"2"}"#,
                "number: it is \"2\", and must be a whole number",
            ),
            (
                r#"{"texts":[],"number":2.0}"#,
                "number: it is the number 2.0, and must be a whole number",
            ),
            (
                r#"{"texts":[],"number":-1}"#,
                "number: it is the number -1, and must be a whole number, 0 or more",
            ),
            (
                r#"{"texts":[],"number":18446744073709551616}"#,
                "number: it is the number 1.8446744073709552e19, and",
            ),
            (
                r#"{"texts":[],"inner":{}}"#,
                "inner: it is an object, and must be a list",
            ),
            (
                r#"{"texts":[],"inner":["a"]}"#,
                "inner[0]: it is \"a\", and must be an object",
            ),
            (r#"{"texts":[],"other":1}"#, "unknown field `other`"),
            (
                r#"{"texts":[],"inner":[{"id":"a","x":1}]}"#,
                "inner[0].x: unknown field `x`",
            ),
            (
                r#"{"texts":[],"inner":[["a"]]}"#,
                "inner[0]: it is a list, and must be an object",
            ),
            (
                r#"[["a"]]"#,
                "The body: it is a list, and must be an object",
            ),
            (r#"{"number":1}"#, "missing field `texts`"),
            ("null", "The body: it is null, and must be an object"),
            (
                "{\"texts\":[]} x",
                "trailing characters at line 1 column 14",
            ),
            ("{\n\"texts\":[", "line 2"),
            ("", "The body is empty"),
            (" \u{feff}{}", "line 1 column 2"),
        ] {
            let error = read::<Outer>(body.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
        assert!(read::<Outer>(b"{\"texts\":[\"\xff\"]}").is_err());
        let deep = format!("{{\"texts\":{}", "[".repeat(10_000));
        assert!(read::<Outer>(deep.as_bytes()).is_err());
    }
}
