//! An address as a QR code.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// The empty edge that readers need (ISO/IEC 18004), in modules.
const QUIET: i32 = 4;

/// The dark modules as the path of an SVG, and the size of the whole in modules. `None` if the text is too long.
pub(crate) fn path(text: &str) -> Option<(String, usize)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let begin = x;
            while code.get_module(x, y) {
                x += 1;
            }
            if x > begin {
                let (left, top, width) = (begin + QUIET, y + QUIET, x - begin);
                let _ = write!(path, "M{left},{top}h{width}v1h-{width}z");
            }
            x += 1;
        }
    }
    let size = usize::try_from(code.size() + 2 * QUIET).ok()?;
    Some((path, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_finder_and_an_empty_edge() {
        let (path, size) = path("https://vote.example.org/polls/lunch").unwrap();
        // The finder's first row: seven dark modules after the empty edge.
        assert!(path.starts_with("M4,4h7v1h-7z"), "{path}");
        assert_eq!((size - 17 - 8) % 4, 0, "{size}");
        assert_eq!(super::path(&"x".repeat(3_000)), None);
    }
}
