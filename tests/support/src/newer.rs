//! Newer stores than this machine's own: `tests/newer-stores` unpacks them.

use std::{env, path::PathBuf};

use crate::root;

/// A server that speaks Redis' protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The one that is installed.
    Installed,
    /// Redis 8.
    Redis,
    /// Valkey 8.
    Valkey,
}

/// The folder of the newer stores; `None` if they are not there, which is said.
///
/// # Panics
/// They are not there, and `EXPECT_NEWER_STORES` is set.
pub fn newer_stores() -> Option<PathBuf> {
    let folder = match env::var_os("NEWER_STORES") {
        Some(folder) => folder.into(),
        None => root().join("target/newer-stores"),
    };
    if folder.join("usr/bin/redis-server").exists() {
        return Some(folder);
    }
    let is_expected = env::var("EXPECT_NEWER_STORES").is_ok_and(|value| !value.is_empty());
    assert!(
        !is_expected,
        "there are no newer stores in {}",
        folder.display()
    );
    eprintln!("skipped: there are no newer stores here; tests/newer-stores gets them");
    None
}

impl Engine {
    /// How to call one of its programs, such as `server`.
    ///
    /// # Panics
    /// It is a newer one, and not there.
    pub(crate) fn program(self, which: &str) -> Vec<String> {
        let name = match self {
            Self::Installed => return vec![format!("redis-{which}")],
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        };
        let folder = newer_stores().expect("newer stores");
        let text = |path: &str| folder.join(path).to_string_lossy().into_owned();
        // With the libraries that it was built for.
        vec![
            text("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            "--library-path".to_owned(),
            text("usr/lib/x86_64-linux-gnu"),
            text(&format!("usr/bin/{name}-{which}")),
        ]
    }
}
