//! A disk that forgets, at a power cut, what it was not told to sync.
//!
//! It is a file system of this process, mounted by FUSE. What is modelled:
//!
//! - Bytes written to a file, and its length, are on the disk after `fsync` or `fdatasync` of the file
//!   or a write with `O_SYNC` or `O_DSYNC`. Until then a power cut brings back what was there before.
//! - A name that was made, changed, or removed is on the disk after `fsync` of its folder, or of the
//!   file that has it or had it; so are then the names of the folders above. That is what ext4, XFS and
//!   btrfs do at least; POSIX promises only the former.
//! - A [torn](PowerCut::torn) cut keeps some of what was not synced: of overwritten pages of 4 KiB any,
//!   of bytes appended to a file the first so many.
//!
//! What is not: owners, modes and times are on the disk at once. Names are never kept unless they are
//! synced. Pages are not torn inside, nothing that was synced is damaged, and `fsync` never fails. Writes
//! through `mmap` come when the kernel likes. `sync_file_range` does nothing, and `sync` and `syncfs`
//! neither.

#[cfg(target_os = "linux")]
mod content;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod fs;
#[cfg(target_os = "linux")]
mod tree;

use std::io;

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::ForgetfulDisk;
#[cfg(target_os = "linux")]
pub use self::fs::ForgetfulDisk;

/// What a power cut leaves of what was not synced.
#[derive(Debug)]
pub struct PowerCut(Option<fastrand::Rng>);

impl PowerCut {
    /// Nothing.
    pub fn all_forgotten() -> Self {
        Self(None)
    }

    /// Some of it, as the seed has it.
    pub fn torn(seed: u64) -> Self {
        Self(Some(fastrand::Rng::with_seed(seed)))
    }

    /// Of so many bytes at the end of a file that were not synced, how many are kept.
    #[cfg(target_os = "linux")]
    fn kept_of_tail(&mut self, bytes: u64) -> u64 {
        self.0.as_mut().map_or(0, |rng| rng.u64(..=bytes))
    }

    /// Whether a page is as it was written, not as it was synced.
    #[cfg(target_os = "linux")]
    fn keeps_page(&mut self) -> bool {
        self.0.as_mut().is_some_and(fastrand::Rng::bool)
    }
}

/// Why there is no such disk.
#[derive(Debug, thiserror::Error)]
#[error("no file system can be mounted by FUSE here")]
pub struct NoFuse(#[source] pub io::Error);

/// Whether FUSE is known to be there: `EXPECT_FUSE` is set. To do without it is then a failure.
pub fn is_expected() -> bool {
    std::env::var_os("EXPECT_FUSE").is_some_and(|set| !set.is_empty())
}
