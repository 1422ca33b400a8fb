//! Tallies and ballots as files: CSV for spreadsheets, and JSON.
//!
//! | file | content |
//! | --- | --- |
//! | `tally.csv` | One row an option. The columns about the poll are the same in each row. It begins with the byte order mark of UTF-8, without which spreadsheets misread letters with accents. |
//! | `tally.json` | The same as one object. |
//! | `ballots.csv` | One row a ballot. If a voter had one choice: the column `choice` with the id of the option. Otherwise: a column for each option, named by its id, with 1 if it was chosen and else 0. |
//! | `ballots.json` | One object: first the fields about the poll, then `ballots`, an array with an array of option ids for each ballot. Each ballot has a line of its own. |
//!
//! CSV is that of RFC 4180, in UTF-8. A field that a spreadsheet could take for a formula begins with `'`.
//!
//! The ballots are in random order. If few voters voted alike, a ballot may tell who cast it: see [`warning`].

mod ballots;
mod codes;
pub(crate) mod csv;
mod tally;

pub(crate) use self::{ballots::BallotsView, tally::TallyExport};
pub use self::{
    ballots::{BallotFile, FEW_VOTERS, warning},
    codes::{CodeFile, CodeFormat},
};

use voting_core::{Poll, Tally};

/// The format of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values.
    Csv,
    /// JSON.
    Json,
}

impl ExportFormat {
    /// The ending of a file's name, and the format's name: `csv` or `json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// The whole file with the tally of a poll. `handed_in`: how many of the counted ballots
/// [trusted servers have handed in](voting_core::store::ExportStore::handed_in); the file in JSON says so.
pub fn tally_file(
    poll: &Poll,
    tally: &Tally,
    handed_in: Option<u64>,
    format: ExportFormat,
) -> String {
    let export = TallyExport::new(poll, tally, handed_in);
    match format {
        ExportFormat::Csv => export.to_csv(),
        ExportFormat::Json => export.to_json(),
    }
}
