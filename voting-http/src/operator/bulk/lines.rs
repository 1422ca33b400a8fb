//! The lines of a body, as they arrive.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use poem::Body;
use tokio::time::timeout;

use super::Bytestream;
use crate::edge::body_limit;

/// The longest line, in bytes without its end. A vote for all of 63 options is far shorter.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// What a body has next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Text(Bytes),
    /// A line that is longer than [`MAX_LINE`]. It is not kept.
    TooLong,
    /// The body is over.
    End,
    /// The client sends nothing for [`SILENCE`], or it has gone away.
    Broken,
}

/// Reads lines. It keeps no more than a line and what has arrived with it.
pub(super) struct Lines {
    body: Bytestream,
    buffer: BytesMut,
    /// Up to where the buffer has no end of a line.
    searched: usize,
    /// Whether what comes belongs to a line that is too long.
    skips: bool,
    is_over: bool,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body: Box::pin(body.into_bytes_stream()),
            buffer: BytesMut::new(),
            searched: 0,
            skips: false,
            is_over: false,
        }
    }

    /// Reads the first piece of the body.
    pub(super) async fn begin(&mut self) {
        if let Ok(Some(Ok(first))) = timeout(SILENCE, self.body.next()).await {
            self.buffer.extend_from_slice(&first);
        }
    }

    /// Reads the body and keeps nothing of it, so that the client sees the answer.
    pub(super) async fn discard(mut self) {
        body_limit::discard(&mut self.body).await;
    }

    pub(super) async fn next(&mut self) -> Line {
        loop {
            let found = self.buffer[self.searched..]
                .iter()
                .position(|b| *b == b'\n');
            if let Some(end) = found.map(|at| self.searched + at) {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                return match std::mem::take(&mut self.skips) || line.len() > MAX_LINE {
                    true => Line::TooLong,
                    false => Line::Text(line),
                };
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE {
                self.skips = true;
            }
            if self.skips {
                self.buffer.clear();
                self.searched = 0;
            }
            if self.is_over {
                // The last line may have no end.
                let rest = self.buffer.split().freeze();
                self.searched = 0;
                return match (std::mem::take(&mut self.skips), rest.is_empty()) {
                    (true, _) => Line::TooLong,
                    (false, false) => Line::Text(rest),
                    (false, true) => Line::End,
                };
            }
            match timeout(SILENCE, self.body.next()).await {
                Ok(Some(Ok(more))) => self.buffer.extend_from_slice(&more),
                Ok(Some(Err(_))) | Err(_) => return Line::Broken,
                Ok(None) => self.is_over = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(pieces: &[&[u8]]) -> Vec<Line> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let mut lines = Lines::new(Body::from_bytes_stream(stream::iter(pieces)));
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Line::End => return all,
                line => all.push(line),
            }
        }
    }

    fn text(line: &str) -> Line {
        Line::Text(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[tokio::test]
    async fn lines_are_the_same_wherever_a_body_is_cut() {
        let body = b"one\n\ntwo\r\nthree";
        let whole = [text("one"), text(""), text("two\r"), text("three")];
        for at in 0..=body.len() {
            assert_eq!(read(&[&body[..at], &body[at..]]).await, whole, "{at}");
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_left_out_and_the_next_is_read() {
        let long = vec![b'x'; MAX_LINE + 1];
        let just = &long[1..];
        let read = read(&[just, b"\n", &long, b"\n", &long, &long, b"y\nlast\n", &long]).await;
        let [Line::Text(first), rest @ ..] = &read[..] else {
            panic!("{}", read.len());
        };
        assert_eq!(first.len(), MAX_LINE);
        assert_eq!(
            rest,
            [Line::TooLong, Line::TooLong, text("last"), Line::TooLong]
        );
    }
}
