//! A description as a page shows it: paragraphs of plain text in which addresses are links.

/// A part of a paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// An `http://` or `https://` address.
    Link(&'a str),
}

/// The paragraphs of a description, which are separated by empty lines.
pub(crate) fn paragraphs(text: &str) -> Vec<Vec<Piece<'_>>> {
    let paragraphs = text.split("\n\n").map(str::trim);
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .map(pieces)
        .collect()
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(at) = next_address(text, from) {
        let end = at + address_len(&text[at..]);
        let (before, rest) = text.split_at(at);
        let (address, after) = rest.split_at(end - at);
        if address.ends_with("://") {
            from = end;
            continue;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Link(address));
        (text, from) = (after, 0);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Where the next address begins: not within a word.
fn next_address(text: &str, from: usize) -> Option<usize> {
    let mut found = text[from..].match_indices("http").map(|(at, _)| from + at);
    found.find(|at| {
        let rest = &text[*at..];
        let before = text[..*at].chars().next_back();
        (rest.starts_with("http://") || rest.starts_with("https://"))
            && before.is_none_or(|char| !char.is_alphanumeric())
    })
}

/// How many bytes of the text are the address: up to a space or a character that no address has, without the
/// punctuation of the sentence around it.
fn address_len(text: &str) -> usize {
    let ends = |char: char| char.is_whitespace() || "<>\"“”«»„".contains(char);
    let mut address = &text[..text.find(ends).unwrap_or(text.len())];
    loop {
        let shorter = address.trim_end_matches(['.', ',', ';', '!', '?', '\'', '…', ']']);
        // A parenthesis belongs to the address if it is opened there.
        let shorter = match shorter.strip_suffix(')') {
            Some(inner) if shorter.matches(')').count() > shorter.matches('(').count() => inner,
            _ => shorter,
        };
        if shorter.len() == address.len() {
            return address.len();
        }
        address = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Piece::{Link, Text},
        *,
    };

    #[test]
    fn paragraphs_are_separated_by_empty_lines() {
        assert_eq!(
            paragraphs("One.\nStill one.\n\nTwo."),
            [[Text("One.\nStill one.")], [Text("Two.")]]
        );
        assert!(paragraphs("").is_empty());
    }

    #[test]
    fn an_address_is_a_link_without_the_sentence_around_it() {
        for (text, expected) in [
            (
                "See https://a.test/x?y=1&z. Or not.",
                vec![
                    Text("See "),
                    Link("https://a.test/x?y=1&z"),
                    Text(". Or not."),
                ],
            ),
            (
                "(http://a.test/b_(c))",
                vec![Text("("), Link("http://a.test/b_(c)"), Text(")")],
            ),
            ("https://a.test", vec![Link("https://a.test")]),
            ("http:// is no address", vec![Text("http:// is no address")]),
            ("xhttps://a.test", vec![Text("xhttps://a.test")]),
            ("javascript:alert(1)", vec![Text("javascript:alert(1)")]),
            (
                "<https://a.test>",
                vec![Text("<"), Link("https://a.test"), Text(">")],
            ),
        ] {
            assert_eq!(paragraphs(text), [expected], "{text}");
        }
    }
}
