//! How many faults of each kind were made, and how many were to be.

use std::{collections::BTreeMap, fmt};

use crate::plan::Kind;

/// By kind: those that were made, and those that could not be.
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<Kind, (u32, u32)>);

impl Faults {
    pub(crate) fn add(&mut self, kind: Kind, made: bool) {
        let (done, not) = self.0.entry(kind).or_default();
        *(if made { done } else { not }) += 1;
    }

    /// Kinds of which there was to be one, and was none.
    pub(crate) fn never(&self) -> impl Iterator<Item = Kind> {
        let never = self.0.iter().filter(|(_, (made, _))| *made == 0);
        never.map(|(kind, _)| *kind)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made: u32 = self.0.values().map(|(made, _)| made).sum();
        let not: u32 = self.0.values().map(|(_, not)| not).sum();
        let kinds = self.0.values().filter(|(made, _)| *made > 0).count();
        write!(f, "{made} faults of {kinds} kinds")?;
        if not > 0 {
            write!(f, " ({not} more could not be made)")?;
        }
        Ok(())
    }
}
