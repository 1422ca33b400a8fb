//! Who else on this machine can read a file.

use std::{fs, io, path::Path};

/// Whether any user of this machine can read a file: all users may read it, and may enter all folders above it. On
/// other systems than Unix, this is not checked.
///
/// # Errors
/// The rights of the file, or of a folder above it, cannot be read.
pub fn anybody_may_read(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // If the path is a link, its target is checked.
        let path = fs::canonicalize(path)?;
        let mode = |path: &Path| Ok::<_, io::Error>(fs::metadata(path)?.permissions().mode());
        if mode(&path)? & 0o004 == 0 {
            return Ok(false);
        }
        for folder in path.ancestors().skip(1) {
            if mode(folder)? & 0o001 == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
    #[cfg(not(unix))]
    {
        fs::metadata(path)?;
        Ok(false)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_as_private_as_the_folders_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "x").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&file, 0o644);
        set(folder.path(), 0o700);
        assert!(!anybody_may_read(&file).unwrap(), "nobody gets there");
        set(folder.path(), 0o711);
        assert!(anybody_may_read(&file).unwrap());
        set(&file, 0o640);
        assert!(!anybody_may_read(&file).unwrap());
        assert!(anybody_may_read(&folder.path().join("none")).is_err());
    }
}
