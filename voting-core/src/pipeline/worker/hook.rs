//! What an application does after each flush.

use crate::store::outcome::Flushed;

/// Is told of each batch that the store has committed, in the order of the commits of one worker.
///
/// For an application that publishes results without asking for them again and again. It must return at once:
/// the worker waits for it. It is called at most once for a commit: if the process dies between the commit and the
/// call, it is not called, so ask for the [tally](crate::TallyStore::tally) when the process starts.
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
