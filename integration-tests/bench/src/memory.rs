//! What a container that waits for `start` costs.

use std::fmt::Write;

use crate::measure::{pid_in, reap_all, timed};
use crate::peers::Peer;
use crate::stage::Stage;

const FIELDS: [&str; 3] = ["Rss", "Pss", "Anonymous"];

/// KiB of the waiting process of the docker bundle.
pub fn table(stage: &Stage, peers: &[Peer]) -> Result<String, String> {
    let mut text = format!("\n| waiting process, KiB | {} |\n| --- |", FIELDS.join(" | "));
    text.push_str(&" --- |".repeat(FIELDS.len()));
    let bundle = stage.bundle("docker", &["/bin/noop"])?;
    let bundle = bundle.to_string_lossy();
    for peer in peers {
        let id = format!("bench-memory-{}", peer.name);
        let file = stage.file("pid");
        let pid_file = file.to_string_lossy();
        timed(stage, peer, &["create", "--bundle", &bundle, "--pid-file", &pid_file, &id])?;
        let path = format!("/proc/{}/smaps_rollup", pid_in(&file)?);
        let smaps = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"));
        timed(stage, peer, &["delete", "--force", &id])?;
        reap_all()?;
        let smaps = smaps?;
        let _ = write!(text, "\n| {} |", peer.name);
        for field in FIELDS {
            let line = smaps.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
            let number = line.and_then(|l| l.split_whitespace().next()).unwrap_or("?");
            let _ = write!(text, " {number} |");
        }
    }
    text.push('\n');
    Ok(text)
}
