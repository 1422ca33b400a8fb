//! A tally as it is sent, and the digest that names it. A digest names the same bytes for ever, so caches may keep them.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use poem_openapi::types::ToJSON;
use sha2::{Digest, Sha256};

use crate::{
    pages::compression,
    views::{pointer_view::PointerView, poll_view::StateView},
};

/// The bytes of SHA-256 in a digest, which has them as hexadecimal digits. Nobody finds two tallies with the same 128 bits by chance,
/// and whoever wants to show other people a wrong tally would have to find one for a digest that is given.
const DIGEST_BYTES: usize = 16;

/// The number of earlier tallies that are kept of a poll. Tallies are read every quarter of a second at most, so the earliest was current ten seconds
/// ago or more. Caches keep a pointer for five seconds, and then somebody follows it.
const KEPT: usize = 40;

/// The bytes of a tally, and its name.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) digest: String,
    /// The tally as JSON.
    pub(crate) json: Bytes,
    /// The digest and the state, as JSON.
    pub(crate) pointer: Bytes,
    /// The tally, compressed once, when somebody first asks for it; `None` if that is of no use.
    gzip: OnceLock<Option<Bytes>>,
}

impl Sent {
    pub(crate) fn new(json: String, state: StateView) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(&json)[..DIGEST_BYTES]);
        let pointer = PointerView {
            digest: digest.clone(),
            state,
        };
        Self {
            pointer: pointer.to_json_string().into(),
            digest,
            json: json.into(),
            gzip: OnceLock::new(),
        }
    }

    /// Whether a text may be a digest.
    pub(crate) fn is_digest(text: &str) -> bool {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.len() == 2 * DIGEST_BYTES && text.bytes().all(is_digit)
    }

    /// The tally compressed with gzip; `None` if that is of no use.
    pub(crate) fn gzip(&self) -> Option<&Bytes> {
        let made = || compression::gzip_if_useful(&self.json);
        self.gzip.get_or_init(made).as_ref()
    }
}

/// The tallies that a process has read before the current one, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Earlier(VecDeque<Arc<Sent>>);

impl Earlier {
    pub(crate) fn keep(&mut self, sent: Arc<Sent>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    pub(crate) fn find(&self, digest: &str) -> Option<Arc<Sent>> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find(|sent| sent.digest == digest).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(json: impl Into<String>) -> Arc<Sent> {
        Arc::new(Sent::new(json.into(), StateView::Open))
    }

    #[test]
    fn a_digest_is_the_beginning_of_sha_256() {
        // Of "abc", from FIPS 180-2.
        let sent = sent("abc");
        assert_eq!(sent.digest, "ba7816bf8f01cfea414140de5dae2223");
        let pointer = br#"{"digest":"ba7816bf8f01cfea414140de5dae2223","state":"open"}"#;
        assert_eq!(sent.pointer.as_ref(), pointer);
    }

    #[test]
    fn the_last_tallies_are_kept_and_older_ones_are_not() {
        let all: Vec<_> = (0..=KEPT).map(|n| sent(n.to_string())).collect();
        let mut earlier = Earlier::default();
        for sent in &all {
            earlier.keep(Arc::clone(sent));
        }
        assert!(earlier.find(&all[0].digest).is_none());
        for sent in &all[1..] {
            let found = earlier.find(&sent.digest).expect("it is kept");
            assert_eq!(found.json, sent.json);
        }
    }
}
