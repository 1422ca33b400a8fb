//! The file system as the kernel sees it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite,
    Request, SessionACL, TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

use super::{
    NoFuse, PowerCut,
    tree::{Kind, Owner, ROOT, Tree},
};

/// How long the kernel may take what it was told for true: after a power cut it is not.
const NOT_AT_ALL: Duration = Duration::ZERO;

/// `O_DSYNC`, of which `O_SYNC` is a superset, on all of Linux' architectures that matter here.
const O_DSYNC: i32 = 0o10_000;

/// A mounted disk. It is unmounted when dropped.
#[derive(Debug)]
pub struct ForgetfulDisk {
    tree: Arc<Mutex<Tree>>,
    guard: Child,
    _session: BackgroundSession,
    mount: PathBuf,
    _backing: TempDir,
}

/// Unmounts the disk when its input ends, which it does also when this process is killed. At once,
/// whoever still has files open.
const GUARD: &str = r#"
read -r _
umount -l "$1" 2>/dev/null || fusermount3 -u -z "$1"
rmdir "$1"
"#;

impl ForgetfulDisk {
    /// Mounts an empty one on a folder of its own.
    ///
    /// # Errors
    /// There is no FUSE, or it may not be used.
    pub fn mount() -> Result<Self, NoFuse> {
        let backing = TempDir::new().map_err(NoFuse)?;
        let mount = TempDir::new().map_err(NoFuse)?;
        let mine = backing.path().metadata().map_err(NoFuse)?;
        let owner = Owner {
            user: mine.uid(),
            group: mine.gid(),
            mode: 0o755,
        };
        let tree = Tree::new(backing.path().to_owned(), owner);
        let tree = Arc::new(Mutex::new(tree));
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("forgetful".to_owned()),
            MountOption::DefaultPermissions,
        ];
        if owner.user == 0 {
            // Postgres then runs as another user.
            config.acl = SessionACL::All;
        }
        let session = fuser::spawn_mount(Disk(Arc::clone(&tree)), mount.path(), &config);
        let session = session.map_err(NoFuse)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(mount.path())
            .stdin(Stdio::piped())
            .spawn();
        Ok(Self {
            tree,
            _session: session,
            guard: guard.map_err(NoFuse)?,
            mount: mount.keep(),
            _backing: backing,
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Syncs everything, as before the first power cut.
    pub fn sync_all(&self) {
        self.tree().sync_all();
    }

    /// The power fails. Whoever has files open must have been killed before. How many bytes of files,
    /// and how many names, were forgotten.
    ///
    /// # Panics
    /// The backing folder cannot be written to.
    pub fn cut(&self, mut how: PowerCut) -> (u64, usize) {
        let cut = self.tree().cut(&mut how);
        cut.expect("the backing folder can be written to")
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ForgetfulDisk {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

#[derive(Debug)]
struct Disk(Arc<Mutex<Tree>>);

impl Disk {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attributes(tree: &Tree, id: u64) -> Result<FileAttr, Errno> {
    let node = tree.node(id)?;
    let (kind, size) = match &node.kind {
        Kind::Folder(_) => (FileType::Directory, 0),
        Kind::File(content) => (FileType::RegularFile, content.len()),
        Kind::Link(target) => (FileType::Symlink, target.as_os_str().len() as u64),
    };
    Ok(FileAttr {
        ino: INodeNo(id),
        size,
        blocks: size.div_ceil(512),
        atime: node.changed,
        mtime: node.changed,
        ctime: node.changed,
        crtime: node.changed,
        kind,
        perm: node.owner.mode,
        nlink: node.names,
        uid: node.owner.user,
        gid: node.owner.group,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

/// Of something that is made by a request.
fn owner(request: &Request, mode: u32, umask: u32) -> Owner {
    Owner {
        user: request.uid(),
        group: request.gid(),
        mode: permissions(mode & !umask),
    }
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or_default()
}

fn kind_of(kind: &Kind) -> FileType {
    match kind {
        Kind::Folder(_) => FileType::Directory,
        Kind::File(_) => FileType::RegularFile,
        Kind::Link(_) => FileType::Symlink,
    }
}

/// Answers with a node, of which the kernel then knows.
fn entry(mut tree: MutexGuard<'_, Tree>, found: Result<u64, Errno>, reply: ReplyEntry) {
    let found = found.and_then(|id| attributes(&tree, id));
    match found {
        Ok(attributes) => {
            tree.known(attributes.ino.0);
            reply.entry(&NOT_AT_ALL, &attributes, Generation(0));
        }
        Err(error) => reply.error(error),
    }
}

fn done(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let tree = self.tree();
        let found = tree.look_up(parent.0, name);
        entry(tree, found, reply);
    }

    fn forget(&self, _: &Request, node: INodeNo, times: u64) {
        self.tree().forgotten(node.0, times);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(&self.tree(), node.0) {
            Ok(attributes) => reply.attr(&NOT_AT_ALL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        id: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        changed: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = self.tree();
        let set = |tree: &mut Tree| {
            if let Some(size) = size {
                tree.content_mut(id.0)?.set_len(size)?;
            }
            let node = tree.node_mut(id.0)?;
            node.owner.user = user.unwrap_or(node.owner.user);
            node.owner.group = group.unwrap_or(node.owner.group);
            node.owner.mode = mode.map_or(node.owner.mode, permissions);
            match changed {
                Some(TimeOrNow::SpecificTime(time)) => node.changed = time,
                Some(TimeOrNow::Now) => node.changed = SystemTime::now(),
                None => {}
            }
            attributes(tree, id.0)
        };
        match set(&mut tree) {
            Ok(attributes) => reply.attr(&NOT_AT_ALL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        match self.tree().node(node.0) {
            Ok(node) => match &node.kind {
                Kind::Link(target) => reply.data(target.as_os_str().as_encoded_bytes()),
                _ => reply.error(Errno::EINVAL),
            },
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let mut tree = self.tree();
        let kind = Kind::Folder(BTreeMap::new());
        let made = tree.make(parent.0, name, kind, owner(request, mode, umask));
        entry(tree, made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.tree().unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.tree().remove_folder(parent.0, name), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let mut tree = self.tree();
        let kind = Kind::Link(target.to_owned());
        let made = tree.make(parent.0, name, kind, owner(request, 0o777, 0));
        entry(tree, made, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        let may_replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let (from, to) = ((parent.0, name), (new_parent.0, new_name));
        done(self.tree().rename(from, to, may_replace), reply);
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut tree = self.tree();
        let linked = tree.link(node.0, parent.0, name).map(|()| node.0);
        entry(tree, linked, reply);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = |tree: &Tree| Ok(tree.content(node.0)?.read(offset, size as usize)?);
        match read(&self.tree()) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut tree = self.tree();
        let write = |tree: &mut Tree| {
            tree.content_mut(node.0)?.write(offset, data)?;
            if flags.0 & O_DSYNC != 0 {
                tree.sync(node.0)?;
            }
            Ok(u32::try_from(data.len()).unwrap_or(u32::MAX))
        };
        match write(&mut tree) {
            Ok(size) => reply.written(size),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.tree().sync(node.0), reply);
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.tree().sync(node.0), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        folder: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let tree = self.tree();
        let names = match tree.folder(folder.0) {
            Ok(names) => names,
            Err(error) => return reply.error(error),
        };
        let own = [(OsStr::new("."), ROOT), (OsStr::new(".."), ROOT)];
        let all = own
            .into_iter()
            .chain(names.iter().map(|(name, id)| (name.as_os_str(), *id)));
        for (nth, (name, id)) in (0..)
            .zip(all)
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        {
            let kind = tree
                .node(id)
                .map_or(FileType::RegularFile, |node| kind_of(&node.kind));
            if reply.add(INodeNo(id), nth + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // Much room, so that nobody minds.
        let blocks = 1 << 30;
        reply.statfs(blocks, blocks, blocks, blocks, blocks, 4096, 255, 4096);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut tree = self.tree();
        let made = tree.make_file(parent.0, name, owner(request, mode, umask));
        match made.and_then(|id| attributes(&tree, id)) {
            Ok(attributes) => {
                tree.known(attributes.ino.0);
                let (handle, flags) = (FileHandle(0), FopenFlags::empty());
                reply.created(&NOT_AT_ALL, &attributes, Generation(0), handle, flags);
            }
            Err(error) => reply.error(error),
        }
    }
}
