//! Secrets: from a setting or a file, or otherwise made at the first start and kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use voting_core::{SecretKey, backends::private_files, model::secret::ShortSecret};

use super::Hidden;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The secret is set in two ways.
    #[error("{0} is set both as a value and as a file; set one of them")]
    Both(&'static str),
    /// The secret is not set.
    #[error("{0} is not set; set it, or {0}_file")]
    NotGiven(&'static str),
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The secret is too short.
    #[error("{0} is too short")]
    Short(&'static str, #[source] ShortSecret),
    /// The secret could be guessed.
    #[error("{0} is weak: it could be guessed; `openssl rand -hex 32` makes a good one")]
    Weak(&'static str),
    /// The token is the same as the secret.
    #[error("worker.token is the same as secret; `openssl rand -hex 32` makes another one")]
    TokenIsSecret,
    /// A secret is named twice.
    #[error(
        "a file of other_secret_files has the same secret as secret or as another one of these files: name each secret once"
    )]
    SameSecret,
    /// Without a signed entry the log does not say that a trusted server handed the ballots in.
    #[error(
        "worker.bulk_casts is true, and no key signs entries: set entry_key_file, and remove entry_version = 1"
    )]
    BulkUnsigned,
    /// The key that signs entries is the same as the secret.
    #[error(
        "entry_key is the same as secret, which the result service has, too; `openssl rand -hex 32` makes another one"
    )]
    EntryKeyIsSecret,
    /// Two keys have the same id, so an entry does not say which of them signed it.
    #[error(
        "two keys among entry_key and other_entry_key_files have the id {0}: they are the same key, or need to be made again; \
         `openssl rand -hex 32` makes another one"
    )]
    SameEntryKeyId(u8),
    /// The system gave no random bytes to make the secret.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// The secret was made at an earlier start and is missing now.
    #[error(
        "{} is missing, but there are ballots that were cast under it; with another secret their \
         voters would count again, so put it back, or set the secret",
        .0.display()
    )]
    Missing(PathBuf),
}

/// A secret, and the file that it was read from.
#[derive(Debug)]
pub struct ResolvedSecret {
    /// The secret.
    pub key: SecretKey,
    /// The file that the secret was read from.
    pub file: Option<PathBuf>,
}

/// Where a secret is kept if no setting gives it.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The file.
    pub path: &'a Path,
    /// Whether to make a secret if the file is missing.
    pub may_make: bool,
}

/// The text of this name: the setting, or the contents of the file.
///
/// # Errors
/// Both are set, or the file cannot be read.
pub(crate) fn given(
    name: &'static str,
    value: Option<&Hidden>,
    file: Option<&Path>,
) -> Result<Option<String>, SecretError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretError::Both(name)),
        (Some(value), None) => Ok(Some(value.expose().to_owned())),
        (None, Some(file)) => Ok(Some(read(file)?)),
        (None, None) => Ok(None),
    }
}

/// The secret of this name: the setting, or the contents of the file, or otherwise the kept secret.
///
/// # Errors
/// There is no secret, it is too short, or it cannot be read or made.
pub fn resolve_secret(
    name: &'static str,
    value: Option<&Hidden>,
    file: Option<&Path>,
    kept: Option<Kept<'_>>,
) -> Result<ResolvedSecret, SecretError> {
    let (text, file) = match (given(name, value, file)?, kept) {
        (Some(text), _) => (text, file),
        (None, Some(Kept { path, may_make })) => {
            if !fs::exists(path).map_err(|error| SecretError::Read(path.into(), error))? {
                if !may_make {
                    return Err(SecretError::Missing(path.into()));
                }
                make(path)?;
            }
            (read(path)?, Some(path))
        }
        (None, None) => return Err(SecretError::NotGiven(name)),
    };
    Ok(ResolvedSecret {
        key: SecretKey::new(text.trim()).map_err(|error| SecretError::Short(name, error))?,
        file: file.map(Path::to_owned),
    })
}

/// The contents of a file. Editors put a byte order mark at the beginning and CR LF at the end. Neither is a part of
/// the secret: otherwise a replica with a copy of the file would have another secret.
fn read(file: &Path) -> Result<String, SecretError> {
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| SecretError::Read(file.into(), error))?;
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}

/// Writes 32 random bytes in hexadecimal into a new file.
fn make(kept: &Path) -> Result<(), SecretError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    let text = format!("{}\n", HEXLOWER.encode(&bytes));
    private_files::write_file(kept, text.as_bytes())
        .map_err(|error| SecretError::Write(kept.into(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_not_given_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("secret");
        let resolve = |may_make| {
            let kept = Kept {
                path: &kept,
                may_make,
            };
            resolve_secret("secret", None, None, Some(kept))
        };
        assert!(matches!(resolve(false), Err(SecretError::Missing(_))));
        let first = resolve(true).unwrap().key;
        let second = resolve(false).unwrap().key;
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
    fn a_byte_order_mark_and_line_ends_are_no_part_of_what_a_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let long = "x".repeat(32);
        for text in [
            format!("{long}\n"),
            format!("{long}\r\n"),
            format!("\u{feff}{long}"),
            format!("\u{feff}{long}\r\n\r\n"),
            format!("\u{feff} {long} \n"),
        ] {
            fs::write(&file, &text).unwrap();
            let kept = Kept {
                path: &file,
                may_make: false,
            };
            for found in [
                resolve_secret("secret", None, Some(&file), None),
                resolve_secret("secret", None, None, Some(kept)),
            ] {
                assert_eq!(found.unwrap().key.as_bytes(), long.as_bytes(), "{text:?}");
            }
            // This also applies to tokens and addresses.
            let given = given("redis.url", None, Some(&file)).unwrap();
            assert_eq!(given.as_deref(), Some(long.as_str()), "{text:?}");
        }
        fs::write(&file, [0xff, 0xfe, b'x', 0]).unwrap();
        let other = resolve_secret("secret", None, Some(&file), None);
        assert!(matches!(other, Err(SecretError::Read(..))), "{other:?}");
    }

    #[test]
    fn a_given_secret_is_taken_from_where_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let long = "x".repeat(32);
        fs::write(&file, format!("{long}\n")).unwrap();
        let hidden = Hidden::new(long.clone());
        let resolve =
            |value, file| resolve_secret("secret", value, file, None).map(|found| found.key);
        assert_eq!(
            resolve(Some(&hidden), None).unwrap().as_bytes(),
            long.as_bytes()
        );
        assert_eq!(
            resolve(None, Some(&file)).unwrap().as_bytes(),
            long.as_bytes()
        );
        assert!(matches!(
            resolve(Some(&hidden), Some(&file)),
            Err(SecretError::Both(_))
        ));
        let short = Hidden::new("short");
        assert!(matches!(
            resolve(Some(&short), None),
            Err(SecretError::Short(..))
        ));
        let missing = folder.path().join("missing");
        assert!(matches!(
            resolve(None, Some(&missing)),
            Err(SecretError::Read(..))
        ));
        assert!(matches!(
            resolve(None, None),
            Err(SecretError::NotGiven("secret"))
        ));
    }
}
