//! `linux.memoryPolicy`, see set_mempolicy(2).

use super::{named, names, numbers};
use crate::config::MemoryPolicy;
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::{Bytes, Op};

const DEFAULT: i32 = 0;
const PREFERRED: i32 = 1;
const BIND: i32 = 2;
const LOCAL: i32 = 4;
const PREFERRED_MANY: i32 = 5;

/// The modes, by their names in the specification.
pub const MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", DEFAULT),
    ("MPOL_PREFERRED", PREFERRED),
    ("MPOL_BIND", BIND),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", LOCAL),
    ("MPOL_PREFERRED_MANY", PREFERRED_MANY),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const NUMA_BALANCING: i32 = 1 << 13;
const RELATIVE_NODES: i32 = 1 << 14;
const STATIC_NODES: i32 = 1 << 15;

/// The flags, by their names in the specification.
pub const FLAGS: [(&str, i32); 3] = [
    ("MPOL_F_NUMA_BALANCING", NUMA_BALANCING),
    ("MPOL_F_RELATIVE_NODES", RELATIVE_NODES),
    ("MPOL_F_STATIC_NODES", STATIC_NODES),
];

/// As many nodes as a kernel can be built for.
const MOST_NODES: usize = 1024;

/// Appends the step. A combination that set_mempolicy(2) would answer with no more than "invalid
/// argument" is refused here, where it can be said which value is wrong.
pub fn plan(given: &MemoryPolicy<'_>, at: &Pointer, steps: &mut Steps, problems: &mut Problems) {
    let before = problems.list().len();
    let mut refuse = |at: Pointer, reason: String, hint: String| {
        problems.refuse(Code::SCHEDULING, at, reason, hint);
    };
    let mode = named(&MODES, &given.mode);
    if mode.is_none() {
        let reason = match &*given.mode {
            "" => "a memory policy without a mode".to_owned(),
            mode => format!("unknown memory policy {mode:?}"),
        };
        refuse(at.key("mode"), reason, names(&MODES));
    }
    let mut flags = 0;
    for (n, flag) in given.flags.iter().enumerate() {
        match named(&FLAGS, flag) {
            Some(bit) => flags |= bit,
            None => {
                let reason = format!("unknown memory policy flag {:?}", &**flag);
                refuse(at.key("flags").index(n), reason, names(&FLAGS));
            }
        }
    }
    let how_nodes_count = STATIC_NODES | RELATIVE_NODES;
    if flags & how_nodes_count == how_nodes_count {
        let reason = "nodes cannot be static and relative".to_owned();
        refuse(at.key("flags"), reason, "keep one of the two flags".into());
    }
    let mut nodes = Vec::new();
    let listed = !given.nodes.trim().is_empty();
    if listed {
        match numbers::mask(&given.nodes, MOST_NODES) {
            Ok(mask) => nodes = mask,
            Err(reason) => refuse(at.key("nodes"), reason, "nodes such as \"0-1,3\"".into()),
        }
    }
    if let Some(mode) = mode {
        let name = &*given.mode;
        match mode {
            DEFAULT | LOCAL if listed => {
                refuse(at.key("nodes"), format!("{name} has no nodes"), "leave nodes empty".into());
            }
            DEFAULT | LOCAL | PREFERRED => {}
            _ if !listed => {
                refuse(at.key("nodes"), format!("{name} needs nodes"), "such as \"0-1,3\"".into());
            }
            _ => {}
        }
        let balanced = matches!(mode, BIND | PREFERRED_MANY);
        if flags & NUMA_BALANCING != 0 && !balanced {
            let reason = format!("MPOL_F_NUMA_BALANCING has no meaning for {name}");
            refuse(at.key("flags"), reason, "use MPOL_BIND or MPOL_PREFERRED_MANY".into());
        }
        if flags & how_nodes_count != 0 && !listed {
            let reason = "a flag about nodes, and no nodes".to_owned();
            refuse(at.key("flags"), reason, "leave it out, or list nodes".into());
        }
    }
    let (Some(mode), true) = (mode, problems.list().len() == before) else { return };
    steps.push(&Op::MemoryPolicy { mode: mode | flags, nodes: Bytes(&nodes) }, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn policies_and_what_does_not_go_together() {
        let word = |n: u64| n.to_ne_bytes().to_vec();
        type Row<'a> = (&'a str, Option<(i32, Vec<u8>)>, &'a [&'a str]);
        let table: [Row<'_>; 14] = [
            (r#"{"mode":"MPOL_DEFAULT"}"#, Some((0, vec![])), &[]),
            (r#"{"mode":"MPOL_LOCAL","nodes":""}"#, Some((4, vec![])), &[]),
            (r#"{"mode":"MPOL_PREFERRED"}"#, Some((1, vec![])), &[]),
            (
                r#"{"mode":"MPOL_BIND","nodes":"0-1","flags":["MPOL_F_STATIC_NODES","MPOL_F_NUMA_BALANCING"]}"#,
                Some((2 | 1 << 15 | 1 << 13, word(3))),
                &[],
            ),
            (r#"{"mode":"MPOL_WEIGHTED_INTERLEAVE","nodes":"0"}"#, Some((6, word(1))), &[]),
            ("{}", None, &["/m/mode"]),
            (
                r#"{"mode":"BIND","nodes":"x","flags":["y"]}"#,
                None,
                &["/m/mode", "/m/flags/0", "/m/nodes"],
            ),
            (r#"{"mode":"MPOL_BIND"}"#, None, &["/m/nodes"]),
            (r#"{"mode":"MPOL_INTERLEAVE","nodes":" "}"#, None, &["/m/nodes"]),
            (r#"{"mode":"MPOL_LOCAL","nodes":"0"}"#, None, &["/m/nodes"]),
            (r#"{"mode":"MPOL_BIND","nodes":"1024"}"#, None, &["/m/nodes"]),
            (r#"{"mode":"MPOL_PREFERRED","flags":["MPOL_F_RELATIVE_NODES"]}"#, None, &["/m/flags"]),
            (
                r#"{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_RELATIVE_NODES","MPOL_F_STATIC_NODES"]}"#,
                None,
                &["/m/flags"],
            ),
            (
                r#"{"mode":"MPOL_INTERLEAVE","nodes":"0","flags":["MPOL_F_NUMA_BALANCING"]}"#,
                None,
                &["/m/flags"],
            ),
        ];
        for (text, expected, at) in table {
            let text = format!(r#"{{"linux":{{"memoryPolicy":{text}}}}}"#);
            let config = config::parse(text.as_bytes()).unwrap();
            let policy = config.linux.unwrap().memory_policy.unwrap();
            let (mut steps, mut problems) = (Steps::new(), Problems::default());
            plan(&policy, &"/m".into(), &mut steps, &mut problems);
            let found: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
            assert_eq!(found, at, "{text}");
            let planned = match steps.get(0) {
                Some((Op::MemoryPolicy { mode, nodes }, _)) => Some((mode, nodes.0.to_vec())),
                _ => None,
            };
            assert_eq!(planned, expected, "{text}");
        }
    }
}
