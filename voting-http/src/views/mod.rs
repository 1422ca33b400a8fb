//! The views of a poll, a tally and a vote: as JSON for clients, and in words for people.

pub(crate) mod csv;
pub(crate) mod hidden_words;
pub(crate) mod history_plot;
pub(crate) mod history_view;
pub(crate) mod moment_words;
pub(crate) mod paragraphs;
pub(crate) mod pointer_view;
pub(crate) mod poll_view;
pub(crate) mod reason_view;
pub(crate) mod receipt_words;
pub(crate) mod result_texts;
pub(crate) mod secrecy_words;
pub(crate) mod shares;
pub(crate) mod since;
pub(crate) mod tally_view;
pub(crate) mod text_size;
pub(crate) mod time_left;
pub(crate) mod time_zones;
pub(crate) mod turnout;
pub(crate) mod vote_words;
