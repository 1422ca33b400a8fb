//! Which texts people would take for the same.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup as Group, UnicodeGeneralCategory};

use super::text::{is_blank, is_ignorable, is_tag};

/// What a text looks like.
pub(super) struct Look {
    plain: String,
    skeleton: String,
}

impl Look {
    pub(super) fn of(text: &str) -> Self {
        let seen = text.nfc().filter(|c| !is_ignorable(*c) || is_tag(*c));
        let spaced: String = seen
            .map(|c| match c.general_category_group() {
                Group::Separator => ' ',
                _ if is_blank(c) => ' ',
                _ => c,
            })
            .collect();
        let words: Vec<_> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
        let plain = words.join(" ");
        // It has no tags, which tell one flag from another.
        let tags = plain.chars().filter(|c| is_tag(*c));
        let skeleton = unicode_security::skeleton(&plain).chain(tags).collect();
        Self { plain, skeleton }
    }

    /// Whether people would take the two for the same. What is ASCII differs if its letters do: all
    /// can be told apart, if some only with care.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        if self.plain.is_ascii() && other.plain.is_ascii() {
            return self.plain == other.plain;
        }
        self.skeleton == other.skeleton
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_look_the_same_are_found() {
        let alike = |a, b| Look::of(a).is_like(&Look::of(b));
        for (a, b) in [
            ("Yes", "Yes"),
            ("Yes please", "Yes  please"),
            ("Yes please", "Yes\u{a0}please"),
            ("Café", "Cafe\u{301}"),
            ("\u{2764}", "\u{2764}\u{fe0f}"),
            ("Yes", "Y\u{435}s"),
            ("Yes", "Ｙｅｓ"),
            ("Yes", "𝐘𝐞𝐬"),
            ("یک", "يک"),
            ("می\u{200c}خواهم", "میخواهم"),
        ] {
            assert!(alike(a, b) && alike(b, a), "{a:?} and {b:?}");
        }
        for (a, b) in [
            ("Yes", "yes"),
            ("Yes", "Yes!"),
            ("Plan I", "Plan l"),
            ("II", "11"),
            ("2³", "23"),
            ("①", "1"),
            ("Cafe", "Café"),
            ("ma", "mā"),
            ("\u{1f44d}", "\u{1f44d}\u{1f3fd}"),
            (
                "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
                "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            ),
            ("Да", "Нет"),
            ("כן", "לא"),
        ] {
            assert!(!alike(a, b), "{a:?} and {b:?}");
        }
    }
}
