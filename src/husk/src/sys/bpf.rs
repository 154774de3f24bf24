//! bpf(2), as far as a device program of cgroup v2 needs it.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One instruction of eBPF, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Source register in the upper half, destination register in the lower one.
    pub registers: u8,
    /// Offset of a jump or of a memory access.
    pub offset: i16,
    /// Immediate operand.
    pub immediate: i32,
}

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

/// How many attached programs [`attached`] reports at most.
pub const MOST_ATTACHED: usize = 64;

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> Result<libc::c_long, Errno> {
    let size = std::mem::size_of::<T>();
    // SAFETY: `attr` is a `repr(C)` prefix of the kernel's union for this command, exclusively
    // borrowed and `size` bytes long; addresses inside it outlive the call (see the callers).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size) };
    Errno::result(result)
}

fn descriptor(fd: BorrowedFd<'_>) -> u32 {
    // A borrowed descriptor is never negative.
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

fn owned(fd: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec) for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Loads a program of the type `cgroup/device`.
///
/// # Errors
/// EPERM without CAP_BPF (or CAP_SYS_ADMIN), EINVAL or EACCES when the verifier refuses it, E2BIG
/// when it is too long.
pub fn load_device_program(program: &[Insn]) -> Result<OwnedFd, Errno> {
    let license = c"Apache-2.0";
    let mut attr = LoadAttr {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        prog_name: *b"husk_devices\0\0\0\0",
        ..LoadAttr::default()
    };
    owned(bpf(PROG_LOAD, &mut attr)?)
}

/// Attaches a device program to a cgroup beside others, or in the place of `replaced`.
///
/// # Errors
/// EPERM without the right, or when an ancestor's program allows no further ones; E2BIG when
/// there are too many.
pub fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: descriptor(cgroup),
        attach_bpf_fd: descriptor(program),
        attach_type: CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
        replace_bpf_fd: 0,
    };
    if let Some(old) = replaced {
        attr.attach_flags |= REPLACE;
        attr.replace_bpf_fd = descriptor(old);
    }
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// The identifiers of the device programs attached to this very cgroup.
///
/// # Errors
/// EPERM, ENOSPC when there are more than [`MOST_ATTACHED`].
pub fn attached(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut ids = [0_u32; MOST_ATTACHED];
    let mut attr = QueryAttr {
        target_fd: descriptor(cgroup),
        attach_type: CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: u32::try_from(ids.len()).map_err(|_| Errno::E2BIG)?,
        ..QueryAttr::default()
    };
    bpf(PROG_QUERY, &mut attr)?;
    let count = usize::try_from(attr.prog_cnt).map_err(|_| Errno::E2BIG)?;
    Ok(ids.iter().copied().take(count).collect())
}

/// A descriptor of a loaded program.
///
/// # Errors
/// ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = IdAttr { prog_id: id, ..IdAttr::default() };
    owned(bpf(PROG_GET_FD_BY_ID, &mut attr)?)
}
