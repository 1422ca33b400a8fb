//! Files and folders for this user only, and on the disk once they are made.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Makes a folder, and those above it, unless it is there.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    sync_folder(folder_of(folder))
}

/// Opens a file to be appended to, or makes it, empty; takes others' rights to it away. Who names it in a folder
/// that others can write to must not be handed their file: a link, and a file of another user, are refused.
///
/// # Errors
/// It is refused, or the system does not let this user have it.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = options().create(true).append(true).open(path);
    let file = file.map_err(|error| with_reason(path, error))?;
    check(path, &file.metadata()?)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(file)
}

/// Refuses a file that is there, and that somebody else may have put there. One that is not there is fine.
///
/// # Errors
/// It is a link, no regular file, or another user's; or it cannot be looked at.
pub fn check_file(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) => check(path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where a path leads that may be a link: of this user, of the administrator, or of whom the folder belongs to.
///
/// # Errors
/// It is another user's link, or leads nowhere.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            check_owner(path, &found)?;
            fs::canonicalize(path)
        }
        _ => Ok(path.to_owned()),
    }
}

/// Writes a file, whole or not at all: after a crash it is as it was, or as it is to be.
///
/// # Errors
/// There is a file of another user with the name that the unfinished one is to have; or the system refuses.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let named = |error: io::Error| {
        let text = format!("{}: {error}", unfinished.display());
        io::Error::new(error.kind(), text)
    };
    // Left by a crash; never written to, since others may have put it there, and have it open.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
        _ => {}
    }
    let mut file = options()
        .write(true)
        .create_new(true)
        .open(&unfinished)
        .map_err(named)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder(folder_of(path))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe that somebody has put there must not be waited for either.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600);
        options.custom_flags(flags.bits().cast_signed());
    }
    options
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn refused(path: &Path, why: &str) -> io::Error {
    let text = format!(
        "{} {why}; remove it, or use a folder that only this user can write to",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Replaces an error of the system that is hard to understand, such as that of a symbolic link.
fn with_reason(path: &Path, error: io::Error) -> io::Error {
    match fs::symlink_metadata(path) {
        Ok(found) => check(path, &found).err().unwrap_or(error),
        Err(_) => error,
    }
}

fn check(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.is_symlink() {
        return Err(refused(path, "is a symbolic link"));
    }
    if !found.is_file() {
        return Err(refused(path, "is not a regular file"));
    }
    check_owner(path, found)
}

/// Whoever owns the folder, and the administrator, can do as they like with what is in it.
#[cfg(unix)]
fn check_owner(path: &Path, found: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = found.uid();
    let is_own = owner == rustix::process::geteuid().as_raw();
    if is_own || owner == 0 || owner == fs::metadata(folder_of(path))?.uid() {
        return Ok(());
    }
    Err(refused(
        path,
        &format!("belongs to another user (uid {owner})"),
    ))
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Puts the names in a folder on the disk. A file whose name is not there is lost with the power,
/// whatever was synced into it.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and its names are on the disk with the file.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    let _ = folder;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    }

    fn refusal<T: std::fmt::Debug>(outcome: io::Result<T>) -> String {
        outcome.expect_err("it is refused").to_string()
    }

    /// Gives the file to somebody else, in a folder of the administrator's in which all may write, as `/tmp`.
    /// `false` where the tests may not do that.
    fn is_given_away(path: &Path) -> bool {
        let folder = folder_of(path);
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).expect("set");
        let is_root = fs::metadata(folder).expect("it is there").uid() == 0;
        is_root && std::os::unix::fs::lchown(path, Some(12345), None).is_ok()
    }

    #[test]
    fn a_file_is_for_this_user_only_whoever_made_it_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        drop(open_file(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        drop(open_file(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_link_is_refused_and_what_it_leads_to_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        let reported = refusal(open_file(&link));
        assert!(
            reported.contains("is a symbolic link; remove it"),
            "{reported}"
        );
        assert!(refusal(check_file(&link)).contains("symbolic link"));
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        // One of this user's leads where it says, where links are allowed at all.
        let target = fs::canonicalize(&target).unwrap();
        assert_eq!(resolve(&link).unwrap(), target);
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reported = refusal(open_file(&pipe));
        assert!(reported.contains("is not a regular file"), "{reported}");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::write(&path, "").unwrap();
        if !is_given_away(&path) {
            return;
        }
        let reported = refusal(open_file(&path));
        assert!(
            reported.contains("belongs to another user (uid 12345)"),
            "{reported}"
        );
        assert!(refusal(check_file(&path)).contains("another user"));
        let link = folder.path().join("link");
        symlink("lock", &link).unwrap();
        assert!(is_given_away(&link));
        assert!(refusal(resolve(&link)).contains("another user"));
        // Whom the folder belongs to can have files in it.
        chown(folder.path(), Some(12345), None).unwrap();
        open_file(&path).unwrap();
    }

    #[test]
    fn what_is_written_never_goes_into_a_file_that_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (unfinished, target) = (folder.path().join("secret.new"), folder.path().join("x"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &unfinished).unwrap();
        write_file(&path, b"one").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        // Another user may have such a file open.
        fs::write(&unfinished, "").unwrap();
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o666)).unwrap();
        let theirs = File::open(&unfinished).unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(theirs.metadata().unwrap().len(), 0);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o600);
        assert!(!unfinished.exists());
    }
}
