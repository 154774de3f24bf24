//! Descriptors that the caller hands down to the container's program.

use crate::error::{Code, Error, errno_text};
use crate::sys::process::{close_on_exec_from, is_open};

/// What is passed on besides 0, 1 and 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// How many descriptors, from 3 on.
    pub count: u32,
    /// What the program's environment tells of them.
    pub env: Vec<String>,
}

impl Inherited {
    /// Takes `preserved` descriptors over, and those of socket activation when they are meant for
    /// this process. Everything else that the caller left open is closed on execve: engines leak
    /// descriptors, and none may reach a container.
    ///
    /// # Errors
    /// When one of the descriptors is not open.
    pub fn take(preserved: u32) -> Result<Self, Error> {
        let listen = listen_fds();
        let count = preserved.saturating_add(listen);
        for number in 3..count.saturating_add(3) {
            if !i32::try_from(number).is_ok_and(is_open) {
                let words = format!(
                    "unable to preserve {count} descriptors: descriptor {number} is not open"
                );
                return Err(Error::said(Code::LAUNCH, words));
            }
        }
        close_on_exec_from(count.saturating_add(3)).map_err(|e| {
            let words = format!("mark descriptors close-on-exec: {}", errno_text(e as i32));
            Error::said(Code::LAUNCH, words)
        })?;
        let mut env = Vec::new();
        if listen > 0 {
            env.push(format!("LISTEN_FDS={listen}"));
            env.push("LISTEN_PID=1".to_owned());
            env.extend(std::env::var("LISTEN_FDNAMES").ok().map(|n| format!("LISTEN_FDNAMES={n}")));
        }
        Ok(Self { count, env })
    }
}

/// Descriptors of socket activation (sd_listen_fds(3)) that are meant for this process.
fn listen_fds() -> u32 {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    match (number("LISTEN_FDS"), number("LISTEN_PID")) {
        (Some(count), Some(pid)) if pid == std::process::id() => count.min(1 << 16),
        _ => 0,
    }
}
