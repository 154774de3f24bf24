//! What is measured.

use crate::measure::{Sample, reap_all, timed};
use crate::peers::Peer;
use crate::stage::Stage;

/// Everything that can be asked for by name.
pub const NAMES: [&str; 12] = [
    "run-minimal",
    "run-default",
    "run-docker",
    "run-docker-userns",
    "create",
    "start",
    "state",
    "exec",
    "kill",
    "delete",
    "syscalls",
    "memory",
];

/// The steps of one container's life, in their order.
pub const LIFE: [&str; 6] = ["create", "start", "state", "exec", "kill", "delete"];

/// `run` of a program that does nothing.
pub struct Item {
    /// Its name in the table.
    pub name: &'static str,
    bundle: &'static str,
}

impl Item {
    /// One for each bundle.
    pub fn runs() -> Vec<Item> {
        vec![
            Item { name: "run-minimal", bundle: "minimal" },
            Item { name: "run-default", bundle: "default" },
            Item { name: "run-docker", bundle: "docker" },
            Item { name: "run-docker-userns", bundle: "docker-userns" },
        ]
    }
}

/// The samples of each peer, in the order of the peers.
pub type Samples = Vec<Vec<Sample>>;

/// The peers with their number, beginning with another one in each round.
fn turns(peers: &[Peer], round: usize) -> impl Iterator<Item = (usize, &Peer)> {
    let count = peers.len();
    peers.iter().enumerate().cycle().skip(round % count.max(1)).take(count)
}

/// Measures `run`. One round before the first warms caches and is not counted.
pub fn foreground(
    stage: &Stage,
    peers: &[Peer],
    item: &Item,
    rounds: usize,
) -> Result<Samples, String> {
    let bundle = stage.bundle(item.bundle, &["/bin/noop"])?;
    let bundle = bundle.to_string_lossy();
    let mut samples = vec![Vec::new(); peers.len()];
    for round in 0..=rounds {
        for (number, peer) in turns(peers, round) {
            let id = format!("bench-{}-{round}", peer.name);
            let sample = timed(stage, peer, &["run", "--bundle", &bundle, &id])?;
            if round > 0
                && let Some(list) = samples.get_mut(number)
            {
                list.push(sample);
            }
        }
    }
    Ok(samples)
}

/// Measures each step of the life of a container of the docker bundle.
pub fn life(
    stage: &Stage,
    peers: &[Peer],
    rounds: usize,
) -> Result<Vec<(&'static str, Samples)>, String> {
    let bundle = stage.bundle("docker", &["/bin/sleep", "1000"])?;
    let bundle = bundle.to_string_lossy();
    let mut all: Vec<(&str, Samples)> =
        LIFE.iter().map(|name| (*name, vec![Vec::new(); peers.len()])).collect();
    for round in 0..=rounds {
        for (number, peer) in turns(peers, round) {
            let id = format!("bench-{}-{round}", peer.name);
            for (name, samples) in &mut all {
                let taken = match *name {
                    "create" => timed(stage, peer, &["create", "--bundle", &bundle, &id]),
                    "exec" => timed(stage, peer, &["exec", &id, "/bin/noop"]),
                    "kill" => timed(stage, peer, &["kill", &id, "KILL"]),
                    "delete" => {
                        // Not part of it: the end of the container's processes.
                        reap_all()?;
                        timed(stage, peer, &["delete", &id])
                    }
                    plain => timed(stage, peer, &[plain, &id]),
                };
                // A container that stayed behind would hold our output open.
                let sample = taken.inspect_err(|_| {
                    let _ = timed(stage, peer, &["delete", "--force", &id]);
                })?;
                if round > 0
                    && let Some(list) = samples.get_mut(number)
                {
                    list.push(sample);
                }
            }
        }
    }
    Ok(all)
}
