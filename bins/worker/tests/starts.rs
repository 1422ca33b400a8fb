//! Starts the program. Because this test is in the program's package, Cargo builds the program together with all
//! tests. So tests in other packages do not need a build of their own.

use std::process::Command;

#[test]
fn the_program_tells_its_version() {
    let told = Command::new(env!("CARGO_BIN_EXE_voting-worker"))
        .arg("--version")
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&told.stdout);
    assert_eq!(
        text.trim(),
        concat!("voting-worker ", env!("CARGO_PKG_VERSION"))
    );
}
