//! The two files of /proc that describe control groups, read as text.

/// Own cgroups, one line a hierarchy: cgroups(7).
pub(super) const OWN: &str = "/proc/self/cgroup";
/// Own mounts: proc_pid_mountinfo(5).
pub(super) const MOUNTS: &str = "/proc/self/mountinfo";

/// A line of `/proc/PID/cgroup`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// Controllers or `name=…`; empty for version 2.
    pub(super) names: Vec<String>,
    /// The process's cgroup.
    pub(super) path: String,
}

/// The lines of a `/proc/PID/cgroup`.
pub(super) fn parse_own(text: &str) -> impl Iterator<Item = Own> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, list, path) = (fields.next()?, fields.next()?, fields.next()?);
        let names = list.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        Some(Own { names, path: path.to_owned() })
    })
}

/// A mounted cgroup file system.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Directory of the hierarchy that is the mount's root.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) place: String,
    /// Options of the file system: the controllers are among them.
    options: Vec<String>,
}

impl Mount {
    /// Whether all `names` are mounted here.
    pub(super) fn has_all(&self, names: &[String]) -> bool {
        !names.is_empty() && names.iter().all(|n| self.options.contains(n))
    }
}

/// The cgroup file systems in a `/proc/PID/mountinfo`.
pub(super) fn parse_mounts(text: &str) -> impl Iterator<Item = Mount> {
    text.lines().filter_map(|line| {
        let (mount, fs) = line.split_once(" - ")?;
        let mut fields = fs.split(' ');
        let kind = fields.next()?;
        if kind != "cgroup" && kind != "cgroup2" {
            return None;
        }
        let options = fields.nth(1)?.split(',').map(str::to_owned).collect();
        let mut fields = mount.split(' ').skip(3);
        let (root, place) = (unescape(fields.next()?), unescape(fields.next()?));
        Some(Mount { root, place, options })
    })
}

/// Undoes the octal escapes of mountinfo.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\').then(|| tail.get(..3)).flatten();
        let value = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match value {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `path` as seen below `root`; `None` when it is not there.
pub(super) fn relative(root: &str, path: &str) -> Option<String> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    if root == "/" {
        return Some(path.to_owned());
    }
    let rest = path.strip_prefix(root)?;
    match rest {
        "" => Some("/".to_owned()),
        _ => rest.starts_with('/').then(|| rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cgroups_of_each_layout() {
        let text = "9:name=systemd:/a\n2:cpu,cpuacct:/docker/1:2\n0::/user.slice\n";
        let own: Vec<Own> = parse_own(text).collect();
        assert_eq!(own[0].names, ["name=systemd"]);
        assert_eq!(own[1].names, ["cpu", "cpuacct"]);
        assert_eq!(own[1].path, "/docker/1:2");
        assert!(own[2].names.is_empty());
        assert_eq!(own[2].path, "/user.slice");
        assert_eq!(parse_own("nonsense\n").count(), 0);
    }

    #[test]
    fn mounts_with_escapes_and_options() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 /docker/x /cg\\040dir/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let mounts: Vec<Mount> = parse_mounts(text).collect();
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].place, "/cg dir/cpu");
        assert_eq!(mounts[0].root, "/docker/x");
        assert!(mounts[0].has_all(&["cpuacct".to_owned(), "cpu".to_owned()]));
        assert!(!mounts[0].has_all(&["memory".to_owned()]));
        assert!(!mounts[1].has_all(&[]));
    }

    #[test]
    fn what_a_partial_mount_shows() {
        for (root, path, seen) in [
            ("/", "/a/b", Some("/a/b")),
            ("/docker/x", "/docker/x", Some("/")),
            ("/docker/x", "/docker/x/y", Some("/y")),
            ("/docker/x", "/docker/xy", None),
            ("/docker/x", "/", None),
            ("/", "/../other", None),
        ] {
            assert_eq!(relative(root, path).as_deref(), seen, "{root} {path}");
        }
    }
}
