//! The codes of a poll as a file: CSV for other programs, or a sheet to be printed and cut. It is made while it is sent, so its
//! size is not limited by memory.

use std::{borrow::Cow, fmt::Write, ops::Range};

use bytes::Bytes;
use voting_core::{
    Poll,
    model::{
        code::{Serial, VoterCode},
        poll_key::PollKey,
    },
};

use super::csv;
use crate::pages::qr;

/// How many codes are made at a time.
const AT_ONCE: u32 = 1_000;

/// How many cards a page has.
const ON_A_PAGE: u32 = 10;

/// The format of a file of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFormat {
    /// A row for each code: its serial number, the code, and its link if the address of the voting page is known.
    Csv,
    /// A page of HTML to be printed on A4: ten cards a sheet, each with the code, and with its link as a QR code if the
    /// address of the voting page is known.
    Html,
}

/// The codes of a poll, piece by piece.
#[derive(Debug)]
pub struct CodeFile {
    key: PollKey,
    title: String,
    /// What a link begins with.
    links: Option<String>,
    format: CodeFormat,
    all: Range<Serial>,
    next: Serial,
    is_ended: bool,
}

impl CodeFile {
    /// The codes with these serial numbers, of generation 0. `page` is the address of the poll's page for voters, such as
    /// `https://vote.example.org/polls/lunch`.
    pub fn new(
        poll: &Poll,
        key: PollKey,
        serials: Range<Serial>,
        format: CodeFormat,
        page: Option<String>,
    ) -> Self {
        Self {
            key,
            title: poll.title().to_owned(),
            links: page.map(|page| page + "/c/"),
            format,
            next: serials.start,
            all: serials,
            is_ended: false,
        }
    }

    /// How many codes were handed out.
    pub fn written(&self) -> u32 {
        self.next - self.all.start
    }
}

impl Iterator for CodeFile {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.is_ended {
            return None;
        }
        let mut piece = String::new();
        if self.next == self.all.start {
            self.begin(&mut piece);
        }
        let end = self.all.end.min(self.next.saturating_add(AT_ONCE));
        for serial in self.next..end {
            let code = self.key.codes().code(serial, 0);
            match self.format {
                CodeFormat::Csv => self.row(&mut piece, serial, code),
                CodeFormat::Html => self.card(&mut piece, serial, code),
            }
        }
        self.next = end.max(self.next);
        if self.next >= self.all.end {
            self.is_ended = true;
            if self.format == CodeFormat::Html {
                piece.push_str("</section>\n</body>\n</html>\n");
            }
        }
        Some(piece.into())
    }
}

impl CodeFile {
    fn begin(&self, piece: &mut String) {
        match self.format {
            CodeFormat::Csv => {
                piece.push_str(match self.links {
                    Some(_) => "serial,code,link\r\n",
                    None => "serial,code\r\n",
                });
            }
            CodeFormat::Html => {
                let title = escaped(&self.title);
                let _ = write!(piece, "{HEAD_BEFORE_TITLE}{title}{HEAD_AFTER_TITLE}");
                piece.push_str("<section>\n");
            }
        }
    }

    fn link(&self, code: VoterCode) -> Option<String> {
        self.links.as_ref().map(|links| format!("{links}{code}"))
    }

    fn row(&self, piece: &mut String, serial: Serial, code: VoterCode) {
        let fields = [serial.to_string(), code.to_string()];
        let fields = fields.into_iter().chain(self.link(code));
        csv::row(piece, fields.map(Cow::from));
    }

    fn card(&self, piece: &mut String, serial: Serial, code: VoterCode) {
        let place = serial - self.all.start;
        if place > 0 && place.is_multiple_of(ON_A_PAGE) {
            piece.push_str("</section>\n<section>\n");
        }
        let title = escaped(&self.title);
        let _ = write!(piece, "<div class=\"card\"><h2>{title}</h2>");
        let link = self.link(code);
        if let Some((path, size)) = link.as_deref().and_then(qr::path) {
            let _ = write!(
                piece,
                "<svg viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"QR code of the link\">\
                 <path d=\"{path}\"/></svg>"
            );
        }
        let _ = write!(piece, "<p class=\"code\">{code}</p>");
        if let Some(links) = &self.links {
            // What is typed is the poll's page, and there the code.
            let page = links.trim_end_matches("/c/");
            let page = page.split_once("://").map_or(page, |(_, page)| page);
            let _ = write!(piece, "<p>{}</p>", escaped(page));
        }
        let _ = writeln!(piece, "<p class=\"serial\">{serial}</p></div>");
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char => escaped.push(char),
        }
    }
    escaped
}

const HEAD_BEFORE_TITLE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"robots\" content=\"noindex\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>Codes: ";

const HEAD_AFTER_TITLE: &str = "</title>\n<style>\n\
    @page { size: A4; margin: 10mm; }\n\
    body { margin: 0; font: 11pt/1.3 sans-serif; color: #000; background: #fff; }\n\
    section { display: grid; grid-template-columns: 1fr 1fr; grid-auto-rows: 54mm; width: 190mm; margin: 0 auto; \
    break-after: page; }\n\
    section:last-child { break-after: auto; }\n\
    .card { position: relative; box-sizing: border-box; padding: 4mm; border: 0.2mm dashed #999; overflow: hidden; \
    break-inside: avoid; }\n\
    .card h2 { margin: 0 0 2mm; font-size: 11pt; max-height: 2.6em; overflow: hidden; overflow-wrap: anywhere; }\n\
    .card svg { float: right; width: 30mm; height: 30mm; margin-left: 3mm; }\n\
    .card p { margin: 0 0 1.5mm; font-size: 8pt; overflow-wrap: anywhere; }\n\
    .card .code { font: bold 13pt/1.4 monospace; }\n\
    .card .serial { position: absolute; right: 3mm; bottom: 1mm; color: #555; }\n\
    </style>\n</head>\n<body>\n";

#[cfg(test)]
mod tests {
    use voting_core::{SecretKey, model::poll_key::PollKeyWrap};

    use super::*;

    fn file(serials: Range<Serial>, format: CodeFormat, voters: Option<&str>) -> String {
        let poll = Poll::builder("lunch", "Soup & <bread>?").option("a", "A");
        let poll = poll.option("b", "B").build().unwrap();
        let wrap = PollKeyWrap::new(&SecretKey::new([1; 32]).unwrap());
        let key = wrap.make(poll.id()).unwrap();
        let key = wrap.open(poll.id(), &key).unwrap();
        let page = voters.map(|url| format!("{url}/polls/lunch"));
        let file = CodeFile::new(&poll, key, serials, format, page);
        let pieces = file.map(|piece| String::from_utf8(piece.to_vec()).unwrap());
        pieces.collect()
    }

    #[test]
    fn a_file_has_each_code_once() {
        let voters = Some("https://vote.example.org");
        let csv = file(5..2_505, CodeFormat::Csv, voters);
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("serial,code,link"));
        for (serial, line) in (5..2_505).zip(lines.by_ref()) {
            let fields: Vec<_> = line.split(',').collect();
            let code: VoterCode = fields[1].parse().unwrap();
            assert_eq!((fields[0].parse(), code.serial()), (Ok(serial), serial));
            let link = format!("https://vote.example.org/polls/lunch/c/{}", fields[1]);
            assert_eq!(fields[2], link);
        }
        assert_eq!(lines.next(), None);
        let csv = file(0..1, CodeFormat::Csv, None);
        assert!(csv.starts_with("serial,code\r\n0,0000-0"), "{csv}");
    }

    #[test]
    fn a_sheet_has_ten_cards_a_page() {
        let sheet = file(0..25, CodeFormat::Html, Some("https://vote.example.org"));
        assert_eq!(sheet.matches("<section>").count(), 3);
        assert_eq!(sheet.matches("</section>").count(), 3);
        assert_eq!(sheet.matches("class=\"card\"").count(), 25);
        assert_eq!(sheet.matches("<svg ").count(), 25);
        assert!(!sheet.contains("<bread>"));
        assert!(sheet.contains("<p>vote.example.org/polls/lunch</p>"));
        let bare = file(0..25, CodeFormat::Html, None);
        assert!(!bare.contains("<svg "));
    }
}
