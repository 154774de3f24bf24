//! The seccomp object of config.json.
//!
//! Docker's default profile is kept as data with its conditions; a config.json has
//! no conditions, so they are decided here, for one architecture and one set of
//! capabilities.

use crate::document;
use crate::error::{Context as _, Result};
use crate::refuse;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The data; its `note` says where they come from.
const DOCKER: &str = include_str!("../../data/docker-seccomp.json");

#[derive(Deserialize)]
struct Profile {
    default: DefaultAction,
    architectures: BTreeMap<String, Vec<String>>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct DefaultAction {
    action: String,
    errno: u32,
}

#[derive(Deserialize)]
#[serde(default)]
struct Rule {
    names: Vec<String>,
    action: String,
    errno: Option<u32>,
    args: Vec<Value>,
    caps_any: Vec<String>,
    caps_none: Vec<String>,
    arch_any: Vec<String>,
    arch_none: Vec<String>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            action: "SCMP_ACT_ALLOW".into(),
            errno: None,
            args: Vec::new(),
            caps_any: Vec::new(),
            caps_none: Vec::new(),
            arch_any: Vec::new(),
            arch_none: Vec::new(),
        }
    }
}

impl Rule {
    fn holds(&self, architecture: &str, capabilities: &[&str]) -> bool {
        let has = |list: &[String]| list.iter().any(|cap| capabilities.contains(&cap.as_str()));
        let is = |list: &[String]| list.iter().any(|arch| arch == architecture);
        (self.caps_any.is_empty() || has(&self.caps_any))
            && !has(&self.caps_none)
            && (self.arch_any.is_empty() || is(&self.arch_any))
            && !is(&self.arch_none)
    }

    fn value(self) -> Value {
        let mut out = json!({ "names": self.names, "action": self.action });
        if let Value::Object(map) = &mut out {
            if let Some(errno) = self.errno {
                map.insert("errnoRet".into(), errno.into());
            }
            if !self.args.is_empty() {
                map.insert("args".into(), self.args.into());
            }
        }
        out
    }
}

/// Docker's default profile for one architecture (Go's spelling) and the bounding
/// set of capabilities.
pub fn docker(architecture: &str, capabilities: &[&str]) -> Result<Value> {
    let profile: Profile = document::parse(DOCKER.as_bytes()).context(|| "built-in profile")?;
    let Some(architectures) = profile.architectures.get(architecture) else {
        refuse!(
            "docker's seccomp profile does not know the architecture; give one with --seccomp FILE \
             or leave it out with --seccomp none"
        );
    };
    let rules: Vec<Value> = profile
        .rules
        .into_iter()
        .filter(|rule| rule.holds(architecture, capabilities))
        .map(Rule::value)
        .collect();
    Ok(json!({
        "defaultAction": profile.default.action,
        "defaultErrnoRet": profile.default.errno,
        "architectures": architectures,
        "syscalls": rules,
    }))
}

/// Checks that a user's file looks like a seccomp object of config.json, and not
/// like one of the conditional form that docker's `--security-opt` takes.
pub fn checked(value: Value) -> Result<Value> {
    if value.get("defaultAction").is_none_or(|action| !action.is_string()) {
        refuse!("it has no defaultAction, so it is not a seccomp profile");
    }
    let conditional = |rule: &Value| {
        ["includes", "excludes"]
            .iter()
            .any(|key| rule.get(key).is_some_and(|v| !v.is_null() && *v != json!({})))
    };
    let rules = value.get("syscalls").and_then(Value::as_array);
    if value.get("archMap").is_some() || rules.is_some_and(|r| r.iter().any(conditional)) {
        refuse!(
            "it has conditions (archMap, includes, excludes), which config.json cannot express; \
             resolve them first"
        );
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::capabilities;
    use super::*;

    fn rules_for<'a>(profile: &'a Value, name: &str) -> Vec<&'a Value> {
        let names = |rule: &Value| rule["names"].as_array().cloned().unwrap_or_default();
        profile["syscalls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| names(rule).iter().any(|n| n == name))
            .collect()
    }

    #[test]
    fn conditions_are_decided() {
        let plain = docker("amd64", &capabilities::DOCKER).unwrap();
        assert_eq!(
            plain["architectures"],
            json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
        );
        assert_eq!(plain["defaultErrnoRet"], 1);
        assert!(rules_for(&plain, "mount").is_empty());
        assert_eq!(rules_for(&plain, "clone3")[0]["errnoRet"], 38);
        assert_eq!(rules_for(&plain, "clone")[0]["args"][0]["value"], 2_114_060_288u64);
        assert_eq!(rules_for(&plain, "chroot").len(), 1, "CAP_SYS_CHROOT is in the set");
        assert_eq!(rules_for(&plain, "arch_prctl").len(), 1);
        assert_eq!(rules_for(&plain, "personality").len(), 5);

        let all = docker("arm64", &capabilities::ALL).unwrap();
        assert_eq!(rules_for(&all, "mount").len(), 1);
        assert!(rules_for(&all, "clone")[0].get("args").is_none());
        assert!(rules_for(&all, "arch_prctl").is_empty());
        assert!(docker("vax", &[]).is_err());
    }

    #[test]
    fn users_files() {
        assert!(checked(json!({ "defaultAction": "SCMP_ACT_ALLOW" })).is_ok());
        for bad in [
            json!({}),
            json!([]),
            json!({ "defaultAction": "SCMP_ACT_ERRNO", "archMap": [] }),
            json!({ "defaultAction": "A", "syscalls": [{ "includes": { "caps": ["X"] } }] }),
        ] {
            assert!(checked(bad).is_err());
        }
    }
}
