//! The data that all parts of a check need.

use std::time::Duration;

use crate::{
    checking::{expected::Expected, sources::Sources, step::Tell},
    history::History,
};

/// The data that all parts of a check need.
pub(crate) struct Checking<'a> {
    pub(crate) history: &'a History,
    pub(crate) sources: &'a Sources,
    pub(crate) expected: Expected,
    pub(crate) tell: Tell<'a>,
    /// It is zero once something was waited for without success.
    pub(crate) patience: Duration,
}
