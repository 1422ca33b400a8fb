//! What the services have logged.

use std::{fs, io, path::Path};

/// Lines of all logs in a folder that tell of a panic.
///
/// # Errors
/// They cannot be read.
pub(crate) fn panics(folder: &Path) -> io::Result<Vec<String>> {
    let mut panics = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        let name = path.file_name().unwrap_or_default().display();
        let lines = text.lines().filter(|line| line.contains("panicked at"));
        panics.extend(lines.map(|line| format!("{name}: {line}")));
    }
    Ok(panics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_log_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vote-0.log"), "well\n").unwrap();
        assert_eq!(panics(folder.path()).unwrap(), Vec::<String>::new());
        let line = "thread 'main' panicked at src/main.rs:1:1:";
        fs::write(folder.path().join("worker-1.log"), format!("{line}\nno\n")).unwrap();
        let found = panics(folder.path()).unwrap();
        assert_eq!(found, [format!("worker-1.log: {line}")]);
    }
}
