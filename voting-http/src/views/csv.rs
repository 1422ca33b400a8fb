//! Answers that are tables of comma-separated values. [`export::csv`](crate::export::csv) writes the rows.

use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

const CSV: &str = "text/csv; charset=utf-8";

/// An answer that is such a table.
pub(crate) struct Csv(pub(crate) Body);

impl Payload for Csv {
    const CONTENT_TYPE: &'static str = CSV;

    fn check_content_type(content_type: &str) -> bool {
        content_type.starts_with("text/csv")
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        Response::builder().content_type(CSV).body(self.0)
    }
}

impl ApiResponse for Csv {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The table. If the store fails before its end, the connection is closed early.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
