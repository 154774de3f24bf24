//! The same answers as libseccomp, used as runc uses it.
//!
//! libseccomp decides on names, numbers and conditions; what runc puts around it (rules that
//! repeat the default are skipped, two conditions on one argument become two rules, `ENOSYS`
//! above the newest call) is done here as documented in `docs/decisions/seccomp-compiler.md`.

use super::machine::{Data, run};
use super::sys::{ArgCmp, Library};
use super::{compile, docker};
use crate::config::{Seccomp, SeccompArg};
use crate::seccomp::Instruction;
use crate::seccomp::abi::{ARM, Family, Width, X32_BIT, X86};
use crate::seccomp::calls::{Multiplexed, PRIVATE};
use crate::seccomp::names::{self, ACTIONS, Errno, OPERATORS, Operator};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// The library's own token for x32, which shares x86-64's `AUDIT_ARCH_…`.
const X32_TOKEN: u32 = 0x4000_003e;
const NATIVE_TOKEN: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

fn token(name: &str) -> Option<u32> {
    let abis = X86.abis.iter().chain(ARM.abis);
    let abi = abis.into_iter().find(|abi| abi.name == name)?;
    Some(if abi.offset == X32_BIT { X32_TOKEN } else { abi.audit })
}

/// The kernel's return value of an action.
fn action(name: &str, errno: Option<u32>) -> u32 {
    let action = names::find(ACTIONS, name).unwrap();
    action.value | if action.errno == Errno::None { 0 } else { errno.unwrap_or(1) }
}

/// What libseccomp calls the operator.
fn operator(name: &str) -> i32 {
    match names::find(OPERATORS, name).unwrap() {
        Operator::NotEqual => 1,
        Operator::Less => 2,
        Operator::LessEqual => 3,
        Operator::Equal => 4,
        Operator::GreaterEqual => 5,
        Operator::Greater => 6,
        Operator::MaskedEqual => 7,
    }
}

/// libseccomp's program for a profile, and the newest number by token.
struct Oracle {
    program: Vec<Instruction>,
    default: u32,
    newest: Vec<(u32, u32)>,
    /// Numbers that have a rule but do not count as the newest: `AUDIT_ARCH_…` and number.
    uncounted: BTreeSet<(u32, u32)>,
}

impl Oracle {
    /// An error is libseccomp's refusal of a rule.
    fn new(library: Library, family: &Family, profile: &Seccomp<'_>) -> Result<Self, i32> {
        let default = action(&profile.default_action, profile.default_errno_ret);
        let filter = library.filter(default);
        let native = token(family.abis[0].name).unwrap();
        let mut tokens = vec![native];
        for name in &profile.architectures {
            let token = token(name).unwrap();
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        for token in &tokens {
            filter.add_architecture(*token);
        }
        if native != NATIVE_TOKEN {
            filter.remove_architecture(NATIVE_TOKEN);
        }
        let mut newest: Vec<(u32, u32)> = tokens.iter().map(|token| (*token, 0)).collect();
        let mut uncounted = BTreeSet::new();
        for rule in &profile.syscalls {
            let action = action(&rule.action, rule.errno_ret);
            let args = rule.args.iter().map(|arg| ArgCmp {
                arg: arg.index,
                op: operator(&arg.op),
                a: arg.value,
                b: arg.value_two,
            });
            let args: Vec<ArgCmp> = args.collect();
            let twice = args.iter().map(|a| a.arg).collect::<BTreeSet<_>>().len() < args.len();
            for name in &rule.names {
                for (token, newest) in &mut newest {
                    let number = library.number(*token, name);
                    // Private calls of ARM have no age.
                    if number >= 0 && number & 0xf_0000 != 0xf_0000 {
                        *newest = (*newest).max(number as u32);
                    }
                }
                uncounted.extend(uncounted_numbers(family, name).filter(|_| action != default));
                let number = library.number(NATIVE_TOKEN, name);
                if action == default || number == -1 {
                    continue;
                }
                let lists = if twice { args.chunks(1) } else { args.chunks(6) };
                let lists: Vec<&[ArgCmp]> =
                    if args.is_empty() { vec![&[][..]] } else { lists.collect() };
                for args in lists {
                    match filter.add_rule(action, number, args) {
                        0 => {}
                        error => return Err(error),
                    }
                }
            }
        }
        Ok(Self { program: filter.program(), default, newest, uncounted })
    }

    fn answer(&self, data: &Data) -> u32 {
        let below = run(&self.program, data).0;
        let permissive = [names::ALLOW, names::LOG, names::TRACE, names::NOTIFY];
        if permissive.contains(&(self.default & names::ACTION_MASK)) {
            return below;
        }
        let x32 = data.arch == 0xc000_003e && data.number & X32_BIT != 0;
        let token = if x32 { X32_TOKEN } else { data.arch };
        let newest = self.newest.iter().find(|(t, _)| *t == token).map_or(0, |(_, newest)| *newest);
        // A rule decides even where its number is not counted as the newest.
        let uncounted = self.uncounted.contains(&(data.arch, data.number));
        if newest > 0 && data.number > newest && !uncounted {
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32
        } else {
            below
        }
    }
}

/// The numbers of 32-bit x86 behind which a multiplexed call hides, and the private ones of ARM.
fn uncounted_numbers(family: &Family, name: &str) -> impl Iterator<Item = (u32, u32)> {
    let call = family.calls.find(name);
    let multiplexed = call.filter(|call| call.multiplexed().is_some());
    let direct = multiplexed.and_then(|call| call.number(1)).map(u32::from);
    let multiplexer = multiplexed.and_then(|call| call.multiplexed()).map(|by| match by {
        Multiplexed::Socketcall(_) => 102,
        Multiplexed::Ipc(_) => 117,
    });
    let private = call.and_then(|call| call.number(1)).filter(|n| n & 0x8000 != 0);
    let private = private.map(|n| 0xf_0000 | u32::from(n & 0x7fff));
    let abi = family.abis[1].audit;
    multiplexer.into_iter().chain(direct).chain(private).map(move |number| (abi, number))
}

/// Every number that could matter.
fn numbers() -> impl Iterator<Item = u32> + Clone {
    let regular = (0..1024).chain([0x1fff, 0xffff]);
    let private = 0xe_fffe..0xf_0020;
    let edges = [0, X32_BIT, 1 << 31, (1 << 31) | X32_BIT].into_iter();
    let edges =
        edges.flat_map(|edge: u32| (0..4).map(move |n| edge.wrapping_sub(2).wrapping_add(n)));
    regular.chain(private).chain(edges).chain((0..1024).map(|n| n | X32_BIT)).chain([
        X32_BIT | 0xffff,
        0x8000_0010,
        0xc000_0010,
        u32::MAX - 1,
        u32::MAX,
    ])
}

/// Values about everything that the profile compares with.
fn values(profile: &Seccomp<'_>) -> Vec<u64> {
    let mut values = BTreeSet::from([0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX]);
    for arg in profile.syscalls.iter().flat_map(|rule| rule.args.iter()) {
        for value in [arg.value, arg.value_two, arg.value & arg.value_two, !arg.value] {
            values.extend([
                value,
                value.wrapping_sub(1),
                value.wrapping_add(1),
                value ^ (1 << 32),
                value ^ (1 << 63),
                value.wrapping_add(1 << 32),
                value.wrapping_sub(1 << 32),
                value & u64::from(u32::MAX),
            ]);
        }
    }
    values.into_iter().collect()
}

/// Arguments about everything that the profile compares with.
fn vectors(profile: &Seccomp<'_>) -> Vec<[u64; 6]> {
    let values = values(profile);
    let used: BTreeSet<u32> =
        profile.syscalls.iter().flat_map(|r| r.args.iter().map(|a| a.index)).collect();
    let mut vectors = vec![[0; 6], [u64::MAX; 6]];
    for index in used {
        for value in &values {
            for other in [0, *value, values[values.len() / 2]] {
                let mut arguments = [other; 6];
                arguments[index as usize] = *value;
                vectors.push(arguments);
            }
        }
    }
    // A sample, spread over all of them.
    let step = vectors.len() / 64 + 1;
    let mut vectors: Vec<[u64; 6]> = vectors.into_iter().step_by(step).collect();
    // The operations of the multiplexers.
    vectors.extend((0..32).map(|n| [n, 0, 0, 0, 0, 0]));
    vectors
}

/// Compares all answers; the differences, a line each.
fn differences(
    family: &Family,
    profile: &Seccomp<'_>,
    oracle: &Oracle,
    program: &[Instruction],
    numbers: impl Iterator<Item = u32> + Clone,
) -> Vec<String> {
    let vectors = vectors(profile);
    let archs: BTreeSet<u32> = family.abis.iter().map(|abi| abi.audit).chain([0, 0x28]).collect();
    let mut found = Vec::new();
    for arch in archs {
        for number in numbers.clone() {
            // Numbers without a name have no conditions.
            let named = number & !X32_BIT < 600 || number & 0xf_0000 != 0;
            for arguments in vectors.iter().take(if named { usize::MAX } else { 2 }) {
                let data = Data { number, arch, arguments: *arguments };
                let (ours, theirs) = (run(program, &data).0, oracle.answer(&data));
                if ours != theirs {
                    found.push(format!("{data:x?}: {ours:#x}, libseccomp {theirs:#x}"));
                    break;
                }
            }
        }
    }
    found
}

/// Whether this version of the library knows the call for all ABIs that have it.
fn knows(library: Library, family: &Family, name: &str) -> bool {
    let Some(call) = family.calls.find(name) else {
        return library.number(NATIVE_TOKEN, name) != -1;
    };
    library.number(NATIVE_TOKEN, name) != -1
        && family.abis.iter().enumerate().all(|(column, abi)| {
            let theirs = library.number(token(abi.name).unwrap(), name);
            call.number(column).is_none_or(|n| n < NEW_IN_2_5_4 || theirs > 0)
        })
}

/// Calls from this number on are newer than the oldest library that the tests are run with.
const NEW_IN_2_5_4: u16 = 451;

/// The profile without the calls that are newer than the library.
fn known(library: Library, family: &Family, profile: &str) -> Json {
    let mut profile: Json = serde_json::from_str(profile).unwrap();
    for rule in profile["syscalls"].as_array_mut().unwrap() {
        let names = rule["names"].as_array_mut().unwrap();
        names.retain(|name| knows(library, family, name.as_str().unwrap()));
    }
    profile
}

fn assert_same(library: Library, family: &Family, profile: &Json) {
    let text = profile.to_string();
    let profile: Seccomp<'_> = serde_json::from_str(&text).unwrap();
    let oracle = Oracle::new(library, family, &profile).unwrap();
    let filter = compile(family, &text).unwrap().unwrap();
    let found = differences(family, &profile, &oracle, &filter.program, numbers());
    assert!(
        found.is_empty(),
        "{} differences:\n{}\n{text}",
        found.len(),
        found[..found.len().min(20)].join("\n")
    );
}

#[test]
fn the_numbers_are_those_of_libseccomp() {
    let library = Library::load();
    let mut known = 0;
    for family in [&X86, &ARM] {
        for name in family.calls.names() {
            let call = family.calls.find(name).unwrap();
            if call.multiplexed().is_some() || !knows(library, family, name) {
                continue;
            }
            for (column, abi) in family.abis.iter().enumerate() {
                let theirs = library.number(token(abi.name).unwrap(), name);
                let ours = call.number(column).map(|n| match n & 0x8000 {
                    0 => u32::from(n) + abi.offset,
                    _ => u32::from(n & 0x7fff) + abi.private,
                });
                assert_eq!(ours, u32::try_from(theirs).ok(), "{name} of {}", abi.name);
                known += 1;
            }
        }
    }
    assert!(known > 2000, "{known} numbers compared");
}

#[test]
fn an_engines_profile_gives_the_same_answers() {
    let library = Library::load();
    let mut profile = known(library, &X86, &docker());
    assert_same(library, &X86, &profile);
    for architectures in [&[][..], &["SCMP_ARCH_X86"], &["SCMP_ARCH_X32"]] {
        profile["architectures"] = json!(architectures);
        for default in ["SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS"] {
            profile["defaultAction"] = default.into();
            profile.as_object_mut().unwrap().remove("defaultErrnoRet");
            assert_same(library, &X86, &profile);
        }
    }
    let mut profile = known(library, &ARM, &docker());
    for architectures in [&[][..], &["SCMP_ARCH_ARM"]] {
        profile["architectures"] = json!(architectures);
        assert_same(library, &ARM, &profile);
    }
}

/// Calls with another number in x32, only in 32-bit ABIs, private to ARM, or of no ABI at all.
const NAMES: &[&str] = &[
    "read",
    "openat",
    "personality",
    "clone",
    "ioctl",
    "execve",
    "preadv2",
    "mmap2",
    "_llseek",
    "set_tls",
    "statx",
    "nosuchcall",
];

/// Calls that are one number for 32-bit x86.
const MULTIPLEXED: &[&str] = &["socket", "bind", "accept4", "shmat", "semop", "socketcall", "ipc"];

const ACTIONS_MIXED: &[&str] = &["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_LOG"];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..6,
        Just(u64::from(u32::MAX)),
        Just(u64::MAX),
        (0_u64..3, 0_u64..4).prop_map(|(high, low)| high << 32 | low),
        any::<u64>(),
    ]
}

/// Conditions; `repeat` allows two on one argument.
fn args(operators: &'static [&'static str], repeat: bool) -> impl Strategy<Value = Json> {
    let index = prop_oneof![3 => Just(0_u32), 2 => Just(1), 1 => 2_u32..6];
    let arg = (index, 0..operators.len(), value(), value()).prop_map(move |(index, op, a, b)| {
        json!({ "index": index, "op": operators[op], "value": a, "valueTwo": b })
    });
    let arg = arg.boxed();
    let several = prop_oneof![1 => Just(0..1_usize), 3 => Just(1..2), 2 => Just(1..4)];
    several.prop_flat_map(move |count| proptest::collection::vec(arg.clone(), count)).prop_map(
        move |mut args| {
            let mut seen = BTreeSet::new();
            args.retain(|arg| seen.insert(arg["index"].as_u64()) || repeat);
            args.into()
        },
    )
}

fn operators() -> &'static [&'static str] {
    &[
        "SCMP_CMP_EQ",
        "SCMP_CMP_NE",
        "SCMP_CMP_LT",
        "SCMP_CMP_LE",
        "SCMP_CMP_GT",
        "SCMP_CMP_GE",
        "SCMP_CMP_MASKED_EQ",
    ]
}

/// Rules that share calls, with these operators.
fn rules(operators: &'static [&'static str]) -> impl Strategy<Value = Vec<Json>> {
    let all: Vec<&str> = NAMES.iter().chain(MULTIPLEXED).copied().collect();
    let names = proptest::collection::vec(proptest::sample::select(all), 1..4);
    let rule = (names, proptest::sample::select(ACTIONS_MIXED), args(operators, true));
    let rule = rule.prop_map(
        |(names, action, args)| json!({ "names": names, "action": action, "args": args }),
    );
    proptest::collection::vec(rule, 0..7)
}

/// At most one rule a call, and one for all that are multiplexed, with every operator.
fn rules_alone() -> impl Strategy<Value = Vec<Json>> {
    let names = proptest::sample::subsequence(NAMES, 0..NAMES.len());
    (names, proptest::sample::select(MULTIPLEXED)).prop_flat_map(|(mut names, one)| {
        names.push(one);
        names
            .into_iter()
            .map(|name| {
                let action = proptest::sample::select(ACTIONS_MIXED);
                (action, args(operators(), false)).prop_map(move |(action, args)| {
                    json!({ "names": [name], "action": action, "args": args })
                })
            })
            .collect::<Vec<_>>()
    })
}

/// A profile of these rules. libseccomp 2.5 makes a program without the load of the number when
/// no call of an architecture has an unconditional rule, so there is always one.
fn profile(family: &Family, rules: Vec<Json>, listed: [bool; 2], default: &str) -> Json {
    let others = family.abis.iter().skip(1).zip(listed).filter(|(_, listed)| *listed);
    let mut rules = rules;
    rules.push(json!({ "names": ["getpid"], "action": "SCMP_ACT_TRACE" }));
    json!({
        "defaultAction": default,
        "architectures": others.map(|(abi, _)| abi.name).collect::<Vec<_>>(),
        "syscalls": rules,
    })
}

/// The numbers of the calls named above, their neighbours and the edges.
fn few_numbers(family: &Family) -> Vec<u32> {
    let mut numbers = BTreeSet::from([102, 117, X32_BIT, 1 << 31, 3 << 30, u32::MAX, 0xf_0001]);
    for name in NAMES.iter().chain(MULTIPLEXED) {
        let call = family.calls.find(name);
        for (column, abi) in family.abis.iter().enumerate() {
            if let Some(n) = call.and_then(|call| call.number(column)) {
                let private = 0xf_0000 | u32::from(n & 0xff);
                let n = if n & PRIVATE == 0 { abi.offset + u32::from(n) } else { private };
                numbers.extend([n, n.saturating_sub(1), n + 1]);
            }
        }
    }
    numbers.into_iter().collect()
}

fn default_action() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ALLOW"][..])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn overlapping_equalities_are_decided_as_by_libseccomp(
        rules in rules(&["SCMP_CMP_EQ"]), listed: [bool; 2], default in default_action(),
    ) {
        let library = Library::load();
        for family in [&X86, &ARM] {
            let text = profile(family, rules.clone(), listed, default).to_string();
            let profile: Seccomp<'_> = serde_json::from_str(&text).unwrap();
            let filter = compile(family, &text).unwrap().unwrap();
            // It refuses rules that contradict each other; there is nothing to compare then.
            if let Ok(oracle) = Oracle::new(library, family, &profile) {
                let numbers = few_numbers(family).into_iter();
                let found = differences(family, &profile, &oracle, &filter.program, numbers);
                prop_assert!(found.is_empty(), "{}\n{}", found.join("\n"), text);
            }
        }
    }

    #[test]
    fn every_operator_is_decided_as_by_libseccomp(
        rules in rules_alone(), listed: [bool; 2], default in default_action(),
    ) {
        let library = Library::load();
        for family in [&X86, &ARM] {
            let text = profile(family, rules.clone(), listed, default).to_string();
            let profile: Seccomp<'_> = serde_json::from_str(&text).unwrap();
            let filter = compile(family, &text).unwrap().unwrap();
            let oracle = Oracle::new(library, family, &profile).unwrap();
            let numbers = few_numbers(family).into_iter();
            let found = differences(family, &profile, &oracle, &filter.program, numbers);
            prop_assert!(found.is_empty(), "{}\n{}", found.join("\n"), text);
        }
    }

    #[test]
    fn overlapping_rules_do_what_they_say(
        rules in rules(operators()), listed: [bool; 2], default in default_action(),
    ) {
        for family in [&X86, &ARM] {
            let text = profile(family, rules.clone(), listed, default).to_string();
            let profile: Seccomp<'_> = serde_json::from_str(&text).unwrap();
            let filter = compile(family, &text).unwrap().unwrap();
            for number in few_numbers(family) {
                for arguments in vectors(&profile) {
                    for abi in family.abis {
                        let data = Data { number, arch: abi.audit, arguments };
                        let allowed = said(family, &profile, &data);
                        let answer = run(&filter.program, &data).0;
                        prop_assert!(allowed.contains(&answer), "{data:x?}: {answer:#x}\n{text}");
                    }
                }
            }
        }
    }
}

/// The answers that a reader of the profile may expect: those of the rules that hold, the
/// unconditional one before all others; else the default or what stands for it.
fn said(family: &Family, profile: &Seccomp<'_>, data: &Data) -> Vec<u32> {
    let default = action(&profile.default_action, profile.default_errno_ret);
    let x32 = data.number & X32_BIT != 0 && data.number < 1 << 31;
    let abi = family.abis.iter().position(|abi| {
        abi.audit == data.arch && (abi.offset == 0 || x32) && (abi.offset != 0 || !x32)
    });
    let column = abi.or_else(|| family.abis.iter().position(|abi| abi.audit == data.arch)).unwrap();
    let abi = &family.abis[column];
    let listed = column == 0 || profile.architectures.iter().any(|name| name.as_str() == abi.name);
    let mut holding = BTreeSet::new();
    for rule in profile.syscalls.iter().filter(|_| listed) {
        let answer = action(&rule.action, rule.errno_ret);
        if answer == default {
            continue;
        }
        for call in rule.names.iter().filter_map(|name| family.calls.find(name)) {
            let number = call.number(column).map(|n| match n & PRIVATE {
                0 => u32::from(n) + abi.offset,
                _ => u32::from(n & !PRIVATE) + abi.private,
            });
            let operation = match call.multiplexed().filter(|_| abi.multiplexers.is_some()) {
                Some(Multiplexed::Socketcall(n)) => Some((102, n)),
                Some(Multiplexed::Ipc(n)) => Some((117, n)),
                None => None,
            };
            let wide = abi.width == Width::Bits64;
            let indexes: BTreeSet<u32> = rule.args.iter().map(|arg| arg.index).collect();
            let twice = indexes.len() < rule.args.len();
            let judge = |skip_first: bool| {
                let mut all = rule
                    .args
                    .iter()
                    .map(|arg| (skip_first && arg.index == 0) || holds(arg, &data.arguments, wide));
                if twice { all.any(|holds| holds) } else { all.all(|holds| holds) }
            };
            let direct = number == Some(data.number) && judge(false);
            let through = operation.is_some_and(|(number, n)| {
                number == data.number && data.arguments[0] as u32 == u32::from(n) && judge(true)
            });
            let mut idle = rule.args.iter().map(|arg| {
                let mask = if wide { arg.value } else { arg.value & u64::from(u32::MAX) };
                arg.op.as_str() == "SCMP_CMP_MASKED_EQ" && mask == 0
            });
            let always =
                direct && if twice { idle.any(|idle| idle) } else { idle.all(|idle| idle) };
            if always {
                return vec![answer];
            }
            if direct || through {
                holding.insert(answer);
            }
        }
    }
    if holding.is_empty() {
        // Above the newest call, and for ABIs that are not listed.
        let beyond = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        return vec![default, beyond, libc::SECCOMP_RET_KILL_THREAD];
    }
    holding.into_iter().collect()
}

fn holds(arg: &SeccompArg<'_>, arguments: &[u64; 6], wide: bool) -> bool {
    let seen = if wide { u64::MAX } else { u64::from(u32::MAX) };
    let (argument, value) = (arguments[arg.index as usize] & seen, arg.value & seen);
    match arg.op.as_str() {
        "SCMP_CMP_EQ" => argument == value,
        "SCMP_CMP_NE" => argument != value,
        "SCMP_CMP_LT" => argument < value,
        "SCMP_CMP_LE" => argument <= value,
        "SCMP_CMP_GT" => argument > value,
        "SCMP_CMP_GE" => argument >= value,
        _ => argument & value == arg.value_two & value,
    }
}
