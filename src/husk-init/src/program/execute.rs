//! Finding and executing the program.

use super::lookup::open_below;
use super::{Done, Failed, Named, Walker};
use crate::sys::{self, Answer, At, Buffer, Errno, Pointers};
use crate::wire::{Call, Text, Texts};
use core::marker::PhantomData;

/// Where the program is, and what its environment gets besides.
pub struct Program<'p> {
    path: Buffer<4096>,
    home: Option<Buffer<512>>,
    plan: PhantomData<&'p ()>,
}

fn usable(path: &core::ffi::CStr) -> Answer<()> {
    match sys::open_at(At::CWD, path, sys::O_PATH | sys::O_DIRECTORY, 0, 0) {
        Ok(_) => return Err(Errno::ISDIR),
        Err(Errno::NOTDIR) => {}
        Err(errno) => return Err(errno),
    }
    sys::may_execute(At::CWD, path).map(drop)
}

/// The strings as execve takes them, with room for one more.
pub fn table(texts: Texts<'_>) -> Answer<Pointers<'_>> {
    let mut table = Pointers::with_room(texts.count().saturating_add(1))?;
    texts.iter().for_each(|text| table.push(text.c_str()));
    Ok(table)
}

impl<'p> Program<'p> {
    pub fn new() -> Self {
        Self { path: Buffer::new(), home: None, plan: PhantomData }
    }

    /// Finds the program as execvp(3) does; detail 1 tells a failed search from a failed path.
    pub fn find(&mut self, name: Text<'p>, path: Text<'p>) -> Done {
        self.path.truncate(0);
        if name.bytes().contains(&b'/') {
            self.path.push(name.bytes()).of(Call::Find)?;
            // A directory above that is a file says ENOTDIR for the open as for the check.
            return usable(self.path.c_str()).of(Call::Find);
        }
        for directory in path.bytes().split(|b| *b == b':') {
            let directory = if directory.is_empty() { &b"."[..] } else { directory };
            self.path.truncate(0);
            let whole = self
                .path
                .push(directory)
                .and_then(|()| self.path.push(b"/"))
                .and_then(|()| self.path.push(name.bytes()));
            if whole.is_ok() && usable(self.path.c_str()).is_ok() {
                return Ok(());
            }
        }
        Err(Failed { call: Call::Find, errno: Errno::NOENT, detail: 1 })
    }

    /// Executes the program; comes back only with the reason why not.
    pub fn execute(&self, args: Texts<'p>, env: Texts<'p>) -> Failed {
        let (args, mut env) = match (table(args).of(Call::Memory), table(env).of(Call::Memory)) {
            (Ok(args), Ok(env)) => (args, env),
            (Err(failed), _) | (_, Err(failed)) => return failed,
        };
        if let Some(home) = &self.home {
            env.push(home.c_str());
        }
        let errno = sys::execute(self.path.c_str(), &args, &env);
        Failed { call: Call::Exec, errno, detail: 0 }
    }
}

impl Walker<'_> {
    /// Looks the user's home directory up in the image's passwd file. The file is the image's: it
    /// may be anything, so it must be a regular file and only so much of it is read.
    pub fn home(&mut self, uid: u32) -> Done {
        const MOST_BYTES: usize = 4 << 20;
        let mut home = Buffer::<512>::new();
        home.push(b"HOME=").of(Call::Plan)?;
        let flags = sys::O_RDONLY | sys::O_NONBLOCK | sys::O_NOCTTY;
        let found = match open_below(self.root()?, c"/etc/passwd", flags, 0, 0) {
            Ok(file) if sys::stat(file.at(), c"").is_ok_and(|s| s.kind() == sys::S_IFREG) => {
                let mut search = Search { uid, line: Buffer::new(), too_long: false };
                let mut block = [0u8; 4096];
                let mut total = 0usize;
                loop {
                    let len = sys::read(file.at(), &mut block).of(Call::Read)?;
                    total = total.saturating_add(len);
                    let block = block.get(..len).unwrap_or_default();
                    if search.take(block, &mut home) {
                        break true;
                    }
                    if len == 0 || total > MOST_BYTES {
                        break search.take(b"\n", &mut home);
                    }
                }
            }
            _ => false,
        };
        if !found {
            home.push(b"/").of(Call::Plan)?;
        }
        self.program.home = Some(home);
        Ok(())
    }
}

/// Looks for a user in a passwd file that comes in blocks.
struct Search {
    uid: u32,
    line: Buffer<1024>,
    too_long: bool,
}

impl Search {
    /// Takes a block; whether the user was found, its home directory then appended to `home`.
    fn take(&mut self, block: &[u8], home: &mut Buffer<512>) -> bool {
        let mut rest = block;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            self.too_long |= self.line.push(line).is_err();
            let found = !self.too_long && self.matches(home);
            self.line.truncate(0);
            self.too_long = false;
            if found {
                return true;
            }
        }
        self.too_long |= self.line.push(rest).is_err();
        false
    }

    fn matches(&self, home: &mut Buffer<512>) -> bool {
        let mut fields = self.line.bytes().split(|b| *b == b':');
        let uid = fields.nth(2).and_then(|digits| core::str::from_utf8(digits).ok());
        if uid.and_then(|digits| digits.parse().ok()) != Some(self.uid) {
            return false;
        }
        match fields.nth(2) {
            Some(path) if path.first() == Some(&b'/') => home.push(path).is_ok(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_across_blocks_and_long_lines_are_passed_over() {
        extern crate std;
        let passwd = std::format!(
            "root:x:0:0::/root:/bin/sh\nlong:x:7:7:{}:/x:\nuser:x:1000:1000:U:/home/user:/bin/sh",
            "y".repeat(5000)
        );
        for (uid, expected) in
            [(0, Some("HOME=/root")), (1000, Some("HOME=/home/user")), (7, None), (5, None)]
        {
            for size in [1, 7, 4096] {
                let mut search = Search { uid, line: Buffer::new(), too_long: false };
                let mut home = Buffer::new();
                home.push(b"HOME=").unwrap();
                let found = passwd.as_bytes().chunks(size).any(|b| search.take(b, &mut home))
                    || search.take(b"\n", &mut home);
                assert_eq!(found, expected.is_some(), "{uid} {size}");
                if let Some(expected) = expected {
                    assert_eq!(home.bytes(), expected.as_bytes());
                }
            }
        }
    }
}
