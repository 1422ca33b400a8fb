//! What names the current tally of a poll.

use poem_openapi::Object;

use crate::views::poll_view::StateView;

/// Names the current tally of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "TallyPointer")]
pub(crate) struct PointerView {
    /// Names the tally: the first 128 bits of the SHA-256 of the tally as it is sent, as 32 hexadecimal digits in small letters.
    pub(crate) digest: String,
    /// The state of the poll, as in the tally.
    pub(crate) state: StateView,
}
