//! The files and folders, and which of their names are on the disk.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    path::PathBuf,
    time::SystemTime,
};

use fuser::Errno;

use super::{PowerCut, content::Content};

/// The number of the uppermost folder.
pub(super) const ROOT: u64 = 1;

/// A name in a folder.
type Place = (u64, OsString);

/// A file or folder.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) changed: SystemTime,
    /// Names that it has now.
    pub(super) names: u32,
    /// How often the kernel was told of it, and has not forgotten it since.
    known: u64,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder(BTreeMap<OsString, u64>),
    File(Content),
    Link(PathBuf),
}

/// Whose it is, and who may use it how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) mode: u16,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tree {
    /// Where the contents are, each in a file named by its node's number.
    backing: PathBuf,
    nodes: HashMap<u64, Node>,
    next: u64,
    /// Names that are not what they are on the disk, with what they are there.
    unsynced: BTreeMap<Place, Option<u64>>,
}

impl Tree {
    pub(super) fn new(backing: PathBuf, owner: Owner) -> Self {
        let root = Node::new(Kind::Folder(BTreeMap::new()), owner);
        Self {
            backing,
            nodes: HashMap::from([(ROOT, Node { names: 1, ..root })]),
            next: ROOT + 1,
            unsynced: BTreeMap::new(),
        }
    }

    pub(super) fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    pub(super) fn node_mut(&mut self, id: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)
    }

    pub(super) fn content(&self, id: u64) -> Result<&Content, Errno> {
        match &self.node(id)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
            Kind::Link(_) => Err(Errno::EINVAL),
        }
    }

    /// The content, to be changed.
    pub(super) fn content_mut(&mut self, id: u64) -> Result<&mut Content, Errno> {
        let node = self.node_mut(id)?;
        node.changed = SystemTime::now();
        match &mut node.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
            Kind::Link(_) => Err(Errno::EINVAL),
        }
    }

    pub(super) fn folder(&self, id: u64) -> Result<&BTreeMap<OsString, u64>, Errno> {
        match &self.node(id)?.kind {
            Kind::Folder(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn look_up(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        let found = self.folder(folder)?.get(name);
        found.copied().ok_or(Errno::ENOENT)
    }

    /// The kernel is told of a node.
    pub(super) fn known(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.known += 1;
        }
    }

    /// The kernel has forgotten some of what it was told of a node.
    pub(super) fn forgotten(&mut self, id: u64, times: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.known = node.known.saturating_sub(times);
            self.reap(id);
        }
    }

    pub(super) fn make_file(
        &mut self,
        folder: u64,
        name: &OsStr,
        owner: Owner,
    ) -> Result<u64, Errno> {
        let path = self.backing.join(self.next.to_string());
        let mut make = OpenOptions::new();
        let file = make.read(true).write(true).create_new(true).open(path)?;
        self.make(folder, name, Kind::File(Content::new(file)), owner)
    }

    pub(super) fn make(
        &mut self,
        folder: u64,
        name: &OsStr,
        kind: Kind,
        owner: Owner,
    ) -> Result<u64, Errno> {
        if self.folder(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, Node::new(kind, owner));
        self.bind(folder, name, Some(id))?;
        Ok(id)
    }

    /// A further name of a file.
    pub(super) fn link(&mut self, id: u64, folder: u64, name: &OsStr) -> Result<(), Errno> {
        if self.folder(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.bind(folder, name, Some(id))
    }

    pub(super) fn unlink(&mut self, folder: u64, name: &OsStr) -> Result<(), Errno> {
        self.look_up(folder, name)?;
        self.bind(folder, name, None)
    }

    pub(super) fn remove_folder(&mut self, folder: u64, name: &OsStr) -> Result<(), Errno> {
        let id = self.look_up(folder, name)?;
        if !self.folder(id)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.bind(folder, name, None)
    }

    pub(super) fn rename(
        &mut self,
        (from, name): (u64, &OsStr),
        (to, new_name): (u64, &OsStr),
        may_replace: bool,
    ) -> Result<(), Errno> {
        let id = self.look_up(from, name)?;
        if let Ok(replaced) = self.look_up(to, new_name) {
            if replaced == id {
                return Ok(());
            }
            if !may_replace {
                return Err(Errno::EEXIST);
            }
            if self.folder(replaced).is_ok_and(|names| !names.is_empty()) {
                return Err(Errno::ENOTEMPTY);
            }
        }
        self.bind(to, new_name, Some(id))?;
        self.bind(from, name, None)
    }

    /// Gives a name to a node, or takes it away; to be undone until it is synced.
    fn bind(&mut self, folder: u64, name: &OsStr, id: Option<u64>) -> Result<(), Errno> {
        let Kind::Folder(names) = &mut self.node_mut(folder)?.kind else {
            return Err(Errno::ENOTDIR);
        };
        let old = match id {
            Some(id) => names.insert(name.to_owned(), id),
            None => names.remove(name),
        };
        if let Some(node) = id.and_then(|id| self.nodes.get_mut(&id)) {
            node.names += 1;
        }
        let place = (folder, name.to_owned());
        let on_disk = *self.unsynced.entry(place.clone()).or_insert(old);
        if on_disk == id {
            self.unsynced.remove(&place);
        }
        if let Some(old) = old {
            self.lost_a_name(old);
        }
        Ok(())
    }

    fn lost_a_name(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.names = node.names.saturating_sub(1);
            self.reap(id);
        }
    }

    /// Removes a node that nobody can come back to, not even by a power cut.
    fn reap(&mut self, id: u64) {
        let gone = |node: &Node| node.names == 0 && node.known == 0;
        if self.nodes.get(&id).is_some_and(gone)
            && !self.unsynced.values().any(|on_disk| *on_disk == Some(id))
        {
            self.drop_node(id);
        }
    }

    fn drop_node(&mut self, id: u64) {
        if let Some(Node {
            kind: Kind::File(_),
            ..
        }) = self.nodes.remove(&id)
        {
            // If it stays it is only in the way until the folder is removed.
            let _ = std::fs::remove_file(self.backing.join(id.to_string()));
        }
    }

    /// `fsync`: what is in it is on the disk, and the way there.
    pub(super) fn sync(&mut self, id: u64) -> Result<(), Errno> {
        match &mut self.node_mut(id)?.kind {
            Kind::File(content) => content.sync(),
            Kind::Folder(_) => self.settle(|(folder, _), _, _| *folder == id),
            Kind::Link(_) => {}
        }
        self.settle_names_of(id);
        Ok(())
    }

    /// Names that a node has or had are on the disk as they are now, as are those of the folders
    /// above.
    fn settle_names_of(&mut self, id: u64) {
        if self.unsynced.is_empty() {
            return;
        }
        let mut folders = HashSet::new();
        self.settle(|(folder, _), on_disk, now| {
            let is_its = on_disk == Some(id) || now == Some(id);
            if is_its {
                folders.insert(*folder);
            }
            is_its
        });
        for folder in folders {
            self.settle_names_of(folder);
        }
    }

    fn settle(&mut self, mut which: impl FnMut(&Place, Option<u64>, Option<u64>) -> bool) {
        let nodes = &self.nodes;
        let now = |(folder, name): &Place| match &nodes.get(folder)?.kind {
            Kind::Folder(names) => names.get(name).copied(),
            _ => None,
        };
        let settled: Vec<_> = self
            .unsynced
            .extract_if(.., |place, on_disk| which(place, *on_disk, now(place)))
            .collect();
        for (_, was) in settled {
            if let Some(was) = was {
                self.reap(was);
            }
        }
    }

    /// `sync`: all is on the disk.
    pub(super) fn sync_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Kind::File(content) = &mut node.kind {
                content.sync();
            }
        }
        self.settle(|_, _, _| true);
    }

    /// The power fails: what is not on the disk is forgotten. How many bytes of files, and how many
    /// names, that were.
    pub(super) fn cut(&mut self, how: &mut PowerCut) -> Result<(u64, usize), Errno> {
        let unsynced = std::mem::take(&mut self.unsynced);
        let names = unsynced.len();
        for ((folder, name), on_disk) in unsynced {
            // A folder that is itself gone matters no more.
            if let Some(Node {
                kind: Kind::Folder(names),
                ..
            }) = self.nodes.get_mut(&folder)
            {
                match on_disk {
                    Some(id) => names.insert(name, id),
                    None => names.remove(&name),
                };
            }
        }
        self.drop_unreachable();
        let mut bytes = 0;
        let mut files: Vec<_> = self.nodes.iter_mut().collect();
        // In one order, so that a seed decides.
        files.sort_unstable_by_key(|(id, _)| **id);
        for (_, node) in files {
            if let Kind::File(content) = &mut node.kind {
                bytes += content.cut(how)?;
            }
        }
        Ok((bytes, names))
    }

    fn drop_unreachable(&mut self) {
        let mut names = HashMap::from([(ROOT, 1)]);
        let mut folders = vec![ROOT];
        while let Some(folder) = folders.pop() {
            for id in self.folder(folder).into_iter().flat_map(BTreeMap::values) {
                *names.entry(*id).or_insert(0) += 1;
                if self.folder(*id).is_ok() {
                    folders.push(*id);
                }
            }
        }
        let ids: Vec<_> = self.nodes.keys().copied().collect();
        for id in ids {
            match (names.get(&id), self.nodes.get_mut(&id)) {
                (Some(names), Some(node)) => node.names = *names,
                _ => self.drop_node(id),
            }
        }
    }
}

impl Node {
    fn new(kind: Kind, owner: Owner) -> Self {
        Self {
            kind,
            owner,
            changed: SystemTime::now(),
            names: 0,
            known: 0,
        }
    }
}
