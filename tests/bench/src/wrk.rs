//! The load generator `wrk`.

use std::{fs, process::Command};

/// Requests a second; all must be answered well.
pub(crate) fn wrk(
    url: &str,
    (path, script): (&str, &str),
    connections: usize,
    seconds: u64,
) -> f64 {
    let file = std::env::temp_dir().join(format!("voting-bench-{}.lua", std::process::id()));
    fs::write(&file, script).expect("written");
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .arg("-s")
        .arg(&file)
        .arg(format!("{url}{path}"))
        .output()
        .expect("wrk is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|rate| rate.trim().parse().ok());
    rate.expect("a rate")
}
