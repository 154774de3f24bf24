//! The cgroup on disk: a few lines of text, written before the cgroup is made and enough to clean
//! up after a husk that was killed at any point.
//!
//! ```text
//! husk-cgroup 1
//! v1
//! cpu,cpuacct<TAB>/sys/fs/cgroup/cpu,cpuacct<TAB>/docker/0123
//! unified<TAB>/sys/fs/cgroup/unified<TAB>/docker/0123
//! ```

use super::group::{Cgroup, Member, Part};
use super::layout::Version;
use super::path::CgroupPath;
use super::plan::CgroupPlan;
use crate::error::{Code, Error, Failure};
use std::fmt::Write as _;

const HEADER: &str = "husk-cgroup 1";
const UNIFIED: &str = "unified";
/// Longest record, in bytes.
const LONGEST: usize = 1 << 20;
/// Most hierarchies of a host: the kernel has some fifteen controllers, and named ones are rare.
const MOST_PARTS: usize = 64;

impl CgroupPlan {
    /// The cgroup as text, for [`Cgroup::from_record`].
    pub fn record(&self) -> String {
        text(self.version, self.parts.iter().map(|p| &p.part))
    }
}

impl Cgroup {
    /// The cgroup as text. After [`CgroupPlan::create`] it is the plan's, unless husk had to do
    /// without some hierarchies.
    pub fn record(&self) -> String {
        text(self.version, self.parts.iter().map(|m| &m.part))
    }

    /// Reads a record. Nothing is opened yet.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the text is not a record, or names something that cannot be a
    /// container's cgroup.
    pub fn from_record(record: &str) -> Result<Self, Error> {
        parse(record).map_err(|reason| {
            let doing = format!("read the record of the container's cgroup: {reason}");
            Failure::new(Code::CGROUP_FAILED, doing)
                .hint("the state directory is damaged; delete --force removes what it still names")
                .into()
        })
    }
}

fn text<'a>(version: Version, parts: impl Iterator<Item = &'a Part>) -> String {
    let version = if version == Version::V1 { "v1" } else { "v2" };
    let mut text = format!("{HEADER}\n{version}\n");
    for part in parts {
        let joined = part.names.join(",");
        let names = if part.is_unified() { UNIFIED } else { &joined };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{names}\t{}\t{}", part.mount, part.path.as_str());
    }
    text
}

fn parse(record: &str) -> Result<Cgroup, String> {
    if record.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut lines = record.lines();
    if lines.next() != Some(HEADER) {
        return Err("it does not begin as one of this version of husk".to_owned());
    }
    let version = match lines.next() {
        Some("v1") => Version::V1,
        Some("v2") => Version::V2,
        _ => return Err("its second line names no version".to_owned()),
    };
    let mut parts = Vec::new();
    for line in lines {
        if parts.len() == MOST_PARTS {
            return Err(format!("it names more than {MOST_PARTS} hierarchies"));
        }
        parts.push(Member::new(parse_part(line)?, None));
    }
    if version == Version::V2 && (parts.len() > 1 || parts.iter().any(|m| !m.part.is_unified())) {
        return Err("it names hierarchies that a v2 host does not have".to_owned());
    }
    Ok(Cgroup { version, parts })
}

fn parse_part(line: &str) -> Result<Part, String> {
    let mut fields = line.split('\t');
    let (Some(names), Some(mount), Some(path), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("{line:?} has not three fields"));
    };
    let names: Vec<String> = match names {
        UNIFIED => Vec::new(),
        _ => names.split(',').map(str::to_owned).collect(),
    };
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"_-.=".contains(c);
    if names.iter().any(|n| n.is_empty() || n.contains(odd)) {
        return Err(format!("{line:?} names no controllers"));
    }
    let clean = CgroupPath::parse(mount).map_err(|reason| format!("{line:?}: {reason}"))?;
    if clean.as_str() != mount {
        return Err(format!("{mount:?} is not a clean absolute path"));
    }
    let clean = CgroupPath::parse(path).map_err(|reason| format!("{line:?}: {reason}"))?;
    if clean.as_str() != path {
        return Err(format!("{path:?} is not a clean absolute path"));
    }
    Ok(Part::new(&names, mount, clean))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "husk-cgroup 1\nv1\n\
        cpu,cpuacct\t/sys/fs/cgroup/cpu,cpuacct\t/docker/0123\n\
        name=systemd\t/sys/fs/cgroup/systemd\t/docker/0123\n\
        unified\t/sys/fs/cgroup/unified\t/docker/0123\n";

    #[test]
    fn what_was_written_is_read() {
        let group = Cgroup::from_record(GOOD).unwrap();
        assert_eq!(group.version(), Version::V1);
        assert_eq!(group.record(), GOOD);
        let paths = group.paths();
        assert_eq!(paths.len(), 4);
        assert_eq!(paths[1], ("cpuacct".into(), "/sys/fs/cgroup/cpu,cpuacct/docker/0123".into()));
        assert_eq!(paths[3].0, "");
        let empty = Cgroup::from_record("husk-cgroup 1\nv1\n").unwrap();
        assert!(empty.paths().is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        let line = |line: &str| format!("husk-cgroup 1\nv1\n{line}\n");
        for text in [
            String::new(),
            "husk-cgroup 2\nv1\n".into(),
            "husk-cgroup 1\n".into(),
            "husk-cgroup 1\nv3\n".into(),
            line("cpu\t/sys/fs/cgroup/cpu"),
            line("cpu\t/sys/fs/cgroup/cpu\t/x\t/y"),
            line("\t/sys/fs/cgroup/cpu\t/x"),
            line("c/pu\t/sys/fs/cgroup/cpu\t/x"),
            line("cpu\tsys/fs/cgroup/cpu\t/x"),
            line("cpu\t/sys/fs/../cgroup/cpu\t/x"),
            line("cpu\t/sys/fs/cgroup/cpu\t/"),
            line("cpu\t/sys/fs/cgroup/cpu\t/x/../.."),
            line("cpu\t/sys/fs/cgroup/cpu\tx"),
            "husk-cgroup 1\nv2\ncpu\t/sys/fs/cgroup\t/x\n".into(),
            "x".repeat(LONGEST + 1),
            line(&"cpu\t/a\t/x\n".repeat(MOST_PARTS + 1)),
        ] {
            let error = Cgroup::from_record(&text).unwrap_err();
            assert_eq!(error.code(), Code::CGROUP_FAILED, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_a_cgroup_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("x")).unwrap();
        let record = format!("husk-cgroup 1\nv1\ncpu\t{place}\t/x\n");
        let group = Cgroup::from_record(&record).unwrap();
        assert!(group.parts[0].dir().is_err());
    }
}
