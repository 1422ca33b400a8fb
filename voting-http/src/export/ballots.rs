//! The ballots of a poll as a file that is made while it is read.

use std::borrow::Cow;

use bytes::Bytes;
use poem_openapi::{Object, types::ToJSON};
use voting_core::{
    Choices, Poll, StoreError,
    store::export::{BallotExport, ExportHead, FEW},
};

use super::{ExportFormat, csv, tally::counting};

/// With fewer voters than this, an export of ballots comes with a [`warning`].
pub const FEW_VOTERS: u64 = 10;

/// The ballots of a poll, to be kept or published: only what was chosen, in random order.
#[derive(Debug, Object)]
#[oai(rename = "ExportedBallots", skip_serializing_if_is_none)]
pub(crate) struct BallotsView {
    /// Names the poll.
    poll: String,
    /// The question.
    title: String,
    /// How many options one ballot may choose.
    max_choices: usize,
    /// Whether voters could vote again. If so, the last ballot of a voter counts, else the first.
    revote: bool,
    /// The rule of counting in words.
    counting: String,
    /// When the poll became final, in RFC 3339.
    final_at: Option<String>,
    /// Voters whose ballot counts. The number of ballots is the same.
    voters: u64,
    /// How many ballots have a combination of choices that fewer than three voters made.
    few_alike: u64,
    /// A warning that some ballots may reveal who cast them. Absent: there is no sign of this.
    warning: Option<String>,
    /// The ids of the options that each ballot chose. Each ballot has a line of its own.
    ballots: Vec<Vec<String>>,
}

/// What to say before ballots are handed on, if it could be told who cast some of them: if fewer than [`FEW_VOTERS`]
/// voted, or fewer than [`FEW`] chose the same options.
pub fn warning(head: &ExportHead) -> Option<String> {
    let ExportHead {
        ballots, few_alike, ..
    } = *head;
    if ballots == 0 || ballots >= FEW_VOTERS && few_alike == 0 {
        return None;
    }
    let mut text = String::new();
    if ballots < FEW_VOTERS {
        let verb = if ballots == 1 { "is" } else { "are" };
        text = format!("There {verb} only {}. ", count(ballots, "ballot"));
    }
    if few_alike > 0 {
        text += &format!(
            "{few_alike} of {} have choices that fewer than {FEW} voters made. ",
            count(ballots, "ballot")
        );
    }
    Some(text + "Such ballots may tell who cast them.")
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A file with the ballots of a poll. It is made piece by piece, and needs the same memory for any number of ballots.
#[derive(Debug)]
pub struct BallotFile {
    export: BallotExport,
    format: ExportFormat,
    written: u64,
    part: Part,
}

/// The part of a file that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Beginning,
    Ballots,
    Over,
}

impl BallotFile {
    /// A file of this export.
    pub fn new(export: BallotExport, format: ExportFormat) -> Self {
        Self {
            export,
            format,
            written: 0,
            part: Part::Beginning,
        }
    }

    /// How many ballots the pieces have so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The next piece; `None` at the end, which is also after an error.
    ///
    /// # Errors
    /// The store failed: the file is not whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        if self.part == Part::Over {
            return None;
        }
        if self.part == Part::Beginning {
            self.part = Part::Ballots;
            return Some(Ok(self.beginning().into()));
        }
        let ballots = match self.export.next().await {
            Some(Ok(ballots)) => ballots,
            Some(Err(error)) => {
                self.part = Part::Over;
                return Some(Err(error));
            }
            None => {
                self.part = Part::Over;
                return match self.format {
                    ExportFormat::Csv => None,
                    ExportFormat::Json => Some(Ok(Bytes::from_static(b"\n]}\n"))),
                };
            }
        };
        let mut piece = String::new();
        for choices in &ballots {
            self.add(&mut piece, *choices);
            self.written += 1;
        }
        Some(Ok(piece.into()))
    }

    fn poll(&self) -> &Poll {
        &self.export.head().poll
    }

    fn beginning(&self) -> String {
        let head = self.export.head();
        let options = head.poll.options().iter();
        match self.format {
            ExportFormat::Csv => {
                let mut file = String::new();
                if head.poll.max_choices() == 1 {
                    csv::row(&mut file, [Cow::from("choice")]);
                } else {
                    csv::row(&mut file, options.map(|option| option.id.as_str().into()));
                }
                file
            }
            ExportFormat::Json => {
                let whole = BallotsView {
                    poll: head.poll.id().to_string(),
                    title: head.poll.title().to_owned(),
                    max_choices: head.poll.max_choices(),
                    revote: head.poll.settings().revote,
                    counting: counting(&head.poll),
                    final_at: head.poll.final_at().map(|moment| moment.to_string()),
                    voters: head.ballots,
                    few_alike: head.few_alike,
                    warning: warning(head),
                    ballots: Vec::new(),
                };
                let mut whole = whole.to_json_string();
                // The ballots are the last field. What closes them comes at the end.
                whole.truncate(whole.len() - "]}".len());
                whole
            }
        }
    }

    fn add(&self, file: &mut String, choices: Choices) {
        let options = self.poll().options();
        let bits = choices.bits();
        match self.format {
            ExportFormat::Csv if self.poll().max_choices() == 1 => {
                if choices.is_empty() {
                    // A line with nothing would be no row for many readers.
                    file.push_str("\"\"\r\n");
                    return;
                }
                let chosen = choices.indices().filter_map(|index| options.get(index));
                csv::row(file, chosen.map(|option| option.id.as_str().into()));
            }
            ExportFormat::Csv => {
                for index in 0..options.len() {
                    if index > 0 {
                        file.push(',');
                    }
                    file.push(if bits >> index & 1 == 1 { '1' } else { '0' });
                }
                file.push_str("\r\n");
            }
            ExportFormat::Json => {
                file.push_str(if self.written == 0 { "\n[" } else { ",\n[" });
                for (number, index) in choices.indices().enumerate() {
                    if number > 0 {
                        file.push(',');
                    }
                    // An id has no character that JSON writes otherwise.
                    let id = options.get(index).map_or("", |option| option.id.as_str());
                    file.push('"');
                    file.push_str(id);
                    file.push('"');
                }
                file.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(max_choices: usize) -> Poll {
        let poll = Poll::builder("p", "Which \"one\"?").max_choices(max_choices);
        let poll = poll.option("a", "A").option("b-2", "B").option("c", "C");
        poll.build().unwrap()
    }

    async fn file(max_choices: usize, bits: &[u64], format: ExportFormat) -> String {
        let ballots = bits.iter().map(|bits| Choices::from_bits(*bits).unwrap());
        let export = BallotExport::of(poll(max_choices), ballots.collect());
        let mut file = BallotFile::new(export, format);
        let mut all = Vec::new();
        while let Some(piece) = file.next().await {
            all.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(file.written(), bits.len() as u64);
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn a_row_is_a_ballot() {
        let csv = ExportFormat::Csv;
        assert_eq!(file(1, &[2, 2], csv).await, "choice\r\nb-2\r\nb-2\r\n");
        assert_eq!(file(2, &[5, 5], csv).await, "a,b-2,c\r\n1,0,1\r\n1,0,1\r\n");
        assert_eq!(file(1, &[], csv).await, "choice\r\n");
    }

    #[tokio::test]
    async fn the_json_is_whole_and_has_a_line_a_ballot() {
        for bits in [&[][..], &[5], &[5; 20_000]] {
            let text = file(2, bits, ExportFormat::Json).await;
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["title"], "Which \"one\"?");
            assert_eq!(json["voters"], bits.len());
            let ballots = json["ballots"].as_array().unwrap();
            assert_eq!(ballots.len(), bits.len());
            let expected = serde_json::json!(["a", "c"]);
            assert!(ballots.iter().all(|ballot| *ballot == expected));
            assert_eq!(text.lines().count(), bits.len() + 2);
        }
    }

    #[test]
    fn a_warning_comes_where_few_voted_or_few_alike() {
        let of = |ballots, few_alike| {
            warning(&ExportHead {
                poll: poll(1),
                ballots,
                few_alike,
            })
        };
        assert_eq!(of(0, 0), None);
        assert_eq!(of(10, 0), None);
        assert_eq!(
            of(9, 0).unwrap(),
            "There are only 9 ballots. Such ballots may tell who cast them."
        );
        assert_eq!(
            of(100, 1).unwrap(),
            "1 of 100 ballots have choices that fewer than 3 voters made. Such ballots may tell who cast them."
        );
    }
}
