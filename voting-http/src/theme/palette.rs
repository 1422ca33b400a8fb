//! The colours of the pages that are made from one colour. Each pair that has text has a contrast of 4.5:1 or more, and bars
//! and borders have one of 3:1 or more, whatever the colour is. A test tries the whole cube of colours.

use super::colour::{BLACK, Colour, WHITE};

/// For text.
const TEXT: f64 = 4.5;
/// For what is not text and is needed to understand the page.
const SHAPE: f64 = 3.0;

const DARK_INK: Colour = Colour::new(0x10, 0x18, 0x1c);

/// What the style sheet has around a colour, for light or for dark pages. The values are those of `voting.css`.
struct Scheme {
    ground: Colour,
    surface: Colour,
    /// Behind bars.
    track: Colour,
    /// Where a colour is moved if its contrast is too low.
    towards: Colour,
    /// What a tint is mixed with, and how much of it.
    paper: Colour,
    paper_part: u16,
    /// How far a filled shape must be from what is around it. What it says is legible in any case.
    apart: f64,
}

const LIGHT: Scheme = Scheme {
    ground: Colour::new(0xf0, 0xf4, 0xf4),
    surface: WHITE,
    track: Colour::new(0xd3, 0xdd, 0xdf),
    towards: BLACK,
    paper: WHITE,
    paper_part: 82,
    apart: 1.5,
};

const DARK: Scheme = Scheme {
    ground: Colour::new(0x0e, 0x17, 0x1b),
    surface: Colour::new(0x19, 0x26, 0x2c),
    track: Colour::new(0x26, 0x35, 0x3b),
    towards: WHITE,
    paper: Colour::new(0x0e, 0x17, 0x1b),
    paper_part: 72,
    apart: 2.0,
};

/// The colours of one side of a page with two options, and of buttons and links.
struct Palette {
    fill: Colour,
    hover: Colour,
    ink: Colour,
    tint: Colour,
    deep: Colour,
    bar: Colour,
}

/// The text on a fill, if there is one that can be read.
fn ink_on(fill: Colour) -> Option<Colour> {
    let inks = [WHITE, DARK_INK].into_iter();
    inks.into_iter().find(|ink| ink.contrast(fill) >= TEXT)
}

impl Palette {
    fn new(colour: Colour, scheme: &Scheme) -> Self {
        let fill = colour.fitted(scheme.towards, |fill| {
            let around = [scheme.ground, scheme.surface];
            let is_apart = around
                .iter()
                .all(|near| fill.contrast(*near) >= scheme.apart);
            is_apart && ink_on(fill).is_some()
        });
        let ink = ink_on(fill).unwrap_or(WHITE);
        let hover = fill.mixed(if ink == WHITE { BLACK } else { WHITE }, 18);
        // A tint that is touched takes some of the fill. Its text stays legible.
        let touched = |tint: Colour| tint.mixed(fill, 30);
        let mut tints = (scheme.paper_part..=100).map(|part| fill.mixed(scheme.paper, part));
        let tint = tints.find(|tint| touched(*tint).contrast(scheme.towards) >= TEXT + 0.5);
        let tint = tint.unwrap_or(scheme.paper);
        let behind = [tint, touched(tint), scheme.surface, scheme.ground];
        let deep = colour.fitted(scheme.towards, |deep| {
            behind.iter().all(|near| deep.contrast(*near) >= TEXT)
        });
        let bar = colour.fitted(scheme.towards, |bar| {
            let around = [scheme.track, scheme.surface];
            around.iter().all(|near| bar.contrast(*near) >= SHAPE)
        });
        Self {
            fill,
            hover,
            ink,
            tint,
            deep,
            bar,
        }
    }

    fn css(&self) -> String {
        let Self {
            fill,
            hover,
            ink,
            tint,
            deep,
            bar,
        } = self;
        format!(
            "--one:{fill};--one-hover:{hover};--one-ink:{ink};--one-tint:{tint};--one-deep:{deep};--one-bar:{bar}"
        )
    }
}

/// The other side of a page with two options is marigold, so a colour beside marigold gets teal there.
const MARIGOLD: f64 = 39.0;
const BESIDE: f64 = 40.0;
const TEAL_SECOND: [&str; 2] = [
    ";--two:#0b6067;--two-hover:#084c52;--two-ink:#fff;--two-tint:#d2e7e7;--two-deep:#07474d;--two-edge:#0b6067",
    ";--two:#14757b;--two-hover:#0f666c;--two-ink:#fff;--two-tint:#12383c;--two-deep:#a9e3e4;--two-edge:#2199a0",
];

fn second(colour: Colour) -> [&'static str; 2] {
    let turn = colour.hue().map(|hue| (hue - MARIGOLD).abs());
    match turn.is_some_and(|turn| turn.min(360.0 - turn) < BESIDE) {
        true => TEAL_SECOND,
        false => [""; 2],
    }
}

/// A style sheet that comes after `voting.css`.
pub(super) fn style_sheet(colour: Colour) -> String {
    let [light, dark] = [LIGHT, DARK].map(|scheme| Palette::new(colour, &scheme).css());
    let [light_second, dark_second] = second(colour);
    format!(
        ":root{{{light}{light_second}}}@media (prefers-color-scheme:dark){{:root{{{dark}{dark_second}}}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_colour_is_made_to_fit_in_light_and_dark() {
        let steps = (0..=255).step_by(17);
        let cube = steps.clone().flat_map(|red| {
            let steps = steps.clone();
            let blues = steps.clone();
            steps
                .flat_map(move |green| blues.clone().map(move |blue| Colour::new(red, green, blue)))
        });
        for colour in cube {
            for scheme in [LIGHT, DARK] {
                let p = Palette::new(colour, &scheme);
                let texts = [
                    (p.ink, p.fill),
                    (p.ink, p.hover),
                    (p.deep, p.tint),
                    (p.deep, p.tint.mixed(p.fill, 30)),
                    (p.deep, scheme.surface),
                    (p.deep, scheme.ground),
                ];
                for (text, behind) in texts {
                    assert!(
                        text.contrast(behind) >= TEXT,
                        "{colour}: {text} on {behind}"
                    );
                }
                for behind in [scheme.track, scheme.surface] {
                    assert!(
                        p.bar.contrast(behind) >= SHAPE,
                        "{colour}: {} on {behind}",
                        p.bar
                    );
                }
            }
        }
    }

    #[test]
    fn a_colour_that_fits_stays_as_it_is() {
        let teal = Colour::read("#0b6067").unwrap();
        let sheet = style_sheet(teal);
        assert!(sheet.starts_with(":root{--one:#0b6067;"), "{sheet}");
        assert!(sheet.contains("--one-ink:#ffffff") && !sheet.contains("--two"));
        let yellow = style_sheet(Colour::read("#ffd000").unwrap());
        assert!(yellow.contains("--one:#ffd000;") && yellow.contains("--one-ink:#10181c"));
        assert!(
            yellow.contains("--two:#0b6067"),
            "yellow is beside marigold"
        );
    }

    #[test]
    fn the_surroundings_are_those_of_the_style_sheet() {
        let sheet = include_str!("../../assets/voting.css");
        let (light, dark) = sheet.split_once("prefers-color-scheme: dark").unwrap();
        for (part, scheme) in [(light, LIGHT), (dark, DARK)] {
            let named = |name: &str| {
                let value = part.split_once(name).unwrap().1.split(';').next().unwrap();
                Colour::read(value.trim()).unwrap()
            };
            assert_eq!(named("--ground:"), scheme.ground);
            assert_eq!(named("--surface:"), scheme.surface);
            // 65 % of a line on the ground.
            let track = scheme.surface.mixed(named("--line:"), 65);
            let track = track.contrast(scheme.track);
            assert!(track < 1.1, "{track}");
        }
    }
}
