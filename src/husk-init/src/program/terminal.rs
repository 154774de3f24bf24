//! The container's terminal.

use super::lookup::open_below;
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, Errno};
use crate::wire::Call;

const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
const PTMX: (u32, u32) = (5, 2);

impl Walker<'_> {
    /// Makes a terminal in the container's devpts, gives its master to the host side and makes its
    /// peer standard input, output and error and the controlling terminal.
    ///
    /// `/dev/pts` may be anything that the image or a volume put there. The multiplexer is
    /// accepted only as the device that it is, on a devpts, and the peer is taken from the master
    /// itself, so no name of the container decides what is opened.
    pub fn terminal(&self, rows: u16, columns: u16, console: bool) -> Done {
        let wrong = Failed { call: Call::WrongDevice, errno: Errno::INVAL, detail: 0 };
        let flags = sys::O_PATH | sys::O_DIRECTORY;
        let directory = open_below(self.root()?, c"/dev/pts", flags, 0, 0).of(Call::Open)?;
        // Looked at before anything in it is opened: opening some devices does something.
        if sys::filesystem(directory.at()).of(Call::Fstatfs)? != DEVPTS_SUPER_MAGIC {
            return Err(wrong);
        }
        let inside = sys::RESOLVE_BENEATH | sys::RESOLVE_NO_XDEV | sys::RESOLVE_NO_SYMLINKS;
        let flags = sys::O_RDWR | sys::O_NOCTTY;
        let master = sys::open_at(directory.at(), c"ptmx", flags, 0, inside).of(Call::Open)?;
        let master = master.at();
        let stat = sys::stat(master, c"").of(Call::Stat)?;
        if stat.kind() != sys::S_IFCHR || (stat.major, stat.minor) != PTMX {
            return Err(wrong);
        }
        let number = sys::unlock_terminal(master).of(Call::Ioctl)?;
        let peer = sys::open_peer(master).of(Call::Ioctl)?;
        let peer = peer.at();
        if rows != 0 || columns != 0 {
            sys::set_window(peer, rows, columns).of(Call::Ioctl)?;
        }
        if console {
            self.bind_console(peer)?;
        }
        self.report.terminal(master, number)?;
        sys::control_terminal(peer).of(Call::Ioctl)?;
        for standard in 0..3 {
            sys::dup_onto(peer, standard).of(Call::Ioctl)?;
        }
        Ok(())
    }
}
