//! Tables as comma-separated values (RFC 4180), which no spreadsheet takes for formulas.

use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

const CSV: &str = "text/csv; charset=utf-8";

/// Adds a row.
pub(crate) fn add_row<'a>(to: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        add_cell(to, cell);
    }
    to.push_str("\r\n");
}

/// Adds a cell. A text that a spreadsheet would take for a formula begins with an apostrophe.
fn add_cell(to: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !is_formula && !cell.contains([',', '"', '\r', '\n']) {
        to.push_str(cell);
        return;
    }
    to.push('"');
    if is_formula {
        to.push('\'');
    }
    to.push_str(&cell.replace('"', "\"\""));
    to.push('"');
}

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
                description: "The table. If it cannot be read to its end, the connection breaks off.",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_no_formula() {
        let mut table = String::new();
        add_row(&mut table, ["a", "1,5", "say \"no\"", "", "x\ny"]);
        add_row(&mut table, ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b"]);
        assert_eq!(
            table,
            "a,\"1,5\",\"say \"\"no\"\"\",,\"x\ny\"\r\n\
             \"'=1+1\",\"'+1\",\"'-1\",\"'@x\",\"'\tx\",\"'\rx\",a=b\r\n"
        );
    }
}
