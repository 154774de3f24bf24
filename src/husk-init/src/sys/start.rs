//! Entry point, and the memory functions that the compiler calls.

use core::arch::{asm, global_asm};
use core::ffi::CStr;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x0, sp",
    "bl {start}",
    "brk #0",
    start = sym start,
);

extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments at the initial stack pointer, and that many
    // pointers to NUL-terminated strings behind it; they live as long as the process.
    let socket =
        unsafe { if *stack >= 2 { Some(CStr::from_ptr(*stack.add(2) as *const _)) } else { None } };
    crate::program::main(socket.unwrap_or_default())
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    super::exit(70)
}

#[cfg(target_arch = "x86_64")]
mod bytes {
    use super::asm;

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: the caller promises both ranges; `rep movsb` touches nothing else.
        unsafe {
            asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _,
                options(nostack, preserves_flags));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
        // SAFETY: the caller promises the range; `rep stosb` touches nothing else.
        unsafe {
            asm!("rep stosb", inout("rdi") to => _, in("al") value as u8, inout("rcx") len => _,
                options(nostack, preserves_flags));
        }
        to
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod bytes {
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // Volatile, so that the compiler does not turn the loop into a call of this function.
        for n in 0..len {
            // SAFETY: the caller promises both ranges.
            unsafe { to.add(n).write_volatile(from.add(n).read()) };
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
        for n in 0..len {
            // SAFETY: the caller promises the range.
            unsafe { to.add(n).write_volatile(value as u8) };
        }
        to
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // Byte by byte, away from the overlap; nothing here moves more than a path.
    if (to as usize) < (from as usize) {
        for n in 0..len {
            // SAFETY: the caller promises both ranges.
            unsafe { to.add(n).write_volatile(from.add(n).read()) };
        }
    } else {
        for n in (0..len).rev() {
            // SAFETY: the caller promises both ranges.
            unsafe { to.add(n).write_volatile(from.add(n).read()) };
        }
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for n in 0..len {
        // SAFETY: the caller promises both ranges.
        let (x, y) = unsafe { (a.add(n).read_volatile(), b.add(n).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's promise is the same.
    unsafe { memcmp(a, b, len) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller promises a NUL-terminated string.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
