//! The texts of the voters' pages, in each language. A language is a file in `locales/`.
//!
//! Everything is read once. A text without values is then a plain field; a text with values is a template that is filled
//! when it is needed.

mod choose;
mod file;
mod script;
mod template;

use std::{borrow::Cow, sync::LazyLock};

use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::Locale;
use icu_plurals::PluralRules;

pub(crate) use self::{choose::Chosen, script::in_language as script_in_language};
use self::{
    file::{File, Message, NUMBER},
    template::Template,
};
use crate::pages::language::direction;

/// The languages: the tag, and the file. The first is the one that is used if nothing speaks for another.
const FILES: [(&str, &str); 6] = [
    ("en", include_str!("../../locales/en.ftl")),
    ("de", include_str!("../../locales/de.ftl")),
    ("es", include_str!("../../locales/es.ftl")),
    ("ru", include_str!("../../locales/ru.ftl")),
    ("ar", include_str!("../../locales/ar.ftl")),
    ("ja", include_str!("../../locales/ja.ftl")),
];

/// How many languages there are.
pub(crate) const LANGUAGES: usize = FILES.len();

static ALL: LazyLock<Vec<Texts>> = LazyLock::new(|| {
    let read = |(index, (tag, file)): (usize, &(&'static str, &str))| {
        // A test reads all of them.
        Texts::read(index, tag, file).unwrap_or_else(|why| panic!("locales/{tag}.ftl: {why}"))
    };
    FILES.iter().enumerate().map(read).collect()
});

macro_rules! texts {
    (
        fixed { $($fixed:ident)* }
        phrases { $($phrase:ident($($value:ident),*))* }
        counted { $($counted:ident($($more:ident),*))* }
        script_phrases { $($script_phrase:ident($($script_value:ident),*))* }
        script_counted { $($script_counted:ident($($script_more:ident),*))* }
    ) => {
        /// The texts of one language.
        pub(crate) struct Texts {
            /// The place in the list of languages.
            pub(crate) index: usize,
            /// The tag of the language, such as `de`.
            pub(crate) tag: &'static str,
            /// `ltr` or `rtl`.
            pub(crate) dir: &'static str,
            rules: PluralRules,
            decimal: DecimalFormatter,
            has_latin_digits: bool,
            $(pub(crate) $fixed: String,)*
            templates: Templates,
        }

        /// The texts with values.
        struct Templates {
            $($phrase: Template,)*
            $($counted: Message,)*
            $($script_phrase: Template,)*
            $($script_counted: Message,)*
        }

        impl Texts {
            fn read(index: usize, tag: &'static str, file: &str) -> Result<Self, String> {
                let locale: Locale = tag.parse().map_err(|_| "the tag is no language".to_owned())?;
                let rules = PluralRules::try_new((&locale).into(), Default::default());
                let rules = rules.map_err(|error| error.to_string())?;
                let decimal = DecimalFormatter::try_new((&locale).into(), Default::default());
                let decimal = decimal.map_err(|error| error.to_string())?;
                let mut file = File::read(file)?;
                let mut texts = Self {
                    index,
                    tag,
                    dir: direction(tag),
                    rules,
                    has_latin_digits: decimal.format_to_string(&Decimal::from(0_u8)) == "0",
                    decimal,
                    $($fixed: String::new(),)*
                    templates: Templates {
                        $($phrase: Template::default(),)*
                        $($counted: Message::default(),)*
                        $($script_phrase: Template::default(),)*
                        $($script_counted: Message::default(),)*
                    },
                };
                let (of, rules) = (&mut texts.templates, &texts.rules);
                $(file.fixed(stringify!($fixed), &mut texts.$fixed);)*
                $(file.phrase(stringify!($phrase), &[$(stringify!($value)),*], &mut of.$phrase);)*
                $(file.counted(stringify!($counted), &[$(stringify!($more)),*], rules, &mut of.$counted);)*
                $(file.phrase(stringify!($script_phrase), &[$(stringify!($script_value)),*], &mut of.$script_phrase);)*
                $(file.counted(stringify!($script_counted), &[$(stringify!($script_more)),*], rules, &mut of.$script_counted);)*
                file.finish().map(|()| texts)
            }

            $(pub(crate) fn $phrase(&self, $($value: &str),*) -> String {
                self.templates.$phrase.fill(&[$((stringify!($value), $value)),*])
            })*

            $(pub(crate) fn $counted(&self, number: u64, $($more: &str),*) -> String {
                let template = self.templates.$counted.of(self.rules.category_for(number));
                template.fill(&[(NUMBER, &self.number(number)), $((stringify!($more), $more)),*])
            })*
        }
    };
}

texts! {
    fixed {
        own_name
        monday tuesday wednesday thursday friday saturday sunday
        january february march april may june july august september october november december
        skip_to_content home languages this_poll vote results see_results other_polls all_polls served_by
        pick_of_two pick_one first_vote_counts voted_first_counts voted_of_two voted_one voted_blank forgotten
        forgotten_first_counts change_until_closed change_until_closed_with_cookie again_until_closed not_open_yet
        is_closed no_votes_no_changes no_votes
        received withdrawn blank_is_in confirmed_blank not_shown your_vote last_confirmed received_word change_to_this
        change_vote not_sent
        or skip_options try_again dismiss about_blank vote_blank about_withdraw withdraw about_forget forget
        about_code_kept forget_code about_session sign_out
        secrecy secrecy_forgotten secrecy_backups secrecy_application secrecy_code secrecy_login secrecy_cookie
        trust_cookie trust_code trust_login trust_application
        forgotten_at_close deleted_at_close kept_for_good
        sending sent_not_confirmed count_not_sent count_not_confirmed count_last_confirmed count_yours
        choose_one pick_first unknown unknown_before unknown_earlier unknown_with_cookie offline online_again kept
        do_not_send sent_again not_sent_again
        cookies_blocked cookie_unreadable cookie_lost vote_as_new start_over closed_before earlier_counts not_counted
        again_soon texts_changed open_now closed_now unsent_not_counted proving crowded
        result vote_now live reconnecting polled final_word stop_reading start_reading not_begun voting_is_open
        voting_has_ended closed_without_votes only_blank most_votes leading tied order_of_options by_votes by_poll find_option
        find no_option_found votes_over_time numbers_of_chart time_word voters_word no_votes_yet only_the_host then_shown
        shown_after_vote shown_after_close count_out_of_date go_to_poll i_have_voted
        no_poll_yet search search_polls all_again draft open being_counted closed pages_of_list previous_page next_page
        preview_scheduled preview_closed preview_hidden preview_live preview_result preview_list
        other_code use_new_code keep_other_code enter_code your_code go_on about_letters sign_in sign_in_needed
        sign_in_again other_people code_needed code_unreadable code_wrong code_replaced code_revoked too_many_codes
        cookie_damaged cookie_outdated several_cookies about_start_over start_over_as_new
        about_your_vote your_receipt about_receipt keep_receipt_private keep_as_file check_vote check_another about_check receipt_code
        receipt_wrong receipt_pending receipt_counted receipt_superseded receipt_first_counts receipt_voided
        receipt_rejected receipt_forgotten receipt_deleted reason_unreadable reason_unknown_poll reason_not_valid
        reason_closed reason_outside_times reason_not_eligible
        back_to_poll see_all_polls title_internal title_not_found title_request title_unknown_poll title_no_polls
        title_poll_closed title_poll_not_open title_poll_changed title_result_hidden title_invalid_choice
        title_not_taken title_not_confirmed title_cookie_unreadable title_several_cookies title_cookie_outdated
        title_cookies_needed title_foreign_secret title_not_possible title_sign_in_needed title_not_eligible
        title_code_needed title_invalid_code title_too_many_codes title_voter_changed title_cross_site title_too_slow
        title_store title_new_voters title_crowded
        detail_internal detail_not_found detail_unknown_poll detail_poll_closed detail_not_open detail_changed
        detail_nothing_chosen detail_no_withdrawal detail_cross_site detail_cross_site_form detail_not_possible
        detail_foreign_secret detail_cookies_needed detail_voter_changed detail_too_slow detail_new_voters
        detail_overloaded detail_not_stored detail_crowded form_waits line_is_full
        show_on_screen screen_controls scan_to_vote qr_of_vote hide_figures show_figures next_poll full_screen
        embedding_off share link_copied
    }
    phrases {
        percent(share) date(day, month, year) moment(weekday, date, time, zone) since_at(time, date)
        sentences(one, two) listed(one, two) quoted(text)
        vote_until(at) vote_and_change_until(at) change_until(at) change_until_with_cookie(at) again_until(at) closes_on(at) opens_on(at)
        vote_is_in(label) confirmed(label)
        results_of(title) stalled_since(since) place(label, share) announcement(total, places) it_closes_on(at)
        span_of_time(begin, end, zone) wins(label, votes, voters) tie(labels, votes, voters)
        cast_in_minute(at) turnout_since(turnout, since) page_of(page, pages) nothing_found(query) error_code(code)
        opens_in(time) closes_in(time) time_parts(one, two)
        preview_options(begin, options) preview_cut(begin, options) preview_bare(begin)
        picture_as_of(moment)
    }
    counted {
        pick_several() voted_several() choices_are_in() confirmed_choices() forgotten_after() deleted_after()
        again_in_seconds()
        shares_of_voters(whole) voters() voters_and_blank(voters, share) votes()
        tie_of(votes, voters) voted_of(electorate, share) show_all()
        all_open() none_open() some_open(open) found(query) days() hours() minutes() seconds() preview_one() preview_several(max) detail_too_many(max)
    }
    script_phrases { until_sent(what) }
    script_counted { chosen_of(max) is_the_most() }
}

impl Texts {
    /// All languages, English first.
    pub(crate) fn all() -> &'static [Self] {
        &ALL
    }

    pub(crate) fn english() -> &'static Self {
        &ALL[0]
    }

    /// The texts in this language, or in the one that it is a variety of: `de` for `de-AT`.
    pub(crate) fn in_language(tag: &str) -> Option<&'static Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        ALL.iter()
            .find(|texts| texts.tag.eq_ignore_ascii_case(language))
    }

    pub(crate) fn is_english(&self) -> bool {
        self.index == 0
    }

    /// A number as people write it: `1,234`.
    pub(crate) fn number(&self, number: u64) -> String {
        // Most numbers on a voting page are small.
        if number < 1_000 && self.has_latin_digits {
            return number.to_string();
        }
        self.decimal.format_to_string(&Decimal::from(number))
    }

    /// A share in tenths of a percent: `66.7%`, or `66%` without decimals.
    pub(crate) fn share(&self, tenths: u16, decimals: bool) -> String {
        let mut share = Decimal::from(if decimals { tenths } else { tenths / 10 });
        if decimals {
            share.multiply_pow10(-1);
            share.pad_end(-1);
        }
        self.percent(&self.decimal.format_to_string(&share))
    }

    /// Sentences, one after the other. Empty ones are left out.
    pub(crate) fn in_a_row(&self, one: &str, two: &str) -> String {
        match (one, two) {
            ("", text) | (text, "") => text.to_owned(),
            _ => self.sentences(one, two),
        }
    }

    /// A list of texts.
    pub(crate) fn list<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> String {
        let mut texts = texts.into_iter();
        let first = texts
            .next()
            .map_or_else(String::new, |text| text.as_ref().to_owned());
        texts.fold(first, |list, text| self.listed(&list, text.as_ref()))
    }

    /// A text of other people as a part of one of ours. Where one is written from right to left, it is marked off, so that
    /// neither moves signs of the other.
    pub(crate) fn marked_off<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.dir == "rtl" || text.chars().any(is_right_to_left) {
            true => Cow::Owned(format!("\u{2068}{text}\u{2069}")),
            false => Cow::Borrowed(text),
        }
    }
}

/// Whether a sign is of a script that is written from right to left. `vote.js` has the same ranges.
pub(crate) fn is_right_to_left(sign: char) -> bool {
    matches!(sign, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Texts").field(&self.tag).finish()
    }
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Texts {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_complete_and_each_file_is_a_language() {
        for (index, (tag, file)) in FILES.iter().enumerate() {
            let read = Texts::read(index, tag, file);
            assert!(read.is_ok(), "locales/{tag}.ftl: {}", read.unwrap_err());
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/locales");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let tag = name.strip_suffix(".ftl").unwrap();
            assert!(
                FILES.iter().any(|(known, _)| *known == tag),
                "{name} is in no list"
            );
        }
    }

    #[test]
    fn numbers_are_written_and_counted_as_in_the_language() {
        let of = |tag: &str| Texts::in_language(tag).unwrap();
        let votes = |tag: &str, number| of(tag).votes(number);
        assert_eq!(votes("en-GB", 1), "1 vote");
        assert_eq!(votes("en", 1_234_567), "1,234,567 votes");
        assert_eq!(votes("de", 1_234), "1.234 Stimmen");
        assert_eq!(votes("es", 1_000_000), "1.000.000 de votos");
        assert_eq!(votes("ja", 2), "2票");
        let russian = [1, 2, 5, 11, 21, 22, 25].map(|number| votes("ru", number));
        let expected = [
            "1 голос",
            "2 голоса",
            "5 голосов",
            "11 голосов",
            "21 голос",
            "22 голоса",
            "25 голосов",
        ];
        assert_eq!(russian, expected);
        let arabic = [0, 1, 2, 3, 11, 100, 103].map(|number| votes("ar", number));
        let expected = [
            "لا أصوات",
            "صوت واحد",
            "صوتان",
            "3 أصوات",
            "11 صوتًا",
            "100 صوت",
            "103 أصوات",
        ];
        assert_eq!(arabic, expected);
        assert_eq!(of("en").share(660, true), "66.0%");
        assert_eq!(of("en").share(660, false), "66%");
        assert_eq!(of("de").share(667, true), "66,7\u{a0}%");
    }

    #[test]
    fn only_where_directions_meet_a_text_is_marked_off() {
        let english = Texts::english();
        assert_eq!(english.marked_off("Cats"), "Cats");
        assert_eq!(english.marked_off("قطط"), "\u{2068}قطط\u{2069}");
    }
}
