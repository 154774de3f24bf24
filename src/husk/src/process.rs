//! `process` (config.md §Process): the program, its environment, directory and user, and the order
//! in which the init becomes it. The same for `create`, `run` and `exec`.

use crate::capabilities::Sets;
use crate::config::{IdMapping, List, Process, Str};
use crate::error::{Code, Pointer, Problems};
use crate::namespaces::is_mapped;
use crate::plan::Steps;
use crate::rlimits::Rlimits;
use crate::scheduling::Affinity;
use husk_init::wire::{Bytes, Numbers, Op, Slot, Text, Texts, sync};
use std::collections::BTreeMap;

/// The id that the kernel takes for "unchanged".
const RESERVED_ID: u32 = u32::MAX;
/// Where a program is looked for when the environment has no PATH, as execvp(3) has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A process that has been checked.
#[derive(Debug)]
pub struct Checked<'c> {
    process: &'c Process<'c>,
    at: Pointer,
    env: Vec<&'c str>,
    sets: Sets,
    /// Limits that the host side sets.
    pub rlimits: Rlimits,
    /// CPUs of a process that is added; the container's first has none of its own.
    pub affinity: Affinity,
}

/// What the init does besides, decided elsewhere.
#[derive(Debug, Default)]
pub struct Around<'a> {
    /// The filter and its flags.
    pub filter: Option<(u32, &'a [u8])>,
    /// First descriptor that the program does not get.
    pub first_closed: u32,
    /// The fifo that `start` writes to; none when the program is executed at once.
    pub fifo: Option<Slot>,
    /// Whether the id mappings are those of a namespace in which groups cannot be set.
    pub no_groups: bool,
    /// Names and values that the environment gets besides.
    pub extra_env: Vec<String>,
}

impl<'c> Checked<'c> {
    /// Checks the process at `at`; `mappings` are those of the container's user namespace, and
    /// `own` the capabilities that husk can pass on.
    pub fn plan(
        process: &'c Process<'c>,
        at: &Pointer,
        mappings: Option<(&[IdMapping], &[IdMapping])>,
        own: u64,
        problems: &mut Problems,
    ) -> Self {
        if process.args.first().is_none_or(|program| program.is_empty()) {
            let reason = "args must not be empty";
            problems.refuse(Code::PROGRAM, at.key("args"), reason, "name the program to run");
        }
        check_cwd(&process.cwd, at, problems);
        check_user(process, at, mappings, problems);
        Self {
            process,
            at: at.clone(),
            env: environment(&process.env, at, problems),
            sets: Sets::plan(process.capabilities.as_ref(), &at.key("capabilities"), own, problems),
            rlimits: Rlimits::plan(&process.rlimits, at, problems),
            affinity: Affinity::plan(process, at, problems),
        }
    }

    /// Appends the terminal.
    pub fn terminal_steps(&self, console: bool, steps: &mut Steps) {
        if !self.process.terminal {
            return;
        }
        let size = self.process.console_size.unwrap_or_default();
        let cells = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
        let op = Op::Terminal { rows: cells(size.height), columns: cells(size.width), console };
        steps.push(&op, self.at.key("terminal"));
    }

    /// Appends the making of the working directory, while the root can be written.
    pub fn directory_steps(&self, steps: &mut Steps) {
        let path = Text::new(&*self.process.cwd);
        steps.push(&Op::Directory { path }, self.at.key("cwd"));
    }

    /// Appends everything from the final root on: what the process gives up, in the one order in
    /// which each step still has the rights that it needs.
    pub fn confine_steps(&self, around: &Around<'_>, steps: &mut Steps) {
        let at = &self.at;
        let process = self.process;
        let user = &process.user;
        let cwd = Text::new(&*process.cwd);
        if process.no_new_privileges {
            steps.push(&Op::NoNewPrivileges {}, at.key("noNewPrivileges"));
        }
        if !self.env.iter().any(|entry| entry.starts_with("HOME=")) {
            steps.push(&Op::Home { uid: user.uid }, at.key("env"));
        }
        // As root, which may make the directory; the user may have a right that root lacks.
        steps.push(&Op::WorkingDirectory { path: cwd, last: false }, at.key("cwd"));
        steps.push(&Op::OwnStdio { uid: user.uid }, at.key("user"));
        self.sets.bounding_steps(&at.key("capabilities"), steps);
        let op = Op::User {
            uid: user.uid,
            gid: user.gid,
            groups: Numbers::List(&user.additional_gids),
            set_groups: !around.no_groups,
        };
        steps.push(&op, at.key("user"));
        steps.push(&Op::WorkingDirectory { path: cwd, last: true }, at.key("cwd"));
        if let Some(mask) = user.umask {
            steps.push(&Op::Umask { mask: mask & 0o777 }, at.key("user").key("umask"));
        } else {
            steps.push(&Op::Umask { mask: 0o022 }, "");
        }
        // Without no_new_privs a filter is loaded with CAP_SYS_ADMIN, which is kept until then.
        let privileged = around.filter.is_some() && !process.no_new_privileges;
        if privileged {
            self.sets.interim_steps(&at.key("capabilities"), steps);
        } else {
            self.sets.final_steps(&at.key("capabilities"), steps);
        }
        let program = process.args.first().map(|a| &**a).unwrap_or_default();
        let path = self.env.iter().find_map(|entry| entry.strip_prefix("PATH="));
        let op = Op::FindProgram {
            name: Text::new(program),
            path: Text::new(path.unwrap_or(DEFAULT_PATH)),
        };
        steps.push(&op, at.key("args").index(0));
        let op = Op::CloseAll {
            first: around.first_closed,
            fifo: around.fifo.unwrap_or(Slot(0)),
            keep_fifo: around.fifo.is_some(),
        };
        steps.push(&op, "");
        self.rlimits.steps(steps);
        // Nothing but the final capabilities, the wait and the execution come after the filter.
        if let Some((flags, program)) = around.filter {
            steps.push(&Op::Seccomp { flags, program: Bytes(program) }, "/linux/seccomp");
        }
        if privileged {
            self.sets.final_steps(&at.key("capabilities"), steps);
        }
        steps.push(&Op::Sync { point: sync::READY }, "");
        if around.fifo.is_some() {
            steps.push(&Op::WaitStart {}, "");
        }
    }

    /// Appends the execution.
    pub fn execute_steps(&self, around: &Around<'_>, steps: &mut Steps) {
        let args: Vec<&str> = self.process.args.iter().map(|a| &**a).collect();
        let name = |entry: &str| entry.split_once('=').map(|(name, _)| name.to_owned());
        let besides: Vec<_> = around.extra_env.iter().map(|entry| name(entry)).collect();
        let mut env = self.env.clone();
        env.retain(|entry| !besides.contains(&name(entry)));
        env.extend(around.extra_env.iter().map(String::as_str));
        let op = Op::Execute { args: Texts::List(&args), env: Texts::List(&env) };
        steps.push(&op, self.at.key("args"));
    }

    /// The environment that the process gets.
    pub fn env(&self) -> &[&'c str] {
        &self.env
    }
}

fn check_cwd(cwd: &str, at: &Pointer, problems: &mut Problems) {
    if cwd.is_empty() {
        let reason = "cwd property must not be empty";
        problems.refuse(Code::CWD, at.key("cwd"), reason, "use \"/\"");
    } else if !cwd.starts_with('/') {
        let reason = format!("cwd must be an absolute path, not {cwd:?}");
        problems.refuse(Code::CWD, at.key("cwd"), reason, "begin the path with a slash");
    }
}

fn check_user(
    process: &Process<'_>,
    at: &Pointer,
    mappings: Option<(&[IdMapping], &[IdMapping])>,
    problems: &mut Problems,
) {
    let at = at.key("user");
    let (uids, gids) = mappings.unwrap_or_default();
    let user = &process.user;
    let mut check = |id: u32, map: &[IdMapping], at: Pointer| {
        if id == RESERVED_ID {
            let reason = format!("{id} is not an id: the kernel takes it for \"unchanged\"");
            problems.refuse(Code::USER, at, reason, "0 to 4294967294");
        } else if !is_mapped(map, id) {
            let reason = format!("id {id} has no mapping in the container's user namespace");
            problems.refuse(Code::USER, at, reason, "add it to linux.uidMappings/gidMappings");
        }
    };
    check(user.uid, uids, at.key("uid"));
    check(user.gid, gids, at.key("gid"));
    for (n, gid) in user.additional_gids.iter().enumerate() {
        check(*gid, gids, at.key("additionalGids").index(n));
    }
    if user.umask.is_some_and(|mask| mask > 0o777) {
        let reason = "a umask has permission bits only";
        problems.refuse(Code::USER, at.key("umask"), reason, "0 to 511 (0777)");
    }
}

/// The entries that the program gets: of several of one name the last, at its place.
fn environment<'c>(
    given: &'c List<Str<'c>>,
    at: &Pointer,
    problems: &mut Problems,
) -> Vec<&'c str> {
    let at = at.key("env");
    let mut last = BTreeMap::new();
    for (n, entry) in given.iter().enumerate() {
        match entry.split_once('=') {
            Some((name, _)) if !name.is_empty() => {
                last.insert(name, n);
            }
            _ => {
                let reason = format!("invalid environment variable: {:?}", &**entry);
                problems.refuse(Code::ENV, at.index(n), reason, "NAME=value");
            }
        }
    }
    let kept = |(n, entry): (usize, &'c Str<'c>)| {
        let name = entry.split_once('=')?.0;
        (last.get(name) == Some(&n)).then_some(&**entry)
    };
    given.iter().enumerate().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn problems_of(text: &str) -> Vec<String> {
        let process = config::parse_process(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let map = [IdMapping { container_id: 0, host_id: 1000, size: 10 }];
        Checked::plan(&process, &"/process".into(), Some((&map, &map)), u64::MAX, &mut problems);
        problems.list().iter().map(|p| p.pointer.to_string()).collect()
    }

    #[test]
    fn a_process_is_checked_value_by_value() {
        let table: [(&str, &[&str]); 7] = [
            (r#"{"args":["a"],"cwd":"/"}"#, &[]),
            (r#"{"cwd":"/"}"#, &["/process/args"]),
            (r#"{"args":["a"],"cwd":"tmp"}"#, &["/process/cwd"]),
            (r#"{"args":["a"]}"#, &["/process/cwd"]),
            (
                r#"{"args":["a"],"cwd":"/","env":["A=1","B","=c"]}"#,
                &["/process/env/1", "/process/env/2"],
            ),
            (
                r#"{"args":["a"],"cwd":"/","user":{"uid":4294967295,"gid":11}}"#,
                &["/process/user/uid", "/process/user/gid"],
            ),
            (
                r#"{"args":["a"],"cwd":"/","user":{"umask":512,"additionalGids":[1,77]}}"#,
                &["/process/user/additionalGids/1", "/process/user/umask"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(problems_of(text), expected, "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_names_wins() {
        let process = config::parse_process(br#"{"env":["A=1","B=2","A=3","C="]}"#).unwrap();
        let env = environment(&process.env, &Pointer::default(), &mut Problems::default());
        assert_eq!(env, ["B=2", "A=3", "C="]);
    }
}
