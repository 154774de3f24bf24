//! Device nodes and links in the container's file system.

use super::lookup::open_below;
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, Errno};
use crate::wire::{Call, Op, Text};

impl Walker<'_> {
    pub fn node(&self, op: &Op<'_>) -> Done {
        let Op::Node { path, mode, major, minor, uid, gid } = *op else { return Ok(()) };
        let place = self.place(path)?;
        let (parent, name) = (place.parent.at(), place.name.c_str());
        match sys::mknod_at(parent, name, mode, major, minor) {
            Ok(_) if uid == 0 && gid == 0 => return Ok(()),
            Ok(_) => {}
            // The image brought one: good if it is what was asked for, an error otherwise.
            Err(Errno::EXIST) => {
                let there = sys::stat(parent, name).of(Call::Stat)?;
                let device = matches!(there.kind(), sys::S_IFCHR | sys::S_IFBLK);
                let same_number = !device || (there.major, there.minor) == (major, minor);
                if there.kind() != mode & sys::S_IFMT || !same_number {
                    return Err(Failed { call: Call::WrongDevice, errno: Errno::EXIST, detail: 0 });
                }
                let flags = sys::O_PATH | sys::O_NOFOLLOW;
                let node =
                    sys::open_at(parent, name, flags, 0, sys::RESOLVE_BENEATH).of(Call::Open)?;
                if (there.uid, there.gid) != (uid, gid) {
                    sys::chown(node.at(), uid, gid).of(Call::Chown)?;
                }
                return Ok(());
            }
            Err(errno) => return Err(Failed { call: Call::Mknod, errno, detail: 0 }),
        }
        let flags = sys::O_PATH | sys::O_NOFOLLOW;
        let node = sys::open_at(parent, name, flags, 0, sys::RESOLVE_BENEATH).of(Call::Open)?;
        sys::chown(node.at(), uid, gid).of(Call::Chown).map(drop)
    }

    pub fn symlink(
        &self,
        path: Text<'_>,
        target: Text<'_>,
        unless_missing: Text<'_>,
        replace: bool,
    ) -> Done {
        if !unless_missing.is_empty()
            && open_below(self.root()?, unless_missing.c_str(), sys::O_PATH, 0, 0).is_err()
        {
            return Ok(());
        }
        let place = self.place(path)?;
        let (parent, name) = (place.parent.at(), place.name.c_str());
        match sys::symlink_at(target.c_str(), parent, name) {
            Err(Errno::EXIST) if replace => {
                sys::unlink_at(parent, name).of(Call::Symlink)?;
                sys::symlink_at(target.c_str(), parent, name).of(Call::Symlink).map(drop)
            }
            Ok(_) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(Failed { call: Call::Symlink, errno, detail: 0 }),
        }
    }
}
