//! Answers in JSON.

use poem::{IntoResponse, Response};
use poem_openapi::{
    payload::{Json, Payload},
    registry::{MetaSchemaRef, Registry},
    types::Type,
};
use serde::Serialize;

/// A value as JSON, which is written at once. [`Json`] first makes a tree of the value, with a hash table for each
/// object. Ballots are answered so often that this is worth avoiding.
#[derive(Debug)]
pub(crate) struct JsonAnswer<T>(pub(crate) T);

impl<T: Type> Payload for JsonAnswer<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        Json::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Json::<T>::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for JsonAnswer<T> {
    fn into_response(self) -> Response {
        poem::web::Json(self.0).into_response()
    }
}
