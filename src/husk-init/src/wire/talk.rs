//! What both sides say to each other while a plan is carried out.

use super::value::{Field, Reader};

/// Points at which both sides meet.
pub mod sync {
    /// The init exists and has done nothing yet.
    pub const SPAWNED: u8 = 1;
    /// Everything is mounted; the root has not been changed.
    pub const MOUNTED: u8 = 2;
    /// All but the execution is done.
    pub const READY: u8 = 3;
}

/// Kinds of message from the container's side.
pub mod message {
    /// The init has been cloned; `value` is its pid as the launcher sees it.
    pub const CLONED: u8 = 2;
    /// A [`super::sync`] point is reached; `value` says which.
    pub const SYNC: u8 = 3;
    /// A terminal's master comes with the message; `value` is its number.
    pub const TERMINAL: u8 = 4;
    /// A seccomp notification descriptor comes with the message.
    pub const LISTENER: u8 = 5;
    /// An operation failed; the process ends.
    pub const FAILED: u8 = 6;
    /// Something was refused that the container can do without.
    pub const WARNING: u8 = 7;
}

/// What an operation was doing when the system refused.
macro_rules! calls {
    ($($name:ident = $tag:literal, $text:literal;)+) => {
        /// The system call, or the check, that an operation failed in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Call { $($name),+ }

        impl Call {
            /// Its number in a message.
            pub fn number(self) -> u8 {
                match self { $(Self::$name => $tag),+ }
            }

            /// The call of that number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($tag => Some(Self::$name),)+ _ => None }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

calls! {
    Plan = 0, "plan";
    Open = 1, "openat2";
    Write = 2, "write";
    Setns = 3, "setns";
    Unshare = 4, "unshare";
    Clone = 5, "clone3";
    Setid = 6, "setresuid";
    Setgroups = 7, "setgroups";
    Affinity = 8, "sched_setaffinity";
    Keyctl = 9, "keyctl";
    Ioctl = 10, "ioctl";
    Mount = 11, "mount";
    Fsopen = 12, "fsopen";
    Fsconfig = 13, "fsconfig";
    Fsmount = 14, "fsmount";
    MoveMount = 15, "move_mount";
    OpenTree = 16, "open_tree";
    MountSetattr = 17, "mount_setattr";
    Mkdir = 18, "mkdirat";
    Mknod = 19, "mknodat";
    Chown = 20, "fchownat";
    Symlink = 21, "symlinkat";
    PivotRoot = 22, "pivot_root";
    Umount = 23, "umount2";
    Chdir = 24, "fchdir";
    Chroot = 25, "chroot";
    Sethostname = 26, "sethostname";
    Setdomainname = 27, "setdomainname";
    Prctl = 28, "prctl";
    Capset = 29, "capset";
    Seccomp = 30, "seccomp";
    Scheduler = 31, "sched_setattr";
    Ioprio = 32, "ioprio_set";
    Personality = 33, "personality";
    Mempolicy = 34, "set_mempolicy";
    Exec = 35, "execve";
    Find = 36, "access";
    Fork = 37, "fork";
    HookExit = 38, "hook";
    HookTimeout = 39, "timeout";
    Read = 40, "read";
    Stat = 41, "statx";
    Memory = 42, "mmap";
    Setsid = 43, "setsid";
    WrongDevice = 44, "device";
    OutsideRoot = 45, "getcwd";
    Fstatfs = 46, "fstatfs";
    Prlimit = 47, "prlimit";
}

/// Bytes of a message without its text.
pub const MESSAGE_HEAD: usize = 12;
/// The longest text that a message carries, in bytes.
pub const MESSAGE_TEXT: usize = 1024;

/// A message from the container's side. The host side treats every field as a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Of [`message`].
    pub kind: u8,
    /// [`Call::number`] of a failure.
    pub call: u8,
    /// Index of the operation in the plan.
    pub operation: u16,
    /// Meaning by kind; the errno of a failure.
    pub value: i32,
    /// Meaning by kind and call: an option's index, a hook's exit status.
    pub detail: u32,
    /// What a hook printed.
    pub text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Encodes the message without its text.
    pub fn head(&self) -> [u8; MESSAGE_HEAD] {
        let [o0, o1] = self.operation.to_le_bytes();
        let [v0, v1, v2, v3] = self.value.to_le_bytes();
        let [d0, d1, d2, d3] = self.detail.to_le_bytes();
        [self.kind, self.call, o0, o1, v0, v1, v2, v3, d0, d1, d2, d3]
    }

    /// Decodes a message; text beyond [`MESSAGE_TEXT`] is cut.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let kind = u8::read(&mut reader)?;
        let call = u8::read(&mut reader)?;
        let operation = u16::read(&mut reader)?;
        let value = i32::read(&mut reader)?;
        let detail = u32::read(&mut reader)?;
        let rest = reader.rest();
        let text = rest.get(..MESSAGE_TEXT).unwrap_or(rest);
        Some(Self { kind, call, operation, value, detail, text })
    }
}

/// The byte by which the host side allows the container's side to go on.
pub const GO: u8 = b'.';
/// The byte that `start` writes into the fifo.
pub const START: u8 = b'0';
/// Descriptors that may travel with a plan.
pub const MOST_DESCRIPTORS: usize = 960;
/// Descriptors of one message (the kernel's `SCM_MAX_FD`).
pub const DESCRIPTORS_A_MESSAGE: usize = 253;
