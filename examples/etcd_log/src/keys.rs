//! Where the log is in etcd. All of its keys begin with the same prefix.

use voting_core::model::position::EntryId;

/// Follows all names of entries: above all hexadecimal digits.
const END: char = '~';

#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The newest id, and how many ballots were accepted. Each append changes it.
    pub(crate) fn tail(&self) -> String {
        format!("{}tail", self.prefix)
    }

    /// Which polls are sealed.
    pub(crate) fn sealed(&self) -> String {
        format!("{}sealed", self.prefix)
    }

    /// How many ballots are acknowledged. Each acknowledgement changes it.
    pub(crate) fn done(&self) -> String {
        format!("{}done", self.prefix)
    }

    /// Under which secrets the voters have cookies.
    pub(crate) fn secrets(&self) -> String {
        format!("{}secrets", self.prefix)
    }

    /// The entry itself, until it is acknowledged.
    pub(crate) fn entry(&self, name: EntryName) -> String {
        format!("{}entry/{name}", self.prefix)
    }

    /// There while a consumer has the entry.
    pub(crate) fn claim(&self, name: EntryName) -> String {
        format!("{}claim/{name}", self.prefix)
    }

    /// Where the entries begin that come after this one, and where all end.
    pub(crate) fn entries_after(&self, last: Option<EntryName>) -> (String, String) {
        self.after("entry", last)
    }

    pub(crate) fn claims_after(&self, last: Option<EntryName>) -> (String, String) {
        self.after("claim", last)
    }

    fn after(&self, what: &str, last: Option<EntryName>) -> (String, String) {
        let all = format!("{}{what}/", self.prefix);
        let end = format!("{all}{END}");
        match last {
            Some(last) => (format!("{all}{last}\0"), end),
            None => (all, end),
        }
    }

    /// Where an entry is whose number of ballots is not known.
    pub(crate) fn entry_of(&self, id: EntryId) -> (String, String) {
        let from = format!("{}entry/{}", self.prefix, digits(id));
        let end = format!("{from}{END}");
        (from, end)
    }

    /// The entry of one of the keys above.
    pub(crate) fn name(&self, key: &str) -> Option<EntryName> {
        let (_, name) = key.strip_prefix(&self.prefix)?.split_once('/')?;
        let hex = |from, to| u64::from_str_radix(name.get(from..to)?, 16).ok();
        Some(EntryName {
            id: EntryId::new(hex(0, 16)?, hex(16, 28)?)?,
            ballots: hex(28, 32)?.try_into().ok()?,
        })
    }
}

/// In the order of ids, also as text.
fn digits(id: EntryId) -> String {
    format!("{:016x}{:012x}", id.ms(), id.seq())
}

/// What the key of an entry says of it, so that no value is read to count ballots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryName {
    pub(crate) id: EntryId,
    pub(crate) ballots: u16,
}

impl std::fmt::Display for EntryName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:04x}", digits(self.id), self.ballots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_order_of_their_ids_and_are_read_again() {
        let keys = Keys::new("club/");
        let ids = [(1, 9), (1, 10), (9, 0), (10, 0), (1 << 62, (1 << 47) - 1)];
        let names = ids.map(|(ms, seq)| EntryName {
            id: EntryId::new(ms, seq).unwrap(),
            ballots: u16::MAX,
        });
        let written = names.map(|name| keys.entry(name));
        assert!(written.is_sorted(), "{written:?}");
        assert_eq!(
            written.each_ref().map(|key| keys.name(key)),
            names.map(Some)
        );
        let (from, to) = keys.entries_after(Some(names[1]));
        assert!(written[1] < from && from < written[2] && written[4] < to);
        let (from, to) = keys.entry_of(names[2].id);
        assert!(from < written[2] && written[2] < to && to < written[3]);
        assert_eq!(keys.name("club/entry/1"), None);
    }
}
