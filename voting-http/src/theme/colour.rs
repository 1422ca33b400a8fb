//! Colours and their contrast, as the WCAG 2.2 define it.

use std::fmt;

/// A colour of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

pub(super) const WHITE: Colour = Colour([255; 3]);
pub(super) const BLACK: Colour = Colour([0; 3]);

impl Colour {
    pub(super) const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Reads `#0b6067`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let is_hex = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        is_hex.then_some(())?;
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// From 0, black, to 1, white.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            match part <= 0.040_45 {
                true => part / 12.92,
                false => ((part + 0.055) / 1.055).powf(2.4),
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// From 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(other) / one.min(other)
    }

    /// With so many hundredths of another colour.
    pub(super) fn mixed(self, other: Self, hundredths: u16) -> Self {
        let mut mixed = self.0;
        for (part, other) in mixed.iter_mut().zip(other.0) {
            let sum = u16::from(*part) * (100 - hundredths.min(100))
                + u16::from(other) * hundredths.min(100);
            *part = u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// The colour itself if it is fit; otherwise the nearest one to it that is, on the way to another colour.
    pub(super) fn fitted(self, towards: Self, is_fit: impl Fn(Self) -> bool) -> Self {
        let mut way = (0..=100).map(|part| self.mixed(towards, part));
        way.find(|colour| is_fit(*colour)).unwrap_or(towards)
    }

    /// The place on the wheel of colours, in degrees; nothing for what is nearly grey.
    pub(super) fn hue(self) -> Option<f64> {
        let [red, green, blue] = self.0.map(f64::from);
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        let range = most - least;
        if range < 40.0 {
            return None;
        }
        let turn = match most {
            _ if most == red => (green - blue) / range,
            _ if most == green => (blue - red) / range + 2.0,
            _ => (red - green) / range + 4.0,
        };
        Some((60.0 * turn).rem_euclid(360.0))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits() {
        assert_eq!(Colour::read("#0b6067"), Some(Colour::new(11, 96, 103)));
        assert_eq!(Colour::read("#0B6067").unwrap().to_string(), "#0b6067");
        for bad in [
            "", "0b6067", "#0b606", "#0b60677", "#0b606g", "teal", "#+b6067", "#éé67",
        ] {
            assert_eq!(Colour::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_wcag() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 0.001);
        let grey = Colour::read("#767676").unwrap();
        assert!((grey.contrast(WHITE) - 4.54).abs() < 0.01);
    }
}
