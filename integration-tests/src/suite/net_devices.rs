//! Network devices of the host that move into the container. The test is a host of its own: it
//! has a network namespace with one end of a veth pair.

use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use serde_json::json;

use crate::bundle::Bundle;
use crate::case::{Done, Skip};
use crate::context::Context;
use crate::{host, tests};

tests![
    stricter d6_net_devices_move_with_addresses_and_routes,
    stricter d6_net_devices_by_template,
    stricter d6_net_devices_that_cannot_move_are_refused,
];

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    #[allow(clippy::zombie_processes)]
    let Ok(child) = command.spawn() else { return false };
    let pid = child.id() as i32;
    host::wait_for("ip", || crate::reaper::ended(pid)).code() == 0
}

fn own_network(cx: &Context) -> Result<(), Skip> {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    cx.need(ip("link add dev0 type veth peer name peer0"), "no ip, or no veth devices")?;
    assert!(ip("link set peer0 up"));
    Ok(())
}

fn has(name: &str) -> bool {
    ip(&format!("link show {name}"))
}

fn looking(cx: &Context, devices: serde_json::Value) -> Bundle {
    let mut bundle = cx.bundle();
    bundle.set("/linux/netDevices", devices);
    bundle.shell(
        "cat /sys/class/net/*/mtu; grep : /proc/net/dev | cut -d: -f1 | tr -d ' '; \
         cat /proc/net/route; cat /proc/net/fib_trie; cat /proc/net/if_inet6",
    );
    bundle
}

fn d6_net_devices_move_with_addresses_and_routes(cx: &Context) -> Done {
    own_network(cx)?;
    assert!(ip("addr add 10.77.1.2/24 dev dev0"));
    let six = ip("addr add fd77::2/64 dev dev0");
    assert!(ip("link set dev0 mtu 1357 up"));
    assert!(ip("route add default via 10.77.1.1 dev dev0"));
    assert!(ip("route add 10.88.0.0/16 dev dev0"));
    let bundle = looking(cx, json!({"dev0": {"name": "inner0"}}));
    let text = cx.run(&bundle).ok();
    assert!(text.lines().any(|line| line == "inner0"), "{text}");
    assert!(text.lines().any(|line| line == "1357"), "the greatest packet: {text}");
    assert!(text.contains("10.77.1.2"), "the address: {text}");
    if six {
        assert!(text.contains("fd770000000000000000000000000002"), "the IPv6 address: {text}");
    }
    for (route, flags) in [("00000000\t01014D0A", "0003"), ("0000580A\t00000000", "0001")] {
        let expected = format!("inner0\t{route}\t{flags}");
        assert!(text.contains(&expected), "{expected:?}: {text}");
    }
    assert!(!has("dev0"), "it is no longer here");
    Ok(())
}

fn d6_net_devices_by_template(cx: &Context) -> Done {
    own_network(cx)?;
    assert!(ip("link add dev1 type veth peer name peer1"));
    let devices = json!({"dev0": {"name": "net%d"}, "dev1": {"name": "net%d"}, });
    let text = cx.run(&looking(cx, devices)).ok();
    for name in ["net0", "net1"] {
        assert!(text.lines().any(|line| line == name), "{text}");
    }
    Ok(())
}

fn d6_net_devices_that_cannot_move_are_refused(cx: &Context) -> Done {
    own_network(cx)?;
    for (devices, pointer) in [
        (json!({"no-such-device": {}}), "/linux/netDevices/no-such-device"),
        (json!({"lo": {}}), "/linux/netDevices/lo"),
        (json!({"dev0": {"name": "a b"}}), "/linux/netDevices/dev0/name"),
        (json!({"dev0": {"name": "lo"}}), "/linux/netDevices/dev0"),
    ] {
        let text = cx.run(&looking(cx, devices)).refused();
        assert!(text.contains(pointer), "{pointer}: {text}");
        assert!(has("dev0"), "{pointer}");
    }
    let mut bundle = looking(cx, json!({"dev0": {}}));
    bundle.without_namespace("network");
    let text = cx.run(&bundle).refused();
    assert!(text.contains("/linux/netDevices"), "{text}");
    assert!(has("dev0"));
    Ok(())
}
