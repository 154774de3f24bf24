//! Memory mappings.

use super::arch::{nr, syscall};
use core::ffi::CStr;
use core::marker::PhantomData;

use super::{Answer, At, Errno, Fd, check};

const PROT_READ: usize = 1;
const PROT_WRITE: usize = 2;
const MAP_PRIVATE: usize = 2;
const MAP_ANONYMOUS: usize = 32;

/// Maps a sealed file for reading; the mapping stays until execve.
pub fn map_file(file: Fd, len: usize) -> Answer<&'static [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let at =
        check(unsafe { syscall(nr::MMAP, [0, len, PROT_READ, MAP_PRIVATE, file.at().raw(), 0]) })?;
    // SAFETY: the mapping has `len` readable bytes and is never unmapped. The file is sealed
    // against writing and shrinking by the process that made it.
    Ok(unsafe { core::slice::from_raw_parts(at as *const u8, len) })
}

/// A table of pointers to strings, ended by a null one, as execve takes it.
pub struct Pointers<'t> {
    at: *mut *const u8,
    room: usize,
    used: usize,
    texts: PhantomData<&'t CStr>,
}

impl<'t> Pointers<'t> {
    /// Room for `count` strings.
    pub fn with_room(count: usize) -> Answer<Self> {
        let room = count.checked_add(1).ok_or(Errno::NOMEM)?;
        let len = room.checked_mul(size_of::<*const u8>()).ok_or(Errno::NOMEM)?;
        // SAFETY: a new private mapping at an address of the kernel's choice.
        let at = check(unsafe {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS;
            syscall(nr::MMAP, [0, len, PROT_READ | PROT_WRITE, flags, At::NONE.raw(), 0])
        })?;
        Ok(Self { at: at as *mut *const u8, room, used: 0, texts: PhantomData })
    }

    /// Appends a string. More than there is room for are ignored.
    pub fn push(&mut self, text: &'t CStr) {
        if self.used + 1 < self.room {
            // SAFETY: below `room`, which the mapping has; the last entry stays null.
            unsafe { self.at.add(self.used).write(text.as_ptr().cast()) };
            self.used += 1;
        }
    }

    pub(super) fn as_raw(&self) -> usize {
        self.at as usize
    }
}

/// A buffer for a path that is put together, or text that is read.
pub struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Buffer<N> {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Appends bytes; what does not fit is an error. A NUL always follows.
    pub fn push(&mut self, bytes: &[u8]) -> Answer<()> {
        let end = self.len.checked_add(bytes.len()).ok_or(Errno::NAMETOOLONG)?;
        if end >= N {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.get_mut(self.len..end).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
        *self.bytes.get_mut(end).ok_or(Errno::NAMETOOLONG)? = 0;
        self.len = end;
        Ok(())
    }

    /// Appends a decimal number.
    pub fn push_number(&mut self, number: u32) -> Answer<()> {
        let mut digits = [0u8; 10];
        let mut rest = number;
        let mut at = digits.len();
        loop {
            at -= 1;
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default())
    }

    /// Shortens to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            if let Some(end) = self.bytes.get_mut(len) {
                *end = 0;
            }
        }
    }

    /// What has been put in.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The same as the kernel takes it.
    pub fn c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    /// The whole room, for a call that fills it; [`Self::filled`] says how much it did.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..N.saturating_sub(1)).unwrap_or_default()
    }

    /// Takes over `len` bytes that were written into [`Self::room`].
    pub fn filled(&mut self, len: usize) {
        self.len = len.min(N.saturating_sub(1));
        if let Some(end) = self.bytes.get_mut(self.len) {
            *end = 0;
        }
    }
}
