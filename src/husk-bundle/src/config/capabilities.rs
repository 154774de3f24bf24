//! Capability names.

use crate::error::{Error, Result};
use crate::text::quoted;

/// Every capability of Linux 6.x, by number.
pub const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What Docker gives a container.
pub const DOCKER: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What a freshly generated spec of runc gives.
pub const SPEC: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// Looks a name up; case and the prefix do not matter.
fn known(name: &str) -> Result<&'static str> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    ALL.iter()
        .find(|cap| cap.strip_prefix("CAP_") == Some(bare))
        .copied()
        .ok_or_else(|| Error::usage(format!("there is no capability {}", quoted(name))))
}

/// The base set with `drop` taken out and `add` put in, in the order of [`ALL`].
/// `ALL` as a name means every one; adding goes before dropping by name, so that
/// `--cap-add ALL --cap-drop MKNOD` leaves all but one, and
/// `--cap-drop ALL --cap-add KILL` only one.
pub fn set(base: &[&str], add: &[String], drop: &[String]) -> Result<Vec<&'static str>> {
    let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
    let names = |list: &[String]| -> Result<Vec<&'static str>> {
        list.iter().filter(|name| !is_all(name)).map(|name| known(name)).collect()
    };
    let (added, dropped) = (names(add)?, names(drop)?);
    let (add_all, drop_all) = (add.iter().any(is_all), drop.iter().any(is_all));
    Ok(ALL
        .into_iter()
        .filter(|cap| {
            let from_base = add_all || (base.contains(cap) && !drop_all);
            (from_base && !dropped.contains(cap)) || added.contains(cap)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_dropping() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        for (add, drop, expected) in [
            (vec![], vec![], SPEC.len()),
            (vec!["sys_admin"], vec![], 4),
            (vec![], vec!["CAP_KILL"], 2),
            (vec!["KILL"], vec!["all"], 1),
            (vec!["ALL"], vec!["MKNOD"], 40),
            (vec!["ALL"], vec!["ALL"], 41),
        ] {
            assert_eq!(
                set(&SPEC, &list(&add), &list(&drop)).unwrap().len(),
                expected,
                "{add:?} {drop:?}"
            );
        }
        assert!(set(&SPEC, &list(&["NONSENSE"]), &[]).is_err());
    }
}
