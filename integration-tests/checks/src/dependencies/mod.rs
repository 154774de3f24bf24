//! The rules for packages: licences, sources, bans, duplicates, known
//! vulnerabilities, and what must never reach the runtime's binary.
//!
//! Works without network on what cargo already has. Advisories come from the list
//! in `policy.toml`, which is as old as the date in it; `cargo deny check` reads
//! the same `deny.toml` and asks the live database.

mod graph;
mod policy;
mod rules;

use std::path::Path;

/// One rule and what breaks it.
#[derive(Debug)]
pub struct Finding {
    /// The rule's name.
    pub name: &'static str,
    /// One line for each thing that breaks it.
    pub problems: Vec<String>,
}

/// Checks the workspace at `root`.
///
/// # Errors
/// When the rules or the packages cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let deny: policy::Deny = policy::read(&root.join("deny.toml"))?;
    let own: policy::Policy = policy::read(&root.join("integration-tests/checks/policy.toml"))?;
    let lock: policy::Lock = policy::read(&root.join("Cargo.lock"))?;
    let graph = graph::Graph::of_workspace(root, &deny.graph.targets)?;
    Ok(rules::all(&deny, &own, &lock, &graph))
}
