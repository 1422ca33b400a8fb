//! Up to where entries of the log need not be signed.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{Inner, Postgres, marks};
use crate::{
    error::StoreError,
    model::position::{EntryId, EntryKey, ShardId},
    store::unsigned::UnsignedStore,
};

impl Inner {
    fn unsigned_until(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        self.ask(|connection| {
            let rows = connection.query("SELECT shard, ms, seq FROM unsigned_until", &[])?;
            rows.iter().map(marks::key).collect()
        })
    }

    fn keep_unsigned_until(&self, until: &[EntryKey]) -> Result<(), StoreError> {
        let (shards, ms, seqs) = marks::columns(until)?;
        self.on_connection(|connection| {
            let mut transaction = connection.begin()?;
            transaction.execute(
                "INSERT INTO unsigned_until
                 SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[])
                 ON CONFLICT DO NOTHING",
                &[&shards, &ms, &seqs],
            )?;
            transaction.commit()?;
            Ok(())
        })
    }
}

#[async_trait]
impl UnsignedStore for Postgres {
    async fn unsigned_until(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        self.call(Inner::unsigned_until).await
    }

    async fn keep_unsigned_until(
        &self,
        until: &HashMap<ShardId, EntryId>,
    ) -> Result<(), StoreError> {
        // In one order everywhere, or two sessions could lock each other out.
        let mut until: Vec<EntryKey> = until.iter().map(|(shard, id)| (*shard, *id)).collect();
        until.sort_unstable();
        self.call(move |inner| inner.keep_unsigned_until(&until))
            .await
    }
}
