//! What `make test` needs besides the tests themselves.
//!
//! * [`parts`] walks the parts of a test run and adds up what each counted.
//! * [`dependencies`] holds the packages against `deny.toml` and `policy.toml`,
//!   without network.

pub mod counts;
pub mod dependencies;
pub mod licence;
pub mod parts;
