//! `process.apparmorProfile` and `process.selinuxLabel` (config.md §Linux process), and the check
//! of `linux.mountLabel` (config-linux.md): what the host's security module is told.
//!
//! A label that no module would enforce is refused: a container that is thought to be confined and
//! is not is worse than none. The labels are written through the host's procfs, so that nothing
//! that an image or a mount puts at the container's /proc can swallow them.

use crate::config::{Config, Process};
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::{Op, Slot, Text};
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
const SELINUX: &str = "/sys/fs/selinux";
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

/// The kernel cuts what is written at a page.
const LONGEST: usize = 4000;

const NEXT_EXEC: &str = "self/attr/exec";
/// Where AppArmor reads the profile of the next execve.
pub const APPARMOR_NEXT_EXEC: &str = "self/attr/apparmor/exec";
const NEW_KEYS: &str = "self/attr/keycreate";

/// What can be asked of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    apparmor: bool,
    selinux: bool,
}

impl Modules {
    /// Looks only for what the labels of the configuration need.
    fn for_labels(process: &Process<'_>, mount_label: &str) -> Self {
        let selinux = !process.selinux_label.is_empty() || !mount_label.is_empty();
        Self {
            apparmor: !process.apparmor_profile.is_empty() && has_apparmor(),
            selinux: selinux && has_selinux(),
        }
    }
}

fn has_apparmor() -> bool {
    std::fs::read(APPARMOR).is_ok_and(|text| text.starts_with(b"Y"))
}

/// A read-only selinuxfs is that of a container which SELinux does not serve.
fn has_selinux() -> bool {
    #[allow(clippy::unnecessary_cast)] // the type differs between C libraries
    let is_selinuxfs = |FsType(kind): FsType| kind as u64 & 0xffff_ffff == SELINUX_MAGIC;
    statfs(SELINUX).is_ok_and(|s| is_selinuxfs(s.filesystem_type()))
        && statvfs(SELINUX).is_ok_and(|s| !s.flags().contains(FsFlags::ST_RDONLY))
}

/// The labels of one process.
#[derive(Debug)]
pub struct Labels<'c> {
    profile: Option<&'c str>,
    label: Option<&'c str>,
    at: Pointer,
}

impl<'c> Labels<'c> {
    /// Checks the labels of the process at `at`, and the label of the container's mounts.
    pub fn plan(
        config: &Config<'_>,
        process: &'c Process<'_>,
        at: &Pointer,
        problems: &mut Problems,
    ) -> Self {
        let mount_label = config.linux.as_ref().map(|l| &*l.mount_label).unwrap_or_default();
        let modules = Modules::for_labels(process, mount_label);
        Self::check(process, mount_label, at, modules, problems)
    }

    fn check(
        process: &'c Process<'_>,
        mount_label: &str,
        at: &Pointer,
        modules: Modules,
        problems: &mut Problems,
    ) -> Self {
        let mut check = |label: &'c str, at: Pointer, module: &str, is_on: bool| {
            if label.is_empty() {
                return None;
            }
            if !is_on {
                let reason = format!("{label:?} cannot be enforced: {module} is not on here");
                let hint = format!("leave the property out, or use a host with {module}");
                problems.refuse(Code::LSM, at, reason, hint);
                return None;
            }
            if label.len() > LONGEST || label.chars().any(char::is_control) {
                let reason =
                    format!("not a label of {module}: too long, or with control characters");
                problems.refuse(Code::LSM, at, reason, "give the label as the module lists it");
                return None;
            }
            Some(label)
        };
        let profile = check(
            &process.apparmor_profile,
            at.key("apparmorProfile"),
            "AppArmor",
            modules.apparmor,
        );
        let label =
            check(&process.selinux_label, at.key("selinuxLabel"), "SELinux", modules.selinux);
        if !mount_label.is_empty() && !modules.selinux {
            let reason = format!("{mount_label:?} cannot be enforced: SELinux is not on here");
            let hint = "leave the property out, or use a host with SELinux";
            problems.refuse(Code::LSM, "/linux/mountLabel", reason, hint);
        }
        Self { profile, label, at: at.clone() }
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.profile.is_none() && self.label.is_none()
    }

    /// Appends the label of whatever the process, or one that it clones, executes next. Before the
    /// no-new-privileges bit, which allows fewer changes of profile.
    pub fn exec_steps(&self, proc: Slot, steps: &mut Steps) {
        if let Some(profile) = self.profile {
            let value = format!("exec {profile}");
            let op = Op::ExecLabel {
                proc,
                path: Text::new(APPARMOR_NEXT_EXEC),
                // Kernels before 5.8 have no directory of AppArmor's own.
                fallback: Text::new(NEXT_EXEC),
                value: Text::new(&value),
            };
            steps.push(&op, self.at.key("apparmorProfile"));
        }
        if let Some(label) = self.label {
            self.write(proc, NEXT_EXEC, label, steps);
        }
    }

    /// Appends the label of the keyring that is made next; execve takes it back.
    pub fn key_steps(&self, proc: Slot, steps: &mut Steps) {
        if let Some(label) = self.label {
            self.write(proc, NEW_KEYS, label, steps);
        }
    }

    fn write(&self, proc: Slot, path: &str, label: &str, steps: &mut Steps) {
        let (path, value) = (Text::new(path), Text::new(label));
        let op = Op::ExecLabel { proc, path, fallback: Text::new(""), value };
        steps.push(&op, self.at.key("selinuxLabel"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const PROCESS: &str = r#"{"apparmorProfile":"a-profile","selinuxLabel":"u:r:t:s0"}"#;

    fn checked(text: &str, mount: &str, modules: Modules) -> (Vec<String>, Vec<String>) {
        let process = config::parse_process(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let at = Pointer::from("/process");
        let labels = Labels::check(&process, mount, &at, modules, &mut problems);
        let mut steps = Steps::new();
        labels.key_steps(Slot(0), &mut steps);
        labels.exec_steps(Slot(0), &mut steps);
        let shown = steps.iter().map(|(op, _)| match op {
            Op::ExecLabel { path, value, .. } => {
                let text = |text: Text<'_>| String::from_utf8_lossy(text.bytes()).into_owned();
                format!("{}: {}", text(path), text(value))
            }
            other => other.name().to_owned(),
        });
        let found = problems.list().iter().map(|p| p.pointer.to_string()).collect();
        (found, shown.collect())
    }

    #[test]
    fn labels_that_nobody_enforces_are_refused() {
        let (found, steps) = checked(PROCESS, "u:o:f:s0", Modules::default());
        assert_eq!(
            found,
            ["/process/apparmorProfile", "/process/selinuxLabel", "/linux/mountLabel"]
        );
        assert_eq!(steps, Vec::<String>::new());
        let (found, steps) = checked("{}", "", Modules::default());
        assert_eq!((found, steps), (vec![], vec![]));
    }

    #[test]
    fn labels_are_written_where_each_module_reads_them() {
        let both = Modules { apparmor: true, selinux: true };
        let (found, steps) = checked(PROCESS, "u:o:f:s0", both);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(
            steps,
            [
                "self/attr/keycreate: u:r:t:s0",
                "self/attr/apparmor/exec: exec a-profile",
                "self/attr/exec: u:r:t:s0",
            ]
        );
    }

    #[test]
    fn a_label_of_two_lines_is_none() {
        let both = Modules { apparmor: true, selinux: true };
        let (found, _) = checked(r#"{"apparmorProfile":"a\nb"}"#, "", both);
        assert_eq!(found, ["/process/apparmorProfile"]);
    }
}
