//! Images, good and bad, and what must become of them: one module for each group of
//! inputs. They make owners and devices, so they need root.
// What a test does not expect may panic, and tests look at paths from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::disallowed_methods)]

mod archives;
mod chance;
mod config;
mod damage;
mod documents;
mod formats;
mod kinds;
mod links;
mod names;
mod program;
mod quantity;
mod support;
mod whiteouts;
