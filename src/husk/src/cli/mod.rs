//! The command line, read in two stages.
//!
//! [`parse`] says which option was given with which text, by the one [`table`] of commands and
//! options. Each command then turns its texts into checked values ([`value`]) with the defaults
//! filled in, and only sees those.

pub mod global;
pub mod help;
pub mod parse;
pub mod table;
pub mod value;

pub use global::Global;
pub use parse::{Given, Request, Usage, parse};
