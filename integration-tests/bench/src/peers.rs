//! The runtimes that are measured.

use std::path::PathBuf;
use std::process::Command;

/// One runtime.
pub struct Peer {
    /// Its name in the tables.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
}

/// husk, which must be there, and those of the others that are.
pub fn find() -> Result<Vec<Peer>, String> {
    let mut peers = Vec::new();
    for (name, variable) in [("husk", "HUSK_BIN"), ("crun", "CRUN"), ("runc", "RUNC")] {
        let given = std::env::var(variable).unwrap_or_else(|_| name.to_owned());
        if given.is_empty() {
            continue;
        }
        match which(&given) {
            Some(program) => peers.push(Peer { name, program }),
            None if name == "husk" => {
                return Err(format!("no {given}: make build, or set HUSK_BIN"));
            }
            None => eprintln!("bench: no {given} here, left out"),
        }
    }
    Ok(peers)
}

fn which(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return std::fs::metadata(name).is_ok().then(|| PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|d| d.join(name)).find(|p| std::fs::metadata(p).is_ok())
}

/// What a table is worth nothing without: when, where, which versions.
pub fn heading(peers: &[Peer], rounds: usize, remark: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("an unknown CPU");
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let load = read("/proc/loadavg");
    let versions: Vec<String> = peers.iter().map(version).collect();
    format!(
        "{}, kernel {}, {cores} x {}, load {} at the start; {}; {rounds} rounds.{remark}\n",
        output("date", &["-u", "+%Y-%m-%d"]),
        read("/proc/sys/kernel/osrelease").trim(),
        model.trim_matches([' ', '\t', ':']),
        load.split(' ').next().unwrap_or_default(),
        versions.join(", "),
    )
}

fn version(peer: &Peer) -> String {
    let text = output(&peer.program.to_string_lossy(), &["--version"]);
    let first = text.lines().next().unwrap_or_default();
    format!("{} {}", peer.name, first.rsplit(' ').next().unwrap_or_default())
}

fn output(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output();
    out.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
