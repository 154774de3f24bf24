//! One hook as a process.

use crate::config::Hook;
use crate::sys::process::pidfd_open;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, read, write};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most that is kept of each output stream.
const MOST_BYTES: usize = 4096;

const CHUNK: usize = 4096;

/// How often a pipe of the usual size can be read from until it is empty.
const PIPE_READS: usize = (64 << 10) / CHUNK;

/// How a hook ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With exit status 0.
    Well,
    /// With another status or by a signal.
    Badly(String),
    /// Not in its time; it has been killed.
    Late,
}

/// What a hook printed.
#[derive(Debug, Default)]
pub(super) struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let text = String::from_utf8_lossy(text);
            if !text.trim_end().is_empty() {
                write!(f, ", {name}: {}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

type Failed = (&'static str, Errno);

/// Executes a hook and waits for its end.
///
/// The end is that of the hook's own process: what it left running in the background, with the
/// output streams open, is not waited for.
pub(super) fn execute(
    hook: &Hook<'_>,
    state: &[u8],
    bundle: &Path,
    timeout: Option<Duration>,
) -> Result<(Ended, Said), Failed> {
    let mut child = spawn(hook, bundle)?;
    let outcome = attend(&mut child, state, timeout);
    if !matches!(outcome, Ok((None, _))) {
        return finish(&mut child, outcome);
    }
    // Late: the whole group goes, and the leader is then waited for.
    kill_group(&child);
    let outcome = outcome.map(|(_, said)| (Some(Ended::Late), said));
    finish(&mut child, outcome)
}

fn finish(
    child: &mut Child,
    outcome: Result<(Option<Ended>, Said), Failed>,
) -> Result<(Ended, Said), Failed> {
    if outcome.is_err() {
        kill_group(child);
    }
    let status = child.wait().map_err(|e| ("wait4", errno(&e)))?;
    let (ended, said) = outcome?;
    Ok((ended.filter(|e| *e == Ended::Late).unwrap_or_else(|| how(status)), said))
}

fn spawn(hook: &Hook<'_>, bundle: &Path) -> Result<Child, Failed> {
    // The bundle may have been removed before poststop.
    let there = std::fs::metadata(bundle).is_ok_and(|found| found.is_dir());
    let mut command = Command::new(hook.path.as_str());
    if let [name, rest @ ..] = &hook.args[..] {
        command.arg0(name.as_str()).args(rest.iter().map(|arg| arg.as_str()));
    }
    command
        .env_clear()
        .current_dir(if there { bundle } else { Path::new("/") })
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for entry in hook.env.iter().flat_map(|env| env.iter()) {
        if let Some((name, value)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) {
            command.env(name, value);
        }
    }
    crate::sys::process::unblock_signals(&mut command);
    command.spawn().map_err(|e| ("execve", errno(&e)))
}

fn kill_group(child: &Child) {
    // The child has not been waited for: its number is still its own.
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(code), _) => Ended::Badly(format!("exit status {code}")),
        (None, Some(signal)) => Ended::Badly(format!("killed by signal {signal}")),
        (None, None) => Ended::Badly("unknown exit status".to_owned()),
    }
}

/// Feeds the hook and reads from it until it has ended (`Some`) or its time is up (`None`).
fn attend(
    child: &mut Child,
    state: &[u8],
    timeout: Option<Duration>,
) -> Result<(Option<Ended>, Said), Failed> {
    let pid = i32::try_from(child.id()).map_err(|_| ("pidfd_open", Errno::ESRCH))?;
    let pidfd = pidfd_open(Pid::from_raw(pid)).map_err(|e| ("pidfd_open", e))?;
    let mut stdin = child.stdin.take();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let streams = [
        stdin.as_ref().map(AsFd::as_fd),
        stdout.as_ref().map(AsFd::as_fd),
        stderr.as_ref().map(AsFd::as_fd),
    ];
    for fd in streams.into_iter().flatten() {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| ("fcntl", e))?;
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut rest = state;
    let mut said = Said::default();
    loop {
        let ready = wait(
            pidfd.as_fd(),
            [
                stdin.as_ref().map(|s| (s.as_fd(), PollFlags::POLLOUT)),
                stdout.as_ref().map(|s| (s.as_fd(), PollFlags::POLLIN)),
                stderr.as_ref().map(|s| (s.as_fd(), PollFlags::POLLIN)),
            ],
            deadline,
        )
        .map_err(|e| ("poll", e))?;
        let Some([ended, input, out, err]) = ready else { return Ok((None, said)) };
        if input && !feed(stdin.as_ref(), &mut rest) {
            stdin = None;
        }
        if out && keep(stdout.as_ref(), &mut said.stdout) == Got::End {
            stdout = None;
        }
        if err && keep(stderr.as_ref(), &mut said.stderr) == Got::End {
            stderr = None;
        }
        // What was printed before the end is in the pipes by now.
        if ended {
            for _ in 0..PIPE_READS {
                let out = keep(stdout.as_ref(), &mut said.stdout);
                let err = keep(stderr.as_ref(), &mut said.stderr);
                if out != Got::Text && err != Got::Text {
                    break;
                }
            }
            return Ok((Some(Ended::Well), said));
        }
    }
}

/// What is ready: the end of the process, and each of the streams; `None` when the time is up.
fn wait(
    pidfd: BorrowedFd<'_>,
    streams: [Option<(BorrowedFd<'_>, PollFlags)>; 3],
    deadline: Option<Instant>,
) -> Result<Option<[bool; 4]>, Errno> {
    let mut fds = vec![PollFd::new(pidfd, PollFlags::POLLIN)];
    fds.extend(streams.iter().flatten().map(|(fd, flags)| PollFd::new(*fd, *flags)));
    let timeout = match deadline {
        None => PollTimeout::NONE,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = left.as_millis().saturating_add(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(&mut fds, timeout) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Some([false; 4])),
        Err(e) => return Err(e),
    }
    let mut any = fds.iter().map(|fd| fd.any().unwrap_or(false));
    let ended = any.next().unwrap_or(false);
    let [input, out, err] = streams.map(|stream| stream.is_some() && any.next().unwrap_or(false));
    Ok(Some([ended, input, out, err]))
}

/// Writes what fits; `false` when nothing is left to write, or nobody reads.
fn feed(stdin: Option<&ChildStdin>, rest: &mut &[u8]) -> bool {
    let Some(stdin) = stdin else { return false };
    match write(stdin, rest) {
        Ok(n) => {
            *rest = rest.get(n..).unwrap_or_default();
            !rest.is_empty()
        }
        Err(Errno::EINTR | Errno::EAGAIN) => true,
        Err(_) => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Got {
    Text,
    NothingNow,
    End,
}

/// Reads what is there and keeps the beginning of it all.
fn keep(stream: Option<&impl AsFd>, kept: &mut Vec<u8>) -> Got {
    let Some(stream) = stream else { return Got::End };
    let mut chunk = [0u8; CHUNK];
    match read(stream, &mut chunk) {
        Ok(0) => Got::End,
        Ok(n) => {
            let room = MOST_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(chunk.get(..n.min(room)).unwrap_or_default());
            Got::Text
        }
        Err(Errno::EINTR | Errno::EAGAIN) => Got::NothingNow,
        Err(_) => Got::End,
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
