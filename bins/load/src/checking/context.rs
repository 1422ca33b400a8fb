//! The data that all parts of a check need.

use std::time::Duration;

use crate::{
    checking::{expected::Expected, sources::Sources, step::OnStep},
    history::History,
};

/// The data that all parts of a check need.
pub(crate) struct Checking<'a> {
    pub(crate) history: &'a History,
    pub(crate) sources: &'a Sources,
    pub(crate) expected: Expected,
    pub(crate) on_step: OnStep<'a>,
    /// It is zero once something was waited for without success.
    pub(crate) patience: Duration,
}
