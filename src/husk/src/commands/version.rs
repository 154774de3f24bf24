//! `--version`; see docs/decisions/version-line.md.

use crate::container::SPEC_VERSION;

/// The lines that engines look for, and husk's name.
pub fn text() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("HUSK_COMMIT").unwrap_or("unknown");
    format!("husk version {version}\ncommit: {commit}\nspec: {SPEC_VERSION}\n")
}
