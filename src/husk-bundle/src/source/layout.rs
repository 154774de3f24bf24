//! An image layout directory (image-spec, image-layout.md).

use super::{Blob, Files};
use crate::error::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// An open layout directory.
pub struct Directory {
    fd: OwnedFd,
}

impl Directory {
    /// Opens it. The path is the user's own and is resolved as usual.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { fd: nix::fcntl::open(path, flags, Mode::empty())? })
    }
}

impl Files for Directory {
    fn file(&self, name: &str) -> Result<Option<Blob>> {
        // Neither a link nor a pipe nor a device may stand in for a blob, and
        // opening one must not block.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(self.fd.as_fd(), name, flags, Mode::empty()) {
            Ok(fd) => Blob::whole(fd.into()).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP) => Err(crate::error::Error::refused("it is a symbolic link")),
            Err(errno) => Err(errno.into()),
        }
        .context(|| name.to_owned())
    }
}
