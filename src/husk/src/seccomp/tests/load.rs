//! The kernel takes the programs, and does what they say.

use super::{compile, docker, sys};
use crate::seccomp::abi::NATIVE;
use serde_json::json;

#[test]
fn the_kernel_does_what_the_profile_says() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77},
            {"names": ["dup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 78,
             "args": [{"index": 0, "value": 1_u64 << 33, "op": "SCMP_CMP_GE"}]},
            {"names": ["sysinfo"], "action": "SCMP_ACT_KILL_PROCESS"}
        ]
    });
    let filter = compile(NATIVE, &profile.to_string()).unwrap().unwrap();
    let call = |number, argument| sys::call_under(&filter.program, filter.flags, number, argument);
    assert_eq!(call(libc::SYS_getppid, 0), sys::End::Errno(77));
    assert_eq!(call(libc::SYS_dup, 1 << 33), sys::End::Errno(78));
    assert_eq!(call(libc::SYS_dup, 999), sys::End::Errno(libc::EBADF));
    assert_eq!(call(libc::SYS_getpid, 0), sys::End::Fine);
    assert_eq!(call(libc::SYS_sysinfo, 0), sys::End::Signal(libc::SIGSYS));
}

#[test]
fn the_kernel_takes_an_engines_profile() {
    let filter = compile(NATIVE, &docker()).unwrap().unwrap();
    let call = |number| sys::call_under(&filter.program, filter.flags, number, 0);
    assert_eq!(call(libc::SYS_getpid), sys::End::Fine);
    assert_eq!(call(libc::SYS_swapoff), sys::End::Errno(libc::EPERM));
    assert_eq!(call(500), sys::End::Errno(libc::ENOSYS));
}
