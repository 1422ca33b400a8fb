//! What a client accepts, as lists such as `gzip, br;q=0.5` in one header or in several.

use poem::{
    Request,
    http::{HeaderMap, HeaderName, header},
};

/// Whether the client accepts this value; `None` if its header does not name the value.
pub(crate) fn takes(headers: &HeaderMap, by: &HeaderName, wanted: &str) -> Option<bool> {
    let lines = headers.get_all(by).into_iter();
    let named = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|item| item.split_once(';').unwrap_or((item, "")))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    // A value that is named twice is accepted if one of the two is.
    named
        .map(|(_, parameters)| !parameters.split(';').any(is_zero))
        .reduce(|one, other| one || other)
}

/// Whether a weight such as `q=0.0` excludes its value.
fn is_zero(parameter: &str) -> bool {
    let value = parameter.trim().strip_prefix(['q', 'Q']);
    let value = value.and_then(|value| value.trim_start().strip_prefix('='));
    value.is_some_and(|value| value.trim().parse::<f32>().is_ok_and(|value| value == 0.0))
}

/// Whether the client gets a page and not a document. Such a client is most likely a browser.
pub(crate) fn wants_html(request: &Request) -> bool {
    takes(request.headers(), &header::ACCEPT, "text/html") == Some(true)
}

/// Whether a browser sent this request to go to another page, as with a form, and will follow a redirect. `None` if
/// the request does not say so. Programs do not say it, and browsers of before 2023 may not say it either.
pub(crate) fn navigates(request: &Request) -> Option<bool> {
    let mode = request.header("sec-fetch-mode")?;
    Some(mode == "navigate" && wants_html(request))
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn what_is_taken_is_named_whatever_its_capitals_and_has_a_weight() {
        let takes = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT, HeaderValue::from_static(line));
            }
            takes(&headers, &header::ACCEPT, "text/html")
        };
        for yes in [
            &["text/html"][..],
            &["TEXT/HTML"],
            &["application/json, text/html;q=0.1"],
            &["text/html;level=1;q=1"],
            &["application/json", "Text/Html"],
        ] {
            assert_eq!(takes(yes), Some(true), "{yes:?}");
        }
        for no in ["text/html;q=0", "text/html;level=1; Q = 0.000"] {
            assert_eq!(takes(&[no]), Some(false), "{no}");
        }
        for none in ["", "*/*", "text/html+x", "xtext/html", "text/*"] {
            assert_eq!(takes(&[none]), None, "{none}");
        }
    }
}
