//! Who of several consumers has which entries of a shard.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::model::position::EntryId;

/// The readers of one shard.
#[derive(Debug)]
pub(crate) struct Group {
    /// The least id that was never handed out.
    next: EntryId,
    /// Handed out and not acknowledged, with the moment of the last hand-out.
    pending: BTreeMap<EntryId, Instant>,
    claim_timeout: Duration,
}

impl Group {
    pub(crate) fn new(claim_timeout: Duration) -> Self {
        Self {
            next: EntryId::MIN,
            pending: BTreeMap::new(),
            claim_timeout,
        }
    }

    /// The least id that was never handed out.
    pub(crate) fn next(&self) -> EntryId {
        self.next
    }

    /// Entries whose consumer has not acknowledged them in time, oldest first.
    pub(crate) fn overdue(&self) -> Vec<EntryId> {
        let now = Instant::now();
        self.pending
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= self.claim_timeout)
            .map(|(id, _)| *id)
            .collect()
    }

    /// Notes that an entry is handed out.
    pub(crate) fn hand_out(&mut self, id: EntryId) {
        self.pending.insert(id, Instant::now());
        self.next = self.next.max(id.next());
    }

    /// Notes that an entry is done with; false when it was so already.
    pub(crate) fn acknowledge(&mut self, id: EntryId) -> bool {
        self.pending.remove(&id).is_some()
    }

    /// All entries below this are acknowledged.
    pub(crate) fn acknowledged_below(&self) -> EntryId {
        self.pending.keys().next().copied().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_settled_up_to_the_first_entry_in_hand() {
        let id = |seq| EntryId::new(1, seq).unwrap();
        let mut group = Group::new(Duration::ZERO);
        assert_eq!(group.acknowledged_below(), EntryId::MIN);
        for seq in 0..3 {
            group.hand_out(id(seq));
        }
        assert!(group.acknowledge(id(1)));
        assert_eq!(group.acknowledged_below(), id(0));
        assert!(group.acknowledge(id(0)));
        assert_eq!(group.acknowledged_below(), id(2));
        assert!(group.acknowledge(id(2)));
        assert!(!group.acknowledge(id(2)));
        assert_eq!(group.acknowledged_below(), id(3));
        assert_eq!(group.next(), id(3));
    }

    #[test]
    fn an_entry_is_overdue_once_its_time_is_over() {
        let id = EntryId::new(1, 0).unwrap();
        let mut patient = Group::new(Duration::from_secs(3600));
        patient.hand_out(id);
        assert!(patient.overdue().is_empty());
        let mut hasty = Group::new(Duration::ZERO);
        hasty.hand_out(id);
        assert_eq!(hasty.overdue(), [id]);
    }
}
