//! Texts that only the services can make: signed ids of voters, and receipts that only they can read.

pub(crate) mod receipt_key;
pub(crate) mod sealed;
pub(crate) mod signed;
