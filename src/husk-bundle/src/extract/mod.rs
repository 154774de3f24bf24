//! Putting layers into a directory, one after the other (image-spec, layer.md).
//!
//! Everything happens below the descriptor of the root. Nothing that exists is
//! opened for writing: what is in the way is removed, and new objects are made with
//! `O_EXCL`, so that links, pipes and devices of the image are harmless.

mod attributes;
pub mod copy;
mod names;
mod object;
pub mod remove;
mod tree;
mod whiteout;

pub use attributes::{Attributes, IdMap, IdRange, Notes, Setter};

use crate::error::{Context as _, Error, Result};
use crate::layer::Limits;
use crate::refuse;
use crate::tar::{Entry, Input, Kind, Reader};
use crate::text::Quoted;
use names::Meaning;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use std::os::fd::OwnedFd;
use tree::{Finish, NodeId, ROOT, Tree};

/// What the caller decides about unpacking.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Bytes that all files together may appear to have.
    pub max_size: Option<u64>,
    /// Bytes that one file may appear to have.
    pub max_file_size: Option<u64>,
    /// Entries of all layers together.
    pub max_entries: Option<u64>,
    /// Leave an empty file in the place of a device.
    pub no_devices: bool,
    /// A directory entry over a link to a directory is applied to that directory.
    pub keep_dirlinks: bool,
    /// Names that begin with `.wh.` are whiteouts.
    pub whiteouts: bool,
    /// Owners on the host.
    pub uids: IdMap,
    /// Groups on the host.
    pub gids: IdMap,
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries of all layers, whiteouts included.
    pub entries: u64,
    /// Bytes that all files together appear to have.
    pub bytes: u64,
    /// Devices for which an empty file was left.
    pub devices_left_out: u64,
}

/// Unpacks layers into one directory.
pub struct Extractor {
    root: OwnedFd,
    rules: Rules,
    limits: Limits,
    setter: Setter,
    /// What has been unpacked so far.
    pub totals: Totals,
    /// What the user should know.
    pub notes: Notes,
    lowest: bool,
}

/// One layer on its way.
struct LayerWork<'a> {
    tree: Tree,
    on: &'a mut Extractor,
}

impl Extractor {
    /// `root` is an empty directory.
    pub fn new(root: OwnedFd, rules: Rules, limits: Limits) -> Self {
        let setter = Setter::new(rules.uids.clone(), rules.gids.clone());
        let (totals, notes) = (Totals::default(), Notes::default());
        Self { root, rules, limits, setter, totals, notes, lowest: true }
    }

    /// Unpacks the next layer up to the end of its archive.
    pub fn layer<I: Input>(&mut self, archive: &mut Reader<I>) -> Result<()> {
        let root = self.root.try_clone()?;
        let tree = Tree::new(root, self.lowest)?;
        self.lowest = false;
        let mut work = LayerWork { tree, on: self };
        while let Some(entry) = archive.next_entry()? {
            work.on.limits.check()?;
            work.entry(&entry, archive).context(|| format!("entry {}", Quoted(&entry.path)))?;
        }
        work.finish()
    }
}

impl LayerWork<'_> {
    fn entry<I: Input>(&mut self, entry: &Entry, archive: &mut Reader<I>) -> Result<()> {
        self.count(entry)?;
        let path = names::components(&entry.path)?;
        let meaning =
            if self.on.rules.whiteouts { names::meaning(&path)? } else { Meaning::Object };
        let Some((name, parents)) = path.split_last() else { return self.root_entry(entry) };
        match meaning {
            Meaning::Object => {
                let attributes = Attributes::of(entry, &mut self.on.notes)?;
                match &entry.kind {
                    Kind::HardLink { target } => self.hard_link(parents, name, target),
                    kind => {
                        // Cannot be `None`: missing parents are made.
                        let Some(parent) = self.tree.walk(parents, true)? else {
                            refuse!("its parent vanished");
                        };
                        match kind {
                            Kind::Directory => self.directory(parent, name, attributes),
                            _ => self.object(parent, name, entry, attributes, archive),
                        }
                    }
                }
            }
            Meaning::Whiteout(hidden) => match self.tree.walk(parents, false)? {
                Some(parent) => self.whiteout(parent, hidden),
                None => Ok(()),
            },
            Meaning::Opaque => match self.tree.walk(parents, false)? {
                Some(directory) => self.opaque(directory),
                None => Ok(()),
            },
            Meaning::Leftover => {
                let note = "marks of an old storage driver (.wh..wh.*) were left out";
                self.on.notes.once(note.into());
                Ok(())
            }
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<()> {
        let (totals, rules) = (&mut self.on.totals, &self.on.rules);
        let size = entry.apparent_size();
        totals.entries += 1;
        totals.bytes = totals
            .bytes
            .checked_add(size)
            .ok_or_else(|| Error::refused("the sizes of all files together do not fit"))?;
        let over = |value: u64, limit: Option<u64>| limit.is_some_and(|limit| value > limit);
        if over(totals.entries, rules.max_entries) {
            refuse!("the image has more entries than --max-entries allows");
        }
        if over(totals.bytes, rules.max_size) {
            refuse!("the image unpacks to more bytes than --max-size allows");
        }
        if over(size, rules.max_file_size) {
            refuse!("it is larger than --max-file-size allows");
        }
        Ok(())
    }

    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            refuse!("the root can only be a directory");
        }
        let attributes = Attributes::of(entry, &mut self.on.notes)?;
        self.announce(ROOT, attributes);
        Ok(())
    }

    fn announce(&mut self, id: NodeId, attributes: Attributes) {
        if let Some(node) = self.tree.node(id) {
            node.finish = Finish::Set(Box::new(attributes));
        }
    }

    fn directory(&mut self, parent: NodeId, name: &[u8], attributes: Attributes) -> Result<()> {
        if self.tree.known_child(parent, name).is_none()
            && self.tree.make(parent, name, Finish::Nothing)?.is_none()
            && self.tree.child(parent, name)?.is_none()
        {
            if self.on.rules.keep_dirlinks
                && let Some(target) = self.link_to_directory(parent, name)?
            {
                self.announce(target, attributes);
                return Ok(());
            }
            self.tree.remove(parent, name)?;
            self.tree.make(parent, name, Finish::Nothing)?;
        }
        let Some(id) = self.tree.child(parent, name)? else {
            refuse!("something else keeps taking its place");
        };
        self.tree.made(parent, name);
        self.announce(id, attributes);
        Ok(())
    }

    /// Sets what had to wait, from the deepest directory up: modes that would have
    /// kept us out, and times that later entries would have changed.
    fn finish(mut self) -> Result<()> {
        for id in self.tree.deepest_first() {
            let Some(node) = self.tree.node(id) else { continue };
            let finish = std::mem::replace(&mut node.finish, Finish::Nothing);
            let acl = node.default_acl.take();
            let (times, fresh) = (node.times, node.fresh);
            if acl.is_none() && matches!(finish, Finish::Nothing) {
                continue;
            }
            let fd = self.tree.fd(id)?;
            match finish {
                Finish::Set(attributes) => {
                    if !fresh {
                        for name in crate::sys::list_xattrs(fd)? {
                            if !name.starts_with(b"security.selinux") {
                                let _ = crate::sys::remove_xattr(fd, &name);
                            }
                        }
                    }
                    let setter = &self.on.setter;
                    setter.open_object(fd, &attributes, true, None, &mut self.on.notes)?;
                }
                Finish::Keep | Finish::Nothing => {
                    if let Some(acl) = acl {
                        crate::sys::set_xattr(fd, b"system.posix_acl_default", &acl)?;
                    }
                    let spec = |t: crate::tar::Time| TimeSpec::new(t.seconds, i64::from(t.nanos));
                    futimens(fd, &spec(times.0), &spec(times.1))?;
                }
            }
        }
        Ok(())
    }
}
