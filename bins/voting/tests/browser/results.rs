//! The result page.
