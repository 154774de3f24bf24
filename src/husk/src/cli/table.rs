//! Every command and option, in one table.
//!
//! The parser, the help, and later man pages and completions are made from it.

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub struct Opt {
    /// Name after `--` (or `-`).
    pub long: &'static str,
    /// One-letter name.
    pub short: Option<char>,
    /// What the value is called in the help; `None` makes it a switch.
    pub value: Option<&'static str>,
    /// One line for the help.
    pub help: &'static str,
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
    /// The positional arguments, as the usage line shows them.
    pub arguments: &'static str,
    /// Fewest positional arguments.
    pub least: usize,
    /// Most positional arguments.
    pub most: Option<usize>,
    /// Whether everything after the first positional argument belongs to a program.
    pub ends_at_first: bool,
    /// What a reader needs beyond the options.
    pub details: &'static str,
    /// Its options.
    pub options: &'static [Opt],
}

const fn switch(long: &'static str, short: Option<char>, help: &'static str) -> Opt {
    Opt { long, short, value: None, help }
}

const fn valued(
    long: &'static str,
    short: Option<char>,
    value: &'static str,
    help: &'static str,
) -> Opt {
    Opt { long, short, value: Some(value), help }
}

/// Accepted by every command.
pub const HELP: Opt = switch("help", Some('h'), "show this help");

const BUNDLE: Opt =
    valued("bundle", Some('b'), "DIR", "the bundle's directory (default: the current directory)");
const CONSOLE_SOCKET: Opt = valued(
    "console-socket",
    None,
    "SOCKET",
    "unix socket that receives the master end of the container's terminal",
);
const PIDFD_SOCKET: Opt =
    valued("pidfd-socket", None, "SOCKET", "unix socket that receives a pidfd of the process");
const PID_FILE: Opt = valued("pid-file", None, "FILE", "file that the process id is written to");
const NO_PIVOT: Opt = switch(
    "no-pivot",
    None,
    "do not use pivot_root; for a root file system that lies on a ramdisk",
);
const NO_NEW_KEYRING: Opt =
    switch("no-new-keyring", None, "keep the caller's session keyring instead of making one");
const PRESERVE_FDS: Opt = valued(
    "preserve-fds",
    None,
    "N",
    "pass N descriptors from 3 on to the program, after those of LISTEN_FDS (default: 0)",
);
const DETACH: Opt = switch("detach", Some('d'), "do not wait for the program to end");
const FORMAT: Opt = valued("format", Some('f'), "FORMAT", "table (default) or json");

/// Options that stand before the command.
pub const GLOBAL: &[Opt] = &[
    switch("debug", None, "log what is done, too"),
    valued("log", None, "FILE", "file that the log is appended to (default: standard error)"),
    valued("log-format", None, "FORMAT", "text (default) or json"),
    valued(
        "root",
        None,
        "DIR",
        "directory of the containers' state (default: /run/husk, or husk below $XDG_RUNTIME_DIR \
         for a user)",
    ),
    switch(
        "systemd-cgroup",
        None,
        "let systemd make the control group (cgroupsPath is then slice:prefix:name); not possible \
         yet: refused",
    ),
    valued(
        "rootless",
        None,
        "MODE",
        "go on without a control group when there is no permission: true, false, auto (default)",
    ),
    HELP,
    switch("version", Some('v'), "show the version"),
];

const ID: &str = "CONTAINER-ID";

const fn on_one_id(
    name: &'static str,
    about: &'static str,
    details: &'static str,
    options: &'static [Opt],
) -> Command {
    Command {
        name,
        about,
        arguments: ID,
        least: 1,
        most: Some(1),
        ends_at_first: false,
        details,
        options,
    }
}

/// The commands, in alphabetical order.
pub const COMMANDS: &[Command] = &[
    on_one_id(
        "create",
        "create a container",
        "Makes the container that the bundle's config.json describes. Its program is not executed \
         before `start`.",
        &[BUNDLE, CONSOLE_SOCKET, PIDFD_SOCKET, PID_FILE, NO_PIVOT, NO_NEW_KEYRING, PRESERVE_FDS],
    ),
    on_one_id(
        "delete",
        "delete a container and everything that belongs to it",
        "A container that is stopped or was never started is deleted; a running one only by force.",
        &[switch("force", Some('f'), "kill the container first if it is still running")],
    ),
    Command {
        name: "exec",
        about: "execute another program in a container",
        arguments: "CONTAINER-ID [COMMAND [ARGUMENT...]]",
        least: 1,
        most: None,
        ends_at_first: true,
        details: "The program is given by its arguments or by a process file. Options end at the \
                  container's id.",
        options: &[
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            valued("cwd", None, "DIR", "working directory in the container"),
            valued("env", Some('e'), "NAME=VALUE", "set a variable; can be repeated"),
            switch("tty", Some('t'), "give the program a terminal"),
            valued("user", Some('u'), "UID[:GID]", "run as this user and group"),
            valued("additional-gids", Some('g'), "GID", "another group; can be repeated"),
            valued("process", Some('p'), "FILE", "read the process from this JSON file"),
            DETACH,
            PID_FILE,
            valued("process-label", None, "LABEL", "SELinux label of the process"),
            valued("apparmor", None, "PROFILE", "AppArmor profile of the process"),
            switch("no-new-privs", None, "set the no-new-privileges bit"),
            valued("cap", Some('c'), "CAPABILITY", "add a capability; can be repeated"),
            PRESERVE_FDS,
            valued(
                "cgroup",
                None,
                "[CONTROLLER[,...]:]PATH",
                "run in this existing control group below the container's; can be repeated",
            ),
            switch("ignore-paused", None, "go ahead although the container is paused"),
        ],
    },
    Command {
        name: "features",
        about: "print what this runtime can do",
        arguments: "",
        least: 0,
        most: Some(0),
        ends_at_first: false,
        details: "Prints the features document of the runtime specification.",
        options: &[],
    },
    Command {
        name: "kill",
        about: "send a signal to a container's first process",
        arguments: "CONTAINER-ID [SIGNAL]",
        least: 1,
        most: Some(2),
        ends_at_first: false,
        details: "The signal is a number or a name such as KILL or SIGKILL (default: SIGTERM).",
        options: &[switch("all", Some('a'), "send it to every process of the container")],
    },
    Command {
        name: "list",
        about: "list containers",
        arguments: "",
        least: 0,
        most: Some(0),
        ends_at_first: false,
        details: "Lists the containers whose state is in the directory given by --root.",
        options: &[FORMAT, switch("quiet", Some('q'), "print the ids only")],
    },
    on_one_id("pause", "suspend every process of a container", "`resume` lets them go on.", &[]),
    Command {
        name: "ps",
        about: "show the processes of a container",
        arguments: "CONTAINER-ID [PS-OPTION...]",
        least: 1,
        most: None,
        ends_at_first: true,
        details: "The table comes from ps(1), with -ef or the options given, cut down to the \
                  container's processes.",
        options: &[FORMAT],
    },
    on_one_id("resume", "let a paused container go on", "", &[]),
    on_one_id(
        "run",
        "create a container, start it and wait for it to end",
        "The exit status is that of the program, or 128 and the signal that ended it.",
        &[
            BUNDLE,
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
            DETACH,
            switch("keep", None, "do not delete the container when it has ended"),
            switch("no-subreaper", None, "do not become the parent of the container's orphans"),
        ],
    ),
    Command {
        name: "spec",
        about: "write a config.json to begin with",
        arguments: "",
        least: 0,
        most: Some(0),
        ends_at_first: false,
        details: "Writes config.json into the bundle; an existing one is left alone.",
        options: &[
            BUNDLE,
            switch("rootless", None, "for a container that the calling user runs without root"),
        ],
    },
    on_one_id("start", "execute the program of a created container", "", &[]),
    on_one_id("state", "print the state of a container", "", &[]),
];

/// The command of that name.
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        for options in COMMANDS.iter().map(|c| c.options).chain([GLOBAL]) {
            for (n, option) in options.iter().enumerate() {
                let others = options.iter().take(n);
                assert!(others.clone().all(|o| o.long != option.long), "{}", option.long);
                let shorts = others.filter_map(|o| o.short);
                assert!(option.short.is_none_or(|s| shorts.clone().all(|o| o != s)));
                assert!(!option.help.is_empty() && !option.help.ends_with('.'));
            }
        }
    }

    #[test]
    fn help_is_free_for_every_command() {
        for command in COMMANDS {
            assert!(command.options.iter().all(|o| o.long != "help" && o.short != Some('h')));
        }
    }
}
