//! The size of a text on a page.

/// The CSS class for a text of `chars` characters: short texts are large, long texts are smaller.
pub(crate) fn text_size(chars: usize, short: usize, medium: usize) -> &'static str {
    match chars {
        n if n <= short => "text-l",
        n if n <= medium => "text-m",
        _ => "text-s",
    }
}
