//! Collects dead children at once, as process 1 of a machine does. Without it
//! an orphan of a container stays a zombie, and a pid namespace with a zombie in
//! it never ends.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl End {
    /// The status as a shell tells it: 128 + number for a signal.
    pub fn code(self) -> i32 {
        match self {
            End::Exit(code) => code,
            End::Signal(number) => 128 + number,
        }
    }
}

static ENDED: LazyLock<Mutex<HashMap<i32, End>>> = LazyLock::new(Mutex::default);

/// Starts the thread that collects. From here on nothing else in this process
/// may wait for a child.
pub fn start() {
    std::thread::spawn(|| {
        loop {
            match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, code)) => note(pid.as_raw(), End::Exit(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    note(pid.as_raw(), End::Signal(signal as i32));
                }
                Ok(_) | Err(Errno::EINTR) => {}
                // No child at this moment.
                Err(_) => std::thread::sleep(Duration::from_micros(500)),
            }
        }
    });
}

fn note(pid: i32, end: End) {
    ENDED.lock().unwrap_or_else(|e| e.into_inner()).insert(pid, end);
}

/// How child `pid` ended, if it has.
pub fn ended(pid: i32) -> Option<End> {
    ENDED.lock().unwrap_or_else(|e| e.into_inner()).get(&pid).copied()
}

/// Forgets an earlier process of this number.
pub fn forget(pid: i32) {
    ENDED.lock().unwrap_or_else(|e| e.into_inner()).remove(&pid);
}
