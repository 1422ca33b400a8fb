//! By which keys the entries in the log are signed.

use std::collections::BTreeMap;

use crate::backends::redis::{Redis, append::parse_id};
use crate::{
    error::StoreError,
    model::position::{EntryId, ShardId},
};

/// How many entries one step looks at. Redis copies each of them, and does nothing else meanwhile.
const STEP: usize = 100;

/// The entries in a shard that are signed by one key, or not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedBy {
    /// The key's id; `None` for entries that are not signed.
    pub key: Option<u8>,
    /// How many there are.
    pub entries: u64,
    /// The last of them.
    pub last: EntryId,
}

impl Redis {
    /// By which keys the entries that the shard has, acknowledged or not, are signed, in the order of the keys. Whether the
    /// signatures are valid is not checked.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn signed_by(&self, shard: ShardId) -> Result<Vec<SignedBy>, StoreError> {
        let mut found: BTreeMap<Option<u8>, SignedBy> = BTreeMap::new();
        let mut from = "-".to_owned();
        loop {
            let mut ask = self.0.scripts.keys.key(self.log_key(shard));
            ask.arg(&from).arg(STEP);
            let reply: Vec<String> = self.0.connection.run(&ask).await?;
            let Some((last, keys)) = reply.split_first().filter(|(last, _)| !last.is_empty())
            else {
                return Ok(found.into_values().collect());
            };
            from = format!("({last}");
            for reply in keys.chunks(3) {
                let corrupt = || StoreError::Corrupt(format!("the keys of entries: {reply:?}"));
                let [key, entries, last] = reply else {
                    return Err(corrupt());
                };
                let key = match key.as_str() {
                    "-1" => None,
                    key => Some(key.parse().map_err(|_| corrupt())?),
                };
                let entries: u64 = entries.parse().map_err(|_| corrupt())?;
                let last = parse_id(last)?;
                let known = found.entry(key).or_insert(SignedBy {
                    key,
                    entries: 0,
                    last,
                });
                known.entries += entries;
                known.last = last;
            }
        }
    }
}
