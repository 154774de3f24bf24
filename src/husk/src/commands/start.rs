//! `husk start`.

use super::{Context, DONE, delete};
use crate::cli::Given;
use crate::config::{self, Config};
use crate::container::gate::{Gate, Passed};
use crate::container::{Container, Found, Init, Locked, StateDir, kill_and_wait, unknown};
use crate::error::{Code, Error, Failure};
use crate::hooks;
use crate::launch::notify::Listener;
use crate::log::Log;
use husk_init::wire::{Call, Message};
use std::ffi::OsString;
use std::time::Duration;

/// How long the init may take from the gate to its program, hooks not counted.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long each `startContainer` hook without a timeout of its own may take.
const HOOK_PATIENCE: Duration = Duration::from_secs(3600);

/// Executes the program of a created container.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let dir = cx.root().find(&super::id(arguments)?)?.ok_or_else(unknown)?;
    // Of several that start it at once, one goes on; the others need not wait for its hooks.
    let dir = dir.lock_unless(still_created)?.ok_or_else(unknown)?;
    match Container::read(dir)? {
        Found::Whole(container) => start(&mut cx.log, container)?,
        Found::HalfMade(_, error) => return Err(error),
    }
    Ok(DONE)
}

fn refused(words: &str) -> Error {
    Error::said(Code::CONTAINER_STATUS, words)
}

fn already_running() -> Error {
    refused("cannot start an already running container")
}

/// Refuses to wait for a container whose gate is gone.
fn still_created(dir: &StateDir) -> Result<(), Error> {
    // Without a state it is still being created; its maker lets go of it in a moment.
    if dir.gate()?.is_none() && dir.state()?.is_some() { Err(already_running()) } else { Ok(()) }
}

/// Lets the container's init through the gate, waits until its program has been executed, and runs
/// the poststart hooks. Where a hook fails the container is gone afterwards.
fn start(log: &mut Log, container: Container<Locked>) -> Result<(), Error> {
    // The questions of `Container::status`, in its order; what answers them is used below.
    let stopped = || refused("cannot start a container that has stopped");
    let init = container.state().init().open()?.ok_or_else(stopped)?;
    if container.processes()?.is_frozen()? {
        return Err(refused("cannot start a container in the paused state"));
    }
    let gate = container.dir().gate()?.ok_or_else(already_running)?;
    let (dir, state) = container.into_parts();
    let later = state.hooks;
    let text = if later.start_container || later.poststart { dir.config()? } else { None };
    let config = text.as_deref().map(config::parse).transpose()?;
    let listener = Listener::new(&dir)?;
    if let Err(error) = pass(gate, &dir, &init, config.as_ref()) {
        if error.code() == Code::HOOK_FAILED {
            kill_and_wait(&state)?;
            delete::dispose(log, dir, &state)?;
        }
        return Err(error);
    }
    // The program runs: whoever wants to kill or delete the container need not wait for hooks.
    let dir = dir.unlock();
    if later.poststart
        && let Err(error) = hooks::poststart(&state, config.as_ref())
    {
        if let Some(dir) = dir.lock()? {
            kill_and_wait(&state)?;
            delete::dispose(log, dir, &state)?;
        }
        return Err(error);
    }
    if let Some(listener) = listener {
        listener.relay(init.pidfd(), state.init().pid, log);
    }
    Ok(())
}

fn pass(gate: Gate, dir: &Locked, init: &Init, config: Option<&Config<'_>>) -> Result<(), Error> {
    let patience = PATIENCE.saturating_add(hook_patience(config));
    let failed = |words: String| Error::said(Code::START_FAILED, words);
    match gate.open(dir, init, patience)? {
        Passed::Executed => Ok(()),
        Passed::Ended => Err(failed(
            "container init ended before its program was executed (killed from outside, or its \
             memory limit is too low)"
                .to_owned(),
        )),
        Passed::Said(said) => Err(told(&said, dir).into()),
        Passed::Late => Err(failed(format!(
            "the program was not executed within {} seconds",
            patience.as_secs()
        ))),
    }
}

/// How long the `startContainer` hooks may take.
fn hook_patience(config: Option<&Config<'_>>) -> Duration {
    let Some(hooks) = config.and_then(|config| config.hooks.as_ref()) else {
        return Duration::ZERO;
    };
    hooks.start_container.iter().fold(Duration::ZERO, |sum, hook| {
        let own = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok());
        sum.saturating_add(own.map_or(HOOK_PATIENCE, Duration::from_secs))
    })
}

/// What the container's init said before it ended. It is not trusted: nothing but the text of an
/// error is made of it.
fn told(said: &[u8], dir: &Locked) -> Failure {
    let failed = |doing: String| Failure::new(Code::START_FAILED, doing);
    let Some(said) = Message::decode(said) else {
        return failed("understand why container init ended".to_owned());
    };
    let hook = |what: String| {
        let doing = format!("run a startContainer hook: {what}{}", printed(said.text));
        Failure::new(Code::HOOK_FAILED, doing)
    };
    match Call::from_number(said.call) {
        Some(Call::HookTimeout) => hook(format!("not done within {} seconds", said.detail)),
        Some(Call::HookExit) => hook(match said.detail & 0x7f {
            0 => format!("exit status {}", said.detail >> 8 & 0xff),
            signal => format!("killed by signal {signal}"),
        }),
        Some(call @ Call::Exec) => {
            failed(format!("exec: {:?}", program(dir))).errno(call.name(), said.value)
        }
        Some(call) => failed("execute the program".to_owned()).errno(call.name(), said.value),
        None => failed(format!("execute the program{}", printed(said.text))),
    }
}

/// The program's name, from the kept configuration; empty where that cannot be read.
fn program(dir: &Locked) -> String {
    let text = dir.config().ok().flatten().unwrap_or_default();
    let config = config::parse(&text).ok();
    let process = config.as_ref().and_then(|config| config.process.as_ref());
    let name = process.and_then(|process| process.args.first());
    name.map(|name| name.as_str().to_owned()).unwrap_or_default()
}

fn printed(text: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(1024).collect();
    if text.is_empty() { text } else { format!(", it printed: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerId, Root, test_root};
    use std::ffi::OsStr;

    #[test]
    fn what_an_init_may_say() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = root.reserve(&ContainerId::new(OsStr::new("c")).unwrap()).unwrap();
        dir.keep_config(br#"{"process":{"args":["/bin/x"]}}"#).unwrap();
        let say = |call: Call, value, detail, text: &str| {
            let text = text.as_bytes();
            let said = Message { kind: 6, call: call.number(), operation: 9, value, detail, text };
            let mut bytes = Vec::from(said.head());
            bytes.extend_from_slice(text);
            told(&bytes, &dir)
        };
        let table = [
            (say(Call::Exec, libc::ENOEXEC, 0, ""), "exec: \"/bin/x\": exec format error"),
            (say(Call::HookExit, 0, 3 << 8, "no\n"), "exit status 3, it printed: no"),
            (say(Call::HookExit, 0, 9, ""), "killed by signal 9"),
            (say(Call::HookTimeout, 62, 5, ""), "not done within 5 seconds"),
            (say(Call::Memory, libc::ENOMEM, 0, ""), "out of memory"),
            (told(b"short", &dir), "understand why"),
            (told(&[0xff; 5000], &dir), "execute the program"),
        ];
        for (failure, words) in table {
            let text = failure.to_string();
            assert!(text.contains(words) && text.len() < 6000, "{text}");
        }
    }

    #[test]
    fn time_for_hooks() {
        let text = br#"{"hooks":{"startContainer":[{"path":"/a","timeout":5},{"path":"/b"}]}}"#;
        let config = config::parse(text).unwrap();
        assert_eq!(hook_patience(Some(&config)), HOOK_PATIENCE + Duration::from_secs(5));
        assert_eq!(hook_patience(None), Duration::ZERO);
    }
}
