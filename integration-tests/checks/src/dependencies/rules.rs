//! The rules themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::graph::Graph;
use super::policy::{Deny, Lock, Policy};
use crate::licence;

/// Holds everything against every rule.
pub fn all(deny: &Deny, own: &Policy, lock: &Lock, graph: &Graph) -> Vec<Finding> {
    vec![
        Finding { name: "licences", problems: licences(deny, graph) },
        Finding { name: "sources", problems: sources(lock) },
        Finding { name: "bans", problems: bans(deny, graph) },
        Finding { name: "one version of each", problems: duplicates(deny, graph) },
        Finding { name: "what the runtime links", problems: runtime(own, graph) },
        Finding { name: "advisories of the checked-in list", problems: advisories(own, lock) },
    ]
}

fn licences(deny: &Deny, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for package in &graph.packages {
        let verdict = match &package.license {
            Some(text) => licence::is_met(text, &deny.licenses.allow),
            None => Err("no licence stated".to_owned()),
        };
        let stated = package.license.as_deref().unwrap_or_default();
        match verdict {
            Ok(true) => {}
            Ok(false) => problems.push(format!(
                "{} {}: {stated} is not allowed by deny.toml [licenses]",
                package.name, package.version
            )),
            Err(why) => problems.push(format!("{} {}: {why}", package.name, package.version)),
        }
    }
    problems
}

fn sources(lock: &Lock) -> Vec<String> {
    let mut problems = Vec::new();
    for package in &lock.package {
        let Some(source) = &package.source else { continue };
        if !source.starts_with("registry+") || !source.ends_with("/crates.io-index") {
            problems.push(format!(
                "{} comes from {source}, not from the default registry",
                package.name
            ));
        } else if package.checksum.is_none() {
            problems.push(format!("{} has no checksum in Cargo.lock", package.name));
        }
    }
    problems
}

fn bans(deny: &Deny, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for ban in &deny.bans.deny {
        for user in graph.users_of(&ban.name) {
            if !ban.wrappers.iter().any(|w| w == user) {
                problems.push(format!("{user} uses {}: {}", ban.name, ban.reason));
            }
        }
    }
    problems
}

fn duplicates(deny: &Deny, graph: &Graph) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &graph.packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.retain(|_, all| all.len() > 1);
    // `name@version` or a bare name, as in cargo-deny.
    let skipped = |name: &str| {
        deny.bans.skip.iter().any(|s| s.name.split('@').next().unwrap_or_default() == name)
    };
    let mut problems: Vec<String> = versions
        .iter()
        .filter(|(name, _)| !skipped(name))
        .map(|(name, all)| {
            let all: Vec<&str> = all.iter().copied().collect();
            format!("{name} is there as {}", all.join(" and "))
        })
        .collect();
    for skip in &deny.bans.skip {
        let name = skip.name.split('@').next().unwrap_or_default();
        if !versions.contains_key(name) {
            problems.push(format!("{name} is there once: take it out of deny.toml [bans] skip"));
        }
    }
    problems
}

fn runtime(own: &Policy, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for root in &own.runtime.packages {
        let linked = graph.linked_into(root);
        if linked.is_empty() {
            problems
                .push(format!("policy.toml [runtime] names {root}, which is not in the workspace"));
        }
        for never in &own.runtime.never {
            if let Some(way) = linked.get(never.as_str()) {
                problems.push(format!("{never} must not reach the runtime: {}", way.join(" -> ")));
            }
        }
    }
    problems
}

fn advisories(own: &Policy, lock: &Lock) -> Vec<String> {
    let mut problems = Vec::new();
    for package in &lock.package {
        for advisory in &own.advisories.list {
            if advisory.hits(&package.name, &package.version) {
                let fixed: Vec<String> = advisory.patched.iter().map(ToString::to_string).collect();
                problems.push(format!(
                    "{} {}: {} (take {})",
                    package.name,
                    package.version,
                    advisory.id,
                    if fixed.is_empty() {
                        "another package".to_owned()
                    } else {
                        fixed.join(" or ")
                    }
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [graph]
        targets = []
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [{ crate = "big", reason = "too big", wrappers = ["tool"] }]
        skip = [{ crate = "twice@1.0.0" }]
    "#;
    const POLICY: &str = r#"
        [runtime]
        packages = ["app"]
        never = ["zip"]
        [advisories]
        list = [{ id = "X-1", crate = "lib", patched = [">=1.2.3"], unaffected = ["<1.0.0"] }]
    "#;

    fn package(name: &str, version: &str, licence: &str) -> serde_json::Value {
        serde_json::json!({"id": format!("{name} {version}"), "name": name, "version": version, "license": licence})
    }

    /// A graph from its packages and its edges (from, to, kind).
    fn graph(packages: &[serde_json::Value], edges: &[(&str, &str, Option<&str>)]) -> Graph {
        let nodes: Vec<_> = packages
            .iter()
            .map(|p| {
                let deps: Vec<_> = edges
                    .iter()
                    .filter(|e| p["id"] == e.0)
                    .map(|e| serde_json::json!({"pkg": e.1, "dep_kinds": [{"kind": e.2}]}))
                    .collect();
                serde_json::json!({"id": p["id"], "deps": deps})
            })
            .collect();
        let all = serde_json::json!({"packages": packages, "resolve": {"nodes": nodes}});
        Graph::parse(all.to_string().as_bytes()).unwrap()
    }

    fn lock(lines: &str) -> Lock {
        toml::from_str(lines).unwrap()
    }

    #[test]
    fn licences_must_be_stated_and_allowed() {
        let deny = toml::from_str(DENY).unwrap();
        let mut silent = package("silent", "1.0.0", "");
        silent["license"] = serde_json::Value::Null;
        let graph = graph(
            &[package("good", "1.0.0", "MIT OR GPL"), package("bad", "1.0.0", "GPL"), silent],
            &[],
        );
        let problems = licences(&deny, &graph);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("bad 1.0.0: GPL"), "{problems:?}");
        assert!(problems[1].starts_with("silent 1.0.0: no licence"), "{problems:?}");
    }

    #[test]
    fn only_the_default_registry_is_a_source() {
        let lock = lock(
            r#"
            package = [
                { name = "own", version = "1.0.0" },
                { name = "good", version = "1.0.0", source = "registry+https://example/crates.io-index", checksum = "00" },
                { name = "git", version = "1.0.0", source = "git+https://example/x#1" },
                { name = "unsure", version = "1.0.0", source = "registry+https://example/crates.io-index" },
            ]"#,
        );
        let problems = sources(&lock);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("git comes from") && problems[1].starts_with("unsure has no")
        );
    }

    #[test]
    fn a_banned_package_may_have_named_users_only() {
        let deny = toml::from_str(DENY).unwrap();
        let packages = [
            package("app", "1.0.0", "MIT"),
            package("tool", "1.0.0", "MIT"),
            package("big", "1.0.0", "MIT"),
        ];
        let graph = graph(
            &packages,
            &[("app 1.0.0", "big 1.0.0", None), ("tool 1.0.0", "big 1.0.0", None)],
        );
        assert_eq!(bans(&deny, &graph), ["app uses big: too big"]);
    }

    #[test]
    fn two_versions_need_a_skip_and_a_skip_needs_two_versions() {
        let deny = toml::from_str(DENY).unwrap();
        let two = |name: &str| [package(name, "1.0.0", "MIT"), package(name, "2.0.0", "MIT")];
        assert_eq!(duplicates(&deny, &graph(&two("twice"), &[])), [] as [&str; 0]);
        let problems = duplicates(&deny, &graph(&two("other"), &[]));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0], "other is there as 1.0.0 and 2.0.0");
    }

    #[test]
    fn the_runtime_is_seen_through_other_packages_but_not_through_tests() {
        let own = toml::from_str(POLICY).unwrap();
        let packages = [
            package("app", "1.0.0", "MIT"),
            package("mid", "1.0.0", "MIT"),
            package("zip", "1.0.0", "MIT"),
        ];
        let linked = |kind| [("app 1.0.0", "mid 1.0.0", kind), ("mid 1.0.0", "zip 1.0.0", None)];
        let problems = runtime(&own, &graph(&packages, &linked(None)));
        assert_eq!(problems, ["zip must not reach the runtime: app -> mid -> zip"]);
        assert_eq!(runtime(&own, &graph(&packages, &linked(Some("dev")))), [] as [&str; 0]);
        assert_eq!(
            runtime(&own, &graph(&[], &[])).len(),
            1,
            "a root that is not there is a mistake"
        );
    }

    #[test]
    fn advisories_spare_patched_and_unaffected_versions() {
        let own = toml::from_str(POLICY).unwrap();
        for (version, hit) in
            [("0.9.0", false), ("1.0.0", true), ("1.2.2", true), ("1.2.3", false), ("2.0.0", false)]
        {
            let lock = lock(&format!("package = [{{ name = \"lib\", version = \"{version}\" }}]"));
            assert_eq!(advisories(&own, &lock).len(), usize::from(hit), "{version}");
        }
    }
}
