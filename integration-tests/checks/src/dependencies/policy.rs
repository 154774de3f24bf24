//! The files that the rules come from, as far as they are used here.

use std::path::Path;

use semver::{Version, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `deny.toml`, in cargo-deny's form.
#[derive(Deserialize)]
pub struct Deny {
    pub graph: GraphSection,
    pub licenses: Licenses,
    pub bans: Bans,
}

#[derive(Deserialize)]
pub struct GraphSection {
    pub targets: Vec<String>,
}

#[derive(Deserialize)]
pub struct Licenses {
    pub allow: Vec<String>,
}

#[derive(Deserialize)]
pub struct Bans {
    pub deny: Vec<Ban>,
    /// Packages that may be there in more than one version.
    #[serde(default)]
    pub skip: Vec<Ban>,
}

#[derive(Deserialize)]
pub struct Ban {
    #[serde(rename = "crate")]
    pub name: String,
    #[serde(default)]
    pub reason: String,
    /// The packages that alone may depend on it.
    #[serde(default)]
    pub wrappers: Vec<String>,
}

/// `policy.toml`: what cargo-deny's file has no words for.
#[derive(Deserialize)]
pub struct Policy {
    pub runtime: Runtime,
    pub advisories: Advisories,
}

#[derive(Deserialize)]
pub struct Runtime {
    /// Packages of this workspace that end in the runtime's binary.
    pub packages: Vec<String>,
    /// Packages that none of them may reach, however indirectly.
    pub never: Vec<String>,
}

#[derive(Deserialize)]
pub struct Advisories {
    pub list: Vec<Advisory>,
}

#[derive(Deserialize)]
pub struct Advisory {
    pub id: String,
    #[serde(rename = "crate")]
    pub name: String,
    /// Versions that have the remedy.
    #[serde(default)]
    pub patched: Vec<VersionReq>,
    /// Versions that never had the fault.
    #[serde(default)]
    pub unaffected: Vec<VersionReq>,
}

impl Advisory {
    pub fn hits(&self, name: &str, version: &Version) -> bool {
        self.name == name
            && !self.patched.iter().chain(&self.unaffected).any(|range| range.matches(version))
    }
}

/// `Cargo.lock`.
#[derive(Deserialize)]
pub struct Lock {
    pub package: Vec<Locked>,
}

#[derive(Deserialize)]
pub struct Locked {
    pub name: String,
    pub version: Version,
    /// Absent for the packages of this workspace.
    pub source: Option<String>,
    pub checksum: Option<String>,
}

/// Reads one of them.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}
