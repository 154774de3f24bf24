//! The catalogue of stable codes. One line a code: its name here, its public text, what it means.
//! A code is never renamed or reused once released.

use std::fmt;

/// Stable identifier of a kind of problem or failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

impl Code {
    /// The public text, `HUSK-…`.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $text:literal;)+) => {
        impl Code {
            $($(#[doc = $meaning])+ pub const $name: Code = Code($text);)+

            /// Every code with its meaning, in the order of the catalogue.
            pub const ALL: &'static [(Code, &'static str)] =
                &[$((Code($text), concat!($($meaning),+))),+];
        }
    };
}

codes! {
    // The document
    /// config.json is not valid JSON, or a value has the wrong type.
    CONFIG_JSON = "HUSK-CONFIG-JSON";
    /// A value of config.json is not one that the specification allows.
    CONFIG_INVALID = "HUSK-CONFIG-INVALID";
    /// A property that must be there is missing.
    CONFIG_MISSING = "HUSK-CONFIG-MISSING";
    /// config.json (or the process file) could not be read.
    CONFIG_UNREADABLE = "HUSK-CONFIG-UNREADABLE";
    /// The specification's version is not one that husk knows.
    CONFIG_VERSION = "HUSK-CONFIG-VERSION";

    // The root file system
    /// The root file system is missing or cannot be used.
    ROOTFS = "HUSK-ROOTFS";
    /// A mount is not acceptable or failed.
    MOUNT = "HUSK-MOUNT";
    /// The source of a bind mount is missing or cannot be used.
    MOUNT_SOURCE = "HUSK-MOUNT-SOURCE";
    /// A mount option is not acceptable.
    MOUNT_OPTION = "HUSK-MOUNT-OPTION";
    /// A device is not acceptable or cannot be made.
    DEVICE = "HUSK-DEVICE";
    /// A masked or read-only path is not acceptable or cannot be covered.
    MASK = "HUSK-MASK";

    // Namespaces and the kernel
    /// A namespace is not acceptable or cannot be made or joined.
    NAMESPACE = "HUSK-NAMESPACE";
    /// The id mappings are not acceptable.
    ID_MAPPING = "HUSK-ID-MAPPING";
    /// A kernel parameter is not one of a namespace that the container has, or cannot be written.
    SYSCTL = "HUSK-SYSCTL";
    /// The host name or domain name is not acceptable.
    HOSTNAME = "HUSK-HOSTNAME";

    // The process
    /// The program is not given, not there or cannot be executed.
    PROGRAM = "HUSK-PROGRAM";
    /// An environment entry is not acceptable.
    ENV = "HUSK-ENV";
    /// The working directory is not acceptable or cannot be entered.
    CWD = "HUSK-CWD";
    /// The user or a group is not acceptable or cannot be taken.
    USER = "HUSK-USER";
    /// A capability is unknown or cannot be granted.
    CAPABILITY = "HUSK-CAPABILITY";
    /// A resource limit is not acceptable or cannot be set.
    RLIMIT = "HUSK-RLIMIT";
    /// A scheduling property is not acceptable or cannot be set.
    SCHEDULING = "HUSK-SCHEDULING";
    /// A network device is not acceptable or cannot be moved.
    NET_DEVICE = "HUSK-NET-DEVICE";
    /// A security label is not acceptable or the host has no such security module.
    LSM = "HUSK-LSM";
    /// The terminal cannot be made or handed over.
    TERMINAL = "HUSK-TERMINAL";
    /// A hook is not acceptable or failed.
    HOOK = "HUSK-HOOK";
    /// The container's first process could not be brought up.
    LAUNCH = "HUSK-LAUNCH";
    /// A property is known to the specification but cannot be honoured by this husk.
    UNSUPPORTED = "HUSK-UNSUPPORTED";

    // Seccomp
    /// The seccomp filter could not be loaded.
    SECCOMP_LOAD = "HUSK-SECCOMP-LOAD";
    /// The seccomp profile holds a value that the specification does not know.
    SECCOMP_INVALID = "HUSK-SECCOMP-INVALID";
    /// The seccomp profile needs a longer program than the kernel takes.
    SECCOMP_TOO_LARGE = "HUSK-SECCOMP-TOO-LARGE";

    // Control groups
    /// The cgroup path is not acceptable.
    CGROUP_PATH = "HUSK-CGROUP-PATH";
    /// A limit is not acceptable.
    CGROUP_LIMIT = "HUSK-CGROUP-LIMIT";
    /// A controller that a limit needs is not there.
    CGROUP_CONTROLLER = "HUSK-CGROUP-CONTROLLER";
    /// The cgroup file system refused something.
    CGROUP_FAILED = "HUSK-CGROUP-FAILED";

    // The command line and what a caller gets back
    /// The command line is not one that husk understands.
    USAGE = "HUSK-USAGE";
    /// The output could not be written.
    OUTPUT_FAILED = "HUSK-OUTPUT-FAILED";
    /// The pid file could not be written.
    PID_FILE = "HUSK-PID-FILE";

    // Containers
    /// The container's id is not acceptable.
    CONTAINER_ID = "HUSK-CONTAINER-ID";
    /// There is a container of that id already.
    CONTAINER_EXISTS = "HUSK-CONTAINER-EXISTS";
    /// There is no container of that id.
    CONTAINER_UNKNOWN = "HUSK-CONTAINER-UNKNOWN";
    /// What is kept of the container cannot be read.
    CONTAINER_BROKEN = "HUSK-CONTAINER-BROKEN";
    /// Another command is changing the container and does not finish.
    CONTAINER_BUSY = "HUSK-CONTAINER-BUSY";
    /// The container is not at the point of its life that the command needs.
    CONTAINER_STATUS = "HUSK-CONTAINER-STATUS";
    /// The container's state could not be written or read.
    STATE_FAILED = "HUSK-STATE-FAILED";
    /// A process could not be looked at, signalled or executed.
    PROCESS_FAILED = "HUSK-PROCESS-FAILED";
    /// The program of the container was not executed.
    START_FAILED = "HUSK-START-FAILED";
    /// A hook failed.
    HOOK_FAILED = "HUSK-HOOK-FAILED";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, meaning) in Code::ALL {
            assert!(code.as_str().starts_with("HUSK-"), "{code}");
            assert!(seen.insert(*code), "{code} twice");
            assert!(meaning.trim().ends_with('.'), "{code} without a sentence");
        }
    }
}
