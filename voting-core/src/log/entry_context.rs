//! The bytes that carry trace contexts beside an entry of the log: which of its ballots are followed, and
//! in which traces. They are no part of the [entry](crate::log::entry), so that whoever does not know of them
//! reads the entry all the same, and they are never needed to count: what cannot be read is left out.
//!
//! Version 1, with numbers big-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version, 1 |
//! | for each ballot that is followed, up to 128: 2 | its index in the entry |
//! | 16 | trace, not zero |
//! | 8 | span that appended the ballot, not zero |
//!
//! All of them are sampled. An entry of whose ballots none is followed has no such bytes.

use crate::trace::TraceContext;

const VERSION: u8 = 1;

/// The most ballots of an entry that are followed.
pub const MAX_CONTEXTS: usize = 128;

/// The bytes of one.
const LEN: usize = 26;

/// The bytes for ballots of an entry, by their indices; none for no ballots. What is past the
/// [most](MAX_CONTEXTS) is left out.
pub fn encode(contexts: impl IntoIterator<Item = (u16, TraceContext)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, context) in contexts.into_iter().take(MAX_CONTEXTS) {
        if bytes.is_empty() {
            bytes.push(VERSION);
        }
        bytes.extend(index.to_be_bytes());
        bytes.extend(context.trace_id());
        bytes.extend(context.span_id());
    }
    bytes
}

/// Reads them, as far as they can be read.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = (u16, TraceContext)> {
    let contexts = match bytes.split_first() {
        Some((&VERSION, contexts)) => contexts,
        _ => &[],
    };
    let contexts = contexts.chunks_exact(LEN).take(MAX_CONTEXTS);
    contexts.filter_map(|bytes| {
        let (index, ids) = bytes.split_first_chunk()?;
        let (trace, span) = ids.split_first_chunk()?;
        let context = TraceContext::new(*trace, span.try_into().ok()?)?;
        Some((u16::from_be_bytes(*index), context))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(byte: u8) -> TraceContext {
        TraceContext::new([byte; 16], [byte; 8]).unwrap()
    }

    #[test]
    fn contexts_match_the_published_vector() {
        let contexts = [(0, context(0xaa)), (258, context(0x0b))];
        let mut bytes = vec![1, 0, 0];
        bytes.extend([0xaa; 24]);
        bytes.extend([1, 2]);
        bytes.extend([0x0b; 24]);
        assert_eq!(encode(contexts), bytes);
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), contexts);
    }

    #[test]
    fn nothing_is_carried_for_nobody() {
        assert!(encode([]).is_empty());
        assert_eq!(decode(&[]).count(), 0);
    }

    #[test]
    fn of_too_many_the_first_are_carried() {
        let all = (0..1_000).map(|index| (index, context(1)));
        let bytes = encode(all);
        assert_eq!(bytes.len(), 1 + MAX_CONTEXTS * LEN);
        let read: Vec<_> = decode(&bytes).map(|(index, _)| index).collect();
        assert_eq!(read, (0..128).collect::<Vec<_>>());
        let longer = [bytes.as_slice(), &bytes[1..]].concat();
        assert_eq!(decode(&longer).count(), MAX_CONTEXTS);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let mut bytes = encode([(1, context(1)), (2, context(2))]);
        bytes.pop();
        assert_eq!(decode(&bytes).count(), 1);
        bytes[0] = 2;
        assert_eq!(decode(&bytes).count(), 0);
        assert_eq!(decode(&[&[1][..], &[0; LEN]].concat()).count(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).count() <= MAX_CONTEXTS);
        }
    }
}
