//! A problem as a page tells it: in the language of the page. Problem documents are for programs and stay English.

use std::borrow::Cow;

use poem::http::StatusCode;

use super::{Problem, kind::ProblemKind};
use crate::texts::Texts;

/// The words for a page.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    /// These words. The document has the same in English.
    Fixed(fn(&'static Texts) -> &'static String),
    /// How many options were chosen, and how many may be chosen.
    TooMany(u64, u64),
}

impl Said {
    fn in_words(self, t: &'static Texts) -> Cow<'static, str> {
        match self {
            Self::Fixed(says) => says(t).as_str().into(),
            Self::TooMany(chosen, max) => t.detail_too_many(chosen, &t.number(max)).into(),
        }
    }
}

/// A sentence or two on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageText<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The language, if it is not that of the page; empty if it is not known.
    pub(crate) lang: Option<&'static str>,
}

impl Problem {
    /// A problem that pages tell in these words; the document has them in English.
    pub(crate) fn said(kind: ProblemKind, says: fn(&'static Texts) -> &'static String) -> Self {
        let said = Said::Fixed(says);
        Self {
            said: Some(said),
            ..Self::new(kind, said.in_words(Texts::english()))
        }
    }

    /// The same problem, which pages tell in these words.
    pub(crate) fn said_as(self, said: Said) -> Self {
        Self {
            said: Some(said),
            ..self
        }
    }

    /// The headline of its page, in the words of voters. Documents have those of the service.
    pub(crate) fn page_title(&self, t: &'static Texts) -> &'static str {
        title_of(self.kind, t).unwrap_or(match self.status {
            StatusCode::NOT_FOUND if self.kind == ProblemKind::Request => &t.title_not_found,
            // What voters do not meet has a headline in English only.
            _ if t.is_english() => self.title,
            StatusCode::NOT_FOUND => &t.title_not_found,
            _ => &t.title_request,
        })
    }

    /// What is wrong, for its page.
    pub(crate) fn page_detail(&self, t: &'static Texts) -> PageText<'_> {
        if t.is_english() {
            return PageText {
                text: self.detail().into(),
                lang: None,
            };
        }
        match self.said {
            Some(said) => PageText {
                text: said.in_words(t),
                lang: None,
            },
            None => PageText {
                text: self.detail().into(),
                // The words of a rule are those of the application.
                lang: Some(match self.kind {
                    ProblemKind::NotEligible => "",
                    _ => "en",
                }),
            },
        }
    }

    /// The text for a voter whose cast failed. `vote.js` says the same.
    pub(crate) fn to_voter(&self, t: &'static Texts) -> String {
        let detail = self.page_detail(t).text;
        if self.kind == ProblemKind::Internal {
            return t.unknown.clone();
        }
        if matches!(
            self.kind,
            ProblemKind::OutcomeUnknown | ProblemKind::PollNotOpen | ProblemKind::PollChanged
        ) {
            return detail.into_owned();
        }
        if self.is_poll_closed() {
            return t.closed_before.clone();
        }
        let reported = t.sentences(&t.not_counted, &detail);
        match self.retry_after {
            Some(seconds) if self.status == StatusCode::TOO_MANY_REQUESTS && seconds > 1 => {
                t.sentences(&reported, &t.again_in_seconds(seconds.into()))
            }
            None if !self.status.is_server_error() => reported,
            _ => t.sentences(&reported, &t.again_soon),
        }
    }
}

/// The headline for a kind that voters can meet.
fn title_of(kind: ProblemKind, t: &'static Texts) -> Option<&'static str> {
    Some(match kind {
        ProblemKind::Internal => &t.title_internal,
        ProblemKind::UnknownPoll => &t.title_unknown_poll,
        ProblemKind::NoPolls => &t.title_no_polls,
        ProblemKind::PollClosed => &t.title_poll_closed,
        ProblemKind::PollNotOpen => &t.title_poll_not_open,
        ProblemKind::PollChanged => &t.title_poll_changed,
        ProblemKind::ResultHidden => &t.title_result_hidden,
        ProblemKind::InvalidChoice => &t.title_invalid_choice,
        ProblemKind::Overloaded | ProblemKind::NotStored => &t.title_not_taken,
        ProblemKind::OutcomeUnknown => &t.title_not_confirmed,
        ProblemKind::InvalidVoterCookie => &t.title_cookie_unreadable,
        ProblemKind::SeveralVoterCookies => &t.title_several_cookies,
        ProblemKind::OutdatedVoterCookie => &t.title_cookie_outdated,
        ProblemKind::CookiesNeeded => &t.title_cookies_needed,
        ProblemKind::ForeignSecret => &t.title_foreign_secret,
        ProblemKind::EmptyBallotsNotTaken => &t.title_not_possible,
        ProblemKind::SignInNeeded => &t.title_sign_in_needed,
        ProblemKind::NotEligible => &t.title_not_eligible,
        ProblemKind::CodeNeeded => &t.title_code_needed,
        ProblemKind::InvalidCode => &t.title_invalid_code,
        ProblemKind::TooManyCodes => &t.title_too_many_codes,
        ProblemKind::VoterChanged => &t.title_voter_changed,
        ProblemKind::CrossSite => &t.title_cross_site,
        ProblemKind::TooSlow => &t.title_too_slow,
        ProblemKind::StoreUnavailable => &t.title_store,
        ProblemKind::TooManyNewVoters => &t.title_new_voters,
        ProblemKind::TooManyNewVotersOfPoll | ProblemKind::ProofNeeded => &t.title_crowded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds that have a headline of their own.
    const KINDS: [ProblemKind; 27] = [
        ProblemKind::Internal,
        ProblemKind::UnknownPoll,
        ProblemKind::NoPolls,
        ProblemKind::PollClosed,
        ProblemKind::PollNotOpen,
        ProblemKind::PollChanged,
        ProblemKind::ResultHidden,
        ProblemKind::InvalidChoice,
        ProblemKind::Overloaded,
        ProblemKind::NotStored,
        ProblemKind::OutcomeUnknown,
        ProblemKind::InvalidVoterCookie,
        ProblemKind::SeveralVoterCookies,
        ProblemKind::OutdatedVoterCookie,
        ProblemKind::CookiesNeeded,
        ProblemKind::ForeignSecret,
        ProblemKind::EmptyBallotsNotTaken,
        ProblemKind::SignInNeeded,
        ProblemKind::NotEligible,
        ProblemKind::CodeNeeded,
        ProblemKind::InvalidCode,
        ProblemKind::TooManyCodes,
        ProblemKind::VoterChanged,
        ProblemKind::CrossSite,
        ProblemKind::TooSlow,
        ProblemKind::StoreUnavailable,
        ProblemKind::TooManyNewVoters,
    ];

    #[test]
    fn pages_have_the_headlines_of_documents_but_where_those_speak_of_the_service() {
        for kind in KINDS {
            let title = title_of(kind, Texts::english());
            match kind {
                ProblemKind::StoreUnavailable => {
                    assert_eq!(title, Some("This page cannot be shown just now"));
                }
                _ => assert_eq!(title, Some(kind.title())),
            }
        }
    }

    #[test]
    fn what_the_application_says_is_not_said_to_be_english() {
        let german = Texts::in_language("de").unwrap();
        let rule = Problem::new(ProblemKind::NotEligible, "Nur für Mitglieder.");
        assert_eq!(rule.page_detail(german).lang, Some(""));
        let closed = Problem::poll_closed();
        assert_eq!(closed.page_detail(german).text, german.detail_poll_closed);
        assert_eq!(closed.detail(), Texts::english().detail_poll_closed);
        assert_eq!(closed.page_title(german), german.title_poll_closed);
    }
}
