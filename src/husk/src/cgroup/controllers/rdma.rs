//! `rdma`: handles and objects of RDMA devices, the same on v1 and v2.

use super::Sink;
use crate::cgroup::write::Write;
use crate::config::{Map, Rdma};
use crate::error::{Code, Pointer};

/// Translates `rdma`.
pub(in crate::cgroup) fn plan(devices: &Map<'_, Rdma>, at: &Pointer, sink: &mut Sink<'_>) {
    for (name, limits) in devices {
        let at = at.key(name);
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            sink.limit(at, "the key is not the name of a device", "look in /sys/class/infiniband");
            continue;
        }
        let mut value = name.to_string();
        for (limit, word) in
            [(limits.hca_handles, "hca_handle"), (limits.hca_objects, "hca_object")]
        {
            if let Some(limit) = limit {
                value.push_str(&format!(" {word}={limit}"));
            }
        }
        if limits.hca_handles.is_none() && limits.hca_objects.is_none() {
            let reason = "neither hcaHandles nor hcaObjects is set";
            sink.problems.refuse(Code::CONFIG_MISSING, at, reason, "set at least one");
            continue;
        }
        sink.push(Write::new("rdma.max", value, at));
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use crate::cgroup::layout::Version;

    #[test]
    fn one_line_a_device() {
        let both = Rdma { hca_handles: Some(3), hca_objects: Some(100) };
        let one = Rdma { hca_objects: Some(7), ..Rdma::default() };
        let devices = Map::from(vec![("mlx5_1".into(), both), ("ocrdma1".into(), one)]);
        let at = Pointer::from("/r");
        assert_eq!(
            run(Version::V2, |sink| plan(&devices, &at, sink)).unwrap(),
            ["rdma.max=mlx5_1 hca_handle=3 hca_object=100", "rdma.max=ocrdma1 hca_object=7"]
        );
        let devices = Map::from(vec![("a b".into(), one), ("x".into(), Rdma::default())]);
        let refused = run(Version::V1, |sink| plan(&devices, &at, sink)).unwrap_err();
        assert_eq!(refused, ["/r/a b", "/r/x"]);
    }
}
