//! From a configuration and what is true of this host to a plan that can be carried out, or to the
//! list of everything that is wrong.

mod cgroup;
mod create;
mod exec;
mod hooks;
mod steps;

pub use cgroup::{CgroupSlots, CgroupSteps, Shape, Shown};
pub use create::{Plan, Request, create};
pub use exec::{ExecPlan, ExecRequest, exec};
pub use steps::Steps;
