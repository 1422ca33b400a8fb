//! The slots of a cluster, and the node of each slot.

use ::redis::{Arg, Cmd, Value, from_redis_value};

/// The number of slots. Each key belongs to a slot, and each slot to a node.
const SLOTS: u16 = 16_384;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::backends::redis) struct Address {
    pub(in crate::backends::redis) host: String,
    pub(in crate::backends::redis) port: u16,
}

impl Address {
    /// Reads an address in a redirection, `host:port`. Without a host, it is the host of the node that sent the
    /// redirection.
    pub(in crate::backends::redis) fn read(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &said_by.host } else { host };
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The nodes of each range of slots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::backends::redis) struct SlotMap(Vec<Range>);

#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Address,
    replicas: Vec<Address>,
}

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS` from the node `said_by`.
    pub(in crate::backends::redis) fn read(answer: &Value, said_by: &Address) -> Option<Self> {
        let ranges = list(answer)?.iter().map(|range| {
            let [first, last, master, replicas @ ..] = list(range)? else {
                return None;
            };
            Some(Range {
                first: number(first)?,
                last: number(last)?,
                master: node(master, said_by)?,
                replicas: replicas
                    .iter()
                    .filter_map(|replica| node(replica, said_by))
                    .collect(),
            })
        });
        let ranges: Vec<_> = ranges.collect::<Option<_>>()?;
        // A node outside a cluster lists no slots.
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    pub(in crate::backends::redis) fn owner(&self, slot: u16) -> Option<&Address> {
        let range = self
            .0
            .iter()
            .find(|range| (range.first..=range.last).contains(&slot));
        range.map(|range| &range.master)
    }

    /// All masters that have slots, without duplicates.
    pub(in crate::backends::redis) fn masters(&self) -> Vec<Address> {
        once_each(self.0.iter().map(|range| &range.master))
    }

    /// All replicas that are not marked as failed, without duplicates.
    pub(in crate::backends::redis) fn replicas(&self) -> Vec<Address> {
        once_each(self.0.iter().flat_map(|range| &range.replicas))
    }
}

fn once_each<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<Address> {
    let mut all: Vec<_> = addresses.cloned().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u16> {
    from_redis_value(value.clone()).ok()
}

fn node(value: &Value, said_by: &Address) -> Option<Address> {
    let [host, port, ..] = list(value)? else {
        return None;
    };
    // An empty host is the host that was asked; `?` is a host that is not known.
    let host: Option<String> = from_redis_value(host.clone()).ok()?;
    let host = host.filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| said_by.host.clone());
    let port = number(port)?;
    (host != "?").then_some(Address { host, port })
}

/// The slot of the first key in a command; `None` if it has none.
pub(in crate::backends::redis) fn of_command(command: &Cmd) -> Option<u16> {
    let argument = |index: usize| match command.args_iter().nth(index) {
        Some(Arg::Simple(argument)) => Some(argument),
        _ => None,
    };
    let key = match argument(0)? {
        b"CLUSTER" | b"CONFIG" | b"PING" | b"SCRIPT" => None,
        b"EVAL" | b"EVALSHA" => (argument(2)? != b"0").then(|| argument(3)).flatten(),
        b"XGROUP" | b"XINFO" => argument(2),
        b"XREADGROUP" => {
            let mut arguments = command.args_iter();
            arguments.find(|argument| matches!(argument, Arg::Simple(b"STREAMS")));
            match arguments.next() {
                Some(Arg::Simple(key)) => Some(key),
                _ => None,
            }
        }
        _ => argument(1),
    };
    key.map(of_key)
}

/// The slot of a key. If the key has braces, only the text in the first pair counts.
pub(in crate::backends::redis) fn of_key(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&rest[..close])
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as in the cluster's specification.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are the answers of `CLUSTER KEYSLOT`.
    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(of_key(b"foo"), 12_182);
        assert_eq!(of_key(b"{user1000}.following"), of_key(b"user1000"));
        assert_eq!(of_key(b"foo{}{bar}"), of_key_whole(b"foo{}{bar}"));
        assert_eq!(of_key(b"foo{{bar}}zap"), of_key(b"{bar"));
        assert_eq!(of_key(b"foo{bar}{zap}"), of_key(b"bar"));
    }

    fn of_key_whole(key: &[u8]) -> u16 {
        crc16(key) % SLOTS
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        let slot = |words: &[&str]| {
            let mut command = ::redis::cmd(words[0]);
            words[1..].iter().for_each(|word| _ = command.arg(word));
            of_command(&command)
        };
        let of_k = Some(of_key(b"k"));
        assert_eq!(slot(&["GET", "k"]), of_k);
        assert_eq!(slot(&["EVALSHA", "sha", "1", "k", "x"]), of_k);
        assert_eq!(slot(&["EVALSHA", "sha", "0", "k"]), None);
        assert_eq!(slot(&["XINFO", "GROUPS", "k"]), of_k);
        assert_eq!(slot(&["XGROUP", "CREATE", "k", "g"]), of_k);
        let read = ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"];
        assert_eq!(slot(&read), of_k);
        assert_eq!(slot(&["SCRIPT", "LOAD", "k"]), None);
        assert_eq!(slot(&["PING"]), None);
    }

    #[test]
    fn nodes_are_read_as_the_cluster_tells_them() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let answer = Value::Array(vec![
            Value::Array(vec![
                Value::Int(0),
                Value::Int(9),
                node(text("a"), 1),
                node(text("b"), 2),
                node(text("?"), 3),
            ]),
            Value::Array(vec![
                Value::Int(10),
                Value::Int(16_383),
                node(Value::Nil, 4),
            ]),
        ]);
        let asked = Address::read("asked:9", &Address::read("x:1", &nobody()).unwrap()).unwrap();
        let map = SlotMap::read(&answer, &asked).unwrap();
        let named = |text: &str| Address::read(text, &asked).unwrap();
        assert_eq!(map.owner(9), Some(&named("a:1")));
        assert_eq!(map.owner(10), Some(&named(":4")));
        assert_eq!(map.owner(10).unwrap().host, "asked");
        assert_eq!(map.masters().len(), 2);
        assert_eq!(map.replicas(), [named("b:2")]);
        assert_eq!(SlotMap::read(&Value::Array(vec![]), &asked), None);
        assert_eq!(SlotMap::read(&Value::Nil, &asked), None);
    }

    fn nobody() -> Address {
        Address {
            host: String::new(),
            port: 0,
        }
    }
}
