//! Calls of the runtime, each with a deadline.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::context::Context;
use crate::host;
use crate::reaper::{self, End};
use crate::sys::{self, Setup};

/// Longest that one call may take, in seconds on a usual machine.
const CALL_SECONDS: u64 = 40;

/// The runtime under test.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("HUSK_BIN").filter(|v| !v.is_empty()) {
        return search_path(PathBuf::from(path));
    }
    beside_us("husk")
}

/// A program built in the same workspace as this one.
pub fn beside_us(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("own path");
    let triple = "x86_64-unknown-linux-musl";
    for dir in exe.ancestors().skip(1) {
        for kind in [&format!("{triple}/release"), &format!("{triple}/debug"), "debug"] {
            let candidate = dir.join(kind).join(name);
            if candidate.is_file() {
                return candidate;
            }
        }
    }
    exe.with_file_name(name)
}

fn search_path(name: PathBuf) -> PathBuf {
    if name.components().count() > 1 {
        return std::path::absolute(&name).unwrap_or(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|d| d.join(&name)).find(|p| p.is_file()).unwrap_or(name)
}

/// Where a stream of the call goes.
enum Stream {
    /// A file of the scratch directory, read when the call has ended. A
    /// container that holds it open can keep nobody waiting.
    Kept(PathBuf),
    Given(OwnedFd),
}

/// One call of the runtime, not yet started.
pub struct Call {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<OwnedFd>,
    stdout: Stream,
    stderr: Stream,
    setup: Setup,
    dir: Option<PathBuf>,
    limit: Duration,
    held: Vec<OwnedFd>,
}

impl Call {
    /// A call with `--root` set to the state root of the test.
    pub fn new(context: &Context) -> Self {
        let mut call = Self::bare(context);
        call.args = vec!["--root".into(), context.state_root().into()];
        call
    }

    /// A call without any argument yet.
    pub fn bare(context: &Context) -> Self {
        Call {
            program: program(),
            args: Vec::new(),
            env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            stdin: None,
            stdout: Stream::Kept(context.fresh_path("stdout")),
            stderr: Stream::Kept(context.fresh_path("stderr")),
            setup: Setup::default(),
            dir: None,
            limit: host::deadline(CALL_SECONDS),
            held: Vec::new(),
        }
    }

    /// Calls another program instead of the runtime.
    pub fn instead(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// Appends one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: &[S]) -> Self {
        self.args.extend(args.iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Changes how long the call may take, in seconds on a usual machine.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.limit = host::deadline(seconds);
        self
    }

    /// Sets a variable; the call has `PATH` and nothing else besides.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Takes all variables away, `PATH` too.
    pub fn no_env(mut self) -> Self {
        self.env.clear();
        self
    }

    /// Gives the call this descriptor as its stdin (otherwise `/dev/null`).
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(fd.into());
        self
    }

    /// Gives the call these bytes to read.
    pub fn input(self, context: &Context, text: &str) -> Self {
        let path = context.fresh_path("stdin");
        fs::write(&path, text).expect("write the input");
        self.stdin(File::open(path).expect("open the input"))
    }

    /// Lets a shell start the runtime, so that `$$` in the assignments is the
    /// runtime's own process id.
    pub fn through_shell(mut self, assignments: &str) -> Self {
        let script = format!("{assignments} exec \"$0\" \"$@\"");
        let mut args: Vec<OsString> = vec!["-c".into(), script.into(), self.program.into()];
        args.append(&mut self.args);
        self.args = args;
        self.program = "/bin/sh".into();
        self
    }

    /// Sends stdout to this descriptor.
    pub fn stdout(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdout = Stream::Given(fd.into());
        self
    }

    /// Sends stderr to this descriptor.
    pub fn stderr(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stderr = Stream::Given(fd.into());
        self
    }

    /// Opens `fd` in the call under `number`.
    pub fn give(mut self, fd: impl AsFd, number: RawFd) -> Self {
        let copy = fd.as_fd().try_clone_to_owned().expect("copy a descriptor");
        self.setup.fds.push((copy.as_raw_fd(), number));
        self.held.push(copy);
        self
    }

    /// Closes `number` in the call.
    pub fn close(mut self, number: RawFd) -> Self {
        self.setup.closed.push(number);
        self
    }

    /// Starts the call as leader of a session on this terminal.
    pub fn terminal(mut self, tty: impl AsFd) -> Self {
        let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().expect("copy");
        self.stdin = Some(copy(tty.as_fd()));
        self.stdout = Stream::Given(copy(tty.as_fd()));
        self.stderr = Stream::Given(copy(tty.as_fd()));
        let control = copy(tty.as_fd());
        self.setup.tty = Some(control.as_raw_fd());
        self.held.push(control);
        self
    }

    /// Further changes to the surroundings of the call.
    pub fn setup(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }

    /// Runs the call in this directory.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Starts the call and leaves it running.
    pub fn spawn(self) -> Running {
        let shown = shown(&self.program, &self.args);
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(self.stdin.map_or_else(Stdio::null, Stdio::from));
        let kept = |stream| match stream {
            Stream::Given(fd) => (Stdio::from(fd), None),
            Stream::Kept(path) => {
                let file = File::options().create_new(true).append(true).open(&path);
                (Stdio::from(file.expect("make an output file")), Some(path))
            }
        };
        let (out, stdout) = kept(self.stdout);
        let (err, stderr) = kept(self.stderr);
        command.stdout(out).stderr(err);
        sys::prepare(&mut command, self.setup);
        // The reaper waits for it, as for every child of this process.
        #[allow(clippy::zombie_processes)]
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
        let pid = child.id() as i32;
        drop(self.held);
        Running { pid, shown, stdout, stderr, limit: self.limit }
    }

    /// Runs the call to its end, which must come before the deadline.
    pub fn run(self) -> Output {
        let out = self.run_any();
        assert!(!out.timed_out, "no end before the deadline: {out}");
        // A crash is never an answer, whatever a test expects otherwise.
        assert!(
            !matches!(
                out.signal,
                Some(libc::SIGSEGV | libc::SIGABRT | libc::SIGBUS | libc::SIGILL)
            ),
            "the runtime crashed: {out}"
        );
        assert!(!out.stderr.contains("panicked at"), "the runtime panicked: {out}");
        out
    }

    /// Runs the call; after the deadline it is killed.
    pub fn run_any(self) -> Output {
        self.spawn().finish()
    }
}

fn shown(program: &Path, args: &[OsString]) -> String {
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in args {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// A call that has been started.
pub struct Running {
    pid: i32,
    shown: String,
    stdout: Option<PathBuf>,
    stderr: Option<PathBuf>,
    limit: Duration,
}

impl Running {
    /// Process id of the runtime.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Kills the runtime itself, at once.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends a signal to the runtime.
    pub fn signal(&self, signal: Signal) {
        // Checked first: a collected number may be somebody else's already.
        if reaper::ended(self.pid).is_none() {
            let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// True while it has not ended.
    pub fn is_running(&self) -> bool {
        reaper::ended(self.pid).is_none()
    }

    /// Waits for the end; kills it when the deadline passes.
    pub fn finish(self) -> Output {
        let mut limit = Instant::now() + self.limit;
        let mut pause = Duration::from_micros(200);
        let mut timed_out = false;
        let end = loop {
            if let Some(end) = reaper::ended(self.pid) {
                break end;
            }
            if Instant::now() > limit {
                assert!(!timed_out, "`{}` cannot even be killed", self.shown);
                timed_out = true;
                self.kill();
                limit += host::deadline(10);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        };
        let (code, signal) = match end {
            End::Exit(code) => (Some(code), None),
            End::Signal(number) => (None, Some(number)),
        };
        Output {
            shown: self.shown,
            code,
            signal,
            timed_out,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            stdout_path: self.stdout.unwrap_or_default(),
        }
    }
}

fn read(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .and_then(|p| fs::read(p).ok())
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default()
}

/// What a call answered.
pub struct Output {
    shown: String,
    /// Exit status, unless a signal ended the call.
    pub code: Option<i32>,
    /// The signal that ended the call.
    pub signal: Option<i32>,
    /// True when the harness had to kill it.
    pub timed_out: bool,
    /// All that it and its container wrote before it ended.
    pub stdout: String,
    /// Likewise.
    pub stderr: String,
    /// The file behind `stdout`; a detached container goes on writing there.
    pub stdout_path: PathBuf,
}

impl Output {
    /// The call must have succeeded; gives stdout without surrounding blanks.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.code, Some(0), "must succeed: {self}");
        self.stdout.trim().to_owned()
    }

    /// The call must have succeeded.
    #[track_caller]
    pub fn ok_status(&self) {
        self.ok();
    }

    /// The call must have failed with status 1; gives stderr.
    #[track_caller]
    pub fn refused(&self) -> String {
        self.failed(1)
    }

    /// The call must have failed with this status; gives stderr.
    #[track_caller]
    pub fn failed(&self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "must fail with {code}: {self}");
        // A log line in text form quotes its message.
        self.stderr.replace("\\\"", "\"")
    }

    /// The call must have failed and said these words on stderr.
    #[track_caller]
    pub fn refused_with(&self, words: &str) -> String {
        let text = self.refused();
        assert!(text.contains(words), "must say {words:?}: {self}");
        text
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.shown)?;
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "status {code}")?,
            (_, Some(signal)) => write!(f, "ended by signal {signal}")?,
            _ => write!(f, "no status")?,
        }
        if self.timed_out {
            write!(f, " (killed at the deadline)")?;
        }
        let cut = |t: &str| t.chars().take(3000).collect::<String>();
        write!(f, "\nstdout: {}\nstderr: {}", cut(self.stdout.trim()), cut(self.stderr.trim()))
    }
}
