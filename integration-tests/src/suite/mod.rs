//! The tests, a module a topic. A name that begins with the row of the
//! coverage map (`p10_...`) proves that row.

use crate::case::Test;

pub mod commands;
pub mod documents;
pub mod lifecycle;
pub mod listing;
pub mod words;

/// Every test, in the order in which they are started.
pub fn all() -> Vec<&'static Test> {
    let modules =
        [commands::TESTS, documents::TESTS, lifecycle::TESTS, listing::TESTS, words::TESTS];
    modules.into_iter().flatten().collect()
}
