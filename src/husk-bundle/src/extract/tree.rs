//! The directories of the tree that one layer goes through.
//!
//! A path is walked component by component below the root's descriptor, each opened
//! with `O_NOFOLLOW` in its parent; a link is read and its text walked in its place,
//! with the root as `/` and as the end of every `..`, as the kernel would after
//! chroot. Nothing outside the root can be reached, whatever the links say and
//! whoever changes them meanwhile: `..` leads to the directory we came from, held
//! open or remembered, never to one asked of the file system.
//!
//! One walk serves in place of `openat2` with a walk as its fallback, because the
//! walk also makes missing parents, behind a dangling link too, and because the
//! directories it passes must be known anyway: their times are put back at the end,
//! and whiteouts must know what this layer has made. Directories once walked cost no
//! further system call.

use super::attributes::Attributes;
use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::tar::Time;
use crate::text::Quoted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// Directories kept open.
const MAX_OPEN: usize = 64;
/// Links followed on one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Names a directory within one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// The root directory.
pub const ROOT: NodeId = NodeId(0);

/// What is to be set on a directory when the layer is done.
pub enum Finish {
    /// It came from a lower layer and nothing in it was changed.
    Nothing,
    /// Something in it was changed, but the layer has no entry for it: its times stay.
    Keep,
    /// The layer has an entry for it, or has made it without one.
    Set(Box<Attributes>),
}

/// One directory.
pub struct Node {
    parent: NodeId,
    name: Vec<u8>,
    fd: Option<OwnedFd>,
    used: u64,
    children: BTreeMap<Vec<u8>, NodeId>,
    /// Whether what is made in it inherits its group.
    pub set_gid: bool,
    /// Made by this layer, or emptied by it: holds nothing of lower layers but what
    /// is in directories below that are not fresh.
    pub fresh: bool,
    /// Whether this layer has made something in it or below.
    pub has_upper: bool,
    /// See [`Finish`].
    pub finish: Finish,
    /// Times it had when it was opened.
    pub times: (Time, Time),
    /// A default access control list that was taken off for the time of the layer:
    /// what is made in it must not inherit one.
    pub default_acl: Option<Vec<u8>>,
}

/// All directories that one layer has gone through.
pub struct Tree {
    nodes: Vec<Option<Node>>,
    open: Vec<NodeId>,
    clock: u64,
    last: Option<(Vec<u8>, NodeId)>,
    /// What this layer has made, as keyed hashes of directory and name. Only kept
    /// when there is a lower layer that a whiteout could mean instead.
    created: Option<HashSet<u64>>,
    key: RandomState,
}

fn gone() -> Error {
    Error::refused("a directory vanished while the layer was unpacked")
}

impl Tree {
    /// Starts a layer. `lowest` says that the tree is still empty.
    pub fn new(root: OwnedFd, lowest: bool) -> Result<Self> {
        let mut tree = Self {
            nodes: Vec::new(),
            open: Vec::new(),
            clock: 0,
            last: None,
            created: (!lowest).then(HashSet::new),
            key: RandomState::new(),
        };
        let finish =
            if lowest { Finish::Set(Box::new(Attributes::implied())) } else { Finish::Nothing };
        tree.add(ROOT, b"", root, lowest, finish)?;
        Ok(tree)
    }

    /// The directories from the deepest up, each after everything below it.
    pub fn deepest_first(&self) -> impl Iterator<Item = NodeId> + use<> {
        // A directory is only ever found through its parent, so its number is higher.
        (0..self.nodes.len()).rev().map(NodeId)
    }

    /// The node, unless it has been removed.
    pub fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0)?.as_mut()
    }

    fn existing(&mut self, id: NodeId) -> Result<&mut Node> {
        self.node(id).ok_or_else(gone)
    }

    fn add(
        &mut self,
        parent: NodeId,
        name: &[u8],
        fd: OwnedFd,
        fresh: bool,
        finish: Finish,
    ) -> Result<NodeId> {
        let stat = fstat(&fd)?;
        let time = |seconds, nanos: i64| Time { seconds, nanos: u32::try_from(nanos).unwrap_or(0) };
        let default_acl = if fresh { None } else { take_default_acl(fd.as_fd())? };
        let id = NodeId(self.nodes.len());
        self.nodes.push(Some(Node {
            parent,
            name: name.to_vec(),
            fd: Some(fd),
            used: 0,
            children: BTreeMap::new(),
            set_gid: stat.st_mode & libc::S_ISGID != 0,
            fresh,
            has_upper: fresh,
            finish,
            times: (
                time(stat.st_atime, stat.st_atime_nsec),
                time(stat.st_mtime, stat.st_mtime_nsec),
            ),
            default_acl,
        }));
        if id != ROOT {
            self.existing(parent)?.children.insert(name.to_vec(), id);
            self.opened(id);
        }
        Ok(id)
    }

    fn opened(&mut self, id: NodeId) {
        self.open.push(id);
        self.clock += 1;
        let now = self.clock;
        if let Some(node) = self.node(id) {
            node.used = now;
        }
        if self.open.len() > MAX_OPEN {
            let age = |id: &NodeId| match self.nodes.get(id.0) {
                Some(Some(node)) => node.used,
                _ => 0,
            };
            let oldest = self.open.iter().enumerate().min_by_key(|(_, id)| age(id));
            if let Some((position, id)) = oldest.map(|(n, id)| (n, *id)) {
                self.open.swap_remove(position);
                if let Some(node) = self.node(id) {
                    node.fd = None;
                }
            }
        }
    }

    /// A descriptor of the directory, opened again from its parents if need be.
    pub fn fd(&mut self, id: NodeId) -> Result<BorrowedFd<'_>> {
        let mut closed = Vec::new();
        let mut at = id;
        while self.existing(at)?.fd.is_none() {
            closed.push(at);
            at = self.existing(at)?.parent;
        }
        for down in closed.into_iter().rev() {
            let name = self.existing(down)?.name.clone();
            let fd = open_dir(self.existing(at)?.fd.as_ref().ok_or_else(gone)?.as_fd(), &name)?;
            self.existing(down)?.fd = Some(fd);
            self.opened(down);
            at = down;
        }
        self.clock += 1;
        let now = self.clock;
        let node = self.existing(id)?;
        node.used = now;
        node.fd.as_ref().map(OwnedFd::as_fd).ok_or_else(gone)
    }

    /// The directory that `path` leads to. Missing ones are made if `create` is set;
    /// otherwise the answer is `None` if there is nothing.
    pub fn walk(&mut self, path: &[&[u8]], create: bool) -> Result<Option<NodeId>> {
        let joined = path.join(&b'/');
        if let Some((last, id)) = &self.last
            && *last == joined
        {
            return Ok(Some(*id));
        }
        let found = self.walk_from(ROOT, path, create)?;
        if let Some(id) = found {
            self.last = Some((joined, id));
        }
        Ok(found)
    }

    /// The directory that the text of a link in `parent` leads to, if there is one.
    pub fn follow(&mut self, parent: NodeId, text: &[u8]) -> Result<Option<NodeId>> {
        let start = if text.starts_with(b"/") { ROOT } else { parent };
        let path: Vec<&[u8]> = text.split(|b| *b == b'/').collect();
        self.walk_from(start, &path, false)
    }

    fn walk_from(&mut self, start: NodeId, path: &[&[u8]], create: bool) -> Result<Option<NodeId>> {
        let mut left: VecDeque<Vec<u8>> = path.iter().map(|part| part.to_vec()).collect();
        let (mut at, mut links) = (start, 0);
        while let Some(part) = left.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    at = self.existing(at)?.parent;
                    continue;
                }
                _ => {}
            }
            if let Some(child) = self.existing(at)?.children.get(&part) {
                at = *child;
                continue;
            }
            match open_dir(self.fd(at)?, &part) {
                Ok(fd) => at = self.add(at, &part, fd, false, Finish::Nothing)?,
                Err(Errno::ENOENT) if !create => return Ok(None),
                Err(Errno::ENOENT) => {
                    let implied = Finish::Set(Box::new(Attributes::implied()));
                    at = self.make(at, &part, implied)?.ok_or_else(gone)?;
                }
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let target = self.link_text(at, &part)?;
                    links += 1;
                    if links > MAX_LINKS {
                        refuse!("its parent {} is a link that does not end", Quoted(&part));
                    }
                    if target.starts_with(b"/") {
                        at = ROOT;
                    }
                    for part in target.split(|b| *b == b'/').rev() {
                        left.push_front(part.to_vec());
                    }
                    if left.len() > 8192 {
                        refuse!("its parent {} is a link that does not end", Quoted(&part));
                    }
                }
                Err(errno) => {
                    return Err(errno).context(|| format!("opening directory {}", Quoted(&part)));
                }
            }
        }
        Ok(Some(at))
    }

    fn link_text(&mut self, at: NodeId, name: &[u8]) -> Result<Vec<u8>> {
        match readlinkat(self.fd(at)?, name) {
            Ok(target) => Ok(target.as_bytes().to_vec()),
            Err(Errno::EINVAL) => {
                refuse!("its parent {} is not a directory", Quoted(name))
            }
            Err(errno) => Err(errno).context(|| format!("reading link {}", Quoted(name))),
        }
    }

    /// Makes a directory; `None` if something of that name exists.
    pub fn make(&mut self, parent: NodeId, name: &[u8], finish: Finish) -> Result<Option<NodeId>> {
        self.changing(parent)?;
        match mkdirat(self.fd(parent)?, name, Mode::S_IRWXU) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(None),
            Err(errno) => return Err(errno).context(|| "mkdir".to_owned()),
        }
        let fd = open_dir(self.fd(parent)?, name)?;
        let id = self.add(parent, name, fd, true, finish)?;
        self.made(parent, name);
        Ok(Some(id))
    }

    /// The directory `name` in `parent`, if it is one and not a link.
    pub fn child(&mut self, parent: NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        if let Some(child) = self.existing(parent)?.children.get(name) {
            return Ok(Some(*child));
        }
        match open_dir(self.fd(parent)?, name) {
            Ok(fd) => self.add(parent, name, fd, false, Finish::Nothing).map(Some),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The directory `name` in `parent`, if the layer has gone through it already.
    pub fn known_child(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.node(parent)?.children.get(name).copied()
    }

    /// Notes that something in the directory is about to change.
    pub fn changing(&mut self, id: NodeId) -> Result<()> {
        let node = self.existing(id)?;
        if matches!(node.finish, Finish::Nothing) {
            node.finish = Finish::Keep;
        }
        Ok(())
    }

    /// Notes that this layer has made `name`.
    pub fn made(&mut self, parent: NodeId, name: &[u8]) {
        let hash = self.key.hash_one((parent, name));
        if let Some(created) = &mut self.created {
            created.insert(hash);
        }
        let mut at = parent;
        while let Some(node) = self.node(at) {
            if node.has_upper {
                break;
            }
            node.has_upper = true;
            at = node.parent;
        }
    }

    /// Whether this layer has made `name`.
    pub fn is_made(&self, parent: NodeId, name: &[u8]) -> bool {
        let hash = self.key.hash_one((parent, name));
        self.created.as_ref().is_none_or(|created| created.contains(&hash))
    }

    /// Removes `name` and forgets what was known below it.
    pub fn remove(&mut self, parent: NodeId, name: &[u8]) -> Result<bool> {
        self.changing(parent)?;
        self.last = None;
        let mut forgotten: Vec<NodeId> =
            self.existing(parent)?.children.remove(name).into_iter().collect();
        while let Some(id) = forgotten.pop() {
            if let Some(node) = self.nodes.get_mut(id.0).and_then(Option::take) {
                forgotten.extend(node.children.into_values());
            }
        }
        let nodes = &self.nodes;
        self.open.retain(|id| nodes.get(id.0).is_some_and(Option::is_some));
        super::remove::remove(self.fd(parent)?, name)
    }
}

fn open_dir(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn take_default_acl(fd: BorrowedFd<'_>) -> Result<Option<Vec<u8>>> {
    const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
    let acl = crate::sys::get_xattr(fd, DEFAULT_ACL)?;
    if acl.is_some() {
        crate::sys::remove_xattr(fd, DEFAULT_ACL)?;
    }
    Ok(acl)
}
