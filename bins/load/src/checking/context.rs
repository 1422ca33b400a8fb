//! What all parts of a check need.

use std::time::Duration;

use crate::{
    checking::{expected::Expected, sources::Sources, step::Tell},
    history::History,
};

/// What all parts of a check need.
pub(crate) struct Checking<'a> {
    pub(crate) history: &'a History,
    pub(crate) sources: &'a Sources,
    pub(crate) expected: Expected,
    pub(crate) tell: Tell<'a>,
    /// None is left once something was waited for in vain.
    pub(crate) patience: Duration,
}
