//! The fields of a form.

use poem::Request;

use crate::problem::Problem;

/// The fields of a form, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request.
    pub(super) async fn read(request: &mut Request) -> Result<Self, Problem> {
        let kind = request.content_type().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::bad_request(
                "Send the form as application/x-www-form-urlencoded.",
            ));
        }
        let body = request.take_body().into_vec().await;
        let body = body.map_err(|_| Problem::bad_request("The request's body ended early."))?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of this name; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of this name, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All fields but those of this name.
    pub(super) fn without(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.0.iter().filter(move |(known, _)| known != name);
        kept.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
