//! Where a cgroup stands below the root of a hierarchy.

/// Longest path, in bytes; far above what engines use, below PATH_MAX with a mount point.
const LONGEST_PATH: usize = 3500;
/// Longest name of one directory, in bytes.
const LONGEST_NAME: usize = 255;

/// A clean path below the root of a hierarchy: it begins with `/`, does not end with one, names at
/// least one directory and holds no `.`, `..`, empty part or control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupPath(String);

/// Why a text is not a [`CgroupPath`], as a sentence without a full stop.
pub(super) type Reason = String;

impl CgroupPath {
    /// Reads a path; a leading `/` may be missing.
    pub(super) fn parse(text: &str) -> Result<Self, Reason> {
        let mut clean = String::with_capacity(text.len().saturating_add(1));
        push_parts(&mut clean, text)?;
        if clean.is_empty() {
            return Err(format!("\"{text}\" is the root of the hierarchy"));
        }
        if clean.len() > LONGEST_PATH {
            return Err(format!("the path is longer than {LONGEST_PATH} bytes"));
        }
        Ok(Self(clean))
    }

    /// This path below `base`, which may be `/`.
    pub(super) fn below(&self, base: &str) -> Result<Self, Reason> {
        Self::parse(&format!("{base}{}", self.0))
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a path below a cgroup: as [`CgroupPath`], but it may be empty, and then is `""`.
pub(super) fn sub_path(text: &str) -> Result<String, Reason> {
    let mut clean = String::new();
    push_parts(&mut clean, text)?;
    Ok(clean)
}

fn push_parts(clean: &mut String, text: &str) -> Result<(), Reason> {
    for part in text.split('/') {
        match part {
            "" | "." => continue,
            ".." => return Err("the path holds \"..\"".to_owned()),
            _ => {}
        }
        if part.chars().any(char::is_control) {
            return Err(format!("{part:?} holds a control character"));
        }
        if part.len() > LONGEST_NAME {
            return Err(format!("a part of the path is longer than {LONGEST_NAME} bytes"));
        }
        clean.push('/');
        clean.push_str(part);
    }
    Ok(())
}

/// The directory above an absolute path; `/` of the topmost.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_paths() {
        for (text, clean) in [
            ("/docker/0123", "/docker/0123"),
            ("docker/0123", "/docker/0123"),
            ("//a/./b//", "/a/b"),
            ("system.slice:docker:0123", "/system.slice:docker:0123"),
            ("..a/b..", "/..a/b.."),
        ] {
            assert_eq!(CgroupPath::parse(text).unwrap().as_str(), clean, "{text}");
        }
        let below = CgroupPath::parse("x").unwrap().below("/own/cgroup").unwrap();
        assert_eq!(below.as_str(), "/own/cgroup/x");
        assert_eq!(CgroupPath::parse("x").unwrap().below("/").unwrap().as_str(), "/x");
    }

    #[test]
    fn bad_paths() {
        let long_name = "a".repeat(256);
        let long = "a/".repeat(2000);
        for text in ["", "/", "///", ".", "..", "/a/../b", "../../x", "/a\nb", &long_name, &long] {
            assert!(CgroupPath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn parents() {
        for (path, above) in [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a", "/")] {
            assert_eq!(parent(path), above);
        }
    }
}
