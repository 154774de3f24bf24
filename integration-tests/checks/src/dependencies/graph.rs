//! Which package uses which, as cargo resolves it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// The packages of the workspace and all that they need for the given targets.
#[derive(Deserialize)]
pub struct Graph {
    pub packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize, Clone)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// Absent for an ordinary dependency; else `dev` or `build`.
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo, at first for what it has already, without network.
    pub fn of_workspace(root: &Path, targets: &[String]) -> Result<Self, String> {
        let ask = |offline: &[&str]| {
            let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            command.current_dir(root).args(["metadata", "--format-version=1", "--locked", "-q"]);
            command.args(offline);
            for target in targets {
                command.args(["--filter-platform", target]);
            }
            command.output().map_err(|e| format!("cargo metadata: {e}"))
        };
        let mut answer = ask(&["--offline"])?;
        if !answer.status.success() {
            // A package that only another target needs was never downloaded.
            answer = ask(&[])?;
        }
        if !answer.status.success() {
            let text = String::from_utf8_lossy(&answer.stderr).into_owned();
            return Err(format!("cargo metadata: {text}"));
        }
        Self::parse(&answer.stdout)
    }

    /// Reads what `cargo metadata` prints.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let mut graph: Graph =
            serde_json::from_slice(json).map_err(|e| format!("cargo metadata: {e}"))?;
        // Packages that are there for other targets alone are listed, not resolved.
        let resolved: BTreeSet<&str> = graph.resolve.nodes.iter().map(|n| n.id.as_str()).collect();
        graph.packages.retain(|p| resolved.contains(p.id.as_str()));
        Ok(graph)
    }

    /// Name of each package that directly depends on `name`, in any way.
    pub fn users_of(&self, name: &str) -> BTreeSet<&str> {
        let wanted: BTreeSet<&str> =
            self.packages.iter().filter(|p| p.name == name).map(|p| p.id.as_str()).collect();
        let names = self.names();
        let uses = |n: &&Node| n.deps.iter().any(|d| wanted.contains(d.pkg.as_str()));
        let users = self.resolve.nodes.iter().filter(uses);
        users.filter_map(|n| names.get(n.id.as_str()).copied()).collect()
    }

    /// For each package that ends in the binary of `root`: a way from `root` to it.
    pub fn linked_into(&self, root: &str) -> BTreeMap<&str, Vec<&str>> {
        let names = self.names();
        let edges: BTreeMap<&str, &[Edge]> =
            self.resolve.nodes.iter().map(|n| (n.id.as_str(), n.deps.as_slice())).collect();
        let mut found = BTreeMap::new();
        let mut queue: Vec<(&str, Vec<&str>)> = self
            .packages
            .iter()
            .filter(|p| p.name == root)
            .map(|p| (p.id.as_str(), vec![p.name.as_str()]))
            .collect();
        while let Some((id, way)) = queue.pop() {
            let Some(name) = names.get(id) else { continue };
            if found.contains_key(name) {
                continue;
            }
            found.insert(*name, way.clone());
            for edge in edges.get(id).copied().unwrap_or_default() {
                if edge.dep_kinds.iter().any(|k| k.kind.is_none()) {
                    let next = names.get(edge.pkg.as_str()).copied().unwrap_or_default();
                    let way = way.iter().copied().chain([next]).collect();
                    queue.push((edge.pkg.as_str(), way));
                }
            }
        }
        found
    }

    fn names(&self) -> BTreeMap<&str, &str> {
        self.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect()
    }
}
