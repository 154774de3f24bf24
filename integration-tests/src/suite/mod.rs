//! The tests, a module a topic. A name that begins with the row of the
//! coverage map (`p10_...`) proves that row.

use crate::case::Test;

/// Declares the modules and lists their tables, in the order given.
macro_rules! modules {
    ($($module:ident)*) => {
        $(pub mod $module;)*

        /// Every test, in the order in which they are started.
        pub fn all() -> Vec<&'static Test> {
            [$($module::TESTS),*].into_iter().flatten().collect()
        }
    };
}

modules! {
    commands
    documents
    lifecycle
    listing
    words
    exec
    terminal
    descriptors
    namespaces
    process
    mounts
    rootfs
    devices
    hooks
    cgroups
    seccomp
    waiting
    hostile
    bad_input
    crowd
    sockets
    lsm
    scheduling
    net_devices
    bundles
    image
}
