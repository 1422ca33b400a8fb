//! Texts in a picture.
//!
//! Browsers and rasterisers agree on little about texts from right to left. So no text relies on a direction: each is
//! marked off with isolates and placed by its left or its right end.

use std::fmt::Write;

/// The place of a text: that of its left or of its right end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Left(u32),
    Right(u32),
}

/// How a text is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    size: u32,
    color: &'static str,
    is_bold: bool,
}

impl Letters {
    pub(super) const fn new(size: u32, color: &'static str) -> Self {
        Self {
            size,
            color,
            is_bold: false,
        }
    }

    pub(super) const fn bold(self) -> Self {
        Self {
            is_bold: true,
            ..self
        }
    }
}

/// Writes a text in one line. `y` is where its letters stand.
pub(super) fn put(svg: &mut String, text: &str, at: Side, y: u32, letters: Letters) {
    let (x, anchor) = match at {
        Side::Left(x) => (x, "start"),
        Side::Right(x) => (x, "end"),
    };
    let Letters { size, color, .. } = letters;
    let weight = match letters.is_bold {
        true => " font-weight=\"700\"",
        false => "",
    };
    let _ = write!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{color}\"{weight}>\
         \u{2068}{}\u{2069}</text>",
        escaped(text)
    );
}

/// About how long a text is, in pixels. The font of the reader is not known.
pub(super) fn length(text: &str, letters: Letters) -> u32 {
    let hundredths: u32 = text.chars().map(|sign| letters.wide(sign)).sum();
    hundredths * letters.size / 100
}

impl Letters {
    /// The width of a sign in hundredths of the size. Wide fonts are reckoned with, and bold letters are wider.
    fn wide(self, sign: char) -> u32 {
        match self.is_bold {
            true => wide(sign) * 115 / 100,
            false => wide(sign) * 107 / 100,
        }
    }
}

/// The width of a sign in hundredths of the size, in a usual font.
fn wide(sign: char) -> u32 {
    match sign {
        // Marks that are written over another sign.
        '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{200b}'..='\u{200f}' => 0,
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '!' | '\'' | '|' | ' ' => 34,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 92,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' => 100,
        '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f000}'..='\u{3ffff}' => 105,
        sign if sign.is_uppercase() => 70,
        _ => 58,
    }
}

/// A text, cut so that it has this room.
pub(super) fn cut(text: &str, room: u32, letters: Letters) -> String {
    if length(text, letters) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(letters.size) * 100 / letters.size;
    let mut used = 0;
    let fits = |sign: &char| {
        used += letters.wide(*sign);
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// A text on at most three lines.
pub(super) fn wrapped(text: &str, room: u32, letters: Letters) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or("", String::as_str);
        let longer = match line {
            "" => word.to_owned(),
            line => format!("{line} {word}"),
        };
        let fits = length(&longer, letters) <= room || line.is_empty();
        match lines.last_mut() {
            Some(line) if fits => *line = longer,
            _ => lines.push(word.to_owned()),
        }
    }
    // A text without spaces is broken anywhere.
    let mut whole = Vec::new();
    for line in lines {
        let mut rest = line.as_str();
        while length(rest, letters) > room {
            let mut used = 0;
            let end = rest.char_indices().find(|(_, sign)| {
                used += letters.wide(*sign);
                used * letters.size / 100 > room
            });
            let (one, other) = rest.split_at(end.map_or(rest.len(), |(at, _)| at.max(1)));
            whole.push(one.to_owned());
            rest = other;
        }
        whole.push(rest.to_owned());
    }
    if whole.len() > 3 {
        let rest = whole.split_off(2).join(" ");
        whole.push(cut(&rest, room, letters));
    }
    whole
}

pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // No XML may have these.
            '\u{0}'..='\u{8}'
            | '\u{b}'
            | '\u{c}'
            | '\u{e}'..='\u{1f}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            sign => escaped.push(sign),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Letters = Letters::new(28, "#000");

    #[test]
    fn a_title_has_three_lines_at_most_also_without_spaces() {
        for title in ["word ".repeat(200), "あ".repeat(400), "x".repeat(400)] {
            let lines = wrapped(&title, 656, LARGE);
            assert_eq!(lines.len(), 3, "{lines:?}");
            for line in lines {
                assert!(length(&line, LARGE) <= 656 + 28, "{line}");
            }
        }
        assert_eq!(wrapped("Tea or coffee?", 656, LARGE), ["Tea or coffee?"]);
    }
}
