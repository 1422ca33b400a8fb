//! Compares what the services and the store say with what the voters were told.

pub(crate) mod check;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod expected;
pub(crate) mod receipts;
pub(crate) mod recount;
pub(crate) mod service;
pub(crate) mod sources;
pub(crate) mod step;
pub(crate) mod store;
pub(crate) mod verdict;
pub(crate) mod voter_check;
pub(crate) mod waiting;
