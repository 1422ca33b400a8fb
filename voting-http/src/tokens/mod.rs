//! Texts that only the services can make: signed voter ids, and sealed receipts, which only the services can read.

pub(crate) mod grant;
pub(crate) mod receipt_key;
pub(crate) mod sealed;
pub(crate) mod signed;
