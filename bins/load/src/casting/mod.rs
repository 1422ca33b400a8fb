//! Casts the ballots, and records what their voters were told.

pub(crate) mod answer;
pub(crate) mod caster;
pub(crate) mod load;
pub(crate) mod pace;
pub(crate) mod shared;
pub(crate) mod voters;
pub(crate) mod watch;
