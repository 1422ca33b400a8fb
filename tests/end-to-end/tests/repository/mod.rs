//! What is in the repository.

use std::{collections::BTreeSet, fs, path::PathBuf};

use voting_testing::root;

/// The files of the repository, as they are called from its root.
pub(crate) fn files() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let entry = entry.expect("a file");
            let name = entry.file_name().into_string().expect("a text");
            let is_made = name == "target" || name == "node_modules";
            let is_hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            if is_made || is_hidden {
                continue;
            }
            let path = folder.join(&name);
            if entry.file_type().expect("a kind").is_dir() {
                folders.push(path);
            } else {
                files.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    files
}
