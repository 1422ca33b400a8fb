//! Where there is no Linux there is no such disk.

use std::{io, path::Path};

use super::{NoFuse, PowerCut};

/// There is none here.
#[derive(Debug)]
pub enum ForgetfulDisk {}

impl ForgetfulDisk {
    /// Does not mount one.
    ///
    /// # Errors
    /// Always.
    pub fn mount() -> Result<Self, NoFuse> {
        Err(NoFuse(io::ErrorKind::Unsupported.into()))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        match *self {}
    }

    /// Syncs everything.
    pub fn sync_all(&self) {
        match *self {}
    }

    /// The power fails.
    pub fn cut(&self, _: PowerCut) -> (u64, usize) {
        match *self {}
    }
}
