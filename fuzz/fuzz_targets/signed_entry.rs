//! `cargo +nightly fuzz run signed_entry`. The test `decoders` of voting-core does the same with fewer inputs.
#![no_main]

#[allow(dead_code, reason = "each target uses one")]
#[path = "../../voting-core/tests/decoders/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::signed_entry(bytes));
