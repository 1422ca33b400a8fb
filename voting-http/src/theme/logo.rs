//! A logo of one's own: SVG or PNG, with its size, so that a page keeps the room for it.

use bytes::Bytes;

use super::InvalidTheme;

/// A page loads in a moment; its logo must not be what takes time.
const LARGEST: usize = 32 * 1024;

/// How high it is on a page, in CSS pixels.
const HEIGHT: u32 = 36;

/// How often as wide as high it may be.
const NARROWEST: f64 = 0.25;
const WIDEST: f64 = 6.0;

#[derive(Debug)]
pub(super) struct Logo {
    pub(super) bytes: Bytes,
    pub(super) kind: Kind,
    /// In CSS pixels, at a height of 36.
    pub(super) width: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Svg,
    Png,
}

impl Kind {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Svg => "logo.svg",
            Self::Png => "logo.png",
        }
    }
}

impl Logo {
    pub(super) fn read(bytes: Bytes) -> Result<Self, InvalidTheme> {
        if bytes.len() > LARGEST {
            return Err(InvalidTheme::LargeLogo(bytes.len()));
        }
        let (kind, size) = match bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            true => (Kind::Png, size_of_png(&bytes)),
            false => (Kind::Svg, size_of_svg(&bytes)),
        };
        let (width, height) = size.ok_or(InvalidTheme::NoLogo)?;
        let ratio = width / height;
        if !(NARROWEST..=WIDEST).contains(&ratio) {
            return Err(InvalidTheme::LogoShape);
        }
        // Between 9 and 216.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let width = (f64::from(HEIGHT) * ratio).round() as u32;
        Ok(Self { bytes, kind, width })
    }
}

/// Width and height of a PNG, from its first chunk.
fn size_of_png(bytes: &[u8]) -> Option<(f64, f64)> {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes)).filter(|number| *number > 0)
    };
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((number(16)?.into(), number(20)?.into()))
}

/// Width and height of an SVG, from its `viewBox`.
fn size_of_svg(bytes: &[u8]) -> Option<(f64, f64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let root = text.split_once("<svg")?.1.split('>').next()?;
    let value = root.split_once("viewBox=")?.1;
    let quote = value
        .chars()
        .next()
        .filter(|sign| matches!(sign, '"' | '\''))?;
    let value = value[1..].split(quote).next()?;
    let numbers = value
        .split([' ', ',', '\n', '\t'])
        .filter(|part| !part.is_empty());
    let numbers: Vec<f64> = numbers.map_while(|part| part.parse().ok()).collect();
    match numbers.as_slice() {
        [_, _, width, height] if *width > 0.0 && *height > 0.0 => Some((*width, *height)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_has_a_kind_and_a_size() {
        let read = |bytes: &[u8]| Logo::read(Bytes::copy_from_slice(bytes));
        let svg = read(b"<?xml version='1.0'?><svg xmlns='x' viewBox='0 0 100 50'></svg>").unwrap();
        assert_eq!((svg.kind, svg.width), (Kind::Svg, 72));
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend_from_slice(&[0, 0, 0, 64, 0, 0, 0, 64]);
        let png = read(&png).unwrap();
        assert_eq!((png.kind, png.width), (Kind::Png, 36));
        for none in [
            &b"GIF89a"[..],
            b"",
            b"<svg></svg>",
            b"<svg viewBox='0 0 0 5'>",
            b"<svg viewBox='0 0 nan 5'>",
            b"<html viewBox='0 0 5 5'>",
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert!(matches!(read(none), Err(InvalidTheme::NoLogo)), "{none:?}");
        }
        let wide = read(b"<svg viewBox='0 0 700 100'>");
        assert!(matches!(wide, Err(InvalidTheme::LogoShape)));
        let large = read(&vec![b' '; LARGEST + 1]);
        assert!(matches!(large, Err(InvalidTheme::LargeLogo(_))));
    }
}
