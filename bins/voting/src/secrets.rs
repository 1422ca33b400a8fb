//! Secrets: given as a setting or in a file, or else made at the first start and kept.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use voting_core::{SecretKey, secret::ShortSecret};

/// A setting that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{0} is set both as a value and as a file; set one of them")]
    Both(&'static str),
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("{0} is too short")]
    Short(&'static str, #[source] ShortSecret),
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
}

/// The secret of this name: the setting, or what the file says, or else what stands in `kept`,
/// which is made if it is missing.
pub(crate) fn find(
    name: &'static str,
    value: Option<&Hidden>,
    file: Option<&Path>,
    kept: &Path,
) -> Result<SecretKey, SecretError> {
    let text = match (value, file) {
        (Some(_), Some(_)) => return Err(SecretError::Both(name)),
        (Some(value), None) => value.expose().to_owned(),
        (None, Some(file)) => read(file)?,
        (None, None) => {
            if !fs::exists(kept).map_err(|error| SecretError::Read(kept.into(), error))? {
                make(kept)?;
            }
            read(kept)?
        }
    };
    SecretKey::new(text.trim()).map_err(|error| SecretError::Short(name, error))
}

fn read(file: &Path) -> Result<String, SecretError> {
    fs::read_to_string(file).map_err(|error| SecretError::Read(file.into(), error))
}

/// Writes 32 random bytes in hexadecimal, whole or not at all: a half-written secret would be
/// read as another one after a crash.
fn make(kept: &Path) -> Result<(), SecretError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    let text = format!("{}\n", HEXLOWER.encode(&bytes));
    write_private(kept, text.as_bytes()).map_err(|error| SecretError::Write(kept.into(), error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_not_given_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("new/secret");
        let first = find("secret", None, None, &kept).unwrap();
        let second = find("secret", None, None, &kept).unwrap();
        assert_eq!(first.as_bytes(), second.as_bytes());
        assert_eq!(first.as_bytes().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&kept).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_given_secret_is_taken_from_where_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (file, kept) = (folder.path().join("file"), folder.path().join("kept"));
        let long = "x".repeat(32);
        fs::write(&file, format!("{long}\n")).unwrap();
        let hidden = Hidden(long.clone());
        let find = |value, file| find("secret", value, file, &kept);
        assert_eq!(
            find(Some(&hidden), None).unwrap().as_bytes(),
            long.as_bytes()
        );
        assert_eq!(find(None, Some(&file)).unwrap().as_bytes(), long.as_bytes());
        assert!(matches!(
            find(Some(&hidden), Some(&file)),
            Err(SecretError::Both(_))
        ));
        let short = Hidden("short".into());
        assert!(matches!(
            find(Some(&short), None),
            Err(SecretError::Short(..))
        ));
        let missing = folder.path().join("missing");
        assert!(matches!(
            find(None, Some(&missing)),
            Err(SecretError::Read(..))
        ));
        assert!(!kept.exists());
    }
}
