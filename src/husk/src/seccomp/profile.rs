//! Reads a profile: every name resolved, every problem told, nothing compiled yet.

use super::Agent;
use super::abi::Family;
use super::condition::{ARGUMENTS, Condition, Conditions};
use super::names::{
    ACTION_MASK, ACTIONS, ARCHITECTURES, Action, ERRNO, Errno, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW,
    FLAG_WAIT_KILLABLE_RECV, FLAGS, NOTIFY, OPERATORS, TRACE, find, one_of,
};
use crate::config::{List, Seccomp, SeccompArg, SeccompSyscall, Str};
use crate::error::{Code, Pointer, Problem, Problems};

/// A profile that was understood.
#[derive(Debug)]
pub(super) struct Profile<'a> {
    /// What the kernel returns for calls without a rule.
    pub(super) default: u32,
    /// Which ABIs of the family are listed, by column; the first one always is.
    pub(super) listed: [bool; 3],
    pub(super) rules: Vec<Rule<'a>>,
    /// For seccomp(2).
    pub(super) flags: u32,
    pub(super) notify: Option<Agent>,
}

/// One element of `syscalls`.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) names: &'a [Str<'a>],
    /// What the kernel returns.
    pub(super) action: u32,
    /// When: always if empty, otherwise when any of them holds.
    pub(super) when: Vec<Conditions>,
}

/// The longest path of a Unix socket, in bytes.
const SOCKET_PATH: usize = 107;

/// Reads `profile`, which stands at `at`. Nothing if a problem refuses it.
pub(super) fn read<'a>(
    family: &Family,
    profile: &'a Seccomp<'a>,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Profile<'a>> {
    let default = action(
        &profile.default_action,
        profile.default_errno_ret,
        || (at.key("defaultAction"), at.key("defaultErrnoRet")),
        problems,
    );
    let listed = architectures(family, profile, at, problems);
    let flags = flags(profile, at, problems);
    let mut rules = Vec::with_capacity(profile.syscalls.len());
    let mut whole = true;
    for (n, syscall) in profile.syscalls.iter().enumerate() {
        match rule(syscall, || at.key("syscalls").index(n), problems) {
            Some(rule) => rules.push(rule),
            None => whole = false,
        }
    }
    let notifies = default.is_some_and(notifies) || rules.iter().any(|r| notifies(r.action));
    let notify = agent(profile, notifies, at, problems)?;
    let flags = match (flags?, notifies) {
        (flags, true) => flags | FLAG_NEW_LISTENER,
        // The kernel refuses it without a listener.
        (flags, false) => flags & !FLAG_WAIT_KILLABLE_RECV,
    };
    let (default, listed) = (default?, listed?);
    whole.then_some(Profile { default, listed, rules, flags, notify })
}

fn notifies(action: u32) -> bool {
    action & ACTION_MASK == NOTIFY
}

/// The kernel's return value for an action and its errno.
fn action(
    name: &str,
    errno: Option<u32>,
    at: impl Fn() -> (Pointer, Pointer),
    problems: &mut Problems,
) -> Option<u32> {
    let Some(Action { value, errno: limit }) = find(ACTIONS, name) else {
        let hint = one_of(ACTIONS.iter().map(|(name, _)| *name));
        let problem = match name {
            "" => Problem::new(Code::CONFIG_MISSING, at().0, "the action is missing"),
            _ => unknown(at().0, "action", name),
        };
        problems.push(problem.hint(hint));
        return None;
    };
    match (limit, errno) {
        (Errno::UpTo(_), None) => Some(value | libc::EPERM as u32),
        (Errno::UpTo(limit), Some(errno)) if errno <= u32::from(limit) => Some(value | errno),
        (Errno::UpTo(limit), Some(errno)) => {
            let reason = format!("{errno} is no errno that {name} can give");
            let hint = format!("use a number from 0 to {limit}");
            problems.refuse(Code::SECCOMP_INVALID, at().1, reason, hint);
            None
        }
        (Errno::None, None) => Some(value),
        (Errno::None, Some(errno)) => {
            let reason = format!("{name} gives no errno, but {errno} is set");
            let hint = "remove it, or use SCMP_ACT_ERRNO";
            problems.refuse(Code::SECCOMP_INVALID, at().1, reason, hint);
            None
        }
    }
}

fn unknown(at: Pointer, kind: &str, name: &str) -> Problem {
    Problem::new(Code::SECCOMP_INVALID, at, format!("{name:?} is no seccomp {kind}"))
}

fn architectures(
    family: &Family,
    profile: &Seccomp<'_>,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<[bool; 3]> {
    let mut listed = Some([true, false, false]);
    for (n, name) in profile.architectures.iter().enumerate() {
        if let Some(column) = family.abis.iter().position(|abi| abi.name == name.as_str()) {
            if let Some(abi) = listed.as_mut().and_then(|l| l.get_mut(column)) {
                *abi = true;
            }
        } else if !ARCHITECTURES.contains(&name.as_str()) {
            let at = at.key("architectures").index(n);
            let hint = one_of(ARCHITECTURES.iter().copied());
            problems.push(unknown(at, "architecture", name).hint(hint));
            listed = None;
        }
    }
    listed
}

fn flags(profile: &Seccomp<'_>, at: &Pointer, problems: &mut Problems) -> Option<u32> {
    let Some(names) = &profile.flags else {
        return Some(FLAG_SPEC_ALLOW);
    };
    let mut flags = Some(0);
    for (n, name) in names.iter().enumerate() {
        match find(FLAGS, name) {
            Some(bit) => flags = flags.map(|flags| flags | bit),
            None => {
                let at = at.key("flags").index(n);
                let hint = one_of(FLAGS.iter().map(|(name, _)| *name));
                problems.push(unknown(at, "flag", name).hint(hint));
                flags = None;
            }
        }
    }
    flags
}

fn rule<'a>(
    syscall: &'a SeccompSyscall<'a>,
    at: impl Fn() -> Pointer,
    problems: &mut Problems,
) -> Option<Rule<'a>> {
    if syscall.names.is_empty() {
        let reason = "no system call is named, so the rule has no effect";
        problems.warn(Code::SECCOMP_INVALID, at().key("names"), reason);
    }
    let nameless = syscall.names.iter().position(|name| name.is_empty());
    if let Some(n) = nameless {
        let (at, reason) = (at().key("names").index(n), "the name of a system call is empty");
        problems.refuse(Code::SECCOMP_INVALID, at, reason, "remove it");
    }
    let action = action(
        &syscall.action,
        syscall.errno_ret,
        || (at().key("action"), at().key("errnoRet")),
        problems,
    );
    let when = conditions(&syscall.args, || at().key("args"), problems);
    let (action, when) = (action?, when?);
    nameless.is_none().then_some(Rule { names: &syscall.names, action, when })
}

/// When a rule applies. Conditions on different arguments must all hold; as soon as one argument
/// has two, each of the rule's conditions alone is enough.
fn conditions(
    args: &List<SeccompArg<'_>>,
    at: impl Fn() -> Pointer,
    problems: &mut Problems,
) -> Option<Vec<Conditions>> {
    let mut each = Vec::with_capacity(args.len());
    let (mut all, mut twice) = (Conditions::default(), false);
    for (n, arg) in args.iter().enumerate() {
        let argument = u8::try_from(arg.index).ok().filter(|i| usize::from(*i) < ARGUMENTS);
        if argument.is_none() {
            let (at, reason) = (at().index(n).key("index"), format!("no argument {}", arg.index));
            problems.refuse(Code::SECCOMP_INVALID, at, reason, "use a number from 0 to 5");
        }
        let operator = find(OPERATORS, &arg.op);
        if operator.is_none() {
            let at = at().index(n).key("op");
            let problem = match arg.op.as_str() {
                "" => Problem::new(Code::CONFIG_MISSING, at, "the operator is missing"),
                op => unknown(at, "operator", op),
            };
            problems.push(problem.hint(one_of(OPERATORS.iter().map(|(name, _)| *name))));
        }
        if let (Some(argument), Some(operator)) = (argument, operator) {
            let condition = Condition::new(argument, operator, arg.value, arg.value_two);
            twice |= all.set(condition).is_some();
            each.push(condition);
        }
    }
    match each.len() == args.len() {
        false => None,
        true if each.is_empty() => Some(Vec::new()),
        true if twice => Some(each.into_iter().map(Conditions::of).collect()),
        true => Some(vec![all]),
    }
}

/// Who is told of the calls; the outer `None` is a refusal.
fn agent(
    profile: &Seccomp<'_>,
    notifies: bool,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Option<Agent>> {
    let path = profile.listener_path.as_str();
    if path.is_empty() && !profile.listener_metadata.is_empty() {
        let reason = "there is metadata for a seccomp agent, but no agent";
        let hint = "set listenerPath, or remove listenerMetadata";
        problems.refuse(Code::SECCOMP_INVALID, at.key("listenerMetadata"), reason, hint);
        return None;
    }
    if path.len() > SOCKET_PATH {
        let reason = format!("the path has {} bytes", path.len());
        let hint = format!("the address of a socket holds {SOCKET_PATH}; use a shorter path");
        problems.refuse(Code::SECCOMP_INVALID, at.key("listenerPath"), reason, hint);
        return None;
    }
    if !notifies {
        return Some(None);
    }
    if path.is_empty() {
        let reason = "SCMP_ACT_NOTIFY is used, but no seccomp agent is named";
        let hint = "set it to the socket of the agent";
        problems.refuse(Code::CONFIG_MISSING, at.key("listenerPath"), reason, hint);
        return None;
    }
    let metadata = profile.listener_metadata.as_str().to_owned();
    Some(Some(Agent { listener_path: path.to_owned(), metadata }))
}

/// Whether calls that are newer than the profile get the default action, not `ENOSYS`: when it
/// lets them through, or leaves them to a tracer or an agent, who know best.
pub(super) fn welcomes_new_calls(default: u32) -> bool {
    use super::names::{ALLOW, LOG};
    matches!(default & ACTION_MASK, ALLOW | LOG | TRACE | NOTIFY)
}

/// What a program built for a newer kernel expects of an older one.
pub(super) const NO_SUCH_CALL: u32 = ERRNO | libc::ENOSYS as u32;
