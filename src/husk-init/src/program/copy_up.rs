//! `tmpcopyup`: a tmpfs that begins with a copy of the directory that it hides.

use crate::sys::{self, Answer, At, Buffer, Errno};
use core::ffi::CStr;

/// How deep a copied tree may be; the copy recurses on the stack.
const MOST_LEVELS: usize = 48;

/// Copies what is in the directory `from`, with its own mode and owner, into the directory `to`.
pub fn copy_directory(from: At, to: At) -> Answer<()> {
    let inner = sys::RESOLVE_BENEATH | sys::RESOLVE_NO_SYMLINKS;
    let from = sys::open_at(from, c".", sys::O_RDONLY | sys::O_DIRECTORY, 0, inner)?;
    let to = sys::open_at(to, c".", sys::O_RDONLY | sys::O_DIRECTORY, 0, inner)?;
    copy_entries(from.at(), to.at(), MOST_LEVELS)?;
    take_over(&sys::stat(from.at(), c"")?, to.at())
}

/// Gives `to` the owner and then the mode, which a change of owner may clear bits of.
fn take_over(stat: &sys::Stat, to: At) -> Answer<()> {
    sys::chown(to, stat.uid, stat.gid)?;
    sys::chmod(to, stat.mode & 0o7777).map(drop)
}

fn copy_entries(from: At, to: At, levels: usize) -> Answer<()> {
    const HEAD: usize = 19;
    let levels = levels.checked_sub(1).ok_or(Errno::LOOP)?;
    let mut entries = [0u8; 2048];
    loop {
        let len = sys::entries(from, &mut entries)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = entries.get(..len).unwrap_or_default();
        while let Some(size) =
            rest.get(16..18).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes)
        {
            let Some((entry, behind)) = rest.split_at_checked(usize::from(size)) else { break };
            rest = behind;
            let name = entry.get(HEAD..).and_then(|n| CStr::from_bytes_until_nul(n).ok());
            match name.map(CStr::to_bytes) {
                Some(b"." | b"..") | None => {}
                Some(_) => copy_entry(from, to, name.unwrap_or_default(), levels)?,
            }
        }
    }
}

fn copy_entry(from: At, to: At, name: &CStr, levels: usize) -> Answer<()> {
    let inner = sys::RESOLVE_BENEATH | sys::RESOLVE_NO_SYMLINKS;
    let stat = sys::stat(from, name)?;
    match stat.kind() {
        sys::S_IFDIR => {
            sys::mkdir_at(to, name, 0o700)?;
            let flags = sys::O_RDONLY | sys::O_DIRECTORY;
            let source = sys::open_at(from, name, flags, 0, inner)?;
            let copy = sys::open_at(to, name, flags, 0, inner)?;
            copy_entries(source.at(), copy.at(), levels)?;
            take_over(&stat, copy.at())?;
        }
        sys::S_IFREG => {
            let source = sys::open_at(from, name, sys::O_RDONLY | sys::O_NONBLOCK, 0, inner)?;
            let flags = sys::O_WRONLY | sys::O_CREAT | sys::O_EXCL;
            let copy = sys::open_at(to, name, flags, 0o600, inner)?;
            let mut block = [0u8; 4096];
            loop {
                let len = sys::read(source.at(), &mut block)?;
                if len == 0 {
                    break;
                }
                sys::write_all(copy.at(), block.get(..len).unwrap_or_default())?;
            }
            take_over(&stat, copy.at())?;
        }
        sys::S_IFLNK => {
            let mut target = Buffer::<4096>::new();
            let len = sys::readlink_at(from, name, target.room())?;
            target.filled(len);
            sys::symlink_at(target.c_str(), to, name)?;
            let link =
                sys::open_at(to, name, sys::O_PATH | sys::O_NOFOLLOW, 0, sys::RESOLVE_BENEATH)?;
            sys::chown(link.at(), stat.uid, stat.gid)?;
        }
        // The mask is zero here, so the mode is as given.
        _ => {
            sys::mknod_at(to, name, stat.mode, stat.major, stat.minor)?;
            let node =
                sys::open_at(to, name, sys::O_PATH | sys::O_NOFOLLOW, 0, sys::RESOLVE_BENEATH)?;
            sys::chown(node.at(), stat.uid, stat.gid)?;
        }
    }
    sys::set_time(to, name, stat.mtime).map(drop)
}
