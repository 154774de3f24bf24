//! Profiles, the programs made of them, and what these answer.

#[cfg(target_env = "gnu")]
mod load;
mod machine;
#[cfg(target_env = "gnu")]
mod oracle;
mod profiles;
#[cfg(target_env = "gnu")]
mod sys;

use super::abi::{ARM, Family, X86};
use super::{Filter, plan_for};
use crate::config::Seccomp;
use crate::error::{Pointer, Problem, Problems};
use machine::{Data, assert_accepted, run};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

/// What an engine writes for its default profile.
pub(super) fn docker() -> String {
    let text = include_str!("../../../../../bundles/docker/config.json");
    let config: serde_json::Value = serde_json::from_str(text).unwrap();
    config["linux"]["seccomp"].to_string()
}

fn compile(family: &Family, profile: &str) -> Result<Option<Filter>, Vec<Problem>> {
    let profile: Seccomp<'_> = serde_json::from_str(profile).unwrap();
    let mut problems = Problems::default();
    let filter = plan_for(family, &profile, &Pointer::from("/linux/seccomp"), &mut problems);
    match filter {
        Some(filter) => {
            assert!(!problems.refused());
            assert_accepted(&filter.program);
            Ok(Some(filter))
        }
        None if problems.list().is_empty() => Ok(None),
        None => Err(problems.list().to_vec()),
    }
}

fn answer(filter: &Filter, arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    run(&filter.program, &Data { number, arch, arguments }).0
}

#[test]
fn the_default_profile_of_an_engine() {
    let filter = compile(&X86, &docker()).unwrap().unwrap();
    assert_eq!(answer(&filter, X86_64, 0, [0; 6]), libc::SECCOMP_RET_ALLOW);
    assert_eq!(answer(&filter, I386, 3, [0; 6]), libc::SECCOMP_RET_ALLOW);
    assert!(filter.program.len() < 350, "{} instructions", filter.program.len());
    let steps = |n| run(&filter.program, &Data { number: n, arch: X86_64, ..Data::default() }).1;
    let sum: usize = (0..470).map(steps).sum();
    assert!(sum < 6000, "{sum} steps for all numbers");
}

#[test]
fn a_profile_for_arm() {
    let filter = compile(&ARM, &docker()).unwrap().unwrap();
    assert_eq!(answer(&filter, 0xc000_00b7, 56, [0; 6]), libc::SECCOMP_RET_ALLOW);
    assert_eq!(answer(&filter, X86_64, 0, [0; 6]), libc::SECCOMP_RET_KILL_THREAD);
}
