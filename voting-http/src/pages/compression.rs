//! Compresses answers, for clients that accept it.
//!
//! Pages are compressed when they are sent, with gzip: every browser reads it, over plain HTTP too. Assets are compressed once
//! (see [`assets`](crate::pages::assets)), with gzip and with Brotli, which is smaller by a tenth and takes too long for
//! anything that is sent once. An event stream is never compressed, since compression would hold events back.
//! The answer to a cast is never compressed either.

use std::cell::RefCell;

use brotli::enc::{BrotliEncoderParams, backward_references::BrotliEncoderMode};
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use futures_util::FutureExt;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::Body as _;
use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, Method, header},
};

use crate::{pages::accept, problem::Problem};

/// A smaller answer fits into one packet without compression.
const SMALLEST: u64 = 1_024;

/// To compress a larger answer would keep other requests waiting.
const LARGEST: u64 = 256 * 1_024;

pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");
pub(crate) const BROTLI: HeaderValue = HeaderValue::from_static("br");

/// For `Vary`: answers depend on this header of the request.
pub(crate) const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// The mark of an answer that is compressed already, or is not to be compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed;

/// Whether an answer may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// The path is one whose answers are never compressed.
    Never,
    /// The client does not say that it reads gzip.
    Refused,
    Accepted,
}

impl Packing {
    pub(crate) fn of(request: &Request) -> Self {
        if *request.method() != Method::GET {
            Self::Never
        } else if accepts_gzip(request.headers()) {
            Self::Accepted
        } else {
            Self::Refused
        }
    }

    /// Compresses an answer if that is of use.
    pub(crate) fn pack(self, answer: &mut Response) {
        if self == Self::Never
            || !is_text(answer)
            || answer.data::<Packed>().is_some()
            || answer.headers().contains_key(header::CONTENT_ENCODING)
        {
            return;
        }
        answer.headers_mut().append(header::VARY, BY_ENCODING);
        if self != Self::Accepted {
            return;
        }
        let body = BoxBody::from(answer.take_body());
        let size = body.size_hint().exact();
        if !size.is_some_and(|size| (SMALLEST..=LARGEST).contains(&size)) {
            answer.set_body(Body::from(body));
            return;
        }
        // A body whose size is known is complete.
        let Some(Ok(plain)) = body.collect().now_or_never() else {
            *answer = Problem::internal().to_response();
            return;
        };
        let plain = plain.to_bytes();
        let Some(packed) = gzip_page(&plain) else {
            answer.set_body(plain);
            return;
        };
        answer.set_body(packed);
        answer.headers_mut().insert(header::CONTENT_ENCODING, GZIP);
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
}

thread_local! {
    /// Its tables have some 300 KiB. To make them again for each page would take longer than the compression itself.
    static FAST: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// Compresses at the fastest level, since a page is compressed for each visitor.
fn gzip_page(plain: &[u8]) -> Option<Bytes> {
    FAST.with_borrow_mut(|compress| {
        compress.reset();
        gzip(compress, plain)
    })
}

/// Compresses at the best level, for content that is compressed once.
pub(crate) fn gzip_once(plain: &[u8]) -> Option<Bytes> {
    gzip(&mut Compress::new(Compression::best(), false), plain)
}

/// Compresses content that is sent often, as fast as a page; `None` if it is so small or so large that it is sent as it is.
pub(crate) fn gzip_if_useful(plain: &[u8]) -> Option<Bytes> {
    let size = u64::try_from(plain.len()).ok()?;
    let is_useful = (SMALLEST..=LARGEST).contains(&size);
    is_useful.then(|| gzip_page(plain)).flatten()
}

/// Compresses text with Brotli at the best level (RFC 7932): some 20 ms for the largest of our assets. `None` if the
/// compressor fails; no input makes it fail.
pub(crate) fn brotli_once(plain: &[u8]) -> Option<Bytes> {
    let params = BrotliEncoderParams {
        quality: 11,
        mode: BrotliEncoderMode::BROTLI_MODE_TEXT,
        lgwin: 18,
        size_hint: plain.len(),
        ..BrotliEncoderParams::default()
    };
    let (mut rest, mut packed) = (plain, Vec::with_capacity(plain.len() / 3));
    brotli::BrotliCompress(&mut rest, &mut packed, &params).ok()?;
    Some(packed.into())
}

/// A file of one member (RFC 1952) without a name or a time. `None` if the compressor fails; no input makes it fail.
fn gzip(compress: &mut Compress, plain: &[u8]) -> Option<Bytes> {
    let mut file = Vec::with_capacity(plain.len() / 2 + 64);
    file.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    loop {
        let done = usize::try_from(compress.total_in()).ok()?;
        let rest = plain.get(done..)?;
        match compress.compress_vec(rest, &mut file, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break,
            // The output had no more space.
            Ok(_) => file.reserve(file.capacity()),
            Err(_) => return None,
        }
    }
    let mut sum = Crc::new();
    sum.update(plain);
    file.extend_from_slice(&sum.sum().to_le_bytes());
    file.extend_from_slice(&sum.amount().to_le_bytes());
    Some(file.into())
}

fn is_text(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || kind.starts_with("application/json")
}

/// Whether the client accepts gzip, by name or with `*`.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let takes = |wanted| accept::takes(headers, &header::ACCEPT_ENCODING, wanted);
    takes("gzip").or_else(|| takes("*")).unwrap_or(false)
}

/// Whether the client accepts Brotli, by name: browsers name it where they read it, over HTTPS.
pub(crate) fn accepts_brotli(headers: &HeaderMap) -> bool {
    accept::takes(headers, &header::ACCEPT_ENCODING, "br").unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_reads_back_the_same() {
        use std::io::Read;

        let noise: Vec<u8> = (0..100_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        let texts: [&[u8]; 4] = [b"", b"a", &b"a page ".repeat(9_000), &noise];
        for _ in 0..2 {
            for text in texts {
                for packed in [gzip_page(text), gzip_once(text)] {
                    let packed = packed.expect("compressed");
                    let mut read = Vec::new();
                    let mut file = flate2::read::GzDecoder::new(packed.as_ref());
                    file.read_to_end(&mut read).expect("gzip");
                    assert_eq!(read, text);
                }
                let (packed, mut read) = (brotli_once(text).expect("compressed"), Vec::new());
                brotli::BrotliDecompress(&mut packed.as_ref(), &mut read).expect("Brotli");
                assert_eq!(read, text);
            }
        }
    }

    #[test]
    fn only_who_names_brotli_gets_it() {
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=0.1", true),
            ("gzip, br;q=0", false),
            ("*", false),
            ("gzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_brotli(&headers), expected, "{value}");
        }
    }

    #[test]
    fn only_who_names_gzip_gets_it() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        for yes in [
            "gzip",
            "deflate, gzip",
            "br;q=1.0, GZIP;q=0.2",
            "*",
            "identity, *;q=0.1",
        ] {
            assert!(accepts(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip; q=0.000, *",
            "*;q=0",
            "xgzip",
        ] {
            assert!(!accepts(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
