//! `pids`: the greatest number of tasks.

use super::Sink;
use crate::cgroup::layout::Version;
use crate::cgroup::write::Write;
use crate::config::Pids;
use crate::error::Pointer;

/// Translates `pids`: absent leaves the limit, -1 is none, 0 lets nothing be started beside the
/// container's init.
pub(in crate::cgroup) fn plan(pids: &Pids, at: &Pointer, sink: &mut Sink<'_>) {
    let Some(limit) = pids.limit else { return };
    let at = at.key("limit");
    let value = match (limit, sink.version) {
        (-1, _) => "max".to_owned(),
        // On v2 init is born in its cgroup, which a limit of 0 would prevent. With init as the one
        // task, 1 allows exactly as little.
        (0, Version::V2) => "1".to_owned(),
        (limit, _) if limit >= 0 => limit.to_string(),
        _ => {
            sink.limit(at, format!("{limit} is not a number of tasks"), "give -1 for no limit");
            return;
        }
    };
    sink.push(Write::new("pids.max", value, at));
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use Version::{V1, V2};

    #[test]
    fn each_meaning_of_the_limit() {
        for (version, limit, writes) in [
            (V1, None, vec![]),
            (V1, Some(-1), vec!["pids.max=max"]),
            (V1, Some(0), vec!["pids.max=0"]),
            (V2, Some(0), vec!["pids.max=1"]),
            (V2, Some(64), vec!["pids.max=64"]),
        ] {
            let pids = Pids { limit };
            let done = run(version, |sink| plan(&pids, &Pointer::from("/p"), sink)).unwrap();
            assert_eq!(done, writes, "{limit:?}");
        }
        let pids = Pids { limit: Some(-2) };
        let refused = run(V1, |sink| plan(&pids, &Pointer::from("/p"), sink)).unwrap_err();
        assert_eq!(refused, ["/p/limit"]);
    }
}
