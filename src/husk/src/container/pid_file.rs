//! The file that tells a caller the pid.

use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a pid, decimal and without a newline, so that a reader sees all of it or nothing: into
/// `.NAME` beside the file, which is then renamed.
///
/// # Errors
/// What the system answered; also when `.NAME` is there already.
pub fn write(path: &Path, pid: Pid) -> Result<(), Error> {
    let failed = |call, errno: i32| {
        let doing = format!("write the pid file {}", path.display());
        Error::from(Failure::new(Code::PID_FILE, doing).errno(call, errno))
    };
    let name = path.file_name().ok_or_else(|| failed("open", Errno::EISDIR as i32))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    let new = path.with_file_name(hidden);
    let answer = |e: std::io::Error| e.raw_os_error().unwrap_or(libc::EIO);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o666)
        .open(&new)
        .map_err(|e| failed("open", answer(e)))?;
    let written = file
        .write_all(pid.to_string().as_bytes())
        .map_err(|e| failed("write", answer(e)))
        .and_then(|()| fs::rename(&new, path).map_err(|e| failed("rename", answer(e))));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::test_root;

    #[test]
    fn all_or_nothing() {
        let scratch = test_root();
        let path = scratch.path().join("init.pid");
        write(&path, Pid::from_raw(42)).unwrap();
        write(&path, Pid::from_raw(4711)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "4711");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        fs::write(scratch.path().join(".init.pid"), "somebody else's").unwrap();
        assert!(write(&path, Pid::from_raw(1)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "4711");
        assert!(write(Path::new("/"), Pid::from_raw(1)).is_err());
        assert!(write(&scratch.path().join("no/x"), Pid::from_raw(1)).is_err());
    }
}
