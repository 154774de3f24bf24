//! A value for a control file, and how it gets there.

use super::dir::{Dir, write_value};
use crate::error::{Code, Failure, Pointer};
use nix::errno::Errno;
use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};

/// What is done when the control file is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// The limit cannot be had: fail.
    Fail,
    /// Not having the file means what was asked for.
    Ignore,
    /// The kernel may have this one instead.
    Try(Box<Write>),
}

/// One value for one control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// Name of the file in the cgroup.
    pub(super) file: Cow<'static, str>,
    /// What is written, without a newline.
    pub(super) value: String,
    /// The property that asks for it.
    pub(super) pointer: Pointer,
    /// What is done when the file is not there.
    pub(super) if_missing: IfMissing,
    /// Whether the kernel may take the value only after the ones that follow it: two limits that
    /// must fit each other, in a cgroup that already has other values.
    pub(super) may_wait: bool,
}

impl Write {
    /// A value that must be written.
    pub(super) fn new(
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
        pointer: Pointer,
    ) -> Self {
        let (file, value) = (file.into(), value.to_string());
        Self { file, value, pointer, if_missing: IfMissing::Fail, may_wait: false }
    }

    /// Nothing is lost when the file is not there.
    pub(super) fn ignore_missing(mut self) -> Self {
        self.if_missing = IfMissing::Ignore;
        self
    }

    /// `other` is written when the file is not there.
    pub(super) fn or(mut self, other: Write) -> Self {
        self.if_missing = IfMissing::Try(Box::new(other));
        self
    }

    /// See [`Write::may_wait`].
    pub(super) fn may_wait(mut self) -> Self {
        self.may_wait = true;
        self
    }
}

/// Writes `writes` in their order. Those that may wait and are refused are written again last.
pub(super) fn apply(dir: &Dir, writes: &[Write]) -> Result<(), Failure> {
    let mut files = Files::default();
    let mut waiting = Vec::new();
    for write in writes {
        match files.write(dir, write) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::EBUSY) if write.may_wait => waiting.push(write),
            Err(errno) => return Err(failure(dir, write, errno)),
        }
    }
    for write in waiting {
        files.write(dir, write).map_err(|errno| failure(dir, write, errno))?;
    }
    Ok(())
}

/// The file that was written last: lists of rules go to one file, which stays open meanwhile.
#[derive(Default)]
struct Files<'a>(Option<(&'a str, OwnedFd)>);

impl<'a> Files<'a> {
    fn write(&mut self, dir: &Dir, write: &'a Write) -> Result<(), Errno> {
        let mut write = write;
        loop {
            match self.open(dir, &write.file) {
                Ok(fd) => return write_value(fd.as_fd(), &write.value),
                Err(Errno::ENOENT) => match &write.if_missing {
                    IfMissing::Fail => return Err(Errno::ENOENT),
                    IfMissing::Ignore => return Ok(()),
                    IfMissing::Try(other) => write = other,
                },
                Err(errno) => return Err(errno),
            }
        }
    }

    fn open(&mut self, dir: &Dir, file: &'a str) -> Result<&OwnedFd, Errno> {
        let fd = match self.0.take() {
            Some((name, fd)) if name == file => fd,
            _ => dir.open_for_write(file)?,
        };
        Ok(&self.0.insert((file, fd)).1)
    }
}

/// Explains a refused value.
pub(super) fn failure(dir: &Dir, write: &Write, errno: Errno) -> Failure {
    if write.file == "memory.limit_in_bytes" && errno == Errno::EBUSY {
        return memory_in_use(dir, write);
    }
    let doing = format!("write \"{}\" to {}/{}", write.value, dir.path(), write.file);
    let code = if errno == Errno::ENOENT { Code::CGROUP_CONTROLLER } else { Code::CGROUP_FAILED };
    let call = if errno == Errno::ENOENT { "openat" } else { "write" };
    let failure = Failure::new(code, doing).at(&write.pointer).errno(call, errno as i32);
    match hint(write, errno) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn memory_in_use(dir: &Dir, write: &Write) -> Failure {
    let number = |file| dir.read(file).map(|t| t.trim().to_owned()).unwrap_or_default();
    let usage = number("memory.usage_in_bytes");
    let peak = number("memory.max_usage_in_bytes");
    let doing = format!(
        "unable to set memory limit to {} (current usage: {usage}, peak usage: {peak})",
        write.value
    );
    Failure::new(Code::CGROUP_LIMIT, doing)
        .at(&write.pointer)
        .hint("ask for more than is in use, or free memory in the container first")
}

fn hint(write: &Write, errno: Errno) -> Option<Cow<'static, str>> {
    let controller = write.file.split('.').next().unwrap_or_default();
    Some(match errno {
        Errno::ENOENT if write.file.starts_with("memory.memsw") => {
            "this kernel does not account for swap; boot it with swapaccount=1 or leave swap out"
                .into()
        }
        Errno::ENOENT => format!(
            "the {controller} controller does not offer this file here: it is not enabled for this \
             cgroup, or the kernel is built without it or is too old for it"
        )
        .into(),
        Errno::EINVAL | Errno::ERANGE => {
            "the kernel does not take this value here; look at the limits of the parent cgroup"
                .into()
        }
        Errno::EACCES | Errno::EPERM | Errno::EROFS => {
            "husk may not write here; a cgroup below a delegated one is needed without root".into()
        }
        Errno::ENODEV | Errno::ENXIO => "there is no such device on this host".into(),
        Errno::EBUSY => "the value is less than what is in use".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(file: &'static str, value: &str) -> Write {
        Write::new(file, value, Pointer::from("/x"))
    }

    #[test]
    fn order_alternatives_and_missing_files() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a", "b"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        let opened = Dir::open(dir.path().to_str().unwrap()).unwrap();
        let writes = [
            write("a", "1"),
            write("a", "2"),
            write("gone", "0").ignore_missing(),
            write("gone", "0").or(write("b", "3")),
        ];
        apply(&opened, &writes).unwrap();
        // Both values of one file went through one descriptor.
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "12");
        assert_eq!(fs::read_to_string(dir.path().join("b")).unwrap(), "3");

        let failure = apply(&opened, &[write("rdma.max", "9")]).unwrap_err();
        assert_eq!(failure.code, Code::CGROUP_CONTROLLER);
        assert_eq!(failure.pointer, Some(Pointer::from("/x")));
        assert!(failure.to_string().contains("rdma.max: no such file"), "{failure}");
        assert!(failure.to_string().contains("rdma controller"), "{failure}");
    }
}
