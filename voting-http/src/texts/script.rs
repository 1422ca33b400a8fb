//! What the scripts of the voting page say. They have no words of their own: where one reads `texts.NAME`, the text of this
//! name is put in, as JSON. So each language has a script that is no larger than one that was written in it.

use serde_json::{Map, Value};

use super::{Texts, file::Message};

/// How the script begins the name of a text.
const NAMED: &str = "texts.";

/// The script in this language.
pub(crate) fn in_language(script: &str, t: &Texts) -> String {
    let words = words(t);
    let mut parts = script.split(NAMED);
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|sign: char| !sign.is_ascii_lowercase() && sign != '_');
        let (name, rest) = part.split_at(end.unwrap_or(part.len()));
        match words.get(name) {
            Some(text) => said.push_str(&text.to_string()),
            // A test knows all names.
            None => said.extend([NAMED, name]),
        }
        said.push_str(rest);
    }
    said
}

macro_rules! words {
    ($t:ident; fixed $($fixed:ident)*; phrases $($phrase:ident)*; counted $($counted:ident)*) => {{
        let mut words = Map::new();
        $(words.insert(stringify!($fixed).to_owned(), $t.$fixed.as_str().into());)*
        $(words.insert(stringify!($phrase).to_owned(), $t.templates.$phrase.as_str().into());)*
        $(words.insert(stringify!($counted).to_owned(), forms(&$t.templates.$counted));)*
        words
    }};
}

/// The words, under the names that they have in the files of the languages.
fn words(t: &Texts) -> Map<String, Value> {
    let mut words = words! { t;
        fixed vote change_vote received received_word sending your_vote last_confirmed sent_not_confirmed
            not_sent change_to_this count_not_sent count_not_confirmed count_last_confirmed count_yours choose_one
            pick_first blank_is_in unknown unknown_before unknown_earlier offline online_again kept do_not_send
            sent_again not_sent_again cookies_blocked
            cookie_unreadable cookie_lost vote_as_new start_over closed_before earlier_counts not_counted again_soon
            texts_changed open_now closed_now unsent_not_counted proving crowded open;
        phrases sentences quoted until_sent opens_in closes_in time_parts vote_is_in;
        counted chosen_of is_the_most days hours minutes seconds choices_are_in again_in_seconds
    };
    // In English, the script says what the answer says.
    let problems = match t.is_english() {
        true => Value::Object(Map::new()),
        false => problems(t),
    };
    words.insert("problems".to_owned(), problems);
    words
}

/// The template for each plural category, or the one for all.
fn forms(message: &Message) -> Value {
    let forms = message.forms();
    let forms = forms.map(|(name, form)| (name.to_owned(), form.into()));
    Value::Object(forms.collect())
}

/// What refused votes are told, by the kind of the problem.
fn problems(t: &Texts) -> Value {
    let problems = [
        ("poll-not-open", &t.detail_not_open),
        ("poll-changed", &t.detail_changed),
        ("unknown-poll", &t.detail_unknown_poll),
        ("invalid-choice", &t.title_invalid_choice),
        ("overloaded", &t.detail_overloaded),
        ("not-stored", &t.detail_not_stored),
        ("store-unavailable", &t.detail_not_stored),
        ("foreign-secret", &t.detail_foreign_secret),
        ("empty-ballots-not-taken", &t.detail_not_possible),
        ("sign-in-needed", &t.sign_in_needed),
        ("code-needed", &t.code_needed),
        ("invalid-code", &t.title_invalid_code),
        ("too-many-new-voters", &t.detail_new_voters),
        ("too-many-new-voters-of-poll", &t.detail_crowded),
        ("voter-changed", &t.detail_voter_changed),
        ("cross-site", &t.detail_cross_site),
        ("too-slow", &t.detail_too_slow),
    ];
    let problems = problems.map(|(kind, text)| (kind.to_owned(), text.as_str().into()));
    Value::Object(problems.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = concat!(
        include_str!("../../assets/vote.js"),
        include_str!("../../assets/keep.js")
    );

    #[test]
    fn the_script_gets_each_text_and_uses_all_of_them() {
        let code: Vec<_> = SCRIPT
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let code = code.join("\n");
        for t in Texts::all() {
            let said = in_language(&code, t);
            assert!(!said.contains(NAMED), "{said}");
            assert!(said.contains(&Value::from(t.sending.as_str()).to_string()));
        }
        for name in words(Texts::english()).keys() {
            assert!(code.contains(&format!("{NAMED}{name}")), "{name}");
        }
    }
}
