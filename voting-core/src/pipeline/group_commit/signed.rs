//! Appends entries of version 2.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    error::CastError,
    log::{
        BallotLog,
        entry::{EntryBuilder, LateEntry},
        entry_keys::EntryKeys,
    },
    model::position::{EntryId, ShardId},
};

/// A refusal that comes later did not come because the log's clock was not known: its voters may have voted elsewhere.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Signs an entry with a deadline, and appends it. If the log's clock turns out to be further than it was known to be, signs
/// the entry once more: the refused one is certainly not in the log.
pub(super) async fn append(
    log: &dyn BallotLog,
    keys: &EntryKeys,
    shard: ShardId,
    builder: &EntryBuilder,
    traces: &[u8],
) -> Result<EntryId, CastError> {
    let begun = Instant::now();
    let mut may_repeat = true;
    loop {
        let deadline = log.deadline_ms(shard).await;
        let deadline = deadline.map_err(|error| CastError::Refused(error.into()))?;
        let Some(mut entry) = builder.signed(keys, shard, deadline) else {
            return Err(CastError::Refused("no key signs entries".into()));
        };
        entry.traces = traces.to_vec();
        match log.append(shard, entry).await {
            Err(CastError::Refused(why))
                if why.is::<LateEntry>() && may_repeat && begun.elapsed() < AT_ONCE =>
            {
                may_repeat = false;
            }
            appended => return appended,
        }
    }
}
