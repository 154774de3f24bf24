//! How many system calls `run` makes, all its processes and threads together.

use std::fmt::Write;
use std::process::Command;

use crate::peers::Peer;
use crate::stage::Stage;

const BUNDLES: [&str; 3] = ["minimal", "default", "docker"];

/// Counts under strace.
pub fn table(stage: &Stage, peers: &[Peer]) -> Result<String, String> {
    let mut text = format!("\n| system calls of run | {} |\n| --- |", BUNDLES.join(" | "));
    text.push_str(&" --- |".repeat(BUNDLES.len()));
    for peer in peers {
        let _ = write!(text, "\n| {} |", peer.name);
        for name in BUNDLES {
            let _ = write!(text, " {} |", count(stage, peer, name)?);
        }
    }
    text.push('\n');
    Ok(text)
}

fn count(stage: &Stage, peer: &Peer, bundle: &str) -> Result<usize, String> {
    let dir = stage.bundle(bundle, &["/bin/noop"])?;
    let trace = stage.file("trace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(&peer.program)
        .arg("--root")
        .arg(stage.root(peer.name))
        .args(["run", "--bundle"])
        .arg(dir)
        .arg(format!("bench-trace-{}", peer.name))
        .stdin(stage.null())
        .stdout(stage.null())
        .status()
        .map_err(|e| format!("strace: {e}"))?;
    if !status.success() {
        return Err(format!("{} run under strace: {status}", peer.name));
    }
    let lines = std::fs::read(&trace).map_err(|e| format!("{}: {e}", trace.display()))?;
    let lines = String::from_utf8_lossy(&lines);
    // A call that another process's call interrupts has two lines.
    Ok(lines.lines().filter(|l| l.contains('(') && !l.contains(" resumed>")).count())
}
