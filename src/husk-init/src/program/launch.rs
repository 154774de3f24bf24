//! The launcher: joining namespaces and cloning. It runs on the host with the rights of `husk`,
//! and nothing of the container exists yet, or (for `exec`) sees it.

use super::{Done, Failed, Named, Walker};
use crate::sys::{self, At, Errno};
use crate::wire::{Call, Slot, Text, message};

/// uid 0 and gid 0 of the present user namespace, whatever they are outside.
pub fn become_root() -> Done {
    let _ = sys::prctl(sys::PR_SET_DUMPABLE, 0, 0);
    sys::set_group(0).of(Call::Setid)?;
    // Denied in a namespace whose owner may not change groups; then there are none to drop.
    let _ = sys::set_groups(&[]);
    sys::set_user(0).of(Call::Setid).map(drop)
}

/// Every signal gets its default action and is let through: a program must not inherit what its
/// caller ignores or blocks.
pub fn reset_signals() {
    const SIGKILL: usize = 9;
    const SIGSTOP: usize = 19;
    const LAST: usize = 64;
    for signal in (1..=LAST).filter(|s| !matches!(*s, SIGKILL | SIGSTOP)) {
        sys::default_action(signal);
    }
    sys::unblock_signals();
}

impl Walker<'_> {
    /// Opens a file of the host's procfs, never through a link.
    fn proc_file(&self, proc: Slot, path: &core::ffi::CStr) -> Done<sys::Fd> {
        let resolve = sys::RESOLVE_NO_MAGICLINKS | sys::RESOLVE_BENEATH | sys::RESOLVE_NO_XDEV;
        sys::open_at(self.slots.get(proc)?, path, sys::O_WRONLY, 0, resolve).of(Call::Open)
    }

    pub fn oom_score(&self, proc: Slot, score: i32) -> Done {
        let file = self.proc_file(proc, c"self/oom_score_adj")?;
        let mut text = sys::Buffer::<16>::new();
        if score < 0 {
            text.push(b"-").of(Call::Plan)?;
        }
        text.push_number(score.unsigned_abs()).of(Call::Plan)?;
        sys::write_all(file.at(), text.bytes()).of(Call::Write)?;
        // The init, which has a copy of every descriptor, gets none of the host's.
        sys::close(file.leak());
        Ok(())
    }

    /// Writes a security label. The host's procfs is beyond the reach of the container's mounts.
    pub fn exec_label(
        &self,
        proc: Slot,
        path: Text<'_>,
        fallback: Text<'_>,
        value: Text<'_>,
    ) -> Done {
        let file = match self.proc_file(proc, path.c_str()) {
            Err(Failed { errno: Errno::NOENT, .. }) if !fallback.is_empty() => {
                self.proc_file(proc, fallback.c_str())
            }
            answer => answer,
        }?;
        sys::write_all(file.at(), value.bytes()).of(Call::Write)
    }

    pub fn new_time(&self, proc: Slot, offsets: Text<'_>) -> Done {
        let file = self.proc_file(proc, c"self/timens_offsets")?;
        sys::unshare(sys::CLONE_NEWTIME).of(Call::Unshare)?;
        if !offsets.is_empty() {
            sys::write_all(file.at(), offsets.bytes()).of(Call::Write)?;
        }
        sys::close(file.leak());
        Ok(())
    }

    pub fn clone_init(&mut self, flags: u64, cgroup: Slot, into_cgroup: bool) -> Done {
        let cgroup = if into_cgroup { Some(self.slots.get(cgroup)?) } else { None };
        if flags & sys::CLONE_NEWUSER != 0 {
            // The id maps belong to the process's owner while it is dumpable, and to root
            // otherwise; a husk without root could not write them. Until then the init waits.
            let _ = sys::prctl(sys::PR_SET_DUMPABLE, 1, 0);
        }
        match sys::clone_sibling(flags, cgroup).of(Call::Clone)? {
            0 => Ok(()),
            pid => {
                let told = self.report.tell(message::CLONED, pid as i32);
                sys::exit(i32::from(told.is_err()))
            }
        }
    }

    /// Writes `0` to each `tasks` file. A task that moves itself alone costs no grace period, as
    /// moving another process would.
    pub fn enter_cgroups(&self, first: Slot, count: u16) -> Done {
        for n in 0..count {
            let slot = Slot(first.0.saturating_add(n));
            let file: At = self.slots.get(slot)?;
            sys::write(file, b"0").map_err(|errno| Failed {
                call: Call::Write,
                errno,
                detail: u32::from(n),
            })?;
        }
        Ok(())
    }

    pub fn sysctl(&self, proc: Slot, path: Text<'_>, value: Text<'_>) -> Done {
        const MOST: usize = 512;
        let mut whole = sys::Buffer::<MOST>::new();
        whole.push(b"sys/").of(Call::Plan)?;
        whole.push(path.bytes()).of(Call::Plan)?;
        let file = self.proc_file(proc, whole.c_str())?;
        let written = sys::write(file.at(), value.bytes()).of(Call::Write)?;
        if written == value.bytes().len() {
            Ok(())
        } else {
            Err(Failed { call: Call::Write, errno: Errno::IO, detail: 0 })
        }
    }
}
