//! Hooks that run in the runtime's namespaces (config.md §POSIX-platform Hooks): prestart,
//! createRuntime, poststart, poststop.
//!
//! A hook gets the container's state on its standard input, nothing else that is open, and only the
//! environment that the configuration names. Its output is kept for the error text.

mod process;

use crate::config::{self, Config, Hook};
use crate::container::{State, Status, for_hooks};
use crate::error::{Code, Error, Failure, Pointer};
use process::{Ended, execute};
use std::path::Path;
use std::time::Duration;

/// The point of a container's life at which hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Deprecated; before `createRuntime`.
    Prestart,
    /// After the namespaces have been made.
    CreateRuntime,
    /// After the program has been executed.
    Poststart,
    /// After the container has been deleted.
    Poststop,
}

impl Point {
    /// The member of `hooks`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }
}

/// Runs hooks one after the other, with `state` on their standard input and `bundle` as their
/// working directory.
/// Whatever the caller left open from 3 on is kept away from them.
///
/// # Errors
/// At the first hook that fails, with its place and what it printed.
pub fn run(point: Point, hooks: &[Hook<'_>], state: &[u8], bundle: &Path) -> Result<(), Error> {
    if hooks.is_empty() {
        return Ok(());
    }
    shut_descriptors()?;
    let mut each = hooks.iter().enumerate();
    each.try_for_each(|(n, hook)| run_one(point, n, hook, state, bundle))
}

fn run_one(
    point: Point,
    n: usize,
    hook: &Hook<'_>,
    state: &[u8],
    bundle: &Path,
) -> Result<(), Error> {
    let at = Pointer::from("/hooks").key(point.name()).index(n);
    let path = hook.path.as_str();
    let failed = |what: String| {
        Failure::new(Code::HOOK_FAILED, format!("run the {} hook {path}{what}", point.name()))
            .at(&at)
    };
    let timeout = match hook.timeout {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Some(Duration::from_secs(seconds)),
            _ => return Err(failed(": its timeout is not above 0".to_owned()).into()),
        },
    };
    let (ended, said) = execute(hook, state, bundle, timeout)
        .map_err(|(call, errno)| failed(String::new()).errno(call, errno as i32))?;
    match ended {
        Ended::Well => Ok(()),
        Ended::Badly(how) => Err(failed(format!(": {how}{said}")).into()),
        Ended::Late => {
            let seconds = timeout.unwrap_or_default().as_secs();
            let words = format!(": not done within {seconds} seconds, killed{said}");
            Err(failed(words).hint("raise its timeout").into())
        }
    }
}

/// Runs the poststart hooks of a container whose program has been executed.
///
/// # Errors
/// At the first hook that fails.
pub fn poststart(state: &State, config: Option<&Config<'_>>) -> Result<(), Error> {
    let Some(hooks) = config.and_then(|config| config.hooks.as_ref()) else { return Ok(()) };
    let pid = Some(state.init().pid.as_raw());
    let text = for_hooks(&state.id, Status::Running, pid, &state.bundle, &state.annotations)?;
    run(Point::Poststart, &hooks.poststart, &text, Path::new(&state.bundle))
}

/// Runs the poststop hooks of a container that is gone, all of them, whatever each does; `config`
/// is the configuration that was kept of it.
pub fn poststop(state: &State, config: Option<&[u8]>) -> Vec<Error> {
    let Some(config) = config else { return Vec::new() };
    let ready = || {
        shut_descriptors()?;
        for_hooks(&state.id, Status::Stopped, Some(0), &state.bundle, &state.annotations)
    };
    let config = match config::parse(config) {
        Ok(config) => config,
        Err(error) => return vec![error],
    };
    let text = match ready() {
        Ok(text) => text,
        Err(error) => return vec![error],
    };
    let bundle = Path::new(&state.bundle);
    let hooks = config.hooks.as_ref().map_or(&[][..], |hooks| &hooks.poststop);
    let each = hooks.iter().enumerate();
    each.filter_map(|(n, hook)| run_one(Point::Poststop, n, hook, &text, bundle).err()).collect()
}

/// Keeps what the caller left open away from hooks.
fn shut_descriptors() -> Result<(), Error> {
    crate::sys::process::close_on_exec_from(3).map_err(|e| {
        let failure = Failure::new(Code::HOOK_FAILED, "keep descriptors away from hooks");
        failure.errno("close_range", e as i32).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &'static str) -> Hook<'static> {
        Hook {
            path: "/bin/sh".into(),
            args: vec!["sh".into(), "-c".into(), script.into()].into(),
            env: None,
            timeout: Some(30),
        }
    }

    fn fails(hook: Hook<'_>) -> String {
        let state = br#"{"id":"c"}"#;
        let error = run(Point::CreateRuntime, &[hook], state, Path::new("/tmp")).unwrap_err();
        assert_eq!(error.code(), Code::HOOK_FAILED);
        let text = error.to_string();
        assert!(
            text.contains("run the createRuntime hook") && text.contains("/hooks/createRuntime/0")
        );
        text
    }

    #[test]
    fn state_environment_and_directory() {
        let text = fails(hook("cat; echo; pwd >&2; env | grep -v ^_= | wc -l; exit 3"));
        assert!(text.contains("exit status 3"), "{text}");
        assert!(text.contains("stdout: {\"id\":\"c\"}\n"), "{text}");
        assert!(text.contains("stderr: /tmp"), "{text}");
        let mut own = hook("test \"$A\" = b && test -z \"$HOME\"");
        own.env = Some(vec!["A=b".into(), "odd".into()].into());
        run(Point::Prestart, &[own], b"{}", Path::new("/nonexistent")).unwrap();
    }

    #[test]
    fn the_first_failure_ends_it() {
        let hooks = [hook("exit 0"), hook("kill -9 $$"), hook("echo never; exit 1")];
        let error = run(Point::Poststart, &hooks, b"{}", Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("signal") && error.contains("/hooks/poststart/1"), "{error}");
    }

    #[test]
    fn a_hook_that_does_not_end_is_killed_with_its_group() {
        let mut slow = hook("echo begun; sleep 60 & sleep 60");
        slow.timeout = Some(1);
        let text = fails(slow);
        assert!(text.contains("within 1 seconds") && text.contains("begun"), "{text}");
        let mut zero = hook("exit 0");
        zero.timeout = Some(0);
        assert!(fails(zero).contains("above 0"));
    }

    #[test]
    fn neither_unread_state_nor_endless_output_nor_a_daemon_holds_it_up() {
        let state = vec![b' '; 1 << 20];
        run(Point::Prestart, &[hook("exit 0")], &state, Path::new("/")).unwrap();
        let flood = hook("head -c 3000000 /dev/zero; exit 0");
        run(Point::Prestart, &[flood], b"{}", Path::new("/")).unwrap();
        let daemon = hook("sleep 5 & exit 0");
        let begun = std::time::Instant::now();
        run(Point::Prestart, &[daemon], b"{}", Path::new("/")).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_missing_program_says_so() {
        let mut missing = hook("");
        missing.path = "/no/such/hook".into();
        assert!(fails(missing).contains("no such file or directory"));
    }
}
