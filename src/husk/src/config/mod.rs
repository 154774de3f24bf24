//! The model of `config.json` (runtime-spec 1.3, config.md and config-linux.md).
//!
//! Reading is strict about JSON types and lenient about everything else: enumerations stay text
//! until the planner looks at them, so that a refusal can name the value and its place. A `null`
//! is a missing value, as engines written in Go produce it. Strings borrow from the document.

mod linux;
mod process;
mod read;
mod resources;
mod seccomp;
mod strict;
mod value;

pub use linux::{
    Device, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NetDevice, Personality, TimeOffset,
};
pub use process::{
    Box_ as ConsoleSize, Capabilities, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler,
    User,
};
pub use read::{parse, parse_process, parse_resources};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma,
    Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::{Arg as SeccompArg, Seccomp, Syscall as SeccompSyscall};
pub use value::{List, Map, Str};

use serde::Deserialize;

/// A whole `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config<'a> {
    /// SemVer of the specification that the document follows.
    #[serde(borrow)]
    pub oci_version: Str<'a>,
    /// The container's root file system.
    pub root: Option<Root<'a>>,
    /// The program of the container.
    pub process: Option<Process<'a>>,
    /// Name set in the UTS namespace; empty: none.
    pub hostname: Str<'a>,
    /// NIS domain name set in the UTS namespace; empty: none.
    pub domainname: Str<'a>,
    /// Mounts in the order in which they are made.
    pub mounts: List<Mount<'a>>,
    /// Programs that run at set points of the container's life.
    pub hooks: Option<Hooks<'a>>,
    /// Arbitrary metadata.
    pub annotations: Map<'a, Str<'a>>,
    /// Linux-specific properties.
    pub linux: Option<Linux<'a>>,
}

/// `root`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Root<'a> {
    /// Absolute, or relative to the bundle.
    #[serde(borrow)]
    pub path: Str<'a>,
    /// Whether the root is made read-only.
    #[serde(deserialize_with = "value::null_is_default")]
    pub readonly: bool,
}

/// An element of `mounts`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount<'a> {
    /// Path inside the container; relative is read as below `/`.
    #[serde(borrow)]
    pub destination: Str<'a>,
    /// File system type.
    #[serde(rename = "type")]
    pub kind: Str<'a>,
    /// Device, file or directory; relative to the bundle for binds.
    pub source: Str<'a>,
    /// Mount options as in fstab(5).
    pub options: List<Str<'a>>,
    /// User id mappings of an idmapped mount.
    pub uid_mappings: Option<List<IdMapping>>,
    /// Group id mappings of an idmapped mount.
    pub gid_mappings: Option<List<IdMapping>>,
}

/// `hooks`, by the point at which they run.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks<'a> {
    /// Deprecated: before `createRuntime`, in the runtime's namespaces.
    #[serde(borrow)]
    pub prestart: List<Hook<'a>>,
    /// In the runtime's namespaces, after the container's are made.
    pub create_runtime: List<Hook<'a>>,
    /// In the container's namespaces, before `pivot_root`.
    pub create_container: List<Hook<'a>>,
    /// In the container, before the program is executed.
    pub start_container: List<Hook<'a>>,
    /// In the runtime's namespaces, after the program has been executed.
    pub poststart: List<Hook<'a>>,
    /// In the runtime's namespaces, after the container has been deleted.
    pub poststop: List<Hook<'a>>,
}

/// One hook.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hook<'a> {
    /// Absolute path of the program.
    #[serde(borrow)]
    pub path: Str<'a>,
    /// Arguments, the first being the program's name.
    pub args: List<Str<'a>>,
    /// `NAME=value` entries; absent leaves it to the runtime.
    pub env: Option<List<Str<'a>>>,
    /// Seconds after which the hook is killed; must be above 0.
    pub timeout: Option<i64>,
}
