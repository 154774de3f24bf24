//! The root: read-only, masked and read-only paths, propagation, pivot,
//! sysctls.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::MsFlags;
use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::inside::mount_at;
use crate::{host, tests};

tests![
    c4_readonly_root,
    stricter c4_readonly_root_keeps_flags_of_the_source,
    s1_masked_paths_hide,
    s1_masked_paths_that_do_not_exist_are_skipped,
    stricter s1_masked_null_of_the_image_is_not_trusted,
    s2_readonly_paths_cannot_be_written,
    s2_readonly_paths_reach_below,
    stricter s3_rootfs_propagation,
    s3_unknown_propagation_is_refused,
    s3_shared_propagation_reaches_the_host,
    s3_private_is_the_default,
    s4_sysctls_of_own_namespaces,
    s4_sysctls_of_the_host_are_refused,
    stricter s4_sysctls_of_a_joined_network_are_refused,
    stricter s4_sysctl_spelling_cannot_escape,
    stricter s6_personality,
    no_pivot,
    no_pivot_keeps_the_host_out_of_reach,
    root_is_the_containers_after_pivot,
    rootfs_through_a_symlink,
    readonly_root_with_writable_mounts,
    no_pivot_with_hooks_of_the_container,
    read_only_dev_still_gets_its_devices,
    missing_cwd_on_a_read_only_root_is_made,
    stricter host_names_by_path_are_refused,
];

/// Such hooks look for the container at its path on the host, where the tree then lies until the
/// root is changed.
fn no_pivot_with_hooks_of_the_container(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("touch {}", bundle.inside("/by-the-hook").display())],
        "env": ["PATH=/usr/bin:/bin"]});
    bundle.push("/hooks/createContainer", hook);
    bundle.shell("ls /by-the-hook").write();
    let out = cx.call(&["run", "--no-pivot", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    assert!(out.ok().starts_with("/by-the-hook"), "{out}");
    Ok(())
}

fn read_only_dev_still_gets_its_devices(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.unmount("/dev/shm").unmount("/dev/mqueue").unmount("/dev/pts").unmount("/dev");
    bundle.mount("tmpfs", "tmpfs", "/dev", &["nosuid", "ro", "mode=755"]);
    bundle.shell("ls -l /dev/null | cut -c1; readlink /dev/fd; touch /dev/x 2>/dev/null || echo refused");
    assert_eq!(cx.run(&bundle).ok(), "c\n/proc/self/fd\nrefused");
    Ok(())
}

fn missing_cwd_on_a_read_only_root_is_made(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/root/readonly", json!(true)).set("/process/cwd", json!("/made/for/it"));
    assert_eq!(cx.run_ok(&mut bundle, &["pwd"]), "/made/for/it");
    Ok(())
}

/// A host name in the host's own namespace, named by its path, would be the host's.
fn host_names_by_path_are_refused(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.join_namespace("uts", "/proc/self/ns/uts").set("/hostname", json!("not-the-host"));
    let text = cx.run(&bundle).refused();
    if !host::is_peer() {
        assert!(text.contains("/hostname"), "{text}");
    }
    Ok(())
}

fn c4_readonly_root(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/root/readonly", json!(true));
    bundle.shell("touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo written; cat /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    assert!(text.starts_with("refused\nwritten\n"), "{text}");
    assert!(mount_at(&text, "/").has("ro"));
    fs::write(bundle.inside("/y"), "").expect("the host may write on");
    Ok(())
}

fn c4_readonly_root_keeps_flags_of_the_source(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let dir = cx.fresh_dir("flagged");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    nix::mount::mount(Some(&bundle.rootfs()), &dir, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .expect("bind");
    nix::mount::mount(None::<&str>, &dir, None::<&str>, flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND, None::<&str>)
        .expect("set flags");
    bundle.set("/root", json!({"path": dir, "readonly": true}));
    let mount = mount_at(&cx.run_ok(&mut bundle, &["cat", "/proc/self/mountinfo"]), "/");
    for flag in ["ro", "nosuid", "nodev", "noatime"] {
        assert!(mount.has(flag), "{flag}: {mount:?}");
    }
    host::wait_for("the end of the mount", || nix::mount::umount(&dir).ok());
    Ok(())
}

fn s1_masked_paths_hide(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::write(bundle.inside("/secret"), "hidden").expect("write");
    fs::create_dir_all(bundle.inside("/vault/inner")).expect("mkdir");
    fs::write(bundle.inside("/vault/inner/x"), "hidden").expect("write");
    fs::create_dir_all(bundle.inside("/second/inner")).expect("mkdir");
    bundle.set("/linux/maskedPaths", json!(["/secret", "/vault", "/second", "/proc/keys"]));
    bundle.shell(
        "cat /secret; stat -c '%t:%T' /secret; ls /vault /second | grep -v :; \
         touch /vault/x || echo refused; echo x >/secret && echo swallowed; stat -c '%t:%T' /proc/keys; \
         cat /proc/self/mountinfo",
    );
    let text = cx.run(&bundle).ok();
    let first: Vec<&str> = text.lines().filter(|l| !l.is_empty()).take(4).collect();
    assert_eq!(first, ["1:3", "refused", "swallowed", "1:3"], "{text}");
    let vault = mount_at(&text, "/vault");
    assert!(vault.kind == "tmpfs" && vault.has("ro"), "{vault:?}");
    Ok(())
}

fn s1_masked_paths_that_do_not_exist_are_skipped(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/linux/maskedPaths", json!(["/not/there", "/etc/passwd/deeper"]));
    bundle.set("/linux/readonlyPaths", json!(["/not/there/either"]));
    let out = cx.run(&bundle);
    if out.code != Some(0) {
        // A path through a file may also be refused, but not half-done.
        bundle.set("/linux/maskedPaths", json!(["/not/there"]));
        cx.run(&bundle).ok();
    }
    Ok(())
}

fn s1_masked_null_of_the_image_is_not_trusted(cx: &Context) -> Done {
    for case in 0..4 {
        let mut bundle = cx.bundle();
        bundle.unmount("/dev").unmount("/dev/pts").unmount("/dev/shm").unmount("/dev/mqueue");
        bundle.remove("/linux/devices");
        fs::write(bundle.inside("/secret"), "hidden").expect("write");
        fs::write(bundle.inside("/bait"), "bait").expect("write");
        let null = bundle.inside("/dev/null");
        match case {
            0 => symlink("/bait", &null).expect("symlink"),
            1 => fs::write(&null, "a plain file").expect("write"),
            2 => nix::sys::stat::mknod(
                &null,
                nix::sys::stat::SFlag::S_IFCHR,
                nix::sys::stat::Mode::from_bits_truncate(0o666),
                nix::sys::stat::makedev(1, 5),
            )
            .expect("mknod"),
            _ => fs::create_dir(&null).expect("mkdir"),
        }
        bundle.set("/linux/maskedPaths", json!(["/secret"]));
        let out = cx.run(bundle.args(&["stat", "-c", "%t:%T", "/secret"]));
        if out.code == Some(0) {
            assert_eq!(out.ok(), "1:3", "case {case}");
        } else {
            out.refused();
        }
        assert_eq!(fs::read_to_string(bundle.inside("/bait")).expect("read"), "bait");
    }
    Ok(())
}

fn s2_readonly_paths_cannot_be_written(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::write(bundle.inside("/fixed"), "fixed").expect("write");
    bundle.set("/linux/readonlyPaths", json!(["/fixed", "/etc", "/proc/sys"]));
    bundle.shell(
        "echo x >/fixed || echo one; touch /etc/x || echo two; \
         echo 1 >/proc/sys/kernel/msgmax || echo three; cat /proc/self/mountinfo",
    );
    let text = cx.run(&bundle).ok();
    assert!(text.starts_with("one\ntwo\nthree\n"), "{text}");
    let sys = mount_at(&text, "/proc/sys");
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(sys.has(flag), "{flag} of the procfs mount is kept: {sys:?}");
    }
    Ok(())
}

fn s2_readonly_paths_reach_below(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.mount("tmpfs", "t", "/top", &[]).mount("tmpfs", "t", "/top/below", &[]);
    bundle.set("/linux/readonlyPaths", json!(["/top"]));
    bundle.shell("touch /top/x || echo one; ls /top");
    let text = cx.run(&bundle).ok();
    assert_eq!(text, "one\nbelow");
    Ok(())
}

fn s3_rootfs_propagation(cx: &Context) -> Done {
    let table = [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
    ];
    for (word, tag) in table {
        let mut bundle = cx.bundle();
        bundle.set("/linux/rootfsPropagation", json!(word));
        let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/mountinfo"]);
        let tags = mount_at(&text, "/").tags.join(" ");
        if tag.is_empty() {
            assert_eq!(tags, "", "{word}");
        } else {
            assert!(tags.contains(tag), "{word}: {tags}");
        }
    }
    // A slave needs a master, and the mount that holds the bundle may have been
    // made private before: then there is none.
    for word in ["slave", "rslave"] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/rootfsPropagation", json!(word));
        let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/mountinfo"]);
        assert!(!mount_at(&text, "/").tags.join(" ").contains("shared:"), "{text}");
    }
    Ok(())
}

fn s3_unknown_propagation_is_refused(cx: &Context) -> Done {
    for word in ["nonsense", "Shared", "private,shared"] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/rootfsPropagation", json!(word));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn s3_shared_propagation_reaches_the_host(cx: &Context) -> Done {
    let dir = cx.fresh_dir("shared");
    let none = None::<&str>;
    nix::mount::mount(Some(&dir), &dir, none, MsFlags::MS_BIND, none).expect("bind");
    nix::mount::mount(none, &dir, none, MsFlags::MS_SHARED, none).expect("share");
    let mut bundle = cx.bundle();
    bundle.set("/linux/rootfsPropagation", json!("shared")).add_capability("CAP_SYS_ADMIN");
    bundle.bind(&dir, "/s", &["shared"]).bind(&dir, "/p", &["private"]);
    bundle.shell("mkdir /s/one /p/two; mount -t tmpfs t /s/one; mount -t tmpfs t /p/two; sleep 1000");
    let container = cx.start(&bundle);
    let one = dir.join("one").display().to_string();
    host::wait_for("the mount on the host", || host::mountinfo().contains(&one).then_some(()));
    assert!(!host::mountinfo().contains(dir.join("two").to_str().unwrap()));
    container.delete_force();
    nix::mount::umount(&dir.join("one")).expect("the mount is the host's now");
    host::wait_for("the end of the mount", || nix::mount::umount(&dir).ok());
    Ok(())
}

fn s3_private_is_the_default(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.add_capability("CAP_SYS_ADMIN");
    bundle.shell("mkdir /m; mount -t tmpfs t /m && echo mounted; sleep 1000");
    let before = host::mountinfo();
    let container = cx.start(&bundle);
    container.wait_output("mounted");
    assert_eq!(host::mountinfo(), before, "no mount comes to the host");
    Ok(())
}

fn s4_sysctls_of_own_namespaces(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set(
        "/linux/sysctl",
        json!({"kernel.msgmax": "65537", "kernel/shmmni": "4097", "fs.mqueue.msg_max": "11",
               "net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 0",
               "kernel.shm_rmid_forced": "1"}),
    );
    bundle.shell(
        "cd /proc/sys; cat kernel/msgmax kernel/shmmni fs/mqueue/msg_max net/ipv4/ip_forward \
         net/ipv4/ping_group_range kernel/shm_rmid_forced",
    );
    let text = cx.run(&bundle).ok();
    let seen: Vec<String> =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(seen, ["65537", "4097", "11", "1", "0 0", "1"]);
    Ok(())
}

fn current(key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/{}", key.replace('.', "/")));
    text.unwrap_or_default().trim().to_owned()
}

fn s4_sysctls_of_the_host_are_refused(cx: &Context) -> Done {
    // With the value that is there already: harmless should it be accepted.
    for key in ["vm.swappiness", "kernel.panic", "kernel.hostname", "fs.file-max", "dev.tty.ldisc_autoload"] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/sysctl", json!({key: current(key)}));
        let text = cx.run(&bundle).refused();
        assert!(text.contains(key), "{text}");
    }
    for (kind, key) in [("ipc", "kernel.msgmax"), ("network", "net.ipv4.ip_forward")] {
        let mut bundle = cx.bundle();
        bundle.without_namespace(kind).unmount("/dev/mqueue").unmount("/sys");
        bundle.set("/linux/sysctl", json!({key: current(key)}));
        cx.run(&bundle).refused_with(key);
    }
    Ok(())
}

fn s4_sysctls_of_a_joined_network_are_refused(cx: &Context) -> Done {
    let key = "net.ipv4.ip_forward";
    let mut bundle = cx.bundle();
    bundle.join_namespace("network", "/proc/self/ns/net").unmount("/sys");
    bundle.set("/linux/sysctl", json!({key: current(key)}));
    cx.run(&bundle).refused();
    let mut bundle = cx.bundle();
    let path = format!("/proc/{}/ns/net", std::process::id());
    bundle.join_namespace("network", &path).unmount("/sys");
    bundle.set("/linux/sysctl", json!({key: current(key)}));
    cx.run(&bundle).refused();
    Ok(())
}

fn s4_sysctl_spelling_cannot_escape(cx: &Context) -> Done {
    for key in ["net/../vm/swappiness", "net.ipv4/../../vm/swappiness", "/proc/sys/net/ipv4/ip_forward", "net..ipv4", "", "."] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/sysctl", json!({key: current("vm.swappiness")}));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn s6_personality(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}));
    assert_eq!(cx.run_ok(&mut bundle, &["uname", "-m"]), "i686");
    bundle.set("/linux/personality", json!({"domain": "LINUX"}));
    assert_eq!(cx.run_ok(&mut bundle, &["uname", "-m"]), std::env::consts::ARCH);
    for bad in [json!({"domain": "BSD"}), json!({"domain": "LINUX", "flags": ["X"]})] {
        bundle.set("/linux/personality", bad);
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn no_pivot(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("ls / | tr '\\n' ' '; touch /made").write();
    let out = cx.call(&["run", "--no-pivot", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    assert!(out.ok().contains("bin dev etc"), "{out}");
    assert!(bundle.inside("/made").exists());
    Ok(())
}

fn no_pivot_keeps_the_host_out_of_reach(cx: &Context) -> Done {
    let marker = cx.fresh_path("marker");
    fs::write(&marker, "").expect("write");
    let mut bundle = cx.bundle();
    let climb = "../".repeat(20);
    bundle.shell(&format!(
        "ls {climb}{0} {0} /proc/1/root{0} 2>/dev/null | grep -c marker; true",
        marker.display()
    ));
    bundle.write();
    let out = cx.call(&["run", "--no-pivot", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    assert_eq!(out.ok(), "0");
    Ok(())
}

fn root_is_the_containers_after_pivot(cx: &Context) -> Done {
    use std::os::unix::fs::MetadataExt;
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let seen = fs::metadata(format!("/proc/{}/root/", container.pid)).expect("its root");
    let own = fs::metadata(bundle.rootfs()).expect("the rootfs");
    assert_eq!((seen.dev(), seen.ino()), (own.dev(), own.ino()));
    assert_eq!(container.proc_link("cwd"), "/");
    Ok(())
}

fn rootfs_through_a_symlink(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    symlink("rootfs", bundle.dir().join("link")).expect("symlink");
    bundle.set("/root/path", json!("link"));
    let out = cx.run(&bundle);
    // Either way is fine, as long as it is clear.
    if out.code != Some(0) {
        assert!(out.refused().contains("rootfs") || out.stderr.contains("link"), "{out}");
    }
    for path in ["", "nowhere", "config.json", "/dev/null"] {
        bundle.set("/root/path", json!(path));
        cx.run(&bundle).refused();
    }
    assert!(Path::new("/dev/null").exists());
    Ok(())
}

fn readonly_root_with_writable_mounts(cx: &Context) -> Done {
    let dir = cx.fresh_dir("data");
    let mut bundle = cx.bundle();
    bundle.set("/root/readonly", json!(true)).bind(&dir, "/data", &[]).mount("tmpfs", "t", "/tmp", &[]);
    bundle.shell("touch /data/x /tmp/x && echo written; touch /etc/x || echo refused");
    assert_eq!(cx.run(&bundle).ok(), "written\nrefused");
    Ok(())
}
