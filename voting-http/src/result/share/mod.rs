//! A result in other places than its page: on a screen in front of an audience, inside pages of other sites, as a picture.
//!
//! All of it shows a result only to whom the result page shows it: the figures come from `Snapshot::figures`.

mod address;
mod board;
mod card;
mod chart;
pub(super) mod embed;
mod fonts;
pub(super) mod oembed;
pub(super) mod picture;
pub(super) mod png;
pub(super) mod present;
mod texts;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

/// Lets pages of other sites load the answer.
fn let_others_load(headers: &mut HeaderMap) {
    let name = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(name, HeaderValue::from_static("cross-origin"));
}
