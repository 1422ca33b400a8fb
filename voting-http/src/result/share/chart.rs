//! A result as one picture: an SVG that needs no style sheet, no script and no font of its own, so that it can be shown as
//! an image.
//!
//! Browsers and rasterisers agree on little about texts from right to left. So no text relies on a direction: each is
//! marked off with isolates and placed by its left or its right end.

use std::fmt::Write;

use super::board::Choice;

const FONTS: &str = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif";

const INK: &str = "#12222a";
const MUTED: &str = "#4b5d66";
const TRACK: &str = "#e3eaeb";
const LEADS: &str = "#0b6067";
const FOLLOWS: &str = "#7fb2b5";

/// Distances, in pixels.
const EDGE: u32 = 32;
const GAP: u32 = 40;
const ROW: u32 = 52;
const BAR: u32 = 14;

/// What the picture says. All texts are in the language of the reader, but for those of the poll.
#[derive(Debug, Clone)]
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// `1 voter`, `1,000 voters`.
    pub(super) total: &'a str,
    pub(super) choices: &'a [Choice<'a>],
    /// The moment of the figures, or in their place why there are none.
    pub(super) note: &'a str,
    /// Whether the reader's language is written from right to left.
    pub(super) is_rtl: bool,
}

impl Chart<'_> {
    /// The picture. Without choices it is a card with the title and the note.
    pub(super) fn to_svg(&self) -> String {
        let columns = match self.choices.len() {
            0..=12 => 1,
            13..=30 => 2,
            _ => 3,
        };
        let rows = to_u32(self.choices.len()).div_ceil(columns);
        let column = if columns == 1 { 656 } else { 440 };
        let width = 2 * EDGE + columns * column + (columns - 1) * GAP;
        let inner = width - 2 * EDGE;
        // Bold letters are wider.
        let title = wrapped(self.title, inner, 32);
        let note = wrapped(self.note, inner, 15);
        let top = EDGE + to_u32(title.len()) * 36;
        let board = top + 44;
        let foot = board + rows * ROW + if rows > 0 { 14 } else { 0 };
        let height = foot + to_u32(note.len()) * 22 + EDGE - 8;

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONTS}\">\
             <title>{}</title><rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>",
            escaped(self.title)
        );
        let (begin, _) = self.sides(EDGE, width - EDGE);
        for (line, text) in (1..).zip(&title) {
            let y = EDGE + line * 36 - 8;
            put(&mut svg, text, begin, y, "28", INK, " font-weight=\"700\"");
        }
        put(&mut svg, self.total, begin, top + 22, "18", MUTED, "");
        for (index, choice) in (0_u32..).zip(self.choices) {
            let left = EDGE + (index / rows) * (column + GAP);
            let left = match self.is_rtl {
                true => width - left - column,
                false => left,
            };
            self.row(&mut svg, choice, left, board + (index % rows) * ROW, column);
        }
        for (line, text) in (1..).zip(&note) {
            put(&mut svg, text, begin, foot + line * 22 - 6, "15", MUTED, "");
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn row(&self, svg: &mut String, choice: &Choice<'_>, left: u32, top: u32, width: u32) {
        let (begin, end) = self.sides(left, left + width);
        let (color, weight) = match choice.leads {
            true => (LEADS, " font-weight=\"700\""),
            false => (FOLLOWS, ""),
        };
        let figures = format!("{} · {}", choice.share, choice.votes);
        let room = width.saturating_sub(16 + length(&figures, 19));
        let label = cut(choice.label, room, 19);
        put(svg, &label, begin, top + 18, "17", INK, weight);
        put(svg, &figures, end, top + 18, "17", INK, weight);
        let y = top + 26;
        let _ = write!(
            svg,
            "<rect x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"4\" fill=\"{TRACK}\"/>"
        );
        let share: f64 = choice.bar.trim_end_matches('%').parse().unwrap_or_default();
        let full = f64::from(width) * share / 100.0;
        let x = match self.is_rtl {
            true => f64::from(left + width) - full,
            false => f64::from(left),
        };
        if full > 0.0 {
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{full:.1}\" height=\"{BAR}\" rx=\"4\" fill=\"{color}\"/>"
            );
        }
    }

    /// Where a line begins and where it ends.
    fn sides(&self, left: u32, right: u32) -> (Side, Side) {
        match self.is_rtl {
            true => (Side::Right(right), Side::Left(left)),
            false => (Side::Left(left), Side::Right(right)),
        }
    }
}

/// The place of a text: that of its left or of its right end.
#[derive(Debug, Clone, Copy)]
enum Side {
    Left(u32),
    Right(u32),
}

fn put(svg: &mut String, text: &str, at: Side, y: u32, size: &str, color: &str, more: &str) {
    let (x, anchor) = match at {
        Side::Left(x) => (x, "start"),
        Side::Right(x) => (x, "end"),
    };
    let _ = write!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{color}\"{more}>\
         \u{2068}{}\u{2069}</text>",
        escaped(text)
    );
}

/// About how long a text is, in pixels. The font of the reader is not known.
fn length(text: &str, size: u32) -> u32 {
    let hundredths: u32 = text.chars().map(wide).sum();
    hundredths * size / 100
}

/// The width of a sign in hundredths of the size of the font.
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
fn cut(text: &str, room: u32, size: u32) -> String {
    if length(text, size) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(size) * 100 / size;
    let mut used = 0;
    let fits = |sign: &char| {
        used += wide(*sign);
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// A text on at most three lines.
fn wrapped(text: &str, room: u32, size: u32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or("", String::as_str);
        let longer = match line {
            "" => word.to_owned(),
            line => format!("{line} {word}"),
        };
        let fits = length(&longer, size) <= room || line.is_empty();
        match lines.last_mut() {
            Some(line) if fits => *line = longer,
            _ => lines.push(word.to_owned()),
        }
    }
    // A text without spaces is broken anywhere.
    let mut whole = Vec::new();
    for line in lines {
        let mut rest = line.as_str();
        while length(rest, size) > room {
            let mut used = 0;
            let end = rest.char_indices().find(|(_, sign)| {
                used += wide(*sign) * size / 100;
                used > room
            });
            let (one, other) = rest.split_at(end.map_or(rest.len(), |(at, _)| at.max(1)));
            whole.push(one.to_owned());
            rest = other;
        }
        whole.push(rest.to_owned());
    }
    if whole.len() > 3 {
        let rest = whole.split_off(2).join(" ");
        whole.push(cut(&rest, room, size));
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

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart<'a>(title: &'a str, choices: &'a [Choice<'a>], is_rtl: bool) -> Chart<'a> {
        Chart {
            title,
            total: "3 voters",
            choices,
            note: "As of now.",
            is_rtl,
        }
    }

    fn choice(label: &str) -> Choice<'_> {
        Choice {
            id: "a",
            label,
            share: "66.7%",
            votes: "2 votes",
            bar: "66.7%",
            leads: true,
        }
    }

    #[test]
    fn texts_of_people_stay_texts_and_keep_their_room() {
        let long = "W".repeat(300);
        let choices = [choice("<script>alert(\"&\")</script>\u{1}"), choice(&long)];
        let svg = chart("A & B", &choices, false).to_svg();
        assert!(svg.contains("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;\u{fffd}"));
        assert!(svg.contains("A &amp; B"));
        assert!(!svg.contains(&long[..60]), "the label is cut");
        assert!(svg.contains('…'));
    }

    #[test]
    fn from_right_to_left_lines_begin_and_bars_grow_at_the_right() {
        let choices = [choice("Cats")];
        let (ltr, rtl) = (
            chart("T", &choices, false).to_svg(),
            chart("T", &choices, true).to_svg(),
        );
        assert!(
            ltr.contains("x=\"32\" y=\"60\" text-anchor=\"start\""),
            "{ltr}"
        );
        assert!(
            rtl.contains("x=\"688\" y=\"60\" text-anchor=\"end\""),
            "{rtl}"
        );
        assert!(ltr.contains("<rect x=\"32.0\""), "{ltr}");
        assert!(rtl.contains("<rect x=\"250.4\""), "{rtl}");
    }

    #[test]
    fn a_title_has_three_lines_at_most_also_without_spaces() {
        for title in ["word ".repeat(200), "あ".repeat(400), "x".repeat(400)] {
            let lines = wrapped(&title, 656, 28);
            assert_eq!(lines.len(), 3, "{lines:?}");
            for line in lines {
                assert!(length(&line, 28) <= 656 + 28, "{line}");
            }
        }
        assert_eq!(wrapped("Tea or coffee?", 656, 28), ["Tea or coffee?"]);
    }
}
