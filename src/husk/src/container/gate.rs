//! The gate between `create` and `start`.
//!
//! The container's init holds `exec.fifo` open for reading and writing and reads one byte. `start`
//! writes that byte, takes the fifo away and waits: the init's descriptors are close-on-exec, so
//! the fifo loses its last writer when the program has been executed or the init has ended. What
//! the fifo holds then is either what the init had to say, or the byte that nobody read.

use super::dir::{GATE, Locked, StateDir};
use super::init::Init;
use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{read, write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

const BYTE: &[u8] = b"0";

/// Most that is read of what the init says; it is not trusted.
const MOST_BYTES: usize = 16 << 10;

/// What became of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It has been executed.
    Executed,
    /// The init ended at the gate.
    Ended,
    /// The init said why it could not go on.
    Said(Vec<u8>),
    /// Neither, in the time given.
    Late,
}

/// A gate that somebody waits at.
#[derive(Debug)]
pub struct Gate {
    writer: OwnedFd,
}

impl StateDir {
    /// The gate, when there is one and the container's init waits at it.
    ///
    /// # Errors
    /// What the system answered.
    pub fn gate(&self) -> Result<Option<Gate>, Error> {
        match self.open_gate(OFlag::O_WRONLY) {
            Ok(writer) => Ok(Some(Gate { writer })),
            // No fifo; or nobody reads it: the init has gone through or has ended.
            Err(Errno::ENOENT | Errno::ENXIO) => Ok(None),
            Err(e) => Err(self.gate_failed("open", e)),
        }
    }

    fn open_gate(&self, access: OFlag) -> Result<OwnedFd, Errno> {
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(self.fd(), GATE, flags, Mode::empty())
    }

    fn gate_failed(&self, call: &'static str, errno: Errno) -> Error {
        let doing = format!("use {} of container {}", GATE, self.id());
        Failure::new(Code::STATE_FAILED, doing).errno(call, errno as i32).into()
    }
}

impl Gate {
    /// Lets the init through and waits until its program has been executed.
    ///
    /// # Errors
    /// What the system answered.
    pub fn open(self, dir: &Locked, init: &Init, patience: Duration) -> Result<Passed, Error> {
        let failed = |call, e| dir.gate_failed(call, e);
        let reader = dir.open_gate(OFlag::O_RDONLY).map_err(|e| failed("open", e))?;
        write(&self.writer, BYTE).map_err(|e| failed("write", e))?;
        dir.remove_gate()?;
        drop(self);
        if !hung_up(&reader, init, patience).map_err(|e| failed("poll", e))? {
            return Ok(Passed::Late);
        }
        let said = read_rest(&reader).map_err(|e| failed("read", e))?;
        Ok(match said.as_slice() {
            [] => Passed::Executed,
            BYTE => Passed::Ended,
            _ => Passed::Said(said),
        })
    }
}

/// Waits until nobody has the fifo open for writing any more, or the init has ended.
fn hung_up(reader: &OwnedFd, init: &Init, patience: Duration) -> Result<bool, Errno> {
    let deadline = Instant::now().checked_add(patience);
    loop {
        let left = deadline.map_or(Duration::ZERO, |d| d.saturating_duration_since(Instant::now()));
        // Rounded up: a wait of less than a millisecond must not spin.
        let left = left.as_millis().saturating_add(u128::from(!left.is_zero()));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        // Without an event asked for, the fifo only reports the hang-up.
        let mut fds = [
            PollFd::new(reader.as_fd(), PollFlags::empty()),
            PollFd::new(init.pidfd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Ok(0) if left == 0 => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e),
        }
    }
}

fn read_rest(reader: &OwnedFd) -> Result<Vec<u8>, Errno> {
    // As a rule there is nothing, for which the heap need not grow.
    let mut said = [0; MOST_BYTES];
    match read(reader, &mut said) {
        Ok(n) => Ok(said.get(..n).unwrap_or_default().to_vec()),
        Err(Errno::EAGAIN) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerId, Identity, Root, test_root};
    use nix::unistd::Pid;
    use std::ffi::OsStr;
    use std::process::{Child, Command, Stdio};

    /// A shell that does `script` with the gate as its standard input.
    fn init(dir: &Locked, script: &str) -> (Child, Init) {
        let gate = dir.make_gate().unwrap();
        let child = Command::new("sh").args(["-c", script]).stdin(Stdio::from(gate)).spawn();
        let child = child.expect("sh");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        (child, Identity::of(pid).unwrap().open().unwrap().expect("it lives"))
    }

    fn pass(script: &str, patience: Duration, killed: bool) -> Passed {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = root.reserve(&ContainerId::new(OsStr::new("c")).unwrap()).unwrap();
        let (mut child, init) = init(&dir, script);
        let gate = dir.gate().unwrap().expect("somebody waits");
        if killed {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
        let passed = gate.open(&dir, &init, patience).unwrap();
        assert!(dir.gate().unwrap().is_none());
        let _ = child.kill();
        child.wait().expect("wait");
        dir.remove().unwrap();
        passed
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn what_can_become_of_the_program() {
        let take = "dd bs=1 count=1 of=/dev/null 2>/dev/null;";
        let table = [
            (format!("{take} exec <&- sleep 30"), false, Passed::Executed),
            (format!("{take} exit 1"), false, Passed::Executed),
            (format!("{take} echo no file >&0"), false, Passed::Said(b"no file\n".into())),
            ("sleep 30".to_owned(), true, Passed::Ended),
        ];
        for (script, killed, expected) in table {
            assert_eq!(pass(&script, LONG, killed), expected, "{script}");
        }
        assert_eq!(pass("sleep 30", Duration::from_millis(50), false), Passed::Late);
    }

    #[test]
    fn nobody_waits_where_there_is_no_gate_or_no_reader() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = root.reserve(&ContainerId::new(OsStr::new("c")).unwrap()).unwrap();
        assert!(dir.gate().unwrap().is_none());
        drop(dir.make_gate().unwrap());
        assert!(dir.gate().unwrap().is_none());
    }
}
