//! The picture that messengers show beside a link: the question and the options, and no figures, since such pictures are
//! kept for a long time. It has no word of ours, so it is the same in all languages.

use std::fmt::Write;

use voting_core::Poll;

use super::texts::{Letters, Side, cut, put, wrapped};

/// The size that messengers ask for.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 630;
const EDGE: u32 = 80;
const TITLE: Letters = Letters::new(60, "#12222a");
const LABEL: Letters = Letters::new(36, "#12222a");
const MORE: Letters = Letters::new(36, "#4b5d66");

/// How many options have a place.
const PLACES: usize = 5;

/// The picture of a poll. If its texts cannot be written, only the shapes are drawn.
pub(super) fn of(poll: &Poll, is_written: bool) -> String {
    let is_rtl = poll.title().chars().any(crate::texts::is_right_to_left);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\">\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#f0f4f4\"/>\
         <rect width=\"{half}\" height=\"16\" fill=\"#0b6067\"/><rect x=\"{half}\" width=\"{half}\" height=\"16\" fill=\"#f5b02e\"/>",
        half = WIDTH / 2
    );
    let begin = match is_rtl {
        true => Side::Right(WIDTH - EDGE),
        false => Side::Left(EDGE),
    };
    let title = match is_written {
        true => wrapped(poll.title(), WIDTH - 2 * EDGE, TITLE),
        false => Vec::new(),
    };
    let mut y = 130;
    for line in &title {
        put(&mut svg, line, begin, y, TITLE);
        y += 74;
    }
    let shown = poll
        .options()
        .len()
        .min(PLACES - usize::from(title.len() > 2));
    for option in &poll.options()[..shown] {
        let ring = match is_rtl {
            true => WIDTH - EDGE - 16,
            false => EDGE + 16,
        };
        let _ = write!(
            svg,
            "<circle cx=\"{ring}\" cy=\"{}\" r=\"14\" fill=\"#fff\" stroke=\"#0b6067\" stroke-width=\"4\"/>",
            y - 12
        );
        if is_written {
            let label = cut(&option.label, WIDTH - 2 * EDGE - 60, LABEL);
            let side = match is_rtl {
                true => Side::Right(WIDTH - EDGE - 52),
                false => Side::Left(EDGE + 52),
            };
            put(&mut svg, &label, side, y, LABEL);
        } else {
            let left = if is_rtl { EDGE } else { EDGE + 52 };
            let width = WIDTH - 2 * EDGE - 52;
            let _ = write!(
                svg,
                "<rect x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"24\" rx=\"12\" fill=\"#c3d0d3\"/>",
                y - 24
            );
        }
        y += 62;
    }
    if shown < poll.options().len() {
        let text = format!("+ {}", poll.options().len() - shown);
        let side = match is_rtl {
            true => Side::Right(WIDTH - EDGE - 52),
            false => Side::Left(EDGE + 52),
        };
        put(&mut svg, &text, side, y, MORE);
    }
    svg.push_str("</svg>");
    svg
}
