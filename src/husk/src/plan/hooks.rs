//! Hooks that run in the container's namespaces (config.md §POSIX-platform Hooks). Those that run
//! in husk's own are run by the host side.

use super::Steps;
use crate::config::{Config, Hook};
use crate::error::{Code, Pointer, Problems};
use crate::paths::HostPath;
use crate::process::Checked;
use husk_init::wire::{Bytes, Op, Text, Texts};
use serde::Serialize;

/// Hooks that run before the init has the umask of the program.
const CREATE_CONTAINER: &str = "/hooks/createContainer";

/// Stands for the pid in the state until the init, which alone knows its own, fills it in.
const PID: &str = "2147483647";

/// The state as a hook inside the container reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    pid: i32,
    bundle: &'a str,
    #[serde(serialize_with = "as_map", skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [(crate::config::Str<'a>, crate::config::Str<'a>)],
}

fn as_map<S: serde::Serializer>(
    pairs: &&[(crate::config::Str<'_>, crate::config::Str<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// Whether hooks run on the host side while the container's root is still being changed.
pub fn outside_before_pivot(config: &Config<'_>) -> bool {
    config.hooks.as_ref().is_some_and(|h| !h.prestart.is_empty() || !h.create_runtime.is_empty())
}

/// The hooks that the init runs.
pub struct InsideHooks<'c> {
    create_container: &'c [Hook<'c>],
    start_container: &'c [Hook<'c>],
    env: Vec<&'c str>,
    creating: [String; 2],
    created: [String; 2],
}

impl<'c> InsideHooks<'c> {
    /// Checks all hooks of the configuration, and prepares those that the init runs.
    pub fn plan(
        config: &'c Config<'c>,
        id: &str,
        bundle: &HostPath,
        process: &Checked<'c>,
        problems: &mut Problems,
    ) -> Self {
        let Some(hooks) = &config.hooks else {
            return Self {
                create_container: &[],
                start_container: &[],
                env: Vec::new(),
                creating: Default::default(),
                created: Default::default(),
            };
        };
        let all = [
            ("prestart", &hooks.prestart),
            ("createRuntime", &hooks.create_runtime),
            ("createContainer", &hooks.create_container),
            ("startContainer", &hooks.start_container),
            ("poststart", &hooks.poststart),
            ("poststop", &hooks.poststop),
        ];
        for (kind, list) in all {
            for (n, hook) in list.iter().enumerate() {
                check(hook, &Pointer::from("/hooks").key(kind).index(n), problems);
            }
        }
        let bundle = bundle.to_string();
        let state = |status| {
            let state = State {
                oci_version: &config.oci_version,
                id,
                status,
                pid: i32::MAX,
                bundle: &bundle,
                annotations: &config.annotations,
            };
            let text = serde_json::to_string(&state).unwrap_or_default();
            let at =
                text.find(&format!("\"pid\":{PID}")).map_or(text.len(), |at| at.saturating_add(6));
            let (head, tail) = text.split_at_checked(at).unwrap_or((&text, ""));
            [head.to_owned(), tail.strip_prefix(PID).unwrap_or(tail).to_owned()]
        };
        Self {
            create_container: &hooks.create_container,
            start_container: &hooks.start_container,
            env: process.env().to_vec(),
            creating: state("creating"),
            created: state("created"),
        }
    }

    /// Whether hooks run in the container's mount namespace before the root is changed; they look
    /// for the container's files at the path of the root file system.
    pub fn before_pivot(&self) -> bool {
        !self.create_container.is_empty()
    }

    /// Appends the createContainer hooks.
    pub fn create_container_steps(&self, steps: &mut Steps) {
        let list = self.create_container;
        self.steps(CREATE_CONTAINER, list, &[], &self.creating, steps);
    }

    /// Appends the startContainer hooks, which get the program's environment if they name none.
    pub fn start_container_steps(&self, steps: &mut Steps) {
        let list = self.start_container;
        self.steps("/hooks/startContainer", list, &self.env, &self.created, steps);
    }

    fn steps(
        &self,
        at: &'static str,
        hooks: &[Hook<'_>],
        default_env: &[&str],
        [head, tail]: &[String; 2],
        steps: &mut Steps,
    ) {
        for (n, hook) in hooks.iter().enumerate() {
            let mut args: Vec<&str> = hook.args.iter().map(|a| &**a).collect();
            if args.is_empty() {
                args.push(&hook.path);
            }
            let env: Vec<&str> = match &hook.env {
                Some(env) => env.iter().map(|e| &**e).collect(),
                None => default_env.to_vec(),
            };
            let op = Op::Hook {
                path: Text::new(&*hook.path),
                args: Texts::List(&args),
                env: Texts::List(&env),
                timeout: hook.timeout.and_then(|t| u32::try_from(t).ok()).unwrap_or(0),
                usual_umask: at == CREATE_CONTAINER,
                state_head: Bytes(head.as_bytes()),
                state_tail: Bytes(tail.as_bytes()),
            };
            steps.push(&op, Pointer::from(at).index(n));
        }
    }
}

fn check(hook: &Hook<'_>, at: &Pointer, problems: &mut Problems) {
    if !hook.path.starts_with('/') {
        let reason = format!("hook path {:?} is not absolute", &*hook.path);
        problems.refuse(
            Code::HOOK,
            at.key("path"),
            reason,
            "begin the path with a slash: hooks are not searched in PATH",
        );
    }
    if hook.timeout.is_some_and(|seconds| seconds <= 0 || u32::try_from(seconds).is_err()) {
        let reason = "a timeout is a number of seconds above 0";
        problems.refuse(Code::HOOK, at.key("timeout"), reason, "leave it out for no limit");
    }
    for (n, entry) in hook.env.iter().flat_map(|env| env.iter().enumerate()) {
        if entry.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            let reason = format!("invalid environment variable: {:?}", &**entry);
            problems.refuse(Code::HOOK, at.key("env").index(n), reason, "NAME=value");
        }
    }
}
