//! What the process may do: user, capabilities, directory, label.

use super::lookup::{open_below, open_or_make};
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, At, Errno};
use crate::wire::{Bytes, Call, Numbers, Text, lookup};

/// Each capability of a mask.
fn each(mask: u64) -> impl Iterator<Item = usize> {
    (0..64usize).filter(move |n| mask >> n & 1 == 1)
}

pub fn keyring(name: Text<'_>, make: bool) -> Done {
    // What the owner may, and that the possessor may search.
    const PERMISSIONS: u32 = 0x3f3f_0000 | 0x0008_0000;
    match sys::join_session_keyring(name.c_str()) {
        // A kernel without keyrings has none to leak.
        Err(Errno::NOSYS) => Ok(()),
        Err(errno) => Err(Failed { call: Call::Keyctl, errno, detail: 0 }),
        Ok(keyring) if make => {
            sys::keyring_permissions(keyring, PERMISSIONS).of(Call::Keyctl).map(drop)
        }
        Ok(_) => Ok(()),
    }
}

pub fn scheduler(attr: Bytes<'_>) -> Done {
    let attr = attr.0.try_into().map_err(|_| Failed {
        call: Call::Plan,
        errno: Errno::INVAL,
        detail: 0,
    })?;
    sys::set_scheduler(attr).of(Call::Scheduler).map(drop)
}

/// Gives 0, 1 and 2 to the container's user, so that it can open them again by name. The null
/// device and the like belong to everybody and stay as they are.
pub fn own_stdio(uid: u32) -> Done {
    for standard in 0..3 {
        let Ok(stat) = sys::stat(At(standard), c"") else { continue };
        let null = stat.kind() == sys::S_IFCHR && (stat.major, stat.minor) == (1, 3);
        if stat.uid == uid || null {
            continue;
        }
        // The group stays: a terminal's is `tty`. Refused for files of an unmapped owner, for
        // read-only ones and for sockets of some kinds; the program can do without.
        match sys::chown(At(standard), uid, stat.gid) {
            Ok(_) => {}
            Err(Errno::PERM | Errno::INVAL) => {}
            Err(errno) if errno.0 == 30 => {}
            Err(errno) => return Err(Failed { call: Call::Chown, errno, detail: 0 }),
        }
    }
    Ok(())
}

pub fn drop_bounding(mask: u64) -> Done {
    for capability in each(mask) {
        match sys::prctl(sys::PR_CAPBSET_DROP, capability, 0) {
            // Newer than the kernel: not there, so already dropped.
            Ok(_) | Err(Errno::INVAL) => {}
            Err(errno) => {
                return Err(Failed { call: Call::Prctl, errno, detail: capability as u32 });
            }
        }
    }
    Ok(())
}

pub fn user(uid: u32, gid: u32, groups: Option<Numbers<'_>>) -> Done {
    // Permitted capabilities survive the change; the plan sets the final ones afterwards.
    sys::prctl(sys::PR_SET_KEEPCAPS, 1, 0).of(Call::Prctl)?;
    if let Some(groups) = groups {
        sys::set_groups(groups.encoded()).of(Call::Setgroups)?;
    }
    sys::set_group(gid).of(Call::Setid)?;
    sys::set_user(uid).of(Call::Setid)?;
    sys::prctl(sys::PR_SET_KEEPCAPS, 0, 0).of(Call::Prctl).map(drop)
}

impl Walker<'_> {
    /// Goes to the working directory. It is opened below the container's root and entered by
    /// descriptor, so that no link, `/proc/self/fd/N` least of all, leads out.
    pub fn working_directory(&mut self, path: Text<'_>, last: bool) -> Done {
        if self.arrived {
            return Ok(());
        }
        let root = self.root()?;
        let directory = if last {
            open_below(root, path.c_str(), sys::O_PATH | sys::O_DIRECTORY, 0, 0)
        } else {
            open_or_make(root, path.bytes(), lookup::DIRECTORY)
        };
        match directory.and_then(|directory| sys::change_directory(directory.at())) {
            Ok(_) => {}
            // Tried again as the container's user, who may have the right that root lacks.
            Err(Errno::ACCES | Errno::PERM) if !last => return Ok(()),
            Err(errno) => return Err(Failed { call: Call::Chdir, errno, detail: 0 }),
        }
        let mut name = [0u8; 4096];
        sys::current_directory(&mut name).of(Call::OutsideRoot)?;
        if name.first() != Some(&b'/') {
            return Err(Failed { call: Call::OutsideRoot, errno: Errno::NOENT, detail: 0 });
        }
        self.arrived = true;
        Ok(())
    }

    /// Raises ambient capabilities. One that is not permitted and inheritable cannot be; the
    /// specification asks for a warning.
    pub fn ambient(&self, mask: u64) -> Done {
        sys::prctl(sys::PR_CAP_AMBIENT, sys::PR_CAP_AMBIENT_CLEAR_ALL, 0).of(Call::Prctl)?;
        for capability in each(mask) {
            let raised = sys::prctl(sys::PR_CAP_AMBIENT, sys::PR_CAP_AMBIENT_RAISE, capability);
            if let Err(errno) = raised {
                let detail = capability as u32;
                self.report.warning(Failed { call: Call::Prctl, errno, detail });
            }
        }
        Ok(())
    }
}
