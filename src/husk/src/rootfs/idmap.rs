//! Mounts whose ids are mapped (config.md §Mounts, `uidMappings`, `idmap`).

use super::options::Options;
use crate::config::{Config, Mount};
use crate::error::{Code, Pointer, Problems};
use crate::namespaces::{Kind, Namespaces, map_lines};
use crate::sys::{mount, user};
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Maps the ids of a detached tree, when the mount asks for it: by its own mappings, or with
/// `idmap` alone by those of the container's user namespace.
pub fn apply(
    config: &Config<'_>,
    mount: &Mount<'_>,
    options: &Options<'_>,
    tree: &OwnedFd,
    at: &Pointer,
    namespaces: &Namespaces,
    problems: &mut Problems,
) {
    let own = match (&mount.uid_mappings, &mount.gid_mappings) {
        (None, None) => None,
        (Some(uid), Some(gid)) if uid.is_empty() == gid.is_empty() => Some((uid, gid)),
        _ => {
            let reason = "uidMappings and gidMappings must be given together";
            problems.refuse(Code::ID_MAPPING, at, reason, "give both, or neither");
            return;
        }
    };
    let own = own.filter(|(uid, _)| !uid.is_empty());
    if own.is_none() && options.id_map.is_none() {
        return;
    }
    let (uid, gid) = match (own, &config.linux) {
        (Some((uid, gid)), _) => (map_lines(uid), map_lines(gid)),
        (None, Some(linux)) if namespaces.is_new(Kind::User) => {
            (map_lines(&linux.uid_mappings), map_lines(&linux.gid_mappings))
        }
        _ => {
            problems.refuse(
                Code::ID_MAPPING,
                at,
                "idmap without mappings, and the container makes no user namespace to take them from",
                "add uidMappings and gidMappings to the mount",
            );
            return;
        }
    };
    let recursive = options.id_map == Some(true);
    let mapped = user::namespace_with_maps(&uid, &gid)
        .and_then(|namespace| mount::set_id_map(tree, namespace, recursive));
    if let Err(errno) = mapped {
        let reason = format!(
            "the ids of the mount cannot be mapped: {}",
            crate::error::errno_text(errno as i32)
        );
        let hint = match errno {
            Errno::EINVAL => "the file system of the source may not be able to map ids",
            Errno::EPERM => "mapping ids needs the rights of root on the file system",
            _ => "check the mappings",
        };
        problems.refuse(Code::ID_MAPPING, at, reason, hint);
    }
}
