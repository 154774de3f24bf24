//! `hugepageLimits`: huge pages that may be faulted in, and reserved.

use super::Sink;
use crate::cgroup::layout::Version;
use crate::cgroup::write::Write;
use crate::config::HugepageLimit;
use crate::error::Pointer;

/// Translates `hugepageLimits`.
pub(in crate::cgroup) fn plan(limits: &[HugepageLimit<'_>], at: &Pointer, sink: &mut Sink<'_>) {
    for (index, entry) in limits.iter().enumerate() {
        let at = at.index(index);
        if !is_page_size(&entry.page_size) {
            sink.limit(
                at.key("pageSize"),
                format!("\"{}\" is not the size of a huge page", entry.page_size),
                "write it as 64KB, 2MB or 1GB",
            );
            continue;
        }
        let suffix = match sink.version {
            Version::V1 => "limit_in_bytes",
            Version::V2 => "max",
        };
        let (size, at) = (&entry.page_size, at.key("limit"));
        sink.push(Write::new(format!("hugetlb.{size}.{suffix}"), entry.limit, at.clone()));
        // Kernels before 5.7 count faults only.
        let reserved = Write::new(format!("hugetlb.{size}.rsvd.{suffix}"), entry.limit, at);
        sink.push(reserved.ignore_missing());
    }
}

/// Whether `text` is `<number><unit>B` as the kernel names its files.
fn is_page_size(text: &str) -> bool {
    let number = text.strip_suffix('B').and_then(|t| t.strip_suffix(['K', 'M', 'G']));
    number.is_some_and(|n| {
        !n.is_empty()
            && n.len() <= 4
            && !n.starts_with('0')
            && n.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;

    #[test]
    fn both_limits_are_written() {
        let limits = [HugepageLimit { page_size: "2MB".into(), limit: 4 << 20 }];
        let at = Pointer::from("/h");
        assert_eq!(
            run(Version::V1, |sink| plan(&limits, &at, sink)).unwrap(),
            ["hugetlb.2MB.limit_in_bytes=4194304", "hugetlb.2MB.rsvd.limit_in_bytes=4194304"]
        );
        assert_eq!(
            run(Version::V2, |sink| plan(&limits, &at, sink)).unwrap(),
            ["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"]
        );
    }

    #[test]
    fn page_sizes() {
        for good in ["64KB", "2MB", "512MB", "1GB"] {
            assert!(is_page_size(good), "{good}");
        }
        for bad in ["", "B", "2M", "2mb", "2 MB", "/../2MB", "02MB", "MB", "2TB"] {
            assert!(!is_page_size(bad), "{bad}");
        }
    }
}
