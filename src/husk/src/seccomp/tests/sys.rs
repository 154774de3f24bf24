//! libseccomp, found at run time, so that nothing of it is linked.
#![allow(unsafe_code)]

use crate::seccomp::Instruction;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io::Read;
use std::mem::transmute;
use std::os::fd::AsRawFd;

/// `struct scmp_arg_cmp`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct ArgCmp {
    pub(super) arg: c_uint,
    pub(super) op: c_int,
    pub(super) a: u64,
    pub(super) b: u64,
}

type Context = *mut c_void;
type Init = unsafe extern "C" fn(u32) -> Context;
type Release = unsafe extern "C" fn(Context);
type Arch = unsafe extern "C" fn(Context, u32) -> c_int;
type Resolve = unsafe extern "C" fn(u32, *const c_char) -> c_int;
type RuleAdd = unsafe extern "C" fn(Context, u32, c_int, c_uint, *const ArgCmp) -> c_int;
type Export = unsafe extern "C" fn(Context, c_int) -> c_int;

/// The library's functions.
#[derive(Clone, Copy)]
pub(super) struct Library {
    init: Init,
    release: Release,
    arch_add: Arch,
    arch_remove: Arch,
    resolve: Resolve,
    rule_add: RuleAdd,
    export_bpf: Export,
}

fn symbol(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: `handle` is what dlopen returned and `name` ends with a NUL.
    let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
    assert!(!symbol.is_null(), "libseccomp has no {name:?}");
    symbol
}

impl Library {
    pub(super) fn load() -> Self {
        // SAFETY: the name ends with a NUL; the library's constructors do nothing to this program.
        let handle = unsafe { libc::dlopen(c"libseccomp.so.2".as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "install libseccomp2: this test compares with it");
        // SAFETY: the types are those of seccomp.h, and the library is never unloaded.
        unsafe {
            Self {
                init: transmute::<Context, Init>(symbol(handle, c"seccomp_init")),
                release: transmute::<Context, Release>(symbol(handle, c"seccomp_release")),
                arch_add: transmute::<Context, Arch>(symbol(handle, c"seccomp_arch_add")),
                arch_remove: transmute::<Context, Arch>(symbol(handle, c"seccomp_arch_remove")),
                resolve: transmute::<Context, Resolve>(symbol(
                    handle,
                    c"seccomp_syscall_resolve_name_arch",
                )),
                rule_add: transmute::<Context, RuleAdd>(symbol(handle, c"seccomp_rule_add_array")),
                export_bpf: transmute::<Context, Export>(symbol(handle, c"seccomp_export_bpf")),
            }
        }
    }

    /// The number of a call for an architecture's token, -1 when the library does not know it.
    pub(super) fn number(self, token: u32, name: &str) -> i32 {
        let name = CString::new(name).unwrap();
        // SAFETY: `name` ends with a NUL.
        unsafe { (self.resolve)(token, name.as_ptr()) }
    }

    pub(super) fn filter(self, default: u32) -> Filter {
        // SAFETY: any action is a valid argument; a bad one gives NULL.
        let context = unsafe { (self.init)(default) };
        assert!(!context.is_null(), "libseccomp refuses the default action {default:#x}");
        Filter { library: self, context }
    }
}

/// A filter that the library is building.
pub(super) struct Filter {
    library: Library,
    context: *mut c_void,
}

impl Filter {
    pub(super) fn add_architecture(&self, token: u32) {
        // SAFETY: the context is the library's own.
        let answer = unsafe { (self.library.arch_add)(self.context, token) };
        assert!(answer == 0 || answer == -libc::EEXIST, "seccomp_arch_add: {answer}");
    }

    pub(super) fn remove_architecture(&self, token: u32) {
        // SAFETY: as above.
        assert_eq!(unsafe { (self.library.arch_remove)(self.context, token) }, 0);
    }

    /// 0 or a negated errno.
    pub(super) fn add_rule(&self, action: u32, number: i32, args: &[ArgCmp]) -> i32 {
        let count = args.len() as c_uint;
        // SAFETY: `args` has `count` elements; the library copies them.
        unsafe { (self.library.rule_add)(self.context, action, number, count, args.as_ptr()) }
    }

    pub(super) fn program(&self) -> Vec<Instruction> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        // A program has at most 32 KiB, half of what a pipe holds.
        // SAFETY: the descriptor is open for writing.
        let answer = unsafe { (self.library.export_bpf)(self.context, writer.as_raw_fd()) };
        assert_eq!(answer, 0, "seccomp_export_bpf");
        drop(writer);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        let instruction = |b: &[u8]| Instruction {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        };
        bytes.chunks_exact(8).map(instruction).collect()
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: the context is released once.
        unsafe { (self.library.release)(self.context) }
    }
}

/// How a call under a filter ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It gave no error.
    Fine,
    Errno(c_int),
    Signal(c_int),
}

/// Forks, loads the filter in the child, and makes one system call there.
pub(super) fn call_under(program: &[Instruction], flags: u32, number: i64, argument: u64) -> End {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        // `Instruction` is laid out as `sock_filter`.
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the child makes system calls only, and ends without returning.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the kernel copies the program; the other calls take plain numbers.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let mode = libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER);
            if libc::syscall(libc::SYS_seccomp, mode, libc::c_long::from(flags), &raw const program)
                != 0
            {
                libc::_exit(255);
            }
            let answer = libc::syscall(number, argument, 0, 0, 0, 0, 0);
            libc::_exit(if answer == -1 { *libc::__errno_location() } else { 0 });
        }
    }
    assert!(child > 0, "fork");
    let mut status = 0;
    // SAFETY: `status` is valid for writing.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    match libc::WIFSIGNALED(status) {
        true => End::Signal(libc::WTERMSIG(status)),
        false => match libc::WEXITSTATUS(status) {
            0 => End::Fine,
            255 => panic!("the kernel refuses the program"),
            errno => End::Errno(errno),
        },
    }
}
