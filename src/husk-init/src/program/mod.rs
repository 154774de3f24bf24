//! Carrying out a plan.

mod confine;
mod copy_up;
mod execute;
mod hook;
mod launch;
mod lookup;
mod mounts;
mod nodes;
mod report;
mod terminal;

use crate::sys::{self, Answer, At, Errno, Fd};
use crate::wire::{Bytes, Call, Field, MOST_DESCRIPTORS, Op, Reader, Slot};
use core::ffi::CStr;
use report::Report;

/// An operation that failed.
#[derive(Clone, Copy)]
struct Failed {
    call: Call,
    errno: Errno,
    detail: u32,
}

type Done<T = ()> = Result<T, Failed>;

/// Says which call an answer came from.
trait Named<T> {
    fn of(self, call: Call) -> Done<T>;
}

impl<T> Named<T> for Answer<T> {
    fn of(self, call: Call) -> Done<T> {
        self.map_err(|errno| Failed { call, errno, detail: 0 })
    }
}

/// The descriptors that came with the plan.
struct Slots {
    numbers: [i32; MOST_DESCRIPTORS],
    count: usize,
}

impl Slots {
    fn get(&self, slot: Slot) -> Done<At> {
        self.numbers
            .get(..self.count)
            .and_then(|numbers| numbers.get(usize::from(slot.0)))
            .filter(|number| **number >= 0)
            .map(|number| At(*number))
            .ok_or(Failed { call: Call::Plan, errno: Errno::BADF, detail: u32::from(slot.0) })
    }
}

impl Slots {
    /// Marks a descriptor as closed.
    fn forget(&mut self, slot: Slot) {
        if let Some(number) = self.numbers.get_mut(usize::from(slot.0)) {
            *number = -1;
        }
    }
}

/// The process that walks the plan.
struct Walker<'p> {
    report: Report,
    slots: Slots,
    /// The container's root; every path of the plan is looked up below it.
    root: Option<Fd>,
    /// An empty read-only directory that is mounted over masked ones.
    empty: Option<Fd>,
    /// Whether the plan's mount of the null device has been attached.
    null_attached: bool,
    /// Whether the working directory has been reached.
    arrived: bool,
    program: execute::Program<'p>,
}

/// Entry point: `socket` is the descriptor of the socket to the host side, in decimal.
#[cfg_attr(not(husk_init_program), allow(dead_code))]
pub fn main(socket: &CStr) -> ! {
    let _ = sys::prctl(sys::PR_SET_DUMPABLE, 0, 0);
    let digits = socket.to_bytes();
    let number = digits
        .iter()
        .try_fold(0i32, |n, d| n.checked_mul(10)?.checked_add(i32::from(d.wrapping_sub(b'0'))));
    let Some(socket) = number.filter(|_| !digits.is_empty()).map(At) else {
        let _ = sys::write_all(At(2), b"this program is run by husk\n");
        sys::exit(2)
    };
    sys::set_name(c"husk-init");
    // It came without: the program that started this one could pass it on no other way.
    sys::close_on_exec(socket);
    let mut slots = Slots { numbers: [-1; MOST_DESCRIPTORS], count: 0 };
    let Ok(plan) = receive_plan(socket, &mut slots) else { sys::exit(1) };
    let mut walker = Walker {
        report: Report::new(socket),
        slots,
        root: None,
        empty: None,
        null_attached: false,
        arrived: false,
        program: execute::Program::new(),
    };
    let mut reader = Reader::new(plan);
    while !reader.is_empty() {
        let done = match Op::read(&mut reader) {
            Some(op) => walker.carry_out(&op),
            None => Err(Failed { call: Call::Plan, errno: Errno::INVAL, detail: 0 }),
        };
        if let Err(failed) = done {
            walker.report.failed(failed, &[]);
            sys::exit(1)
        }
        walker.report.next_operation();
    }
    // A plan ends with Execute, which does not come back.
    sys::exit(1)
}

/// Receives the plan: first its length and the number of descriptors, the plan's file being the
/// first of them.
fn receive_plan(socket: At, slots: &mut Slots) -> Answer<&'static [u8]> {
    let mut head = [0u8; 16];
    let mut plan = None;
    let mut wanted = None;
    loop {
        let len = sys::receive(socket, &mut head, |fd| {
            if plan.is_none() {
                plan = Some(fd);
            } else if let Some(number) = slots.numbers.get_mut(slots.count) {
                *number = fd.leak().0;
                slots.count += 1;
            }
        })?;
        if len == 0 {
            return Err(Errno::IO);
        }
        if wanted.is_none() {
            let mut reader = Reader::new(&head);
            let plan_len = u64::read(&mut reader).ok_or(Errno::INVAL)?;
            let descriptors = u64::read(&mut reader).ok_or(Errno::INVAL)?;
            wanted = Some((plan_len as usize, descriptors as usize));
        }
        if let Some((len, descriptors)) = wanted
            && slots.count >= descriptors
        {
            return sys::map_file(plan.ok_or(Errno::BADF)?, len);
        }
    }
}

impl<'p> Walker<'p> {
    fn carry_out(&mut self, op: &Op<'p>) -> Done {
        match *op {
            Op::OomScore { proc, score } => self.oom_score(proc, score),
            Op::Join { namespace, kinds } => {
                sys::set_namespace(self.slots.get(namespace)?, kinds).of(Call::Setns).map(drop)
            }
            Op::Forget { slot } => {
                sys::close(self.slots.get(slot)?);
                self.slots.forget(slot);
                Ok(())
            }
            Op::BecomeRoot {} => launch::become_root(),
            Op::NewTime { proc, offsets } => self.new_time(proc, offsets),
            Op::AllCpus {} => {
                // Refused when the cpuset is empty; the kernel then keeps what there was.
                let _ = sys::set_affinity(&[0xff; 1024]);
                Ok(())
            }
            Op::Cpus { mask } => sys::set_affinity(mask.0).of(Call::Affinity).map(drop),
            Op::Clone { flags, cgroup, into_cgroup } => self.clone_init(flags, cgroup, into_cgroup),

            Op::Sync { point } => self.report.sync(point),
            Op::EnterCgroups { first, count } => self.enter_cgroups(first, count),
            Op::NewCgroup {} => sys::unshare(sys::CLONE_NEWCGROUP).of(Call::Unshare).map(drop),
            Op::NewSession {} => {
                sys::set_session().of(Call::Setsid)?;
                launch::reset_signals();
                sys::umask(0);
                Ok(())
            }
            Op::Keyring { name, make } => confine::keyring(name, make),
            Op::LoopbackUp {} => sys::loopback_up().of(Call::Ioctl).map(drop),
            Op::Propagation { flags } => {
                sys::mount(c"", c"/", c"", flags, c"").of(Call::Mount).map(drop)
            }
            Op::AttachRoot { tree, at } => self.attach_root(tree, at),
            Op::UseRoot { directory } => self.use_root(directory),
            Op::Mount { .. } => self.mount(op),
            Op::Attach { tree, target, lookup } => self.attach(tree, target, lookup),
            Op::OldMount { kind, source, data, target, lookup, flags } => {
                self.old_mount(kind, source, data, target, lookup, flags)
            }
            Op::Attributes { target, set, clear, propagation, recursive } => {
                let mount = self.open(target, 0)?;
                sys::set_attributes(mount.at(), set, clear, propagation, recursive)
                    .of(Call::MountSetattr)
                    .map(drop)
            }
            Op::Node { .. } => self.node(op),
            Op::Symlink { path, target, unless_missing, replace } => {
                self.symlink(path, target, unless_missing, replace)
            }
            Op::Hook { .. } => self.hook(op),
            Op::PivotRoot { chroot, moved } => self.pivot_root(chroot, moved),
            Op::Directory { path } => self.directory(path),
            Op::Mask { path, null } => self.mask(path, null),
            Op::ReadOnly { path } => self.read_only(path),
            Op::HostName { name } => {
                sys::set_host_name(name.bytes()).of(Call::Sethostname).map(drop)
            }
            Op::DomainName { name } => {
                sys::set_domain_name(name.bytes()).of(Call::Setdomainname).map(drop)
            }
            Op::Sysctl { proc, path, value } => self.sysctl(proc, path, value),
            Op::Terminal { rows, columns, console } => self.terminal(rows, columns, console),

            Op::Umask { mask } => {
                sys::umask(mask);
                Ok(())
            }
            Op::NoNewPrivileges {} => {
                sys::prctl(sys::PR_SET_NO_NEW_PRIVS, 1, 0).of(Call::Prctl).map(drop)
            }
            Op::Scheduler { attr } => confine::scheduler(attr),
            Op::IoPriority { value } => sys::set_io_priority(value).of(Call::Ioprio).map(drop),
            Op::Personality { domain } => {
                sys::set_personality(domain).of(Call::Personality).map(drop)
            }
            Op::MemoryPolicy { mode, nodes } => {
                sys::set_memory_policy(mode, nodes.0).of(Call::Mempolicy).map(drop)
            }
            Op::WorkingDirectory { path, last } => self.working_directory(path, last),
            Op::OwnStdio { uid } => confine::own_stdio(uid),
            Op::DropBounding { mask } => confine::drop_bounding(mask),
            Op::User { uid, gid, groups, set_groups } => {
                confine::user(uid, gid, set_groups.then_some(groups))
            }
            Op::Capabilities { effective, permitted, inheritable } => {
                sys::set_capabilities(effective, permitted, inheritable).of(Call::Capset).map(drop)
            }
            Op::Ambient { mask } => self.ambient(mask),
            Op::Seccomp { flags, program } => self.seccomp(flags, program),
            Op::ExecLabel { proc, path, fallback, value } => {
                self.exec_label(proc, path, fallback, value)
            }
            Op::FindProgram { name, path } => self.program.find(name, path),
            Op::Home { uid } => self.home(uid),
            Op::CloseAll { first, fifo, keep_fifo } => {
                let fifo = if keep_fifo { Some(self.slots.get(fifo)?) } else { None };
                self.close_all(first, fifo);
                Ok(())
            }
            Op::Limit { resource, soft, hard } => {
                sys::set_limit(resource, soft, hard).of(Call::Prlimit).map(drop)
            }
            Op::WaitStart {} => self.report.wait_start(),
            Op::Chroot { directory } => {
                sys::change_directory(self.slots.get(directory)?).of(Call::Chdir)?;
                sys::change_root(c".").of(Call::Chroot).map(drop)
            }
            Op::Execute { args, env } => Err(self.program.execute(args, env)),
        }
    }

    /// Closes everything from `first` on but the socket and the fifo.
    fn close_all(&mut self, first: u32, fifo: Option<At>) {
        self.root.take().map(Fd::leak);
        self.empty.take().map(Fd::leak);
        self.slots.count = 0;
        self.report.fifo = fifo;
        let socket = self.report.socket.0 as u32;
        let fifo = fifo.map_or(socket, |fifo| fifo.0 as u32);
        let (low, high) = if socket < fifo { (socket, fifo) } else { (fifo, socket) };
        for (from, to) in [
            (first, low.wrapping_sub(1)),
            (low.saturating_add(1), high.wrapping_sub(1)),
            (high.saturating_add(1), u32::MAX),
        ] {
            if from <= to && to != u32::MAX || to == u32::MAX && from > high {
                let _ = sys::close_range(from, to);
            }
        }
    }

    fn seccomp(&mut self, flags: u32, program: Bytes<'_>) -> Done {
        const NEW_LISTENER: u32 = 8;
        let answer = sys::load_filter(flags, program.0).of(Call::Seccomp)?;
        if flags & NEW_LISTENER != 0 {
            self.report.listener(At(answer as i32))?;
            sys::close(At(answer as i32));
        }
        Ok(())
    }
}
