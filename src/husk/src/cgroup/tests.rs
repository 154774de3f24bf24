//! Tests on the control groups of the machine that runs them, as root, below `/husk-test-<pid>`.
//! Where a layout is not this machine's, its tests say so in one line and count as passed; the test
//! guest has the other one.

mod host;
mod sys;
mod v1;
mod v2;
