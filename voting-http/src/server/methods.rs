//! Which methods each route takes, for `Allow` in an answer of 405 (RFC 9110, 15.5.6).

use serde_json::Value;

/// The methods that nearly all routes take.
const READ: &str = "GET, HEAD";

/// The routes that take other methods, or more of them.
#[derive(Debug, Default)]
pub(crate) struct Methods(Vec<(String, String)>);

impl Methods {
    /// The methods of the operations in an OpenAPI document.
    pub(crate) fn of(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object();
        let routes = paths.into_iter().flatten().map(|(path, operations)| {
            let names = operations.as_object().into_iter().flatten();
            let mut methods: Vec<_> = names
                .map(|(name, _)| name.to_ascii_uppercase())
                // Besides its operations, a path may have a description and parameters.
                .filter(|name| ["GET", "PUT", "POST", "DELETE", "PATCH"].contains(&name.as_str()))
                .collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            methods.sort_unstable();
            (shape(path), methods.join(", "))
        });
        Self(routes.collect())
    }

    /// Adds the methods of these pages.
    pub(crate) fn and(mut self, paths: &[&str], methods: &str) -> Self {
        let routes = paths.iter().map(|path| (shape(path), methods.to_owned()));
        self.0.extend(routes);
        self
    }

    /// The methods of the route with this pattern.
    pub(crate) fn of_route(&self, pattern: &str) -> &str {
        let shape = shape(pattern);
        let known = self.0.iter().find(|(route, _)| *route == shape);
        known.map_or(READ, |(_, methods)| methods)
    }
}

/// The paths of an OpenAPI document.
pub(crate) fn paths(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let paths = document["paths"].as_object();
    paths
        .into_iter()
        .flatten()
        .map(|(path, _)| path.clone())
        .collect()
}

/// A pattern without the names of its parameters. The router and the document write these names differently.
fn shape(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| match part.as_bytes() {
        [b':' | b'{', ..] => "*",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_known_by_its_shape() {
        let document = r#"{"paths": {
            "/v1/polls/{poll}": {"get": {}, "parameters": []},
            "/v1/polls/{poll}/ballot": {"put": {}, "summary": ""}
        }}"#;
        let methods = Methods::of(document).and(&["/polls/:poll"], "GET, HEAD, POST");
        assert_eq!(methods.of_route("/v1/polls/:param0"), "GET, HEAD");
        assert_eq!(methods.of_route("/v1/polls/:param0/ballot"), "PUT");
        assert_eq!(methods.of_route("/polls/:poll"), "GET, HEAD, POST");
        assert_eq!(methods.of_route("/assets/*"), "GET, HEAD");
    }
}
