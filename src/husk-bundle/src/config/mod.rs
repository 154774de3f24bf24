//! From what an image says about itself to a config.json (image-spec,
//! conversion.md).

pub mod capabilities;
pub mod in_root;
mod mounts;
mod process;
mod profile;
mod seccomp;
mod user;

pub use mounts::{Volumes, mount, tmpfs};
pub use profile::Profile;
pub use seccomp::checked as checked_seccomp;
pub use user::User;

use crate::document::{ImageConfig, Platform};
use crate::error::{Context as _, Result};
use crate::extract::{IdMap, IdRange};
use crate::refuse;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

/// The runtime-spec version that the document follows: the first with everything
/// that is used.
const OCI_VERSION: &str = "1.1.0";

/// Which system call filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Seccomp {
    /// That of the profile.
    #[default]
    Default,
    /// None.
    None,
    /// The user's.
    Given(Value),
}

/// What the user changes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the defaults come from.
    pub profile: Profile,
    /// In place of the image's user.
    pub user: Option<String>,
    /// Set on top of the image's, `NAME=value`.
    pub env: Vec<String>,
    /// Taken out, by name.
    pub unset_env: Vec<String>,
    /// In place of the image's working directory.
    pub cwd: Option<String>,
    /// In place of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    pub words: Vec<String>,
    /// No words at all is not an error.
    pub allow_no_args: bool,
    /// With a terminal.
    pub tty: bool,
    /// The root file system is read-only.
    pub read_only: bool,
    /// In place of the profile's.
    pub hostname: Option<String>,
    /// Added to the profile's set.
    pub cap_add: Vec<String>,
    /// Taken out of the profile's set.
    pub cap_drop: Vec<String>,
    /// Gaining privileges is forbidden.
    pub no_new_privileges: bool,
    /// The filter.
    pub seccomp: Seccomp,
    /// On top of the image's.
    pub annotations: BTreeMap<String, String>,
    /// What becomes of the image's volumes.
    pub volumes: Volumes,
    /// Mount objects, behind the profile's and the volumes.
    pub mounts: Vec<Value>,
    /// For a user namespace; empty means none.
    pub uids: IdMap,
    /// The same for groups.
    pub gids: IdMap,
}

/// A config.json and what must exist for it.
#[derive(Debug)]
pub struct Converted {
    /// The document.
    pub document: Value,
    /// Paths of the image whose content is to be copied to `volumes/N`, by position.
    pub volumes: Vec<String>,
}

/// The annotations of an image, with its labels on top of its own fields.
fn annotations(image: &ImageConfig) -> BTreeMap<String, String> {
    let config = image.config.as_ref();
    let ports = config.and_then(|c| c.exposed_ports.as_ref());
    let ports = ports.map(|ports| Vec::from_iter(ports.keys().cloned()).join(","));
    let fields = [
        ("os", image.os.clone()),
        ("architecture", image.architecture.clone()),
        ("variant", image.variant.clone()),
        ("os.version", image.os_version.clone()),
        ("os.features", image.os_features.as_ref().map(|list| list.join(","))),
        ("author", image.author.clone()),
        ("created", image.created.clone()),
        ("stopSignal", config.and_then(|c| c.stop_signal.clone())),
        ("exposedPorts", ports),
    ];
    let mut out: BTreeMap<String, String> = fields
        .into_iter()
        .filter_map(|(key, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((format!("org.opencontainers.image.{key}"), value))
        })
        .collect();
    out.extend(config.and_then(|c| c.labels.clone()).into_iter().flatten());
    out
}

fn id_mappings(map: &IdMap) -> Value {
    let one = |range: &IdRange| json!({ "containerID": range.container, "hostID": range.host, "size": range.count });
    map.0.iter().map(one).collect()
}

/// Per-processor files that tell one container what others make the processor do.
fn thermal_paths() -> Vec<String> {
    (0..4096)
        .map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))
        // A path of the host's sysfs, which no container can influence.
        .take_while(|path| std::fs::symlink_metadata(path).is_ok())
        .collect()
}

/// Makes the document. `root` is the unpacked root file system, from which users are
/// looked up; `architecture` is that of the image, in Go's spelling.
pub fn convert(image: &ImageConfig, root: BorrowedFd<'_>, options: &Options) -> Result<Converted> {
    let profile = options.profile;
    let empty = Default::default();
    let config = image.config.as_ref().unwrap_or(&empty);

    let user_text = options.user.as_deref().or(config.user.as_deref()).unwrap_or("");
    let user = user::resolve(root, user_text)?;
    let caps = capabilities::set(profile.capabilities(), &options.cap_add, &options.cap_drop)?;
    let no_caps: Vec<&str> = Vec::new();
    let usable = if user.uid != 0 && profile.drops_for_users() { &no_caps } else { &caps };

    let mut process_user = json!({ "uid": user.uid, "gid": user.gid, "umask": 0o22 });
    if let (Value::Object(map), false) = (&mut process_user, user.additional.is_empty()) {
        map.insert("additionalGids".into(), user.additional.clone().into());
    }
    let mut process = json!({
        "terminal": options.tty,
        "user": process_user,
        "args": process::args(config, options)?,
        "env": process::env(config, options, user.home.as_deref().unwrap_or("/"))?,
        "cwd": process::cwd(config, options)?,
        "capabilities": { "bounding": caps, "permitted": usable, "effective": usable },
        "noNewPrivileges": options.no_new_privileges || profile.no_new_privileges(),
    });
    if let (Value::Object(map), Some(limits)) = (&mut process, profile.rlimits()) {
        map.insert("rlimits".into(), limits);
    }

    let mut masked = profile.masked_paths();
    if profile == Profile::Docker {
        masked.extend(thermal_paths());
    }
    let mut namespaces = profile.namespaces();
    let mut linux = Map::new();
    if !options.uids.0.is_empty() || !options.gids.0.is_empty() {
        namespaces.push(json!({ "type": "user" }));
        linux.insert("uidMappings".into(), id_mappings(&options.uids));
        linux.insert("gidMappings".into(), id_mappings(&options.gids));
    }
    linux.insert("namespaces".into(), namespaces.into());
    linux.insert("maskedPaths".into(), masked.into());
    linux.insert("readonlyPaths".into(), json!(profile.readonly_paths()));
    linux.insert("resources".into(), json!({ "devices": profile.devices() }));
    let host = Platform::host().architecture;
    let architecture = image.architecture.as_deref().filter(|a| !a.is_empty()).unwrap_or(&host);
    let seccomp = match &options.seccomp {
        Seccomp::Default if !profile.has_seccomp() => None,
        Seccomp::Default => Some(seccomp::docker(architecture, &caps)?),
        Seccomp::None => None,
        Seccomp::Given(value) => Some(value.clone()),
    };
    if let Some(seccomp) = seccomp {
        linux.insert("seccomp".into(), seccomp);
    }

    let mut list = profile.mounts();
    let volumes = volumes(config.volumes.as_ref(), options.volumes, &mut list)?;
    list.extend(options.mounts.iter().cloned());

    let mut annotations = annotations(image);
    annotations.extend(options.annotations.clone());
    let document = json!({
        "ociVersion": OCI_VERSION,
        "process": process,
        "root": { "path": "rootfs", "readonly": options.read_only },
        "hostname": options.hostname.as_deref().unwrap_or(profile.hostname()),
        "mounts": list,
        "annotations": annotations,
        "linux": linux,
    });
    no_nul(&document)?;
    Ok(Converted { document, volumes })
}

fn volumes(
    declared: Option<&BTreeMap<String, Value>>,
    how: Volumes,
    list: &mut Vec<Value>,
) -> Result<Vec<String>> {
    let mut copied = Vec::new();
    let mut paths = Vec::new();
    for text in declared.into_iter().flat_map(BTreeMap::keys) {
        let path = mounts::volume_path(text).context(|| "the image's config")?;
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    for path in paths {
        match how {
            Volumes::Ignore => {}
            Volumes::Tmpfs => list.push(json!({
                "destination": path, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=0755"],
            })),
            Volumes::Anonymous => {
                // Relative to the bundle, so that the bundle can be moved.
                let source = format!("volumes/{}", copied.len());
                list.push(json!({
                    "destination": path, "type": "bind", "source": source,
                    "options": ["rbind", "rw"],
                }));
                copied.push(path);
            }
        }
    }
    Ok(copied)
}

/// No text that reaches a system call may contain a NUL.
fn no_nul(value: &Value) -> Result<()> {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::String(text) if text.contains('\0') => {
                refuse!("{} in the image's config contains a NUL", crate::text::quoted(text))
            }
            Value::Array(list) => waiting.extend(list),
            Value::Object(map) => waiting.extend(map.values()),
            _ => {}
        }
    }
    Ok(())
}
