//! How large a text is set.

/// Short texts are set large, long ones smaller: the class name for a text of `chars` characters.
pub(crate) fn text_size(chars: usize, short: usize, medium: usize) -> &'static str {
    match chars {
        n if n <= short => "text-l",
        n if n <= medium => "text-m",
        _ => "text-s",
    }
}
