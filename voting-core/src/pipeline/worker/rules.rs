//! Asks the application's rule about the ballots of a batch.

use std::collections::HashMap;

use super::{
    Shared,
    prepare::Gathered,
    retry::{GaveUp, Retry},
};

impl Shared {
    /// Asks the rule about each ballot whose poll is known, and keeps the refusals. A poll may have changed since the
    /// last call, so the rule is asked about all ballots again.
    pub(super) async fn ask_rule(
        &self,
        retry: &mut Retry,
        gathered: &mut Gathered,
    ) -> Result<(), GaveUp> {
        let Some(rule) = &self.rule else {
            return Ok(());
        };
        let polls = self.polls.known();
        let mut refused = HashMap::new();
        for (position, ballot) in gathered.placed() {
            let Some(poll) = polls.get(&ballot.poll) else {
                continue;
            };
            let asked =
                retry.until_done("ask the rule", &self.progress, || rule.check(ballot, poll));
            if let Err(refusal) = asked.await? {
                refused.insert(position, refusal);
            }
        }
        gathered.refused = refused;
        Ok(())
    }
}
