//! Reads answers of Redis that contain entries, or describe them, as bytes. Anybody who may write to the log can
//! write fields whose names are not text, and one such entry must not make all others unreadable.

use std::str;

use ::redis::Value;

use crate::backends::redis::append::parse_id;
use crate::{
    error::StoreError,
    log::claim::LogEntry,
    model::position::{EntryId, ShardId},
};

/// The answer to `XAUTOCLAIM`.
pub(in crate::backends::redis) struct Taken {
    /// The cursor for the next call; `0-0` at the end.
    pub(in crate::backends::redis) next: String,
    /// The entries.
    pub(in crate::backends::redis) entries: Vec<LogEntry>,
    /// The ids of entries that were deleted before they were acknowledged.
    pub(in crate::backends::redis) deleted: Vec<String>,
}

fn unexpected(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an answer of Redis: {what}"))
}

fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(unexpected("no list")),
    }
}

/// Names with their values. Protocol 3 sends them as a map, protocol 2 as a list.
fn pairs(value: Value) -> Result<Vec<(Value, Value)>, StoreError> {
    if let Value::Map(pairs) = value {
        return Ok(pairs);
    }
    let mut items = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    str::from_utf8(bytes(value)?).ok()
}

fn id(value: &Value) -> Result<EntryId, StoreError> {
    parse_id(text(value).ok_or_else(|| unexpected("an id that is not text"))?)
}

/// Reads entries, each `[id, [name, value, …]]`.
fn entries(shard: ShardId, value: Value, into: &mut Vec<LogEntry>) -> Result<(), StoreError> {
    let items = list(value)?;
    into.reserve(items.len());
    for item in items {
        let mut parts = list(item)?.into_iter();
        let (Some(name), Some(fields)) = (parts.next(), parts.next()) else {
            return Err(unexpected("an entry without id or fields"));
        };
        // An entry that was added by hand may lack a field. Such an entry is handled like one that cannot be read.
        let fields = pairs(fields)?;
        let has_payload = fields
            .iter()
            .any(|(name, value)| bytes(name) == Some(b"b") && bytes(value).is_some());
        let mut entry = LogEntry {
            shard,
            id: id(&name)?,
            payload: Vec::new(),
            ballots: 1,
            traces: Vec::new(),
            foreign: None,
        };
        if !has_payload {
            entry.foreign = Some(reply(&fields));
            entry.payload = as_written(&fields);
        }
        for (name, value) in fields {
            match (bytes(&name), value) {
                (Some(b"b"), Value::BulkString(payload)) => entry.payload = payload,
                (Some(b"n"), value) => {
                    let number = text(&value).and_then(|number| number.parse().ok());
                    entry.ballots = number.unwrap_or(1);
                }
                (Some(b"t"), Value::BulkString(traces)) => entry.traces = traces,
                _ => {}
            }
        }
        into.push(entry);
    }
    Ok(())
}

/// The most fields that are named of an entry that another program wrote, …
const TOLD: usize = 8;

/// … and the most bytes of each name.
const NAME_BYTES: usize = 32;

/// A description of the fields of an entry without a payload.
fn reply(fields: &[(Value, Value)]) -> String {
    let field = |(name, value): &(Value, Value)| {
        let name = bytes(name).unwrap_or_default();
        let name = name[..name.len().min(NAME_BYTES)].escape_ascii();
        let size = bytes(value).map_or(0, <[u8]>::len);
        let s = if size == 1 { "" } else { "s" };
        format!("{name} ({size} byte{s})")
    };
    let mut reply: Vec<_> = fields.iter().take(TOLD).map(field).collect();
    if fields.len() > TOLD {
        reply.push(format!("and {} more", fields.len() - TOLD));
    }
    format!(
        "the entry in Redis has no field b; it has {}",
        reply.join(", ")
    )
}

/// The fields as Redis' protocol writes them in a list. This keeps all of their bytes, and no entry of ours begins
/// like this.
fn as_written(fields: &[(Value, Value)]) -> Vec<u8> {
    let parts = fields.iter().flat_map(|(name, value)| [name, value]);
    let mut written = format!("*{}\r\n", fields.len() * 2).into_bytes();
    for part in parts {
        let part = bytes(part).unwrap_or_default();
        written.extend(format!("${}\r\n", part.len()).into_bytes());
        written.extend(part);
        written.extend(b"\r\n");
    }
    written
}

/// Reads the answer to `XREADGROUP`. `shard` says which shard a key belongs to.
pub(in crate::backends::redis) fn read(
    answer: Value,
    shard: impl Fn(&[u8]) -> Option<ShardId>,
) -> Result<Vec<LogEntry>, StoreError> {
    let streams = match answer {
        Value::Map(pairs) => pairs,
        answer => {
            let streams = list(answer)?.into_iter().map(|stream| {
                let mut parts = list(stream)?.into_iter();
                let both = parts.next().zip(parts.next());
                both.ok_or_else(|| unexpected("a stream without name or entries"))
            });
            streams.collect::<Result<_, _>>()?
        }
    };
    let mut read = Vec::new();
    for (key, value) in streams {
        let known = bytes(&key).and_then(&shard);
        let shard = known.ok_or_else(|| unexpected("a stream that was not asked for"))?;
        entries(shard, value, &mut read)?;
    }
    Ok(read)
}

/// Reads the answer to `XAUTOCLAIM`.
pub(in crate::backends::redis) fn taken(
    shard: ShardId,
    answer: Value,
) -> Result<Taken, StoreError> {
    let mut parts = list(answer)?.into_iter();
    let next = parts.next().as_ref().and_then(text).map(str::to_owned);
    let mut taken = Taken {
        next: next.ok_or_else(|| unexpected("no id to continue from"))?,
        entries: Vec::new(),
        deleted: Vec::new(),
    };
    entries(
        shard,
        parts.next().unwrap_or(Value::Nil),
        &mut taken.entries,
    )?;
    let deleted = list(parts.next().unwrap_or(Value::Nil))?;
    taken.deleted = deleted.iter().filter_map(text).map(str::to_owned).collect();
    Ok(taken)
}

/// Reads the id of the first entry in the answer to `XRANGE`.
pub(in crate::backends::redis) fn first_id(answer: Value) -> Result<Option<EntryId>, StoreError> {
    let first = list(answer)?.into_iter().next();
    let first = first.map(list).transpose()?;
    first.map_or(Ok(None), |parts| {
        let name = parts.first().ok_or_else(|| unexpected("no id"))?;
        id(name).map(Some)
    })
}

/// Reads the entries in the answer to `XRANGE`.
pub(in crate::backends::redis) fn range(
    shard: ShardId,
    answer: Value,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut found = Vec::new();
    entries(shard, answer, &mut found)?;
    Ok(found)
}

/// The facts in the answer to `XINFO STREAM`.
pub(in crate::backends::redis) struct Stream {
    /// The number of its entries.
    pub(in crate::backends::redis) length: u64,
    /// Whether these are all entries that were ever added.
    pub(in crate::backends::redis) is_whole: bool,
    /// The newest id that the stream has given to an entry.
    pub(in crate::backends::redis) last: EntryId,
}

/// Reads the answer to `XINFO STREAM`.
pub(in crate::backends::redis) fn stream(answer: Value) -> Result<Stream, StoreError> {
    let known = pairs(answer)?;
    let get = |name: &[u8]| {
        let found = known.iter().find(|(known, _)| bytes(known) == Some(name));
        found.map_or(&Value::Nil, |(_, value)| value)
    };
    let number = |name| match get(name) {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let length = number(b"length");
    Ok(Stream {
        length: length.ok_or_else(|| unexpected("a stream without a length"))?,
        is_whole: length == number(b"entries-added"),
        last: id(get(b"last-generated-id"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dead_letter::DeadLetter;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    fn array(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(items.into_iter().collect())
    }

    fn entry(id: &[u8], fields: &[&[u8]]) -> Value {
        array([bulk(id), array(fields.iter().map(|field| bulk(field)))])
    }

    #[test]
    fn entries_are_read_whatever_their_fields_are_called() {
        let stream = array([
            entry(b"1-0", &[b"b", b"payload", b"n", b"2"]),
            entry(b"2-0", &[b"\xff\xfe", b"x", b"\xff", b"\xff"]),
            entry(b"3-0", &[b"n", b"many", b"b", b"", b"extra", b""]),
            entry(b"4-0", &[b"b", b"payload", b"n", b"1", b"t", b"traces"]),
        ]);
        let answer = array([array([bulk(b"key"), stream])]);
        let read = read(answer, |key| (key == b"key").then_some(ShardId(3))).unwrap();
        let entry = |ms, payload: &[u8], ballots, traces: &[u8]| LogEntry {
            shard: ShardId(3),
            id: EntryId::new(ms, 0).unwrap(),
            payload: payload.to_vec(),
            ballots,
            traces: traces.to_vec(),
            foreign: None,
        };
        let foreign = LogEntry {
            foreign: Some(
                "the entry in Redis has no field b; it has \\xff\\xfe (1 byte), \\xff (1 byte)"
                    .to_owned(),
            ),
            ..entry(
                2,
                b"*4\r\n$2\r\n\xff\xfe\r\n$1\r\nx\r\n$1\r\n\xff\r\n$1\r\n\xff\r\n",
                1,
                b"",
            )
        };
        let expected = [
            entry(1, b"payload", 2, b""),
            foreign,
            entry(3, b"", 1, b""),
            entry(4, b"payload", 1, b"traces"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn of_what_has_no_payload_a_dead_letter_says_what_was_there_and_keeps_it() {
        let large = vec![b'x'; 50 * 1024 * 1024];
        let id = b"1-0";
        let names: Vec<String> = (0..9)
            .map(|number| format!("{number:?}").repeat(40))
            .collect();
        let many: Vec<_> = names
            .iter()
            .flat_map(|name| [name.as_bytes(), b"v"])
            .collect();
        let letter = |fields: &[&[u8]]| {
            let found = range(ShardId(0), array([entry(id, fields)])).unwrap();
            let error = crate::log::entry::decode(&found[0].payload).expect_err("no entry");
            DeadLetter::of_entry(&found[0], &error)
        };
        let lost = letter(&[b"n", b"3", b"ballot", &large]);
        let begins = "the entry in Redis has no field b; it has n (1 byte), ballot (52428800 bytes); of \
                      52428843 bytes the first 65536 are kept; SHA-256 of all: ";
        assert!(lost.detail.starts_with(begins), "{}", lost.detail);
        assert_eq!((lost.payload.len(), lost.ballots), (65_536, 3));
        let many = letter(&many).detail;
        assert!(many.ends_with("(1 byte), and 1 more"), "{many}");
        assert!(many.len() < 500, "{many}");
        // If an entry has a payload, its other fields are ignored, even malformed ones.
        assert_eq!(
            letter(&[b"x", b"y", b"b", b""]).detail,
            "the entry ends early"
        );
    }

    #[test]
    fn nothing_is_no_entry() {
        assert!(read(Value::Nil, |_| None).unwrap().is_empty());
        assert_eq!(first_id(array([])).unwrap(), None);
    }

    #[test]
    fn what_was_deleted_is_reported_beside_what_was_taken() {
        let answer = array([
            bulk(b"0-0"),
            array([entry(b"1-0", &[b"\xff", b""])]),
            array([bulk(b"2-0")]),
        ]);
        let taken = taken(ShardId(0), answer).unwrap();
        assert_eq!((taken.next.as_str(), taken.entries.len()), ("0-0", 1));
        assert_eq!(taken.deleted, ["2-0"]);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(read(Value::Int(1), |_| None).is_err());
        assert!(read(array([array([bulk(b"key")])]), |_| None).is_err());
        assert!(taken(ShardId(0), array([])).is_err());
        assert!(stream(array([])).is_err());
    }
}
