//! Paths, by whose file system they are about.
//!
//! A [`ContainerPath`] is text until the container's side looks it up below the container's root;
//! nothing on the host side can open one. A [`HostPath`] is opened by husk with its own rights and
//! must never come from inside a container.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path inside the container: absolute, cleaned lexically, without NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerPath(String);

impl ContainerPath {
    /// Reads a path; a relative one is taken as below `/`. `.`, `..` and repeated slashes are
    /// resolved lexically and never go above `/`.
    pub fn new(text: &str) -> Self {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let mut clean = String::with_capacity(text.len().saturating_add(1));
        for part in &parts {
            clean.push('/');
            clean.push_str(part);
        }
        if clean.is_empty() {
            clean.push('/');
        }
        Self(clean)
    }

    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the container's root itself.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The part below `directory`, without a leading slash; empty for the directory itself.
    pub fn below(&self, directory: &str) -> Option<&str> {
        let rest = self.0.strip_prefix(directory)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath(PathBuf);

impl HostPath {
    /// The path that `text` names, relative ones being taken from `base`.
    pub fn new(base: &HostPath, text: &str) -> Self {
        Self(base.0.join(text))
    }

    /// A path that a caller gave.
    pub fn given(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path for the standard library.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path for the kernel; cut at a NUL, which no checked configuration holds.
    pub fn to_c_string(&self) -> CString {
        let mut bytes = self.0.as_os_str().as_bytes().to_vec();
        bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
        CString::new(bytes).unwrap_or_default()
    }

    /// The path as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_os_string().into_vec()
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_paths_are_cleaned_and_never_climb_out() {
        for (given, clean) in [
            ("/dev/pts", "/dev/pts"),
            ("dev//pts/", "/dev/pts"),
            ("/a/./b/../c", "/a/c"),
            ("../../etc", "/etc"),
            ("/", "/"),
            ("", "/"),
            ("/..", "/"),
        ] {
            assert_eq!(ContainerPath::new(given).as_str(), clean, "{given}");
        }
        assert_eq!(ContainerPath::new("/proc/cpuinfo").below("/proc"), Some("cpuinfo"));
        assert_eq!(ContainerPath::new("/process").below("/proc"), None);
        assert_eq!(ContainerPath::new("/proc").below("/proc"), Some(""));
    }
}
