//! Mounts. Each is made detached and attached to a descriptor below the container's root.

use super::copy_up::copy_directory;
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, At, Buffer, Configure, Errno, Fd};
use crate::wire::{Call, Op, Slot, Text, Texts, lookup};
use core::ffi::CStr;

/// The longest name of a file system option.
const OPTION_NAME: usize = 256;

impl Walker<'_> {
    /// Attaches a detached mount on what `target` is open on, with the errno that mount(2) has for
    /// a file on a directory and a directory on a file.
    fn attach_on(mount: At, target: At) -> Done {
        let is_directory = |fd| sys::stat(fd, c"").map(|found| found.kind() == sys::S_IFDIR);
        match sys::attach(mount, target) {
            Err(Errno::INVAL) if is_directory(mount) != is_directory(target) => {
                Err(Errno::NOTDIR).of(Call::MoveMount)
            }
            answer => answer.of(Call::MoveMount).map(drop),
        }
    }

    /// Attaches the root file system. The mount that it covers must not pass the attachment on:
    /// the plan has made the whole namespace a slave before.
    pub fn attach_root(&mut self, tree: Slot, at: Text<'_>) -> Done {
        let tree = self.slots.get(tree)?;
        sys::attach_at_path(tree, at.c_str()).of(Call::MoveMount)?;
        self.use_root_at(tree)
    }

    pub fn use_root(&mut self, directory: Slot) -> Done {
        let directory = self.slots.get(directory)?;
        self.use_root_at(directory)
    }

    fn use_root_at(&mut self, directory: At) -> Done {
        let root = sys::open_at(directory, c".", sys::O_PATH | sys::O_DIRECTORY, 0, 0);
        self.root = Some(root.of(Call::Open)?);
        Ok(())
    }

    pub fn attach(&self, tree: Slot, target: Text<'_>, how: u32) -> Done {
        let target = self.target(target, how)?;
        Self::attach_on(self.slots.get(tree)?, target.at())
    }

    pub fn mount(&mut self, op: &Op<'_>) -> Done {
        let Op::Mount {
            kind,
            source,
            options,
            target,
            lookup: how,
            attributes,
            propagation,
            keep_mode,
            copy_up,
            instead,
            has_instead,
        } = *op
        else {
            return Ok(());
        };
        let target = self.target(target, how)?;
        let mode = if keep_mode {
            Some(sys::stat(target.at(), c"").of(Call::Stat)?.mode & 0o7777)
        } else {
            None
        };
        let mount = match self.new_mount(kind, source, options, attributes, mode) {
            Err(Failed { errno: Errno::PERM | Errno::BUSY, .. }) if has_instead => {
                let tree = self.slots.get(instead)?;
                return sys::attach(tree, target.at()).of(Call::MoveMount).map(drop);
            }
            mount => mount?,
        };
        if copy_up {
            copy_directory(target.at(), mount.at()).of(Call::Read)?;
        }
        if propagation != 0 {
            sys::set_attributes(mount.at(), 0, 0, propagation, false).of(Call::MountSetattr)?;
        }
        Self::attach_on(mount.at(), target.at())
    }

    /// A detached mount of a new file system.
    fn new_mount(
        &self,
        kind: Text<'_>,
        source: Text<'_>,
        options: Texts<'_>,
        attributes: u64,
        mode: Option<u32>,
    ) -> Done<Fd> {
        let context = sys::fsopen(kind.c_str()).of(Call::Fsopen)?;
        let context = context.at();
        if !source.is_empty() {
            sys::fsconfig(context, Configure::Value(c"source", source.c_str()))
                .of(Call::Fsconfig)?;
        }
        for (n, option) in options.iter().enumerate() {
            configure(context, option).map_err(|errno| self.option_refused(context, errno, n))?;
        }
        if let Some(mode) = mode {
            let mut octal = Buffer::<8>::new();
            for shift in [9, 6, 3, 0] {
                octal.push_number(mode >> shift & 7).of(Call::Plan)?;
            }
            sys::fsconfig(context, Configure::Value(c"mode", octal.c_str())).of(Call::Fsconfig)?;
        }
        sys::fsconfig(context, Configure::Create).of(Call::Mount)?;
        sys::fsmount(context, attributes).of(Call::Fsmount)
    }

    /// Which option was refused; the position counts from one.
    fn option_refused(&self, _context: At, errno: Errno, option: usize) -> Failed {
        let detail = u32::try_from(option).unwrap_or(u32::MAX).saturating_add(1);
        Failed { call: Call::Fsconfig, errno, detail }
    }

    pub fn old_mount(
        &self,
        kind: Text<'_>,
        source: Text<'_>,
        data: Text<'_>,
        target: Text<'_>,
        how: u32,
        flags: u64,
    ) -> Done {
        let target = self.target(target, how)?;
        // The descriptor's link in the host's procfs, which is still in sight: the kernel mounts
        // on what the descriptor is open on.
        let mut path = Buffer::<48>::new();
        path.push(b"/proc/thread-self/fd/").of(Call::Plan)?;
        path.push_number(target.at().0 as u32).of(Call::Plan)?;
        sys::mount(source.c_str(), path.c_str(), kind.c_str(), flags, data.c_str())
            .of(Call::Mount)
            .map(drop)
    }

    /// Makes the attached root the root of the namespace, the old one gone.
    pub fn pivot_root(&mut self, chroot: bool, moved: bool) -> Done {
        let root = self.root()?;
        if moved {
            sys::attach_at_path(root, c"/").of(Call::MoveMount)?;
        }
        sys::change_directory(root).of(Call::Chdir)?;
        if chroot {
            return sys::change_root(c".").of(Call::Chroot).map(drop);
        }
        sys::pivot_root_here().of(Call::PivotRoot)?;
        sys::detach_here().of(Call::Umount)?;
        sys::change_directory(root).of(Call::Chdir).map(drop)
    }

    pub fn mask(&mut self, path: Text<'_>, null: Slot) -> Done {
        let Some(target) = self.open_if_there(path)? else { return Ok(()) };
        let kind = sys::stat(target.at(), c"").of(Call::Stat)?.kind();
        if kind != sys::S_IFDIR {
            let null = self.slots.get(null)?;
            // The first use attaches the plan's mount; only then can older kernels clone it.
            if self.null_attached {
                let clone = sys::clone_tree(null, false).of(Call::OpenTree)?;
                return sys::attach(clone.at(), target.at()).of(Call::MoveMount).map(drop);
            }
            sys::attach(null, target.at()).of(Call::MoveMount)?;
            self.null_attached = true;
            return Ok(());
        }
        if let Some(empty) = &self.empty {
            let clone = sys::clone_tree(empty.at(), false).of(Call::OpenTree)?;
            return sys::attach(clone.at(), target.at()).of(Call::MoveMount).map(drop);
        }
        let context = sys::fsopen(c"tmpfs").of(Call::Fsopen)?;
        // Two: some 5.4 kernels refuse a tmpfs of one.
        for (option, value) in [(c"nr_blocks", c"2"), (c"nr_inodes", c"2")] {
            sys::fsconfig(context.at(), Configure::Value(option, value)).of(Call::Fsconfig)?;
        }
        sys::fsconfig(context.at(), Configure::Create).of(Call::Mount)?;
        let empty = sys::fsmount(context.at(), sys::MOUNT_ATTR_RDONLY).of(Call::Fsmount)?;
        sys::attach(empty.at(), target.at()).of(Call::MoveMount)?;
        self.empty = Some(empty);
        Ok(())
    }

    pub fn read_only(&self, path: Text<'_>) -> Done {
        let Some(target) = self.open_if_there(path)? else { return Ok(()) };
        let tree = sys::clone_tree(target.at(), true).of(Call::OpenTree)?;
        sys::set_attributes(tree.at(), sys::MOUNT_ATTR_RDONLY, 0, 0, true)
            .of(Call::MountSetattr)?;
        sys::attach(tree.at(), target.at()).of(Call::MoveMount).map(drop)
    }

    /// Binds a terminal on /dev/console, a file of the container's /dev.
    pub fn bind_console(&self, terminal: At) -> Done {
        let console = Text::new("/dev/console");
        let target = self.target(console, lookup::NO_SYMLINKS)?;
        let tree = sys::clone_tree(terminal, false).of(Call::OpenTree)?;
        sys::attach(tree.at(), target.at()).of(Call::MoveMount).map(drop)
    }
}

/// Sets one option, `name=value` or `name`.
fn configure(context: At, option: Text<'_>) -> sys::Answer {
    let text = option.c_str().to_bytes_with_nul();
    let Some(equals) = text.iter().position(|b| *b == b'=') else {
        return sys::fsconfig(context, Configure::Flag(option.c_str()));
    };
    let mut name = Buffer::<OPTION_NAME>::new();
    name.push(text.get(..equals).unwrap_or_default())?;
    let value = text.get(equals.saturating_add(1)..).unwrap_or_default();
    let value = CStr::from_bytes_with_nul(value).map_err(|_| Errno::INVAL)?;
    sys::fsconfig(context, Configure::Value(name.c_str(), value))
}
