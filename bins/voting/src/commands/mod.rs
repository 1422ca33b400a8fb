//! The commands of `voting`: tools for operators.

pub(crate) mod codes;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod forget_voters;
pub(crate) mod import_polls;
pub(crate) mod migrate;
pub(crate) mod report;
pub(crate) mod rewind;
pub(crate) mod settings;
pub(crate) mod target;
pub(crate) mod void;
