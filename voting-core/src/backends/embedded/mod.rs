//! What the embedded back ends share: the state of a log's readers, which lives as long as the
//! process, since all readers are in it.

mod group;
mod waiting;

pub(crate) use group::Group;
pub(crate) use waiting::{Arrivals, claim_within};
