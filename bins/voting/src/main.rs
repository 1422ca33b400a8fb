//! The program `voting`.

use std::process::ExitCode;

fn main() -> ExitCode {
    voting::main()
}
