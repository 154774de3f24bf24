//! System calls that nix lacks. The only room of husk with unsafe code.
//!
//! Every wrapper borrows descriptors by type, returns owned ones, close-on-exec, and answers with
//! the kernel's errno.

#![allow(unsafe_code)]

pub mod bpf;
pub mod mount;
pub mod process;
pub mod spawn;
pub mod terminal;
pub mod user;
