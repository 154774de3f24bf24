//! Whiteouts: they remove what lower layers have, wherever they stand among the
//! entries of their own layer, and never what that layer itself brings.

use super::LayerWork;
use super::attributes::Attributes;
use super::remove::read_directory;
use super::tree::{Finish, NodeId};
use crate::error::{Context as _, Result};
use std::os::fd::AsFd as _;

impl LayerWork<'_> {
    /// Removes what lower layers have under `name`.
    pub(super) fn whiteout(&mut self, parent: NodeId, name: &[u8]) -> Result<()> {
        if let Some(directory) = self.hide(parent, name)? {
            self.opaque(directory)?;
        }
        Ok(())
    }

    /// Removes everything in a directory, and below, that this layer has not made.
    pub(super) fn opaque(&mut self, directory: NodeId) -> Result<()> {
        let mut waiting = vec![directory];
        while let Some(id) = waiting.pop() {
            match self.tree.node(id) {
                Some(node) if !node.fresh => node.fresh = true,
                // Nothing of a lower layer can be in it, or it is gone.
                _ => continue,
            }
            for name in self.names_in(id)? {
                self.on.limits.check()?;
                waiting.extend(self.hide(id, &name)?);
            }
        }
        Ok(())
    }

    /// Removes `name` if a lower layer made it. The answer is a directory that this
    /// layer has made or put something into, so that only its lower content may go.
    fn hide(&mut self, parent: NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        let known = self.tree.known_child(parent, name);
        if self.tree.is_made(parent, name) {
            return Ok(known);
        }
        let Some(id) = known else {
            self.tree.remove(parent, name).context(|| "removing what it hides")?;
            return Ok(None);
        };
        match self.tree.node(id) {
            Some(node) if node.has_upper => {
                // The lower directory is gone; what this layer put below it stands in
                // a new one that nothing announces.
                node.finish = Finish::Set(Box::new(Attributes::implied()));
                node.default_acl = None;
                self.tree.made(parent, name);
                Ok(Some(id))
            }
            _ => {
                self.tree.remove(parent, name).context(|| "removing what it hides")?;
                Ok(None)
            }
        }
    }

    fn names_in(&mut self, id: NodeId) -> Result<Vec<Vec<u8>>> {
        let mut directory = read_directory(self.tree.fd(id)?.as_fd(), b".")?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }
}
