//! Mount options (config.md §Linux mount options).

use crate::sys::mount::{Change, attr};
use libc::{MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Sets and clears attributes of the mount.
    Attribute { set: u64, clear: u64 },
    /// The same for the mount and all below it.
    Recursive { set: u64, clear: u64 },
    /// Propagation type.
    Propagation(u64),
    /// A bind mount; with the mounts below it.
    Bind { recursive: bool },
    /// An existing mount is changed.
    Remount,
    /// A flag of the file system that every one knows by this name; its flag for mount(2).
    Common(u64),
    /// Accepted, and the kernel's own default or without effect since long ago.
    Nothing,
    /// The tmpfs begins with what it hides.
    CopyUp,
    /// The mount's ids are mapped.
    IdMap { recursive: bool },
}

use Effect::{Attribute, Bind, Common, CopyUp, IdMap, Nothing, Propagation, Recursive, Remount};

const fn set(bit: u64) -> Effect {
    Attribute { set: bit, clear: 0 }
}
const fn clear(bit: u64) -> Effect {
    Attribute { set: 0, clear: bit }
}
const fn set_all(bit: u64) -> Effect {
    Recursive { set: bit, clear: 0 }
}
const fn clear_all(bit: u64) -> Effect {
    Recursive { set: 0, clear: bit }
}

/// Every option that husk understands, sorted by name. All others are the file system's own.
const TABLE: &[(&str, Effect)] = &[
    ("acl", Nothing),
    ("async", Nothing),
    ("atime", clear(attr::ATIME)),
    ("bind", Bind { recursive: false }),
    ("defaults", Nothing),
    ("dev", clear(attr::NODEV)),
    ("diratime", clear(attr::NODIRATIME)),
    ("dirsync", Common(libc::MS_DIRSYNC)),
    ("exec", clear(attr::NOEXEC)),
    ("idmap", IdMap { recursive: false }),
    ("iversion", Nothing),
    ("lazytime", Common(libc::MS_LAZYTIME)),
    ("loud", Nothing),
    ("mand", Nothing),
    ("noatime", Attribute { set: attr::NOATIME, clear: attr::ATIME }),
    ("nodev", set(attr::NODEV)),
    ("nodiratime", set(attr::NODIRATIME)),
    ("noexec", set(attr::NOEXEC)),
    ("noiversion", Nothing),
    ("nolazytime", Nothing),
    ("nomand", Nothing),
    ("norelatime", Attribute { set: attr::STRICTATIME, clear: attr::ATIME }),
    ("nostrictatime", clear(attr::ATIME)),
    ("nosuid", set(attr::NOSUID)),
    ("nosymfollow", set(attr::NOSYMFOLLOW)),
    ("private", Propagation(MS_PRIVATE)),
    ("ratime", clear_all(attr::ATIME)),
    ("rbind", Bind { recursive: true }),
    ("rdev", clear_all(attr::NODEV)),
    ("rdiratime", clear_all(attr::NODIRATIME)),
    ("relatime", clear(attr::ATIME)),
    ("remount", Remount),
    ("rexec", clear_all(attr::NOEXEC)),
    ("ridmap", IdMap { recursive: true }),
    ("rnoatime", Recursive { set: attr::NOATIME, clear: attr::ATIME }),
    ("rnodev", set_all(attr::NODEV)),
    ("rnodiratime", set_all(attr::NODIRATIME)),
    ("rnoexec", set_all(attr::NOEXEC)),
    ("rnorelatime", Recursive { set: attr::STRICTATIME, clear: attr::ATIME }),
    ("rnostrictatime", clear_all(attr::ATIME)),
    ("rnosuid", set_all(attr::NOSUID)),
    ("rnosymfollow", set_all(attr::NOSYMFOLLOW)),
    ("ro", set(attr::RDONLY)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("rrelatime", clear_all(attr::ATIME)),
    ("rro", set_all(attr::RDONLY)),
    ("rrw", clear_all(attr::RDONLY)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("rstrictatime", Recursive { set: attr::STRICTATIME, clear: attr::ATIME }),
    ("rsuid", clear_all(attr::NOSUID)),
    ("rsymfollow", clear_all(attr::NOSYMFOLLOW)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", clear(attr::RDONLY)),
    ("shared", Propagation(MS_SHARED)),
    ("silent", Nothing),
    ("slave", Propagation(MS_SLAVE)),
    ("strictatime", Attribute { set: attr::STRICTATIME, clear: attr::ATIME }),
    ("suid", clear(attr::NOSUID)),
    ("symfollow", clear(attr::NOSYMFOLLOW)),
    ("sync", Common(libc::MS_SYNCHRONOUS)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(MS_UNBINDABLE)),
];

/// The names of the options that husk understands, sorted, for the features document.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name).filter(|name| *name != "acl")
}

/// The propagation of a word such as `rslave`.
pub fn propagation(word: &str) -> Option<u64> {
    match lookup(word)? {
        Propagation(flags) => Some(flags),
        _ => None,
    }
}

fn lookup(name: &str) -> Option<Effect> {
    let at = TABLE.binary_search_by_key(&name, |(name, _)| *name).ok()?;
    TABLE.get(at).map(|(_, effect)| *effect)
}

/// The options of a mount, sorted by what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// Attributes of the mount itself.
    pub own: Change,
    /// Attributes of the mount and those below.
    pub recursive: Change,
    /// `MS_…`; 0 when none is asked for.
    pub propagation: u64,
    /// Whether it is a bind mount, and whether one with the mounts below.
    pub bind: Option<bool>,
    /// Whether an existing mount is changed.
    pub remount: bool,
    /// `MS_…` flags common to all file systems, for mount(2).
    pub common: u64,
    /// Whether the tmpfs begins with what it hides.
    pub copy_up: bool,
    /// Whether ids are mapped, and whether those of mounts below too.
    pub id_map: Option<bool>,
    /// What is left: options of the file system, with their place in the list.
    pub data: Vec<(usize, &'a str)>,
}

impl<'a> Options<'a> {
    /// Sorts a list of options; of contradicting ones the last wins.
    pub fn read(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut options = Self::default();
        for (n, name) in list.into_iter().enumerate() {
            match lookup(name) {
                None => options.data.push((n, name)),
                Some(Attribute { set, clear }) => change(&mut options.own, set, clear),
                Some(Recursive { set, clear }) => change(&mut options.recursive, set, clear),
                Some(Propagation(flags)) => options.propagation = flags,
                Some(Bind { recursive }) => options.bind = Some(recursive),
                Some(Remount) => options.remount = true,
                Some(Common(flag)) => {
                    options.common |= flag;
                    options.data.push((n, name));
                }
                Some(Nothing) => {}
                Some(CopyUp) => options.copy_up = true,
                Some(IdMap { recursive }) => options.id_map = Some(recursive),
            }
        }
        options
    }
}

/// Adds an option to a change; what it sets is no longer cleared, and the other way round.
fn change(to: &mut Change, set: u64, clear: u64) {
    to.set = to.set & !clear | set;
    to.clear = to.clear & !(set & !attr::ATIME) | clear;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_search() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_last_of_contradicting_options_wins() {
        for (list, set, clear) in [
            (&["ro", "rw"][..], 0, attr::RDONLY),
            (&["rw", "ro"], attr::RDONLY, 0),
            (&["noatime", "relatime"], 0, attr::ATIME),
            (&["nosuid", "strictatime"], attr::NOSUID | attr::STRICTATIME, attr::ATIME),
            (&["noatime", "strictatime"], attr::STRICTATIME, attr::ATIME),
        ] {
            let own = Options::read(list.iter().copied()).own;
            assert_eq!((own.set, own.clear), (set, clear), "{list:?}");
        }
    }

    #[test]
    fn the_rest_is_for_the_file_system() {
        let options =
            Options::read(["rbind", "rprivate", "size=1", "sync", "rro", "tmpcopyup", "mode=755"]);
        assert_eq!(options.data, [(2, "size=1"), (3, "sync"), (6, "mode=755")]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.propagation, MS_PRIVATE | MS_REC);
        assert_eq!(options.recursive.set, attr::RDONLY);
        assert!(options.copy_up);
    }
}
