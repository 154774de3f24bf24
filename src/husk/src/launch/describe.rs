//! What a message of the container's side means, in words and with the property concerned.

use crate::error::{Code, Failure, errno_text};
use crate::lsm::APPARMOR_NEXT_EXEC;
use crate::plan::Steps;
use husk_init::wire::{Call, Message, Op, Text};
use nix::errno::Errno;

/// Text that came from the configuration or from the container, made fit for a message.
fn show(text: Text<'_>) -> String {
    String::from_utf8_lossy(text.bytes()).into_owned()
}

/// The failure that a message tells of.
pub fn failure(steps: &Steps, said: &Message<'_>) -> Failure {
    let call = Call::from_number(said.call);
    let errno = said.value;
    let Some((op, pointer)) = steps.get(usize::from(said.operation)) else {
        return Failure::new(Code::LAUNCH, "carry out an unknown step").errno("plan", errno);
    };
    let known = Errno::from_raw(errno);
    if let Op::FindProgram { name, .. } = op {
        return program(&show(name), said.detail, errno).at(pointer);
    }
    if let Op::Execute { args, .. } = op {
        let name = args.iter().next().map(show).unwrap_or_default();
        let doing = format!("exec {name}");
        return Failure::new(Code::PROGRAM, doing).errno("execve", errno).at(pointer);
    }
    let mut failure = Failure::new(code(&op), doing(&op, said));
    if !pointer.as_str().is_empty() {
        failure = failure.at(pointer);
    }
    match call {
        Some(Call::HookExit | Call::HookTimeout | Call::OutsideRoot | Call::WrongDevice) => {}
        Some(call) => failure = failure.errno(call.name(), errno),
        None => failure = failure.errno("plan", errno),
    }
    match hint(&op, call, known) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The words that engines match for a program that cannot be run.
fn program(name: &str, detail: u32, errno: i32) -> Failure {
    let quoted = format!("{name:?}");
    let why = match (detail, Errno::from_raw(errno)) {
        (1, _) => format!("exec: {quoted}: executable file not found in $PATH"),
        (_, Errno::ENOENT) => format!("exec: {quoted}: stat {name}: no such file or directory"),
        (_, _) => format!("exec: {quoted}: {}", errno_text(errno)),
    };
    Failure::new(Code::PROGRAM, why)
}

fn code(op: &Op<'_>) -> Code {
    match op {
        Op::Mount { .. } | Op::OldMount { .. } | Op::Attach { .. } | Op::Attributes { .. } => {
            Code::MOUNT
        }
        Op::Node { .. } | Op::Symlink { .. } => Code::DEVICE,
        Op::AttachRoot { .. }
        | Op::UseRoot { .. }
        | Op::PivotRoot { .. }
        | Op::Propagation { .. } => Code::ROOTFS,
        Op::Mask { .. } | Op::ReadOnly { .. } => Code::MASK,
        Op::Hook { .. } => Code::HOOK,
        Op::Join { .. }
        | Op::BecomeRoot { .. }
        | Op::NewTime { .. }
        | Op::Clone { .. }
        | Op::NewCgroup { .. } => Code::NAMESPACE,
        Op::EnterCgroups { .. } => Code::CGROUP_FAILED,
        Op::Limit { .. } => Code::RLIMIT,
        Op::Sysctl { .. } => Code::SYSCTL,
        Op::Scheduler { .. }
        | Op::IoPriority { .. }
        | Op::MemoryPolicy { .. }
        | Op::Cpus { .. } => Code::SCHEDULING,
        Op::ExecLabel { .. } => Code::LSM,
        Op::Seccomp { .. } => Code::SECCOMP_LOAD,
        Op::Terminal { .. } => Code::TERMINAL,
        Op::WorkingDirectory { .. } => Code::CWD,
        Op::User { .. } => Code::USER,
        Op::DropBounding { .. } | Op::Capabilities { .. } | Op::Ambient { .. } => Code::CAPABILITY,
        _ => Code::LAUNCH,
    }
}

fn doing(op: &Op<'_>, said: &Message<'_>) -> String {
    let call = Call::from_number(said.call);
    match *op {
        Op::OomScore { score, .. } => format!("set the OOM score to {score}"),
        Op::Join { .. } => "join a namespace".into(),
        Op::Limit { resource, soft, hard } => {
            let name = usize::try_from(resource).ok().and_then(|n| crate::rlimits::NAMES.get(n));
            format!("set {} to {soft}:{hard}", name.unwrap_or(&"a limit"))
        }
        Op::BecomeRoot {} => "become root in the user namespace".into(),
        Op::NewTime { .. } => "make a time namespace".into(),
        Op::AllCpus {} | Op::Cpus { .. } => "set the CPU affinity".into(),
        Op::Clone { .. } => "clone the container's first process into its namespaces".into(),
        Op::EnterCgroups { .. } => "enter the container's cgroups".into(),
        Op::NewCgroup {} => "make a cgroup namespace".into(),
        Op::NewSession {} => "make a session".into(),
        Op::Keyring { .. } => "make a session keyring".into(),
        Op::LoopbackUp {} => "bring the loopback interface up".into(),
        Op::Propagation { .. } => "make the mounts of the host slaves".into(),
        Op::AttachRoot { .. } | Op::UseRoot { .. } => "mount the root file system".into(),
        Op::Mount { kind, source, target, options, .. } => {
            let option = usize::try_from(said.detail)
                .ok()
                .and_then(|n| n.checked_sub(1))
                .filter(|_| call == Some(Call::Fsconfig))
                .and_then(|n| options.iter().nth(n));
            let (kind, source, target) = (show(kind), show(source), show(target));
            match option {
                Some(option) => {
                    format!("mount {kind} on {target:?}: option {:?} is not accepted", show(option))
                }
                None => format!("mount {source:?} ({kind}) on {target:?}"),
            }
        }
        Op::OldMount { kind, source, target, .. } => {
            format!("mount {:?} ({}) on {:?}", show(source), show(kind), show(target))
        }
        Op::Attach { target, .. } => format!("mount on {:?}", show(target)),
        Op::Attributes { target, .. } => format!("change the mount at {:?}", show(target)),
        Op::Node { path, major, minor, .. } if call == Some(Call::WrongDevice) => {
            format!(
                "make device {:?}: the image has something else than {major}:{minor} there",
                show(path)
            )
        }
        Op::Node { path, .. } => format!("make device {:?}", show(path)),
        Op::Symlink { path, .. } => format!("make the link {:?}", show(path)),
        Op::Hook { path, .. } => hook(&show(path), said, call),
        Op::PivotRoot { .. } => "change the root directory".into(),
        Op::Mask { path, .. } => format!("mask path {:?}", show(path)),
        Op::ReadOnly { path } => format!("make path {:?} read-only", show(path)),
        Op::HostName { name } => format!("set the host name {:?}", show(name)),
        Op::DomainName { name } => format!("set the domain name {:?}", show(name)),
        Op::Sysctl { path, value, .. } => {
            format!("write {:?} to the kernel parameter {}", show(value), show(path))
        }
        Op::Terminal { .. } if call == Some(Call::WrongDevice) => {
            "make a terminal: /dev/pts/ptmx in the container is not a terminal multiplexer".into()
        }
        Op::Terminal { .. } => "make a terminal".into(),
        Op::WorkingDirectory { path, .. } if call == Some(Call::OutsideRoot) => {
            format!(
                "use {:?} as the working directory: it lies outside of the container",
                show(path)
            )
        }
        Op::WorkingDirectory { path, .. } => {
            format!("chdir to cwd ({:?}) set in config.json failed", show(path))
        }
        Op::User { uid, gid, .. } => format!("become user {uid}:{gid}"),
        Op::Seccomp { .. } => "load the seccomp filter".into(),
        Op::Scheduler { .. } => "set the scheduling policy".into(),
        Op::IoPriority { .. } => "set the I/O priority".into(),
        Op::Personality { .. } => "set the execution domain".into(),
        Op::MemoryPolicy { .. } => "set the memory policy".into(),
        Op::ExecLabel { path, value, .. } => {
            let module =
                if path.bytes() == APPARMOR_NEXT_EXEC.as_bytes() { "AppArmor" } else { "SELinux" };
            format!("set the {module} label {:?}: write `/proc/{}`", show(value), show(path))
        }
        Op::Home { .. } => "read /etc/passwd of the container".into(),
        ref other => format!("carry out {}", other.name()),
    }
}

fn hook(path: &str, said: &Message<'_>, call: Option<Call>) -> String {
    let printed: String = String::from_utf8_lossy(said.text)
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect();
    let printed = printed.trim();
    let mut text = match call {
        Some(Call::HookTimeout) => {
            format!("run hook {path:?}: it did not end within {} seconds", said.detail)
        }
        Some(Call::HookExit) if said.detail & 0x7f != 0 => {
            format!("run hook {path:?}: killed by signal {}", said.detail & 0x7f)
        }
        Some(Call::HookExit) => {
            format!("run hook {path:?}: exit status {}", said.detail >> 8 & 0xff)
        }
        _ => format!("run hook {path:?}"),
    };
    if !printed.is_empty() {
        text.push_str(": ");
        text.push_str(printed);
    }
    text
}

fn hint(op: &Op<'_>, call: Option<Call>, errno: Errno) -> Option<&'static str> {
    match (op, call?, errno) {
        (Op::Mount { .. }, Call::Fsopen, Errno::ENODEV) => {
            Some("the kernel knows no file system of this type; see /proc/filesystems")
        }
        (Op::Mount { .. } | Op::Attach { .. }, Call::Open, Errno::ELOOP) => {
            Some("proc and sysfs are mounted on real directories only: the image has a link there")
        }
        (Op::Mount { .. } | Op::Attach { .. }, Call::MoveMount, Errno::ENOTDIR) => Some(
            "a directory can be mounted on a directory only, and a file on a file: \
             compare source and destination",
        ),
        (Op::Mount { .. } | Op::Attach { .. }, _, Errno::EROFS) => {
            Some("the destination does not exist and cannot be made on a read-only file system")
        }
        (Op::Terminal { .. }, Call::Open, _) => Some("mount a devpts on /dev/pts"),
        (Op::Clone { .. }, _, Errno::EAGAIN) => {
            Some("the limit of processes is reached, of the user or of the cgroup")
        }
        (Op::Clone { .. }, _, Errno::ENOSPC) => {
            Some("the limit of namespaces in /proc/sys/user is reached")
        }
        (Op::User { .. }, _, Errno::EINVAL) => {
            Some("the id has no mapping in the container's user namespace")
        }
        (Op::Cpus { .. }, _, Errno::EINVAL) => {
            Some("none of these CPUs is on this machine and in the cpuset of the cgroup")
        }
        (Op::MemoryPolicy { .. }, _, Errno::EINVAL) => {
            Some("no such memory node is on this machine, or in the cpuset of the cgroup")
        }
        (Op::Scheduler { .. }, _, Errno::EINVAL) => {
            Some("this kernel does not have the policy, or not with these values")
        }
        (Op::Scheduler { .. } | Op::IoPriority { .. }, _, Errno::EPERM) => {
            Some("real-time and better than normal service need CAP_SYS_NICE")
        }
        (Op::ExecLabel { .. }, Call::Write, Errno::ENOENT) => {
            Some("no such profile is loaded; apparmor_parser loads one")
        }
        (Op::Seccomp { .. }, _, Errno::EINVAL) => {
            Some("the kernel does not know a flag or an action of the profile")
        }
        _ => None,
    }
}
