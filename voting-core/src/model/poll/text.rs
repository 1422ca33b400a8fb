//! What a title or a label may be made of: text that people can see, in the order in which it is
//! written. `docs/adr/0012-texts-that-mislead.md` says why.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{
    GeneralCategory as Category, GeneralCategoryGroup as Group, UnicodeEmoji,
    UnicodeGeneralCategory,
};
use unicode_script::{Script, UnicodeScript};

use super::settings::MAX_DESCRIPTION_CHARS;

/// The longest title or label, in characters.
pub const MAX_LABEL_CHARS: usize = 200;

/// The most marks above, below and around one letter. Vietnamese needs two, Burmese and the Hebrew of
/// the Bible need five.
const MAX_MARKS: usize = 5;

/// Why a text is no title or label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadText {
    /// Nothing in it can be seen.
    #[error("it has no visible character")]
    Blank,
    /// More than [`MAX_LABEL_CHARS`].
    #[error("it has {0} characters, and may have {MAX_LABEL_CHARS}")]
    TooLong(usize),
    /// A description of more than [`MAX_DESCRIPTION_CHARS`].
    #[error("it has {0} characters, and may have {MAX_DESCRIPTION_CHARS}")]
    LongDescription(usize),
    /// A control character or the end of a line.
    #[error("it contains the control character {}", code(*.0))]
    Control(char),
    /// A character that makes text run in another direction than it is written.
    #[error("it contains {}, which changes the direction of the text", code(*.0))]
    Direction(char),
    /// A character that cannot be seen, where it has no use.
    #[error("it contains the invisible character {}", code(*.0))]
    Invisible(char),
    /// A code point without a character, or with one in some fonts only.
    #[error("it contains {}, which does not look the same on all devices", code(*.0))]
    NoCharacter(char),
    /// It begins with a mark that is written onto a letter.
    #[error("it begins with the mark {}, before any letter", code(*.0))]
    LoneMark(char),
    /// Too many marks on one letter.
    #[error("it has more than {MAX_MARKS} marks on one letter")]
    Marks,
}

fn code(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// The text as it is stored: without spaces around it, and composed (Unicode's form NFC), so that
/// equal texts are equal bytes.
pub(super) fn stored_form(text: &str) -> String {
    text.trim().nfc().collect()
}

/// Checks a text from outside, and returns it as it is to be stored.
pub(super) fn check(text: &str) -> Result<String, BadText> {
    let text = stored_form(text);
    let chars = text.chars().count();
    if chars > MAX_LABEL_CHARS {
        return Err(BadText::TooLong(chars));
    }
    check_characters(&text)?;
    if !text.chars().any(is_visible) {
        return Err(BadText::Blank);
    }
    check_marks(&text)?;
    Ok(text)
}

/// Checks a description: paragraphs with an empty line between two of them. Returns it as it is to be stored; it may be
/// empty.
pub(super) fn check_paragraphs(text: &str) -> Result<String, BadText> {
    let chars = text.chars().count();
    if chars > MAX_DESCRIPTION_CHARS {
        return Err(BadText::LongDescription(chars));
    }
    let mut checked = String::with_capacity(text.len());
    // Empty lines that are not written yet: of several, one is kept.
    let mut is_apart = false;
    for line in text.lines().map(stored_form) {
        if line.is_empty() {
            is_apart = !checked.is_empty();
            continue;
        }
        check_characters(&line)?;
        check_marks(&line)?;
        if is_apart {
            checked.push('\n');
        }
        if !checked.is_empty() {
            checked.push('\n');
        }
        checked.push_str(&line);
        is_apart = false;
    }
    Ok(checked)
}

fn check_characters(text: &str) -> Result<(), BadText> {
    // A mark of direction is of use only where there is text of both directions.
    let runs_left = text.chars().any(|c| !is_ignorable(c) && runs_left(c));
    let mut before = Before::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c.general_category() {
            Category::Control | Category::LineSeparator | Category::ParagraphSeparator => {
                return Err(BadText::Control(c));
            }
            Category::Unassigned | Category::PrivateUse | Category::Surrogate => {
                return Err(BadText::NoCharacter(c));
            }
            _ if is_broken(c) => return Err(BadText::NoCharacter(c)),
            _ if !is_ignorable(c) => {}
            _ if is_direction_mark(c) => {
                if !runs_left {
                    return Err(BadText::Direction(c));
                }
            }
            _ if changes_direction(c) => return Err(BadText::Direction(c)),
            _ if before.may_be_followed_by(c, rest.clone().next()) => {}
            _ => return Err(BadText::Invisible(c)),
        }
        before.note(c);
    }
    Ok(())
}

/// What stands before a character, as far as it decides whether an invisible one is of use there.
#[derive(Default)]
struct Before {
    /// The last character that can be seen.
    seen: Option<char>,
    last: Option<char>,
}

impl Before {
    fn note(&mut self, c: char) {
        if !is_ignorable(c) {
            self.seen = Some(c);
        }
        self.last = Some(c);
    }

    /// Whether an invisible character has a use here, as the scripts of the world and emoji need it.
    fn may_be_followed_by(&self, c: char, next: Option<char>) -> bool {
        let (Some(seen), Some(last)) = (self.seen, self.last) else {
            return false;
        };
        match c {
            // Between words that are written without spaces.
            '\u{200b}' => matches!(
                seen.script(),
                Script::Khmer | Script::Lao | Script::Myanmar | Script::Tai_Tham | Script::Thai
            ),
            ZWNJ => joins(seen),
            ZWJ => joins(seen) || is_emoji(seen) && next.is_some_and(is_emoji),
            // Variation selectors, and the mark that keeps two characters apart.
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{34f}' => {
                last == seen && seen.general_category_group() != Group::Separator
            }
            '\u{180b}'..='\u{180f}' => seen.script() == Script::Mongolian,
            // The flags of countries within countries.
            '\u{e0020}'..='\u{e007f}' => seen == '\u{1f3f4}' && (last == seen || is_tag(last)),
            _ => false,
        }
    }
}

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// Whether letters of this script take other shapes beside a joiner.
fn joins(c: char) -> bool {
    let group = c.general_category_group();
    let is_letter = matches!(group, Group::Letter | Group::Mark);
    is_letter
        && !matches!(
            c.script(),
            Script::Armenian
                | Script::Common
                | Script::Cyrillic
                | Script::Georgian
                | Script::Greek
                | Script::Han
                | Script::Hangul
                | Script::Hebrew
                | Script::Hiragana
                | Script::Inherited
                | Script::Katakana
                | Script::Latin
        )
}

fn is_emoji(c: char) -> bool {
    !c.is_ascii() && c.is_emoji_char()
}

pub(super) fn is_tag(c: char) -> bool {
    ('\u{e0020}'..='\u{e007f}').contains(&c)
}

/// Left-to-right, right-to-left and Arabic letter mark: invisible letters of a direction.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
}

fn changes_direction(c: char) -> bool {
    use BidiClass::{FSI, LRE, LRI, LRO, PDF, PDI, RLE, RLI, RLO};
    matches!(
        bidi_class(c),
        FSI | LRE | LRI | LRO | PDF | PDI | RLE | RLI | RLO
    )
}

fn runs_left(c: char) -> bool {
    matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

/// What stands in for something that was lost on the way, or is elsewhere.
fn is_broken(c: char) -> bool {
    matches!(c, '\u{fffc}' | '\u{fffd}')
}

/// Whether nothing is drawn for a character: Unicode's `Default_Ignorable_Code_Point`, and further
/// characters that only steer how others are set.
pub(super) fn is_ignorable(c: char) -> bool {
    match c {
        // Fillers, vowels that are not written, selectors of shapes.
        '\u{34f}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        // Signs that are drawn around numbers.
        '\u{600}'..='\u{605}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{110bd}'
        | '\u{110cd}' => false,
        _ => c.general_category() == Category::Format,
    }
}

/// What is drawn as an empty place, though Unicode takes it for a letter or a symbol.
pub(super) fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{2800}' | '\u{303f}' | '\u{13441}'..='\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    )
}

fn is_visible(c: char) -> bool {
    let group = c.general_category_group();
    matches!(
        group,
        Group::Letter | Group::Number | Group::Punctuation | Group::Symbol
    ) && !is_ignorable(c)
        && !is_blank(c)
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == Group::Mark
}

fn check_marks(text: &str) -> Result<(), BadText> {
    if let Some(first) = text.chars().next().filter(|c| is_mark(*c)) {
        return Err(BadText::LoneMark(first));
    }
    let mut marks = 0;
    // Decomposed, or a letter that comes with marks would hide them.
    for c in text.nfd() {
        match c.general_category() {
            Category::NonspacingMark | Category::EnclosingMark => marks += 1,
            Category::SpacingMark => {}
            _ if is_ignorable(c) => {}
            _ => marks = 0,
        }
        if marks > MAX_MARKS {
            return Err(BadText::Marks);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_of_the_world_may_be() {
        for text in [
            "Yes",
            "?",
            "42",
            "\u{1f63a} Cats",
            "1\u{fe0f}\u{20e3}",
            "\u{2764}\u{fe0f}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}",
            "\u{1f9d1}\u{200d}\u{2695}\u{fe0f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "\u{1f1eb}\u{1f1f7}",
            "نعم",
            "می\u{200c}خواهم",
            "۱۴۰۰ ه\u{200d}",
            "כן",
            "בְּרֵאשִׁ֖ית",
            "C++\u{200e} של",
            "हाँ",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
            "Đúng vậy, Nguyễn Thị Ánh",
            "Nguye\u{302}\u{303}n",
            "လျှို့ဝှက်",
            "ខ្មែរ\u{200b}ភាសា",
            "ใช่",
            "བོད་ཡིག",
            "ᠮᠣᠩᠭᠣᠯ\u{180e}ᠠ",
            "はい",
            "葛\u{e0100}飾",
            "はい／いいえ",
            "네",
            "Да",
            "⠓⠊⠀⠞⠓⠑⠗⠑",
            "O(n²)",
            "½",
            "🤷‍♀️",
        ] {
            assert_eq!(check(text), Ok(stored_form(text)), "{text:?}");
        }
    }

    #[test]
    fn texts_that_mislead_may_not_be() {
        use BadText::{
            Blank, Control, Direction, Invisible, LoneMark, Marks, NoCharacter, TooLong,
        };
        let stacked = format!("a{}", "\u{301}".repeat(199));
        let stacked_between = format!("a{}", "\u{301}\u{200d}".repeat(9));
        let long = "x".repeat(201);
        for (text, reason) in [
            ("", Blank),
            (" \u{3000}\u{a0} ", Blank),
            ("\u{2800}", Blank),
            ("\u{2800} \u{2800}", Blank),
            ("\u{200b}", Invisible('\u{200b}')),
            ("\u{3164}", Invisible('\u{3164}')),
            ("\u{feff}", Invisible('\u{feff}')),
            ("\u{115f}\u{1160}", Invisible('\u{115f}')),
            ("\u{ffa0}", Invisible('\u{ffa0}')),
            ("\u{200d}", Invisible('\u{200d}')),
            ("\u{fe0f}", Invisible('\u{fe0f}')),
            ("\u{ad}", Invisible('\u{ad}')),
            ("\u{2060}", Invisible('\u{2060}')),
            ("\u{e0041}", Invisible('\u{e0041}')),
            ("\u{200e}", Direction('\u{200e}')),
            ("\u{301}", Blank),
            ("\u{1d159}", Blank),
            ("Ca\u{200b}ts", Invisible('\u{200b}')),
            ("Ca\u{200d}ts", Invisible('\u{200d}')),
            ("Ca\u{ad}ts", Invisible('\u{ad}')),
            ("Cats\u{feff}", Invisible('\u{feff}')),
            ("Cats\u{e0041}", Invisible('\u{e0041}')),
            ("C\u{fe0f}\u{fe0f}ats", Invisible('\u{fe0f}')),
            ("\u{202e}Cats", Direction('\u{202e}')),
            ("Cats \u{202d}", Direction('\u{202d}')),
            ("\u{2067}Cats\u{2069}", Direction('\u{2067}')),
            ("כן \u{202b}כן", Direction('\u{202b}')),
            ("Plan \u{200f}1\u{200f}2", Direction('\u{200f}')),
            ("Cats\u{2028}Dogs", Control('\u{2028}')),
            ("Cats\u{2029}Dogs", Control('\u{2029}')),
            ("a\nb", Control('\n')),
            ("a\u{85}b", Control('\u{85}')),
            ("a\0b", Control('\0')),
            ("Cats \u{e000}", NoCharacter('\u{e000}')),
            ("Cats \u{ffff}", NoCharacter('\u{ffff}')),
            ("Caf\u{fffd}", NoCharacter('\u{fffd}')),
            ("\u{301}Cats", LoneMark('\u{301}')),
            (&stacked, Marks),
            (&stacked_between, Invisible('\u{200d}')),
            ("Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}algo", Marks),
            (&long, TooLong(201)),
        ] {
            assert_eq!(check(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn texts_are_stored_composed_and_without_spaces_around_them() {
        assert_eq!(check(" Cafe\u{301} "), Ok("Café".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_as_it_is_stored(text in "\\PC{0,30}|[a-z\u{200b}-\u{202e}\u{300}-\u{36f}\u{e0020}-\u{e007f} ]{0,12}") {
            let Ok(stored) = check(&text) else { return Ok(()) };
            prop_assert_eq!(check(&stored), Ok(stored.clone()));
            prop_assert!(!stored.chars().any(|c| c.is_control() || changes_direction(c)));
            prop_assert!(stored.chars().any(is_visible));
        }
    }
}
