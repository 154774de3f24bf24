//! The options that stand before the command, checked and with their defaults.

use super::parse::Given;
use super::value;
use crate::error::{Code, Error};
use crate::log::Format;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Whether missing permission for control groups is tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// When the caller is not root on the host.
    #[default]
    Auto,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// The runtime root: where the containers' state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootChoice {
    /// Absolute path.
    pub path: PathBuf,
    /// Whether `--root` named it.
    pub explicit: bool,
    /// Whether it lies in a directory that is cleaned up unless its entries are sticky.
    pub in_user_runtime_dir: bool,
}

/// The global options.
#[derive(Clone, Debug)]
pub struct Global {
    /// The runtime root.
    pub root: RootChoice,
    /// Whether systemd makes the control groups.
    pub systemd_cgroup: bool,
    /// Whether missing permission for control groups is tolerated.
    pub rootless: Rootless,
    /// Whether debug lines are logged.
    pub debug: bool,
}

impl Global {
    /// Checks the options; `environment` gives the caller's variables.
    ///
    /// # Errors
    /// Refuses values that an option does not take, and `/` as the runtime root.
    pub fn new(
        given: &Given,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Error> {
        let rootless = match given.last("rootless") {
            None => Rootless::Auto,
            Some(text) => match text.to_str() {
                Some("auto") => Rootless::Auto,
                Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Rootless::Yes,
                Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Rootless::No,
                _ => return Err(value::refused("--rootless", text, "is not true, false or auto")),
            },
        };
        Ok(Self {
            root: root(given.last("root"), environment)?,
            systemd_cgroup: given.switch("systemd-cgroup"),
            rootless,
            debug: given.switch("debug"),
        })
    }
}

/// `--log-format`; `None` when it was not given.
///
/// # Errors
/// Refuses formats other than `text` and `json`.
pub fn log_format(given: &Given) -> Result<Option<Format>, Error> {
    match given.last("log-format") {
        None => Ok(None),
        Some(text) if text == "text" => Ok(Some(Format::Text)),
        Some(text) if text == "json" => Ok(Some(Format::Json)),
        Some(text) => Err(value::refused("--log-format", text, "is not text or json")),
    }
}

fn root(
    given: Option<&OsStr>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<RootChoice, Error> {
    if let Some(given) = given {
        let path = value::path("--root", given)?;
        let climbs = path.components().any(|c| c == Component::ParentDir);
        if path.parent().is_none() || climbs && names_root(&path) {
            let message = "--root: the root directory cannot hold the containers' state";
            return Err(Error::said(Code::USAGE, message));
        }
        return Ok(RootChoice { path, explicit: true, in_user_runtime_dir: false });
    }
    // conmon hands the variable to root set and empty.
    let runtime_dir = environment("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    match runtime_dir.filter(|_| is_a_users_own(&environment)) {
        Some(dir) => {
            let path = value::path("XDG_RUNTIME_DIR", &dir)?.join("husk");
            Ok(RootChoice { path, explicit: false, in_user_runtime_dir: true })
        }
        None => Ok(RootChoice {
            path: PathBuf::from("/run/husk"),
            explicit: false,
            in_user_runtime_dir: false,
        }),
    }
}

/// Whether a path with `..` in it ends at the root directory, links not followed.
fn names_root(path: &Path) -> bool {
    let mut depth = 0usize;
    for component in path.components() {
        match component {
            Component::ParentDir => depth = depth.saturating_sub(1),
            Component::Normal(_) => depth = depth.saturating_add(1),
            _ => {}
        }
    }
    depth == 0
}

/// Whether the caller works with a user's rights: not root, or root of a user namespace only,
/// unless it calls itself root there (a container within a container).
fn is_a_users_own(environment: impl Fn(&str) -> Option<OsString>) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    in_user_namespace() && environment("USER").is_none_or(|user| user != "root")
}

/// Whether the process is in a user namespace other than the host's.
fn in_user_namespace() -> bool {
    let Ok(map) = std::fs::read("/proc/self/uid_map") else { return false };
    !is_whole_map(OsStr::from_bytes(&map))
}

fn is_whole_map(map: &OsStr) -> bool {
    map.to_str().is_some_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_root() {
        // Tests run as root of the host, or as anybody: only what holds for both is asserted.
        let none = root(None, |_| None).unwrap();
        assert_eq!((none.path.as_path(), none.explicit), (Path::new("/run/husk"), false));
        let empty = root(None, |name| (name == "XDG_RUNTIME_DIR").then(OsString::new)).unwrap();
        assert_eq!(empty.path, Path::new("/run/husk"));
    }

    #[test]
    fn the_root_directory_is_refused() {
        for bad in ["/", "//", "/.", "/a/..", "/a/../..", "/../"] {
            assert!(root(Some(OsStr::new(bad)), |_| None).is_err(), "{bad}");
        }
        for good in ["/a", "/a/../b", "a"] {
            assert!(root(Some(OsStr::new(good)), |_| None).unwrap().explicit, "{good}");
        }
    }

    #[test]
    fn maps() {
        assert!(is_whole_map(OsStr::new("         0          0 4294967295\n")));
        assert!(!is_whole_map(OsStr::new("0 1000 1\n")));
        assert!(!is_whole_map(OsStr::new("0 0 65536\n")));
    }
}
