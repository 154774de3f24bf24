//! Hooks that run in the container's namespaces.

use super::execute::table;
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, At, Buffer, Errno, Fd};
use crate::wire::{Call, MESSAGE_TEXT, Op, Text, Texts};

const SIGKILL: i32 = 9;
const NOT_EXECUTED: i32 = 127;

/// What a hook printed: as much of it as is told.
type Output = Buffer<{ MESSAGE_TEXT + 1 }>;

impl Walker<'_> {
    /// Runs a hook to its end. It gets 0, 1 and 2 and nothing else; its group dies at the timeout.
    pub fn hook(&self, op: &Op<'_>) -> Done {
        let Op::Hook { path, args, env, timeout, usual_umask, state_head, state_tail } = *op else {
            return Ok(());
        };
        let mut pid = Buffer::<12>::new();
        pid.push_number(sys::get_pid()).of(Call::Plan)?;
        let state =
            sys::memory_file(&[state_head.0, pid.bytes(), state_tail.0]).of(Call::Memory)?;
        let (output, to_output) = sys::pipe().of(Call::Fork)?;
        let child = match sys::fork().of(Call::Fork)? {
            0 => {
                if usual_umask {
                    sys::umask(0o022);
                }
                execute_hook(path, args, env, &state, &to_output)
            }
            pid => pid as i32,
        };
        // The hook's end of the pipe must be the only one.
        sys::close(to_output.leak());
        let mut printed = Output::new();
        let failed = match wait(child, &output, timeout, &mut printed) {
            Ok(0) => return Ok(()),
            Ok(status) => Failed { call: Call::HookExit, errno: Errno(0), detail: status as u32 },
            Err(errno) => Failed { call: Call::HookTimeout, errno, detail: timeout },
        };
        self.report.failed(failed, printed.bytes());
        sys::exit(1)
    }
}

fn execute_hook(path: Text<'_>, args: Texts<'_>, env: Texts<'_>, state: &Fd, output: &Fd) -> ! {
    let prepared = sys::set_group_of_processes()
        .and_then(|_| sys::dup_onto(state.at(), 0))
        .and_then(|_| sys::dup_onto(output.at(), 1))
        .and_then(|_| sys::dup_onto(output.at(), 2))
        .and_then(|_| sys::close_range_on_exec(3));
    if prepared.is_ok()
        && let (Ok(args), Ok(env)) = (table(args), table(env))
    {
        let errno = sys::execute(path.c_str(), &args, &env);
        let reason = match errno {
            Errno::NOENT => &b"no such file or directory"[..],
            Errno::ACCES => b"permission denied",
            Errno::NOEXEC => b"exec format error",
            _ => b"cannot be executed",
        };
        let _ = sys::write_all(At(2), reason);
    }
    sys::exit(NOT_EXECUTED)
}

/// Waits for the hook and collects what it prints; its status as wait4(2) gives it.
fn wait(child: i32, output: &Fd, timeout: u32, printed: &mut Output) -> sys::Answer<i32> {
    /// Looked at the hook this often while somebody else holds its output open, milliseconds.
    const LOOK: u64 = 1000;
    let ended = sys::pidfd_open(child)?;
    let deadline = (timeout != 0)
        .then(|| sys::milliseconds().saturating_add(u64::from(timeout).saturating_mul(1000)));
    let mut output = output.at();
    loop {
        let left = match deadline {
            Some(deadline) => deadline.saturating_sub(sys::milliseconds()),
            None => LOOK,
        };
        if left == 0 {
            let _ = sys::kill(child.wrapping_neg(), SIGKILL);
            let _ = sys::kill(child, SIGKILL);
            sys::wait(child, true)?;
            return Err(Errno::TIMEDOUT);
        }
        let [exited, readable] = sys::wait_readable([ended.at(), output], left.min(LOOK))?;
        if readable && !collect(output, printed)? {
            output = At::NONE;
        }
        if exited {
            let status = sys::wait(child, true)?.unwrap_or_default();
            // What is in the pipe already; a grandchild may hold it open for ever.
            while output != At::NONE
                && matches!(sys::wait_readable([At::NONE, output], 0), Ok([_, true]))
                && collect(output, printed)?
            {}
            return Ok(status);
        }
    }
}

/// Reads once; whether there may be more.
fn collect(output: At, printed: &mut Output) -> sys::Answer<bool> {
    let mut block = [0u8; MESSAGE_TEXT];
    let len = sys::read(output, &mut block)?;
    let room = MESSAGE_TEXT.saturating_sub(printed.bytes().len());
    let text = block.get(..len.min(room)).unwrap_or_default();
    printed.push(text)?;
    Ok(len > 0)
}
