//! Reads what a contained process printed about itself.

use std::collections::BTreeMap;

/// The fields of `/proc/self/status`.
pub struct Status(BTreeMap<String, String>);

impl Status {
    /// Parses the text of the file.
    pub fn parse(text: &str) -> Self {
        let field = |l: &str| l.split_once(':').map(|(k, v)| (k.to_owned(), v.trim().to_owned()));
        Status(text.lines().filter_map(field).collect())
    }

    /// The words of a field, joined by one blank.
    #[track_caller]
    pub fn get(&self, field: &str) -> String {
        let text = self.0.get(field).unwrap_or_else(|| panic!("no field {field}: {:?}", self.0));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A field that is a set of bits in hexadecimal.
    #[track_caller]
    pub fn bits(&self, field: &str) -> u64 {
        let text = self.get(field);
        u64::from_str_radix(&text, 16).unwrap_or_else(|e| panic!("{field} {text}: {e}"))
    }
}

/// One line of `mountinfo`.
#[derive(Debug, Clone)]
pub struct Mount {
    /// The part of the file system that is visible.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// Options of the mount.
    pub options: Vec<String>,
    /// `shared:N`, `master:N`, `unbindable`.
    pub tags: Vec<String>,
    /// Type of the file system.
    pub kind: String,
    /// Source as the file system tells it.
    pub source: String,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

impl Mount {
    /// True when the mount has this option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// Parses a whole `mountinfo`.
pub fn mounts(text: &str) -> Vec<Mount> {
    let words = |t: &str| t.split(',').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let mut right = right.split(' ');
            Some(Mount {
                root: left.get(3)?.to_string(),
                point: left.get(4)?.to_string(),
                options: words(left.get(5)?),
                tags: left.iter().skip(6).map(|t| t.to_string()).collect(),
                kind: right.next()?.to_owned(),
                source: right.next()?.to_owned(),
                super_options: words(right.next()?),
            })
        })
        .collect()
}

/// The topmost mount at `point`.
#[track_caller]
pub fn mount_at(text: &str, point: &str) -> Mount {
    let all = mounts(text);
    let found = all.iter().rev().find(|m| m.point == point);
    found.unwrap_or_else(|| panic!("no mount on {point} in\n{text}")).clone()
}

/// `KEY=value` lines as a map.
pub fn lines(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_with_and_without_tags() {
        let text = "31 23 0:28 / /sys rw,relatime - sysfs none rw\n\
                    40 31 0:29 /sub /x ro shared:7 master:2 - tmpfs t rw,size=4k\n";
        let all = mounts(text);
        assert_eq!(all.len(), 2);
        assert!(all[0].tags.is_empty() && all[0].has("relatime"));
        let mount = mount_at(text, "/x");
        assert_eq!((mount.root.as_str(), mount.kind.as_str()), ("/sub", "tmpfs"));
        assert_eq!(mount.tags, ["shared:7", "master:2"]);
        assert_eq!(mount.super_options, ["rw", "size=4k"]);
    }

    #[test]
    fn status_fields() {
        let status = Status::parse("Uid:\t1\t2\t3\t4\nCapEff:\t0000000000000021\nGroups:\t \n");
        assert_eq!(status.get("Uid"), "1 2 3 4");
        assert_eq!(status.bits("CapEff"), 0x21);
        assert_eq!(status.get("Groups"), "");
    }
}
