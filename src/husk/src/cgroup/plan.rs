//! From the configuration to everything that has to be done for its cgroup, without doing it.

use super::controllers::memory::UsageCheck;
use super::controllers::{Sink, cpu, cpuset, hugetlb, io, memory, network, pids, rdma, unified};
use super::devices::{self, program};
use super::group::Part;
use super::layout::{Hierarchy, Layout, Version, own_path};
use super::path::{CgroupPath, parent};
use super::write::Write;
use crate::config::{Device, Resources};
use crate::error::{Code, Error, Pointer, Problems};
use crate::sys::bpf::Insn;

/// Who makes the cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// husk makes the directories itself.
    #[default]
    Cgroupfs,
}

/// What a cgroup is planned from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a str,
    /// `linux.cgroupsPath`; empty when there is none.
    pub cgroups_path: &'a str,
    /// `linux.resources`.
    pub resources: Option<&'a Resources<'a>>,
    /// `linux.devices`.
    pub devices: &'a [Device<'a>],
    /// Who makes the cgroup.
    pub driver: Driver,
    /// Whether husk has no rights of the host's root. Then no device rules are set (such a husk
    /// cannot make device nodes either), the default place is beside husk's own cgroup, and a
    /// cgroup that cannot be made there is done without, unless limits are asked for.
    pub rootless: bool,
}

/// Everything that has to be done for a container's cgroup.
#[derive(Clone, Debug)]
pub struct CgroupPlan {
    pub(super) version: Version,
    pub(super) parts: Vec<PartPlan>,
    /// v2: the controllers that the root of the hierarchy offers.
    pub(super) controllers: Vec<String>,
    /// v2: the device program.
    pub(super) program: Option<Vec<Insn>>,
    /// v2: limits that must not be below what is in use.
    pub(super) usage_checks: Vec<UsageCheck>,
    /// Whether the cgroup may be done without where husk may not make it.
    pub(super) optional: bool,
}

/// What has to be done in one hierarchy.
#[derive(Clone, Debug)]
pub(super) struct PartPlan {
    pub(super) part: Part,
    pub(super) writes: Vec<Write>,
}

impl CgroupPlan {
    /// Plans the cgroup of a container. Everything that is wrong is added to `problems`, with
    /// pointers below `/linux`; `None` when the plan could not be made because of it.
    ///
    /// # Errors
    /// When the host's control groups cannot be read.
    pub fn new(
        request: &Request<'_>,
        layout: &Layout,
        problems: &mut Problems,
    ) -> Result<Option<Self>, Error> {
        let Driver::Cgroupfs = request.driver;
        let controllers = layout.controllers()?;
        let limits = Limits::new(request, layout, &controllers, problems);
        let Some(place) = Place::new(request, problems) else { return Ok(None) };
        let mut parts = Vec::new();
        for hierarchy in &layout.hierarchies {
            let Some(part) = place.in_hierarchy(hierarchy, layout.version, problems)? else {
                return Ok(None);
            };
            parts.push(PartPlan { part, writes: Vec::new() });
        }
        let asked = limits.writes.iter().any(|(_, writes)| !writes.is_empty());
        let program = limits.program;
        for (controller, writes) in limits.writes {
            match find(&mut parts, layout.version, controller) {
                Some(part) => part.writes.extend(writes),
                None => absent(controller, &writes, problems),
            }
        }
        if problems.refused() {
            return Ok(None);
        }
        Ok(Some(Self {
            version: layout.version,
            parts,
            controllers,
            program,
            usage_checks: limits.usage_checks,
            optional: request.rootless && request.cgroups_path.is_empty() && !asked,
        }))
    }

    /// Number of writes to control files.
    pub fn writes(&self) -> usize {
        self.parts.iter().map(|p| p.writes.len()).sum()
    }
}

fn find<'a>(
    parts: &'a mut [PartPlan],
    version: Version,
    controller: &str,
) -> Option<&'a mut PartPlan> {
    match version {
        Version::V2 => parts.first_mut(),
        Version::V1 => parts.iter_mut().find(|p| p.part.has(controller)),
    }
}

fn absent(controller: &str, writes: &[Write], problems: &mut Problems) {
    let mut told: Vec<&Pointer> = Vec::new();
    for write in writes {
        if told.contains(&&write.pointer) {
            continue;
        }
        told.push(&write.pointer);
        problems.refuse(
            Code::CGROUP_CONTROLLER,
            &write.pointer,
            format!("the {controller} controller is not available on this host"),
            "mount its hierarchy below /sys/fs/cgroup, or leave the property out",
        );
    }
}

/// The writes of each controller, in the order in which they are made on v2.
struct Limits {
    writes: Vec<(&'static str, Vec<Write>)>,
    program: Option<Vec<Insn>>,
    usage_checks: Vec<UsageCheck>,
}

impl Limits {
    fn new(
        request: &Request<'_>,
        layout: &Layout,
        available: &[String],
        problems: &mut Problems,
    ) -> Self {
        let at = Pointer::from("/linux/resources");
        let mut limits = Self { writes: Vec::new(), program: None, usage_checks: Vec::new() };
        let mut sink = Sink::new(layout.version, problems);
        let none = Resources::default();
        let r = request.resources.unwrap_or(&none);

        if let Some(limit) = &r.pids {
            pids::plan(limit, &at.key("pids"), &mut sink);
        }
        limits.take("pids", available, &mut sink);
        if let Some(limit) = &r.memory {
            let at = at.key("memory");
            memory::plan(limit, &at, &mut sink);
            limits.usage_checks = memory::usage_checks(limit, &at);
        }
        limits.take("memory", available, &mut sink);
        if let Some(limit) = &r.block_io {
            io::plan(limit, &at.key("blockIO"), &mut sink);
        }
        let name = if layout.version == Version::V1 { "blkio" } else { "io" };
        limits.take(name, available, &mut sink);
        if let Some(limit) = &r.cpu {
            cpu::plan(limit, &at.key("cpu"), &mut sink);
            limits.take("cpu", available, &mut sink);
            cpuset::plan(limit, &at.key("cpu"), &mut sink);
            limits.take("cpuset", available, &mut sink);
        }
        hugetlb::plan(&r.hugepage_limits, &at.key("hugepageLimits"), &mut sink);
        limits.take("hugetlb", available, &mut sink);
        if let Some(limit) = &r.network {
            network::plan_class(limit, &at.key("network"), &mut sink);
            limits.take("net_cls", available, &mut sink);
            network::plan_priorities(limit, &at.key("network"), &mut sink);
            limits.take("net_prio", available, &mut sink);
        }
        rdma::plan(&r.rdma, &at.key("rdma"), &mut sink);
        limits.take("rdma", available, &mut sink);
        if !request.rootless {
            let rules = &r.devices;
            let set = devices::plan(rules, request.devices, &at.key("devices"), &mut sink);
            match layout.version {
                Version::V1 => limits.take("devices", available, &mut sink),
                Version::V2 => limits.program = Some(program::assemble(&set)),
            }
        }
        unified::plan(&r.unified, available, &at.key("unified"), &mut sink);
        // Each of its files has been looked up already.
        limits.writes.push(("unified", std::mem::take(&mut sink.writes)));
        limits
    }

    /// Takes what a controller has put into `sink`, or says that the controller is missing.
    fn take(&mut self, controller: &'static str, available: &[String], sink: &mut Sink<'_>) {
        let writes = std::mem::take(&mut sink.writes);
        if writes.is_empty() {
            return;
        }
        if available.iter().any(|a| a == controller) {
            self.writes.push((controller, writes));
        } else {
            absent(controller, &writes, sink.problems);
        }
    }
}

/// Where the container's cgroup is, before a hierarchy is looked at.
struct Place {
    path: CgroupPath,
    /// Below husk's own cgroup, rather than the root of the hierarchy.
    relative: bool,
}

impl Place {
    fn new(request: &Request<'_>, problems: &mut Problems) -> Option<Self> {
        let given = request.cgroups_path;
        // Without a path the cgroup is named by the id.
        let (text, relative) = if given.is_empty() {
            (request.id, request.rootless)
        } else {
            (given, !given.starts_with('/'))
        };
        match CgroupPath::parse(text) {
            Ok(path) => Some(Self { path, relative }),
            Err(reason) => {
                let hint = "give a path below the root of the hierarchy, such as /docker/ID";
                problems.refuse(Code::CGROUP_PATH, "/linux/cgroupsPath", reason, hint);
                None
            }
        }
    }

    fn in_hierarchy(
        &self,
        hierarchy: &Hierarchy,
        version: Version,
        problems: &mut Problems,
    ) -> Result<Option<Part>, Error> {
        let path = if self.relative {
            let Some(own) = own_path(hierarchy)? else {
                problems.refuse(
                    Code::CGROUP_PATH,
                    "/linux/cgroupsPath",
                    format!("{} does not show the cgroup that husk itself is in", hierarchy.mount),
                    "give an absolute path",
                );
                return Ok(None);
            };
            // On v2 husk's own cgroup has processes, and so cannot hand controllers down.
            let base = if version == Version::V2 { parent(&own) } else { &own };
            self.path.below(base)
        } else {
            Ok(self.path.clone())
        };
        match path {
            Ok(path) => Ok(Some(Part::new(&hierarchy.names, &hierarchy.mount, path))),
            Err(reason) => {
                problems.refuse(
                    Code::CGROUP_PATH,
                    "/linux/cgroupsPath",
                    reason,
                    "a path without .., such as /parent/name",
                );
                Ok(None)
            }
        }
    }
}
