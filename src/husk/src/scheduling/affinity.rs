//! `process.execCPUAffinity`: the CPUs of processes that `exec` adds.

use super::numbers;
use crate::config::Process;
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::{Bytes, Op};

/// More CPUs than any kernel is built for.
const MOST_CPUS: usize = 8192;

/// The masks, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    initial: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
    at: Pointer,
}

impl Affinity {
    /// Reads the lists of the process at `at`; one that is empty is absent.
    pub fn plan(process: &Process<'_>, at: &Pointer, problems: &mut Problems) -> Self {
        let Some(given) = &process.exec_cpu_affinity else { return Self::default() };
        let at = at.key("execCPUAffinity");
        let mut read = |key: &str, list: &str| {
            if list.is_empty() {
                return None;
            }
            numbers::mask(list, MOST_CPUS)
                .map_err(|reason| {
                    let at = at.key(key);
                    problems.refuse(Code::SCHEDULING, at, reason, "CPUs such as \"0-3,7\"");
                })
                .ok()
        };
        let initial = read("initial", &given.initial);
        let last = read("final", &given.last);
        Self { initial, last, at }
    }

    /// Appends the CPUs of the process until it is in the container's cgroup. Without a list these
    /// are all, whatever the caller was bound to.
    pub fn initial_steps(&self, steps: &mut Steps) {
        match &self.initial {
            Some(mask) => steps.push(&Op::Cpus { mask: Bytes(mask) }, self.at.key("initial")),
            None => steps.push(&Op::AllCpus {}, ""),
        }
    }

    /// Appends the CPUs of the process once it is there. Without a list the kernel decides.
    pub fn final_steps(&self, steps: &mut Steps) {
        if let Some(mask) = &self.last {
            steps.push(&Op::Cpus { mask: Bytes(mask) }, self.at.key("final"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn plan(text: &str) -> (Vec<String>, Vec<String>) {
        let process = config::parse_process(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let affinity = Affinity::plan(&process, &"/process".into(), &mut problems);
        let mut steps = Steps::new();
        affinity.initial_steps(&mut steps);
        affinity.final_steps(&mut steps);
        (
            problems.list().iter().map(|p| p.pointer.to_string()).collect(),
            steps.iter().map(|(op, at)| format!("{}{at}", op.name())).collect(),
        )
    }

    #[test]
    fn each_list_has_its_step() {
        for (text, expected) in [
            ("{}", vec!["AllCpus"]),
            (r#"{"execCPUAffinity":{}}"#, vec!["AllCpus"]),
            (
                r#"{"execCPUAffinity":{"initial":"0"}}"#,
                vec!["Cpus/process/execCPUAffinity/initial"],
            ),
            (
                r#"{"execCPUAffinity":{"final":"0-1"}}"#,
                vec!["AllCpus", "Cpus/process/execCPUAffinity/final"],
            ),
        ] {
            let (problems, steps) = plan(text);
            assert_eq!(
                (problems, steps),
                (vec![], expected.iter().map(|s| s.to_string()).collect())
            );
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        let (problems, _) = plan(r#"{"execCPUAffinity":{"initial":"x","final":"8192"}}"#);
        assert_eq!(
            problems,
            ["/process/execCPUAffinity/initial", "/process/execCPUAffinity/final"]
        );
    }
}
