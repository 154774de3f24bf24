//! The plan's format: operations, and the messages between the container's side and the host's.
//!
//! Both sides are built from this file in one build, so the format has no versions. It is
//! nevertheless read defensively: a reader never goes beyond its bytes.

mod talk;
mod value;

pub use talk::*;
pub use value::{Bytes, Field, Numbers, Reader, Sink, Slot, Text, Texts};

/// What an `openat2` that looks a path up in the container's root is asked for.
pub mod lookup {
    /// No symbolic link anywhere in the path.
    pub const NO_SYMLINKS: u32 = 1;
    /// Nothing is done when the path does not exist.
    pub const OPTIONAL: u32 = 2;
    /// The target is a directory, and made as one.
    pub const DIRECTORY: u32 = 4;
    /// The target must not lie in a procfs, whatever links lead there.
    pub const NOT_PROC: u32 = 8;
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $fdoc:literal])+ $field:ident: $ty:ty),* } = $tag:literal;)+) => {
        /// One step of a plan.
        #[derive(Clone, Copy, Debug)]
        // Read one at a time and never stored: the size of the largest does not matter.
        #[allow(clippy::large_enum_variant)]
        pub enum Op<'a> {
            $($(#[doc = $doc])+ $name { $($(#[doc = $fdoc])+ $field: $ty),* },)+
        }

        impl<'a> Op<'a> {
            /// Reads the next operation.
            pub fn read(from: &mut Reader<'a>) -> Option<Self> {
                match u8::read(from)? {
                    $($tag => Some(Self::$name { $($field: Field::read(from)?),* }),)+
                    _ => None,
                }
            }

            /// Appends the operation to a plan.
            pub fn write(&self, to: &mut impl Sink) {
                match self {
                    $(Self::$name { $($field),* } => {
                        let tag: u8 = $tag;
                        tag.write(to);
                        $($field.write(to);)*
                    })+
                }
            }

            /// The operation's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)+
                }
            }
        }
    };
}

operations! {
    // -- the launcher, on the host -------------------------------------------------------------
    /// Writes the OOM score, which fork and execve keep.
    OomScore {
        /// The trusted procfs of the host.
        proc: Slot,
        /// -1000 to 1000.
        score: i32
    } = 1;
    /// Joins a namespace by its file, or several by a pidfd.
    Join {
        /// Namespace file or pidfd.
        namespace: Slot,
        /// `CLONE_NEW…`: the type that it must have, or the types wanted of a pidfd.
        kinds: u32
    } = 2;
    /// Gives a descriptor up before a process exists that a container can see.
    Forget {
        /// Its place.
        slot: Slot
    } = 3;
    /// Becomes uid 0 and gid 0 of the user namespace that was made or joined.
    BecomeRoot {} = 4;
    /// Makes a time namespace for the child and sets its clocks.
    NewTime {
        /// The trusted procfs of the host.
        proc: Slot,
        /// Lines for `timens_offsets`; empty: none.
        offsets: Text<'a>
    } = 5;
    /// Allows the process on every CPU that the kernel has.
    AllCpus {} = 6;
    /// Allows the process on these CPUs.
    Cpus {
        /// The mask as sched_setaffinity(2) takes it.
        mask: Bytes<'a>
    } = 7;
    /// Clones the init. The launcher reports its pid and ends; the init goes on from here.
    Clone {
        /// `CLONE_NEW…`.
        flags: u64,
        /// Directory of a cgroup v2 that it is born into.
        cgroup: Slot,
        /// Whether `cgroup` is used.
        into_cgroup: bool
    } = 8;

    // -- the init, in the new namespaces -------------------------------------------------------
    /// Tells the host side that this point is reached and waits until it allows to go on.
    Sync {
        /// Which point.
        point: u8
    } = 20;
    /// Moves the process into cgroups v1 through their `tasks` files.
    EnterCgroups {
        /// First of the files.
        first: Slot,
        /// How many.
        count: u16
    } = 21;
    /// Makes a cgroup namespace with the present cgroup as its root.
    NewCgroup {} = 22;
    /// Makes a session.
    NewSession {} = 23;
    /// Joins, or makes, the session keyring of that name.
    Keyring {
        /// Such as `_ses.ID`.
        name: Text<'a>,
        /// Whether it is made new, with search permission for its possessor.
        make: bool
    } = 24;
    /// Brings the loopback interface up.
    LoopbackUp {} = 25;
    /// Changes the propagation of every mount of the namespace.
    Propagation {
        /// `MS_REC` and one of `MS_SLAVE`, `MS_PRIVATE`, …
        flags: u64
    } = 26;
    /// Attaches the detached root file system. It is the root of all later lookups.
    AttachRoot {
        /// The tree.
        tree: Slot,
        /// Where on the host.
        at: Text<'a>
    } = 27;
    /// Uses a directory as it is as the root of all later lookups (no mount namespace of its own).
    UseRoot {
        /// The directory.
        directory: Slot
    } = 28;
    /// Makes a file system and attaches it.
    Mount {
        /// Type, as in /proc/filesystems.
        kind: Text<'a>,
        /// Source; may be empty.
        source: Text<'a>,
        /// `name=value` and `name` options of the file system.
        options: Texts<'a>,
        /// Path below the root.
        target: Text<'a>,
        /// Of [`lookup`].
        lookup: u32,
        /// `MOUNT_ATTR_…`.
        attributes: u64,
        /// `MS_…` propagation of the new mount; 0 leaves it.
        propagation: u64,
        /// Whether a tmpfs takes over the mode of the directory that it hides.
        keep_mode: bool,
        /// Whether a tmpfs begins with a copy of what it hides.
        copy_up: bool,
        /// Tree that is attached instead when the file system cannot be mounted (EPERM, EBUSY).
        instead: Slot,
        /// Whether `instead` is used.
        has_instead: bool
    } = 29;
    /// Attaches a detached tree.
    Attach {
        /// The tree.
        tree: Slot,
        /// Path below the root.
        target: Text<'a>,
        /// Of [`lookup`].
        lookup: u32
    } = 30;
    /// mount(2), for what the newer calls cannot do: long options and remounts.
    OldMount {
        /// Type.
        kind: Text<'a>,
        /// Source.
        source: Text<'a>,
        /// Options of the file system.
        data: Text<'a>,
        /// Path below the root.
        target: Text<'a>,
        /// Of [`lookup`].
        lookup: u32,
        /// `MS_…`.
        flags: u64
    } = 31;
    /// Changes attributes or propagation of the mount at a path.
    Attributes {
        /// Path below the root.
        target: Text<'a>,
        /// `MOUNT_ATTR_…` set.
        set: u64,
        /// `MOUNT_ATTR_…` cleared.
        clear: u64,
        /// `MS_…` propagation; 0 leaves it.
        propagation: u64,
        /// Whether mounts below are changed too.
        recursive: bool
    } = 32;
    /// Makes a device node or fifo.
    Node {
        /// Path below the root.
        path: Text<'a>,
        /// Type and permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32
    } = 33;
    /// Makes a symbolic link; one that is there stays.
    Symlink {
        /// Path below the root.
        path: Text<'a>,
        /// What it says.
        target: Text<'a>,
        /// Path that must exist for the link to be made; empty: none.
        unless_missing: Text<'a>,
        /// Whether something else at the path is removed first.
        replace: bool
    } = 34;
    /// Runs a hook in the container's namespaces.
    Hook {
        /// Program.
        path: Text<'a>,
        /// Arguments.
        args: Texts<'a>,
        /// Environment.
        env: Texts<'a>,
        /// Seconds; 0: no limit.
        timeout: u32,
        /// Whether the hook gets the usual umask of 022 instead of the init's.
        usual_umask: bool,
        /// State on its standard input, before the pid.
        state_head: Bytes<'a>,
        /// State after the pid.
        state_tail: Bytes<'a>
    } = 35;
    /// Makes the attached root the root of the mount namespace and drops the old one.
    PivotRoot {
        /// chroot instead, for a root that pivot_root refuses.
        chroot: bool,
        /// Whether the tree is first moved from its path onto the root, so that a chroot hides
        /// nothing beside it.
        moved: bool
    } = 36;
    /// Makes a path unreadable: a file becomes the null device, a directory an empty one.
    Mask {
        /// Path below the root.
        path: Text<'a>,
        /// A detached mount of the null device.
        null: Slot
    } = 37;
    /// Makes a path read-only.
    ReadOnly {
        /// Path below the root.
        path: Text<'a>
    } = 38;
    /// Host name of the UTS namespace.
    HostName {
        /// The name.
        name: Text<'a>
    } = 39;
    /// Domain name of the UTS namespace.
    DomainName {
        /// The name.
        name: Text<'a>
    } = 40;
    /// Writes a kernel parameter.
    Sysctl {
        /// The trusted procfs of the host.
        proc: Slot,
        /// Path below its `sys`.
        path: Text<'a>,
        /// Value.
        value: Text<'a>
    } = 41;
    /// Makes a terminal in the container's devpts and gives its master to the host side.
    Terminal {
        /// Rows; 0 leaves the size.
        rows: u16,
        /// Columns.
        columns: u16,
        /// Whether it is bound on /dev/console.
        console: bool
    } = 42;
    /// File mode creation mask.
    Umask {
        /// Permission bits.
        mask: u32
    } = 43;
    /// Sets the no-new-privileges bit.
    NoNewPrivileges {} = 44;
    /// sched_setattr(2).
    Scheduler {
        /// The structure as the kernel takes it.
        attr: Bytes<'a>
    } = 45;
    /// ioprio_set(2).
    IoPriority {
        /// Class and level.
        value: u32
    } = 46;
    /// personality(2).
    Personality {
        /// Execution domain.
        domain: u64
    } = 47;
    /// set_mempolicy(2).
    MemoryPolicy {
        /// Mode with flags.
        mode: i32,
        /// Node mask in words of the kernel.
        nodes: Bytes<'a>
    } = 48;
    /// Goes to the working directory, made when missing.
    WorkingDirectory {
        /// Path below the root.
        path: Text<'a>,
        /// Whether a refusal is final; otherwise it is tried again later.
        last: bool
    } = 49;
    /// Makes a directory while the root can be written; one that cannot be made is missed later.
    Directory {
        /// Path below the root.
        path: Text<'a>
    } = 64;
    /// Gives 0, 1 and 2 to the container's user.
    OwnStdio {
        /// Owner.
        uid: u32
    } = 50;
    /// Drops capabilities from the bounding set.
    DropBounding {
        /// Bits of those that are dropped.
        mask: u64
    } = 51;
    /// Changes to a user while keeping capabilities.
    User {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Supplementary groups.
        groups: Numbers<'a>,
        /// Whether they are set at all (a user namespace may deny it).
        set_groups: bool
    } = 52;
    /// Sets effective, permitted and inheritable capabilities.
    Capabilities {
        /// Effective.
        effective: u64,
        /// Permitted.
        permitted: u64,
        /// Inheritable.
        inheritable: u64
    } = 53;
    /// Sets the ambient capabilities.
    Ambient {
        /// Bits.
        mask: u64
    } = 54;
    /// Loads a system call filter.
    Seccomp {
        /// `SECCOMP_FILTER_FLAG_…`.
        flags: u32,
        /// Instructions.
        program: Bytes<'a>
    } = 55;
    /// Writes a security label for the next execve.
    ExecLabel {
        /// The trusted procfs of the host.
        proc: Slot,
        /// Path below it, such as `self/attr/apparmor/exec`.
        path: Text<'a>,
        /// Path tried when that one does not exist; empty: none.
        fallback: Text<'a>,
        /// What is written.
        value: Text<'a>
    } = 56;
    /// Finds the program, so that a missing one is an error of `create`.
    FindProgram {
        /// As given.
        name: Text<'a>,
        /// Directories, separated by colons.
        path: Text<'a>
    } = 57;
    /// Finds the home directory of a user in the container's passwd file and puts it into the
    /// environment.
    Home {
        /// User.
        uid: u32
    } = 58;
    /// Closes everything that the program does not get, the host side's socket excepted.
    CloseAll {
        /// First descriptor that is closed.
        first: u32,
        /// A fifo that is kept for [`Op::WaitStart`].
        fifo: Slot,
        /// Whether `fifo` is used.
        keep_fifo: bool
    } = 59;
    /// Sets a resource limit. The hard limit is never raised here: the host side has done that.
    Limit {
        /// `RLIMIT_…`.
        resource: u32,
        /// Soft limit.
        soft: u64,
        /// Hard limit.
        hard: u64
    } = 63;
    /// Waits on the fifo that `start` writes to.
    WaitStart {} = 60;
    /// Uses another root directory that a process of the container has.
    Chroot {
        /// The directory.
        directory: Slot
    } = 61;
    /// Executes the program.
    Execute {
        /// Arguments.
        args: Texts<'a>,
        /// Environment.
        env: Texts<'a>
    } = 62;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    impl Sink for Vec<u8> {
        fn put(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }
    }

    #[test]
    fn operations_come_back_as_written() {
        let mut plan = Vec::new();
        Op::Mount {
            kind: Text::new("tmpfs"),
            source: Text::new("shm"),
            options: Texts::List(&["mode=1777", "size=65536k"]),
            target: Text::new("/dev/shm"),
            lookup: lookup::DIRECTORY,
            attributes: 14,
            propagation: 0,
            keep_mode: false,
            copy_up: true,
            instead: Slot(0),
            has_instead: false,
        }
        .write(&mut plan);
        Op::User { uid: 1, gid: 2, groups: Numbers::List(&[3, 4]), set_groups: true }
            .write(&mut plan);
        let mut reader = Reader::new(&plan);
        let Some(Op::Mount { kind, options, copy_up, .. }) = Op::read(&mut reader) else {
            panic!("not a mount")
        };
        assert_eq!(kind.c_str(), c"tmpfs");
        let options: Vec<_> = options.iter().map(|t| t.bytes()).collect();
        assert_eq!(options, [&b"mode=1777"[..], b"size=65536k"]);
        assert!(copy_up);
        let Some(Op::User { groups, gid: 2, .. }) = Op::read(&mut reader) else {
            panic!("not a user")
        };
        assert_eq!(groups.iter().collect::<Vec<_>>(), [3, 4]);
        assert!(reader.is_empty());
    }

    #[test]
    fn a_cut_plan_is_never_read_beyond_its_end() {
        let mut plan = Vec::new();
        Op::Symlink {
            path: Text::new("/dev/fd"),
            target: Text::new("/proc/self/fd"),
            unless_missing: Text::new(""),
            replace: true,
        }
        .write(&mut plan);
        for end in 0..plan.len() {
            assert!(Op::read(&mut Reader::new(&plan[..end])).is_none(), "{end}");
        }
    }

    #[test]
    fn messages_come_back_as_written() {
        let sent = Message { kind: 6, call: 9, operation: 700, value: -5, detail: 3, text: b"why" };
        let mut bytes = Vec::from(sent.head());
        bytes.extend_from_slice(sent.text);
        assert_eq!(Message::decode(&bytes), Some(sent));
        assert_eq!(Message::decode(&bytes[..11]), None);
    }
}
