//! What an application does after each flush.

use crate::store::outcome::Flushed;

/// Is called for each batch that the store has committed, in the order of the commits of one worker.
///
/// An application can publish results with it, without polling the store. The hook must return at once, because the
/// worker waits for it. It is called at most once for a commit. If the process ends between the commit and the call,
/// the hook is not called, so read the [tally](crate::TallyStore::tally) when the process starts.
///
/// A closure is a hook:
///
/// ```
/// use voting_core::{pipeline::worker::AfterFlush, store::outcome::Flushed};
///
/// fn needs_hook(_: impl AfterFlush) {}
///
/// needs_hook(|flushed: &Flushed| {
///     for (poll, delta) in &flushed.tallies {
///         println!("{poll}: {} new voters", delta.voters);
///     }
/// });
/// ```
pub trait AfterFlush: Send + Sync {
    /// A batch is committed.
    fn flushed(&self, flushed: &Flushed);
}

impl<F: Fn(&Flushed) + Send + Sync> AfterFlush for F {
    fn flushed(&self, flushed: &Flushed) {
        self(flushed);
    }
}
