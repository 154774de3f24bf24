//! `husk create`.

use super::{Context, DONE};
use crate::cli::{Given, Global, value};
use crate::container::ContainerId;
use crate::error::Error;
use crate::launch;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What `create` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    /// The container's id.
    pub id: ContainerId,
    /// Absolute path of the bundle, valid UTF-8.
    pub bundle: PathBuf,
    /// Absolute path of the socket that receives the terminal.
    pub console_socket: Option<PathBuf>,
    /// Absolute path of the socket that receives a pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// Absolute path of the file that the pid is written to.
    pub pid_file: Option<PathBuf>,
    /// Whether pivot_root is not used.
    pub no_pivot: bool,
    /// Whether the caller's session keyring is kept.
    pub no_new_keyring: bool,
    /// How many descriptors the program gets besides 0-2 and those of LISTEN_FDS.
    pub preserve_fds: u32,
}

impl CreateOptions {
    /// Checks the options of `create` and `run`.
    ///
    /// # Errors
    /// Refuses a bad id, number or path.
    pub fn new(own: &Given, arguments: &[OsString]) -> Result<Self, Error> {
        let path = |name: &str| {
            own.last(name)
                .filter(|path| !path.is_empty())
                .map(|path| value::path(&format!("--{name}"), path))
                .transpose()
        };
        Ok(Self {
            id: super::id(arguments)?,
            bundle: bundle(own)?,
            console_socket: path("console-socket")?,
            pidfd_socket: path("pidfd-socket")?,
            pid_file: path("pid-file")?,
            no_pivot: own.switch("no-pivot"),
            no_new_keyring: own.switch("no-new-keyring"),
            preserve_fds: match own.last("preserve-fds") {
                Some(count) => value::count("--preserve-fds", count)?,
                None => 0,
            },
        })
    }
}

/// The bundle: absolute, and text, since states and hooks are told of it in JSON.
pub(super) fn bundle(own: &Given) -> Result<PathBuf, Error> {
    let given = own.last("bundle").filter(|bundle| !bundle.is_empty());
    let path = value::bundle("--bundle", given.unwrap_or(OsStr::new(".")))?;
    value::text("--bundle", path.as_os_str())?;
    Ok(path)
}

impl CreateOptions {
    /// What the library is asked for.
    pub(super) fn launch(self, global: &Global, waits: bool, foreground: bool) -> launch::Options {
        launch::Options {
            id: self.id,
            bundle: self.bundle,
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
            pid_file: self.pid_file,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserve_fds: self.preserve_fds,
            systemd_cgroup: global.systemd_cgroup,
            waits,
            foreground,
        }
    }
}

/// Makes a container that waits for `start`.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let options = CreateOptions::new(own, arguments)?.launch(&cx.global, true, false);
    let root = cx.root();
    let created = launch::create(&root, &options, &mut cx.log).map_err(Error::at_create)?;
    created.release();
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Request, parse};
    use std::path::Path;

    fn options(line: &str) -> Result<CreateOptions, Error> {
        match parse(line.split_whitespace().map(OsString::from)) {
            Ok(Request::Command { own, arguments, .. }) => CreateOptions::new(&own, &arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_engines_ask() {
        let asked = options(
            "create --bundle /b --pid-file /b/init.pid --console-socket /run/s --preserve-fds 2 \
             --no-pivot --no-new-keyring c1",
        )
        .unwrap();
        assert_eq!(asked.id.as_str(), "c1");
        assert_eq!(asked.bundle, Path::new("/b"));
        assert_eq!(asked.pid_file.as_deref(), Some(Path::new("/b/init.pid")));
        assert_eq!(asked.console_socket.as_deref(), Some(Path::new("/run/s")));
        assert!(asked.no_pivot && asked.no_new_keyring && asked.pidfd_socket.is_none());
        assert_eq!(asked.preserve_fds, 2);
    }

    #[test]
    fn defaults() {
        let asked = options("create c1").unwrap();
        assert_eq!(asked.bundle, std::env::current_dir().unwrap());
        assert_eq!((asked.pid_file, asked.preserve_fds, asked.no_pivot), (None, 0, false));
    }

    #[test]
    fn refusals() {
        for bad in
            ["create a/b", "create ..", "create --preserve-fds x c", "create --preserve-fds -1 c"]
        {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
