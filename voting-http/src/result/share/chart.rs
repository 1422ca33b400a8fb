//! A result as one picture: an SVG that needs no style sheet, no script and no font of its own, so that it can be shown as
//! an image.

use std::fmt::Write;

use super::{
    board::Choice,
    texts::{Letters, Side, cut, escaped, length, put, wrapped},
};

const FONTS: &str = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif";

const INK: &str = "#12222a";
const MUTED: &str = "#4b5d66";
const TRACK: &str = "#e3eaeb";
const LEADS: &str = "#0b6067";
const FOLLOWS: &str = "#7fb2b5";

const TITLE: Letters = Letters::new(28, INK).bold();
const TOTAL: Letters = Letters::new(18, MUTED);
const LABEL: Letters = Letters::new(17, INK);
const NOTE: Letters = Letters::new(15, MUTED);

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
        let title = wrapped(self.title, inner, TITLE);
        let note = wrapped(self.note, inner, NOTE);
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
            put(&mut svg, text, begin, y, TITLE);
        }
        put(&mut svg, self.total, begin, top + 22, TOTAL);
        for (index, choice) in (0_u32..).zip(self.choices) {
            let left = EDGE + (index / rows) * (column + GAP);
            let left = match self.is_rtl {
                true => width - left - column,
                false => left,
            };
            self.row(&mut svg, choice, left, board + (index % rows) * ROW, column);
        }
        for (line, text) in (1..).zip(&note) {
            put(&mut svg, text, begin, foot + line * 22 - 6, NOTE);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn row(&self, svg: &mut String, choice: &Choice<'_>, left: u32, top: u32, width: u32) {
        let (begin, end) = self.sides(left, left + width);
        let (color, letters) = match choice.leads {
            true => (LEADS, LABEL.bold()),
            false => (FOLLOWS, LABEL),
        };
        let figures = format!("{} · {}", choice.share, choice.votes);
        let room = width.saturating_sub(16 + length(&figures, letters));
        let label = cut(choice.label, room, letters);
        put(svg, &label, begin, top + 18, letters);
        put(svg, &figures, end, top + 18, letters);
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
}
