//! The program starts. That this is a test of its package makes Cargo build the program with all tests, so that those
//! of other packages need no build of their own.

use std::process::Command;

#[test]
fn the_program_tells_its_version() {
    let told = Command::new(env!("CARGO_BIN_EXE_voting-result"))
        .arg("--version")
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&told.stdout);
    assert_eq!(
        text.trim(),
        concat!("voting-result ", env!("CARGO_PKG_VERSION"))
    );
}
