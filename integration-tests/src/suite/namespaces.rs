//! Namespaces: made, joined by path, refused; id mappings; two containers side
//! by side.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sched::CloneFlags;
use serde_json::json;

use crate::bundle::MAPPED;
use crate::case::Done;
use crate::context::Context;
use crate::inside::lines;
use crate::{host, tests};

tests![
    n1_every_namespace_is_new,
    n3_a_type_not_listed_is_inherited,
    n2_network_ipc_uts_are_joined_by_path,
    n2_namespaces_of_another_container_are_joined,
    stricter n2_a_path_of_the_wrong_type_is_refused,
    n2_a_path_that_is_no_namespace_is_refused,
    stricter n2_a_fifo_as_path_does_not_hang,
    n4_duplicate_type_is_refused,
    unknown_namespace_type_is_refused,
    n6_user_namespace_maps_ids,
    n6_several_ranges,
    stricter n6_two_hundred_mapping_lines,
    stricter n6_mappings_without_user_namespace_are_refused,
    user_namespace_of_another_container_is_joined,
    stricter n9_time_offsets,
    n10_loopback_is_up,
    c5_c6_hostname_and_domainname,
    c5_hostname_needs_a_uts_namespace,
    two_containers_cannot_see_each_other,
    two_containers_have_separate_ipc,
    container_cannot_signal_outside,
    cgroup_namespace_hides_the_path,
    pid_namespace_has_init_as_process_1,
    no_namespaces_at_all_but_mount,
];

const KINDS: &str = "pid net ipc uts mnt cgroup user";
const SHOW: &str = "for n in pid net ipc uts mnt cgroup user; do echo $n=$(readlink /proc/self/ns/$n); done";

fn own() -> BTreeMap<String, String> {
    let link = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).expect("own namespace");
    KINDS.split(' ').map(|k| (k.to_owned(), link(k).display().to_string())).collect()
}

fn n1_every_namespace_is_new(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace().shell(SHOW);
    let seen = lines(&cx.run(&bundle).ok());
    for (kind, host) in own() {
        assert_ne!(seen[&kind], host, "{kind} is the host's");
    }
    Ok(())
}

fn n3_a_type_not_listed_is_inherited(cx: &Context) -> Done {
    for (kind, link) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")] {
        let mut bundle = cx.bundle();
        bundle.without_namespace(kind).shell(SHOW);
        match kind {
            "uts" => bundle.remove("/hostname"),
            "ipc" => bundle.unmount("/dev/mqueue"),
            // sysfs belongs to the network namespace it is mounted from.
            _ => &mut bundle,
        };
        let seen = lines(&cx.run(&bundle).ok());
        for (name, host) in own() {
            let same = seen[&name] == host;
            assert_eq!(same, name == link || name == "user", "{name} without {kind}");
        }
    }
    Ok(())
}

fn n2_network_ipc_uts_are_joined_by_path(cx: &Context) -> Done {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let holder = cx.hold_namespaces(flags);
    let mut bundle = cx.bundle();
    for (kind, link) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        bundle.join_namespace(kind, &holder.path(link));
    }
    bundle.remove("/hostname").shell(SHOW);
    let seen = lines(&cx.run(&bundle).ok());
    for link in ["net", "ipc", "uts"] {
        let held = fs::read_link(holder.path(link)).expect("the holder's");
        assert_eq!(seen[link], held.display().to_string());
    }
    Ok(())
}

fn n2_namespaces_of_another_container_are_joined(cx: &Context) -> Done {
    let first = cx.sleeper();
    let mut bundle = cx.bundle();
    let pairs = [
        ("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup"),
    ];
    for (kind, link) in pairs {
        bundle.join_namespace(kind, &format!("/proc/{}/ns/{link}", first.pid));
    }
    bundle.remove("/hostname").shell(&format!("{SHOW}; echo name=$(hostname); ps -o pid,args"));
    let text = cx.run(&bundle).ok();
    let seen = lines(&text);
    for (_, link) in pairs {
        assert_eq!(seen[link], first.proc_link(&format!("ns/{link}")), "{link}");
    }
    assert_ne!(seen["mnt"], first.proc_link("ns/mnt"));
    assert_eq!(seen["name"], "inside");
    assert!(text.contains("sleep 1000"), "the other container's init is visible: {text}");
    Ok(())
}

fn n2_a_path_of_the_wrong_type_is_refused(cx: &Context) -> Done {
    for kind in ["network", "ipc", "uts", "pid"] {
        let mut bundle = cx.bundle();
        bundle.join_namespace(kind, "/proc/self/ns/mnt").remove("/hostname");
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn n2_a_path_that_is_no_namespace_is_refused(cx: &Context) -> Done {
    let file = cx.fresh_path("file");
    fs::write(&file, "").expect("write");
    for path in ["/does/not/exist", "relative/net", "/dev/null", file.to_str().unwrap(), "/"] {
        let mut bundle = cx.bundle();
        bundle.join_namespace("network", path);
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn n2_a_fifo_as_path_does_not_hang(cx: &Context) -> Done {
    let fifo = cx.fresh_path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    for kind in ["network", "ipc", "pid", "user"] {
        let mut bundle = cx.bundle();
        bundle.join_namespace(kind, fifo.to_str().unwrap());
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn n4_duplicate_type_is_refused(cx: &Context) -> Done {
    for kind in ["pid", "network", "mount"] {
        let mut bundle = cx.bundle();
        bundle.push("/linux/namespaces", json!({"type": kind}));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn unknown_namespace_type_is_refused(cx: &Context) -> Done {
    for kind in ["pidd", "", "PID", "netns"] {
        let mut bundle = cx.bundle();
        bundle.push("/linux/namespaces", json!({"type": kind}));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn n6_user_namespace_maps_ids(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace().shell(
        "echo map=$(cat /proc/self/uid_map); echo gmap=$(cat /proc/self/gid_map); \
         echo id=$(id -u):$(id -g); touch /tmp/made; echo groups=$(cat /proc/self/setgroups); \
         sleep 1000",
    );
    let container = cx.start(&bundle);
    let text = container.wait_output("groups=");
    let seen = lines(&text);
    let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&seen["map"]), ["0", "100000", "65536"]);
    assert_eq!(words(&seen["gmap"]), ["0", "100000", "65536"]);
    assert_eq!(seen["id"], "0:0");
    assert_eq!(seen["groups"], "allow");
    let made = fs::metadata(bundle.inside("/tmp/made")).expect("the file");
    assert_eq!((made.uid(), made.gid()), (MAPPED, MAPPED));
    let status = crate::inside::Status::parse(&container.proc_file("status"));
    assert_eq!(status.get("Uid"), "100000 100000 100000 100000");
    Ok(())
}

fn n6_several_ranges(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace();
    let map = json!([{"containerID": 0, "hostID": MAPPED, "size": 10},
                     {"containerID": 1000, "hostID": 300_000, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.unmount("/dev/pts").mount("devpts", "devpts", "/dev/pts", &["newinstance"]);
    bundle.shell("touch /tmp/made; cat /proc/self/uid_map");
    let text = cx.run(&bundle).ok();
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows, [["0", "100000", "10"], ["1000", "300000", "1"]]);
    assert_eq!(fs::metadata(bundle.inside("/tmp/made")).expect("made").uid(), 300_000);
    Ok(())
}

fn n6_two_hundred_mapping_lines(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace();
    let map = |count: u32| {
        (0..count)
            .map(|n| json!({"containerID": n * 2, "hostID": MAPPED + n * 2, "size": 1}))
            .collect::<Vec<_>>()
    };
    bundle.unmount("/dev/pts").mount("devpts", "devpts", "/dev/pts", &["newinstance"]);
    bundle.shell("wc -l </proc/self/uid_map");
    bundle.set("/linux/uidMappings", json!(map(200))).set("/linux/gidMappings", json!(map(200)));
    assert_eq!(cx.run(&bundle).ok(), "200");
    for count in [341, 6000] {
        bundle.set("/linux/uidMappings", json!(map(count)));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn n6_mappings_without_user_namespace_are_refused(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let map = json!([{"containerID": 0, "hostID": MAPPED, "size": 65536}]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    cx.run(&bundle).refused();
    Ok(())
}

fn user_namespace_of_another_container_is_joined(cx: &Context) -> Done {
    let mut first = cx.bundle();
    first.user_namespace().args(&["sleep", "1000"]);
    let owner = cx.start(&first);
    let mut bundle = cx.bundle();
    bundle.user_namespace();
    bundle.join_namespace("user", &format!("/proc/{}/ns/user", owner.pid));
    bundle.join_namespace("network", &format!("/proc/{}/ns/net", owner.pid));
    if !host::is_peer() {
        bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
    }
    bundle.shell(&format!("{SHOW}; echo id=$(id -u)"));
    let seen = lines(&cx.run(&bundle).ok());
    assert_eq!(seen["user"], owner.proc_link("ns/user"));
    assert_eq!(seen["net"], owner.proc_link("ns/net"));
    assert_eq!(seen["id"], "0");
    Ok(())
}

fn n9_time_offsets(cx: &Context) -> Done {
    cx.need(fs::metadata("/proc/self/ns/time").is_ok(), "this kernel has no time namespaces")?;
    let mut bundle = cx.bundle();
    bundle
        .push("/linux/namespaces", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000, "nanosecs": 5}}))
        .shell("cat /proc/uptime; cat /proc/self/timens_offsets");
    let text = cx.run(&bundle).ok();
    let uptime: f64 = text.split([' ', '.']).next().unwrap().parse().expect("a number");
    assert!(uptime > 1_000_000.0, "{text}");
    assert!(text.contains("1000000"), "{text}");
    let mut bundle = cx.bundle();
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}));
    cx.run(&bundle).refused();
    Ok(())
}

fn n10_loopback_is_up(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let text = cx.run_ok(&mut bundle, &["ifconfig"]);
    assert!(text.contains("lo ") && text.contains("127.0.0.1"), "{text}");
    let names = cx.run_ok(&mut bundle, &["ls", "/sys/class/net"]);
    assert!(names.split_whitespace().any(|n| n == "lo"), "{names}");
    assert!(!names.contains("eth"), "{names}");
    Ok(())
}

fn c5_c6_hostname_and_domainname(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/hostname", json!("a-name.example"));
    if !host::is_peer() {
        bundle.set("/domainname", json!("the.domain"));
    }
    bundle.shell("hostname; cat /proc/sys/kernel/domainname");
    let text = cx.run(&bundle).ok();
    assert_eq!(text.lines().next(), Some("a-name.example"));
    if !host::is_peer() {
        assert_eq!(text.lines().nth(1), Some("the.domain"));
    }
    Ok(())
}

fn c5_hostname_needs_a_uts_namespace(cx: &Context) -> Done {
    let before = fs::read_to_string("/proc/sys/kernel/hostname").expect("read");
    let mut bundle = cx.bundle();
    bundle.without_namespace("uts");
    cx.run(&bundle).refused();
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").expect("read"), before);
    Ok(())
}

fn two_containers_cannot_see_each_other(cx: &Context) -> Done {
    let mut one = cx.bundle();
    one.set("/hostname", json!("one")).args(&["sleep", "1111"]);
    let mut two = cx.bundle();
    two.set("/hostname", json!("two")).args(&["sleep", "2222"]);
    let (one, two) = (cx.start(&one), cx.start(&two));
    for (own, foreign, name, other) in [(&one, "2222", "one", &two), (&two, "1111", "two", &one)] {
        let processes = own.exec(&["ps", "-o", "args"]);
        assert!(!processes.contains(foreign), "{processes}");
        assert_eq!(own.exec(&["hostname"]), name);
        own.exec(&["sh", "-c", "touch /tmp/secret /dev/shm/secret; mount -t tmpfs t /tmp || true"]);
        for path in ["/tmp/secret", "/dev/shm/secret"] {
            other.exec_call(&[], &["stat", path]).run().failed(1);
        }
        own.exec(&["rm", "-f", "/tmp/secret", "/dev/shm/secret"]);
        for kind in KINDS.split(' ').filter(|k| *k != "user") {
            let link = format!("ns/{kind}");
            assert_ne!(own.proc_link(&link), other.proc_link(&link), "{kind}");
        }
    }
    // A port that one listens on is not there for the other.
    assert_ne!(one.exec(&["readlink", "/proc/self/ns/net"]), two.exec(&["readlink", "/proc/self/ns/net"]));
    one.exec(&["hostname"]);
    let names = (one.exec(&["hostname"]), two.exec(&["hostname"]));
    assert_eq!(names, ("one".to_owned(), "two".to_owned()));
    Ok(())
}

fn two_containers_have_separate_ipc(cx: &Context) -> Done {
    let (one, two) = (cx.sleeper(), cx.sleeper());
    one.exec(&["touch", "/dev/mqueue/queue"]);
    assert_eq!(one.exec(&["ls", "/dev/mqueue"]), "queue");
    assert_eq!(two.exec(&["ls", "/dev/mqueue"]), "");
    Ok(())
}

fn container_cannot_signal_outside(cx: &Context) -> Done {
    let (one, two) = (cx.sleeper(), cx.sleeper());
    one.exec_call(&[], &["kill", "-9", &two.pid.to_string()]).run().failed(1);
    one.exec_call(&[], &["kill", "-9", &std::process::id().to_string()]).run().failed(1);
    // Everything that it can reach is itself.
    one.exec_call(&[], &["kill", "-TERM", "-1"]).run();
    assert_eq!(two.status(), "running");
    Ok(())
}

fn cgroup_namespace_hides_the_path(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/cgroup"]);
    for line in text.lines() {
        assert_eq!(line.rsplit(':').next(), Some("/"), "{text}");
    }
    bundle.without_namespace("cgroup");
    let text = cx.run(&bundle).ok();
    assert!(text.contains(&bundle.cgroup()), "{text}");
    Ok(())
}

fn pid_namespace_has_init_as_process_1(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo $$"]), "1");
    let text = cx.run_ok(&mut bundle, &["ps", "-o", "pid"]);
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["PID", "1"]);
    Ok(())
}

fn no_namespaces_at_all_but_mount(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/linux/namespaces", json!([{"type": "mount"}])).remove("/hostname");
    bundle.unmount("/dev/mqueue").unmount("/sys").shell(SHOW);
    let seen = lines(&cx.run(&bundle).ok());
    for (kind, host) in own() {
        assert_eq!(seen[&kind] == host, kind != "mnt", "{kind}");
    }
    Ok(())
}
