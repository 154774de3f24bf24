//! Tests on the control groups of the machine that runs them, as root, below `/husk-test-<pid>`.
//! What needs a pure cgroup v2 host is ignored by default and says so; the test
//! guest is such a host.

mod host;
mod sys;
mod v1;
mod v2;
