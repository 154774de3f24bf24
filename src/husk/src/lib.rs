//! husk: an OCI runtime for Linux, as a library.
//!
//! All the work is here; the binary only reads its command line and prints. The library keeps no
//! process-global state, never calls `exit`, never relies on the current directory and prints
//! nothing, so that a shim can link it.

pub mod capabilities;
pub mod cgroup;
pub mod cli;
pub mod commands;
pub mod config;
pub mod container;
pub mod error;
pub mod hooks;
pub mod launch;
pub mod log;
pub mod lsm;
pub mod namespaces;
pub mod net_devices;
pub mod paths;
pub mod personality;
pub mod plan;
pub mod process;
pub mod rlimits;
pub mod rootfs;
pub mod scheduling;
pub mod seccomp;
mod sys;
pub mod sysctl;
