//! `husk exec`.

use super::Context;
use crate::capabilities;
use crate::cgroup::SubCgroup;
use crate::cli::value::User;
use crate::cli::{Given, value};
use crate::config::{Process, Str};
use crate::container::ContainerId;
use crate::error::{Code, Error};
use crate::launch::{self, Added};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What `exec` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOptions {
    /// The container's id.
    pub id: ContainerId,
    /// Where the process comes from.
    pub source: ProcessSource,
    /// Whether to return as soon as the program has been executed.
    pub detach: bool,
    /// Absolute path of the file that the pid is written to.
    pub pid_file: Option<PathBuf>,
    /// Absolute path of the socket that receives the terminal.
    pub console_socket: Option<PathBuf>,
    /// Absolute path of the socket that receives a pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// How many descriptors the program gets besides 0-2 and those of LISTEN_FDS.
    pub preserve_fds: u32,
    /// Control groups below the container's to run in.
    pub cgroups: Vec<SubCgroup>,
    /// Whether a paused container is no obstacle.
    pub ignore_paused: bool,
}

/// Where the process of `exec` comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessSource {
    /// A JSON file, by its absolute path.
    File(PathBuf),
    /// The container's own process, changed by options.
    Options(Box<ProcessOptions>),
}

/// What the options change in the container's own `process`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// The program and its arguments; at least one.
    pub args: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Working directory in the container.
    pub cwd: Option<String>,
    /// Further `NAME=value` entries.
    pub env: Vec<String>,
    /// User, and group if given.
    pub user: Option<User>,
    /// Further groups.
    pub additional_gids: Vec<u32>,
    /// SELinux label.
    pub process_label: Option<String>,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// Whether the no-new-privileges bit is set; `None`: as the configuration says.
    pub no_new_privs: Option<bool>,
    /// Further capabilities, as they were written.
    pub capabilities: Vec<String>,
}

impl ExecOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// Refuses bad ids, users, groups, paths and texts, and a missing program.
    pub fn new(own: &Given, arguments: &[OsString]) -> Result<Self, Error> {
        let path = |name: &str| {
            own.last(name)
                .filter(|path| !path.is_empty())
                .map(|path| value::path(&format!("--{name}"), path))
                .transpose()
        };
        let source = match path("process")? {
            Some(file) => ProcessSource::File(file),
            None => ProcessSource::Options(Box::new(ProcessOptions::new(own, arguments)?)),
        };
        let cgroups =
            own.all("cgroup").map(|text| SubCgroup::parse(&value::text("--cgroup", text)?));
        Ok(Self {
            id: super::id(arguments)?,
            source,
            detach: own.switch("detach"),
            pid_file: path("pid-file")?,
            console_socket: path("console-socket")?,
            pidfd_socket: path("pidfd-socket")?,
            preserve_fds: match own.last("preserve-fds") {
                Some(count) => value::count("--preserve-fds", count)?,
                None => 0,
            },
            cgroups: cgroups.collect::<Result<_, _>>()?,
            ignore_paused: own.switch("ignore-paused"),
        })
    }
}

impl ProcessOptions {
    fn new(own: &Given, arguments: &[OsString]) -> Result<Self, Error> {
        let program = arguments.get(1..).unwrap_or_default();
        // A `--` between the id and the program separates; behind the program it is a word of it.
        let program = match program {
            [first, rest @ ..] if first == "--" => rest,
            program => program,
        };
        if program.is_empty() {
            let words = "exec needs a program: CONTAINER-ID COMMAND [ARGUMENT...], or --process";
            return Err(Error::said(Code::USAGE, words));
        }
        let text = |name: &str| {
            own.last(name)
                .filter(|text| !text.is_empty())
                .map(|text| value::text(&format!("--{name}"), text))
                .transpose()
        };
        let texts = |name: &str| {
            let texts = own.all(name).map(|text| value::text(&format!("--{name}"), text));
            texts.collect::<Result<Vec<_>, _>>()
        };
        let comma = |text: &OsStr| text.to_string_lossy().contains(',');
        let gids = own.all("additional-gids").map(|gid| match comma(gid) {
            true => Err(value::refused("--additional-gids", gid, "is several: repeat the option")),
            false => value::id("--additional-gids", gid),
        });
        Ok(Self {
            args: program.iter().map(|w| value::text("argument", w)).collect::<Result<_, _>>()?,
            tty: own.switch("tty"),
            cwd: text("cwd")?,
            env: texts("env")?,
            user: own.last("user").map(|user| value::user("--user", user)).transpose()?,
            additional_gids: gids.collect::<Result<_, _>>()?,
            process_label: text("process-label")?,
            apparmor: text("apparmor")?,
            no_new_privs: own.last("no-new-privs").map(|_| own.switch("no-new-privs")),
            capabilities: texts("cap")?,
        })
    }
}

/// Executes another program in a container; the exit status is the program's.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let options = ExecOptions::new(own, arguments)?;
    execute(cx, options).map_err(Error::at_exec)
}

fn execute(cx: &mut Context<'_>, options: ExecOptions) -> Result<u8, Error> {
    let text = match &options.source {
        ProcessSource::File(path) => launch::read_document(path)?,
        ProcessSource::Options(_) => Vec::new(),
    };
    let change = |process: &mut Process<'_>| match &options.source {
        ProcessSource::File(_) => Ok(()),
        ProcessSource::Options(asked) => asked.apply(process),
    };
    let process = match &options.source {
        ProcessSource::File(_) => Added::Document(&text),
        ProcessSource::Options(_) => Added::Changed(&change),
    };
    let asked = launch::ExecOptions {
        id: &options.id,
        process,
        detach: options.detach,
        pid_file: options.pid_file,
        console_socket: options.console_socket,
        pidfd_socket: options.pidfd_socket,
        preserve_fds: options.preserve_fds,
        cgroups: options.cgroups,
        ignore_paused: options.ignore_paused,
    };
    let root = cx.root();
    launch::exec(&root, &asked, &mut cx.log)
}

impl ProcessOptions {
    /// Changes the container's own process as asked.
    fn apply(&self, process: &mut Process<'_>) -> Result<(), Error> {
        process.args = self.args.iter().cloned().map(Str::from).collect::<Vec<_>>().into();
        process.terminal = self.tty;
        if let Some(cwd) = &self.cwd {
            process.cwd = cwd.clone().into();
        }
        process.env.extend(self.env.iter().cloned().map(Str::from));
        if let Some(user) = self.user {
            process.user.uid = user.uid;
            process.user.gid = user.gid.unwrap_or(process.user.gid);
        }
        process.user.additional_gids.extend(self.additional_gids.iter().copied());
        if let Some(label) = &self.process_label {
            process.selinux_label = label.clone().into();
        }
        if let Some(profile) = &self.apparmor {
            process.apparmor_profile = profile.clone().into();
        }
        process.no_new_privileges |= self.no_new_privs.unwrap_or(false);
        if self.capabilities.is_empty() {
            return Ok(());
        }
        let sets = process.capabilities.get_or_insert_default();
        for name in &self.capabilities {
            if capabilities::named(name).is_none() {
                let words = format!("unknown capability {name:?} in --cap");
                return Err(Error::said(Code::CAPABILITY, words));
            }
            let name = || std::iter::once(Str::from(name.clone()));
            sets.bounding.extend(name());
            sets.effective.extend(name());
            sets.permitted.extend(name());
            // Without inheritable ones an ambient capability cannot be.
            if !sets.inheritable.is_empty() {
                sets.ambient.extend(name());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Request, parse};
    use std::path::Path;

    fn options(line: &str) -> Result<ExecOptions, Error> {
        match parse(line.split_whitespace().map(OsString::from)) {
            Ok(Request::Command { own, arguments, .. }) => ExecOptions::new(&own, &arguments),
            other => panic!("{other:?}"),
        }
    }

    fn process(line: &str) -> ProcessOptions {
        match options(line).unwrap().source {
            ProcessSource::Options(process) => *process,
            ProcessSource::File(file) => panic!("{file:?}"),
        }
    }

    #[test]
    fn as_engines_ask() {
        let asked = options(
            "exec --process /p/process.json --console-socket /s --detach --pid-file /p/pid c1",
        )
        .unwrap();
        assert_eq!(asked.source, ProcessSource::File("/p/process.json".into()));
        assert!(asked.detach && !asked.ignore_paused);
        assert_eq!(asked.pid_file.as_deref(), Some(Path::new("/p/pid")));
    }

    #[test]
    fn as_people_ask() {
        let asked = process(
            "exec -t -e A=1 -e B= -u 1:2 -g 3 -g 4 --cwd /w -c CAP_KILL --no-new-privs=false c1 \
             sh -c -- x",
        );
        assert_eq!(asked.args, ["sh", "-c", "--", "x"]);
        assert_eq!(asked.env, ["A=1", "B="]);
        assert_eq!(asked.user, Some(User { uid: 1, gid: Some(2) }));
        assert_eq!(asked.additional_gids, [3, 4]);
        assert_eq!((asked.tty, asked.cwd.as_deref()), (true, Some("/w")));
        assert_eq!(
            (asked.capabilities, asked.no_new_privs),
            (vec!["CAP_KILL".into()], Some(false))
        );
        assert_eq!(process("exec c1 -- ls -l").args, ["ls", "-l"]);
    }

    #[test]
    fn refusals() {
        for bad in [
            "exec c1",
            "exec c1 --",
            "exec -u root c1 ls",
            "exec -u 4294967295 c1 ls",
            "exec -g 1,2 c1 ls",
            "exec -g -1 c1 ls",
            "exec --cgroup ../x c1 ls",
            "exec a/b ls",
        ] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
