//! `mounts`: every kind, every option, order, creation of targets.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::inside::{Mount, mount_at, mounts};
use crate::{host, tests};

tests![
    m1_mounts_are_made_in_order,
    m2_relative_destination_is_below_the_root,
    m3_destination_cannot_climb_out,
    m4_missing_targets_are_created,
    m5_relative_source_is_below_the_bundle,
    m6_bind_is_decided_by_the_options,
    m7_unknown_type_is_refused,
    m8_data_options_reach_the_filesystem,
    stricter m9_bind_with_data_options_is_refused,
    stricter m10_flags_of_a_tmpfs,
    stricter m10_flags_of_a_bind,
    m10_later_option_wins,
    stricter m11_lazytime_and_friends,
    stricter m12_nosymfollow,
    m14_propagation_of_a_mount,
    stricter m15_recursive_attributes,
    m15_rro_reaches_below,
    m10_ro_bind_leaves_what_is_below_alone,
    m17_tmpcopyup_keeps_the_content,
    stricter m18_idmapped_bind,
    m20_nothing_below_proc_but_a_few_files,
    stricter m22_cgroup_read_only,
    m22_cgroup_writable_shows_own_limits,
    m23_devpts_is_a_new_instance,
    m24_mqueue_and_shm,
    stricter m25_tmpfs_keeps_the_mode_of_what_it_hides,
    stricter m27_mount_over_the_root_is_refused,
    overlay_mount,
    bind_of_a_file_and_a_directory,
    bind_missing_source_is_refused,
    bind_of_a_file_on_a_directory_says_so,
    bind_of_a_socket_and_a_fifo,
    rbind_brings_the_mounts_below,
    stricter source_flags_are_kept_in_a_user_namespace,
    sysfs_and_proc_are_the_containers,
    hundred_mounts,
    nothing_of_the_host_remains_mounted,
];

const CAT: [&str; 2] = ["cat", "/proc/self/mountinfo"];

fn seen(cx: &Context, bundle: &mut crate::bundle::Bundle) -> String {
    cx.run_ok(bundle, &CAT)
}

/// A directory on the host with one file in it.
fn source(cx: &Context) -> std::path::PathBuf {
    let dir = cx.fresh_dir("source");
    fs::write(dir.join("file"), "from the host\n").expect("write");
    dir
}

fn m1_mounts_are_made_in_order(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .mount("tmpfs", "first", "/a", &["size=1m"])
        .mount("tmpfs", "below", "/a/b", &["size=1m"])
        .mount("tmpfs", "over", "/c/d", &["size=1m"])
        .mount("tmpfs", "hides", "/c", &["size=1m"]);
    bundle.shell("ls /a; ls /c; cat /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    let (listing, table) = text.split_once('\n').expect("two parts");
    assert_eq!(listing, "b", "/c is empty: {text}");
    assert_eq!(mount_at(table, "/a/b").source, "below");
    assert_eq!(mount_at(table, "/c").source, "hides");
    Ok(())
}

fn m2_relative_destination_is_below_the_root(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/cwd", json!("/tmp"));
    bundle.mount("tmpfs", "t", "some/where", &[]);
    mount_at(&seen(cx, &mut bundle), "/some/where");
    Ok(())
}

fn m3_destination_cannot_climb_out(cx: &Context) -> Done {
    for target in ["/../../../up", "/a/../../up", "/./up/.", "//up//"] {
        let mut bundle = cx.bundle();
        bundle.mount("tmpfs", "t", target, &[]);
        let out = cx.run(bundle.args(&CAT));
        if out.code == Some(0) {
            mount_at(&out.stdout, "/up");
        }
        assert!(!bundle.dir().join("up").exists() && !cx.scratch().join("up").exists());
        assert!(!std::path::Path::new("/up").exists(), "{target}");
    }
    Ok(())
}

fn m4_missing_targets_are_created(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    bundle
        .mount("tmpfs", "t", "/new/a/b", &[])
        .bind(&dir, "/new/c/d", &[])
        .bind(&dir.join("file"), "/new/e/f", &[]);
    assert_eq!(cx.run_ok(&mut bundle, &["cat", "/new/c/d/file", "/new/e/f"]).lines().count(), 2);
    let mode = |p: &str| fs::metadata(bundle.inside(p)).expect(p).mode() & 0o777;
    assert_eq!(mode("/new/a"), 0o755);
    assert_eq!(mode("/new/c/d"), 0o755);
    assert!(fs::metadata(bundle.inside("/new/e/f")).expect("made").is_file());
    assert_eq!(fs::metadata(bundle.inside("/new/e/f")).expect("made").len(), 0);
    Ok(())
}

fn m5_relative_source_is_below_the_bundle(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::create_dir(bundle.dir().join("data")).expect("mkdir");
    fs::write(bundle.dir().join("data/x"), "beside the config").expect("write");
    bundle.mount("bind", "data", "/data", &["bind"]);
    bundle.args(&["cat", "/data/x"]).write();
    let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).dir("/").run();
    assert_eq!(out.ok(), "beside the config");
    Ok(())
}

fn m6_bind_is_decided_by_the_options(cx: &Context) -> Done {
    let dir = source(cx);
    for (kind, option) in [("none", "bind"), ("", "rbind"), ("bind", "rbind"), ("tmpfs", "bind")] {
        let mut bundle = cx.bundle();
        bundle.mount(kind, dir.to_str().unwrap(), "/m", &[option]);
        assert_eq!(cx.run_ok(&mut bundle, &["cat", "/m/file"]), "from the host", "{kind} {option}");
    }
    let mut bundle = cx.bundle();
    bundle.push("/mounts", json!({"destination": "/m", "source": dir, "options": ["bind"]}));
    assert_eq!(cx.run_ok(&mut bundle, &["cat", "/m/file"]), "from the host");
    Ok(())
}

fn m7_unknown_type_is_refused(cx: &Context) -> Done {
    for kind in ["nosuchfs", "tmp fs"] {
        let mut bundle = cx.bundle();
        bundle.mount(kind, "x", "/m", &[]);
        let text = cx.run(&bundle).refused();
        assert!(text.contains("nosuchfs") || text.contains("tmp fs") || text.contains("/m"), "{text}");
    }
    Ok(())
}

fn m8_data_options_reach_the_filesystem(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.mount("tmpfs", "t", "/m", &["size=64k", "nr_inodes=7", "mode=1711", "uid=5", "nodev"]);
    bundle.shell("stat -c '%a %u' /m; cat /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    assert_eq!(text.lines().next(), Some("1711 5"));
    let mount = mount_at(&text, "/m");
    for option in ["size=64k", "nr_inodes=7"] {
        assert!(mount.super_options.iter().any(|o| o == option), "{mount:?}");
    }
    let mut bundle = cx.bundle();
    bundle.mount("tmpfs", "t", "/m", &["nonsense=1"]);
    cx.run(&bundle).refused();
    Ok(())
}

fn m9_bind_with_data_options_is_refused(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    bundle.bind(&dir, "/m", &["size=1m"]);
    cx.run(&bundle).refused_with("size=1m");
    Ok(())
}

/// What the options given become in the mount table.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const FLAGS: &[Row] = &[
    (&["ro"], &["ro"], &["rw"]),
    (&["rw"], &["rw"], &["ro"]),
    (&["nosuid", "nodev", "noexec"], &["nosuid", "nodev", "noexec"], &[]),
    (&["noatime"], &["noatime"], &["relatime"]),
    (&["nodiratime"], &["nodiratime"], &[]),
    (&["relatime"], &["relatime"], &["noatime"]),
    (&["strictatime"], &[], &["noatime", "relatime"]),
    (&["defaults"], &["rw"], &["nosuid", "nodev", "noexec"]),
];

fn check(row: &Row, mount: &Mount) {
    for option in row.1 {
        assert!(mount.has(option), "{:?} must show {option}: {mount:?}", row.0);
    }
    for option in row.2 {
        assert!(!mount.has(option), "{:?} must not show {option}: {mount:?}", row.0);
    }
}

fn m10_flags_of_a_tmpfs(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    for (n, row) in FLAGS.iter().enumerate() {
        bundle.mount("tmpfs", "t", &format!("/m{n}"), row.0);
    }
    bundle.mount("tmpfs", "t", "/s", &["sync", "dirsync"]);
    let text = seen(cx, &mut bundle);
    for (n, row) in FLAGS.iter().enumerate() {
        check(row, &mount_at(&text, &format!("/m{n}")));
    }
    let sync = mount_at(&text, "/s");
    for option in ["sync", "dirsync"] {
        assert!(sync.has(option) || sync.super_options.iter().any(|o| o == option), "{sync:?}");
    }
    Ok(())
}

fn m10_flags_of_a_bind(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    for (n, row) in FLAGS.iter().enumerate() {
        bundle.bind(&dir, &format!("/m{n}"), row.0);
    }
    let text = seen(cx, &mut bundle);
    for (n, row) in FLAGS.iter().enumerate().filter(|(_, r)| r.0 != ["strictatime"]) {
        check(row, &mount_at(&text, &format!("/m{n}")));
    }
    // The host's own mount keeps its flags.
    let own = host::mountinfo();
    assert!(!mount_at(&own, cx.scratch().to_str().unwrap()).has("ro"));
    fs::write(dir.join("still"), "writable").expect("the source stays writable on the host");
    Ok(())
}

fn m10_later_option_wins(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.mount("tmpfs", "t", "/a", &["ro", "rw", "nosuid", "suid", "exec", "noexec"]);
    let mount = mount_at(&seen(cx, &mut bundle), "/a");
    assert!(mount.has("rw") && mount.has("noexec") && !mount.has("nosuid"), "{mount:?}");
    Ok(())
}

fn m11_lazytime_and_friends(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    for (n, option) in
        ["iversion", "noiversion", "lazytime", "nolazytime", "loud", "silent"].iter().enumerate()
    {
        bundle.mount("tmpfs", "t", &format!("/m{n}"), &[option]);
    }
    seen(cx, &mut bundle);
    Ok(())
}

fn m12_nosymfollow(cx: &Context) -> Done {
    cx.need(host::kernel() >= (5, 10), "nosymfollow needs Linux 5.10")?;
    let dir = source(cx);
    std::os::unix::fs::symlink("file", dir.join("link")).expect("symlink");
    let mut bundle = cx.bundle();
    bundle.bind(&dir, "/no", &["nosymfollow"]).bind(&dir, "/yes", &["symfollow"]);
    bundle.shell("cat /yes/link; cat /no/link || echo refused");
    assert_eq!(cx.run(&bundle).ok(), "from the host\nrefused");
    Ok(())
}

fn m14_propagation_of_a_mount(cx: &Context) -> Done {
    // A mount of its own: the one that holds the bundle may become private.
    let dir = cx.fresh_dir("shared");
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("t"), &dir, Some("tmpfs"), flags, None::<&str>).expect("mount");
    let mut bundle = cx.bundle();
    for word in ["private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave"] {
        bundle.bind(&dir, &format!("/{word}"), &[word]);
    }
    let text = seen(cx, &mut bundle);
    let tags = |word: &str| mount_at(&text, &format!("/{word}")).tags.join(" ");
    assert_eq!(tags("private"), "");
    assert_eq!(tags("rprivate"), "");
    for word in ["shared", "rshared"] {
        assert!(tags(word).contains("shared:"), "{word}: {}", tags(word));
    }
    for word in ["slave", "rslave"] {
        let seen = tags(word);
        assert!(seen.contains("master:") && !seen.contains("shared:"), "{word}: {seen}");
    }
    assert!(tags("unbindable").contains("unbindable"), "{}", tags("unbindable"));
    host::wait_for("the end of the mount", || nix::mount::umount(&dir).ok());
    Ok(())
}

/// A directory that has a tmpfs mounted below it, on the host.
fn nested(cx: &Context) -> std::path::PathBuf {
    let dir = source(cx);
    fs::create_dir(dir.join("below")).expect("mkdir");
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("t"), &dir.join("below"), Some("tmpfs"), flags, None::<&str>)
        .expect("a mount below");
    dir
}

fn unnest(dir: &std::path::Path) {
    host::wait_for("the end of the mount", || nix::mount::umount(&dir.join("below")).ok());
}

fn m15_recursive_attributes(cx: &Context) -> Done {
    cx.need(host::kernel() >= (5, 12), "recursive attributes need Linux 5.12")?;
    let dir = nested(cx);
    let mut bundle = cx.bundle();
    let table: &[Row] = &[
        (&["rbind", "rro"], &["ro"], &[]),
        (&["rbind", "ro", "rrw"], &["rw"], &[]),
        (&["rbind", "rnosuid", "rnodev", "rnoexec"], &["nosuid", "nodev", "noexec"], &[]),
        (&["rbind", "rnoatime"], &["noatime"], &[]),
        (&["rbind", "rnodiratime"], &["nodiratime"], &[]),
        (&["rbind", "rstrictatime"], &[], &["relatime", "noatime"]),
    ];
    for (n, row) in table.iter().enumerate() {
        bundle.mount("bind", dir.to_str().unwrap(), &format!("/m{n}"), row.0);
    }
    let text = seen(cx, &mut bundle);
    for (n, row) in table.iter().enumerate() {
        check(row, &mount_at(&text, &format!("/m{n}/below")));
    }
    unnest(&dir);
    Ok(())
}

fn m15_rro_reaches_below(cx: &Context) -> Done {
    cx.need(host::kernel() >= (5, 12), "rro needs Linux 5.12")?;
    let dir = nested(cx);
    let mut bundle = cx.bundle();
    bundle.mount("bind", dir.to_str().unwrap(), "/m", &["rbind", "rro"]);
    bundle.shell("touch /m/x || echo one; touch /m/below/x || echo two");
    assert_eq!(cx.run(&bundle).ok(), "one\ntwo");
    unnest(&dir);
    Ok(())
}

fn m10_ro_bind_leaves_what_is_below_alone(cx: &Context) -> Done {
    let dir = nested(cx);
    let mut bundle = cx.bundle();
    bundle.mount("bind", dir.to_str().unwrap(), "/m", &["rbind", "ro"]);
    bundle.shell("touch /m/x || echo refused; touch /m/below/x && echo written");
    assert_eq!(cx.run(&bundle).ok(), "refused\nwritten");
    unnest(&dir);
    Ok(())
}

fn m17_tmpcopyup_keeps_the_content(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let dir = bundle.inside("/var/data/deep");
    fs::create_dir_all(&dir).expect("mkdir");
    fs::write(dir.join("file"), "kept").expect("write");
    fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o4750)).expect("chmod");
    std::os::unix::fs::chown(dir.join("file"), Some(3), Some(4)).expect("chown");
    fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o4750)).expect("chmod");
    std::os::unix::fs::symlink("file", dir.join("link")).expect("symlink");
    bundle.mount("tmpfs", "t", "/var/data", &["tmpcopyup"]);
    bundle.shell(
        "cat /var/data/deep/link; echo; stat -c '%a %u %g' /var/data/deep/file; \
         readlink /var/data/deep/link; echo new >/var/data/new; cat /proc/self/mountinfo",
    );
    let text = cx.run(&bundle).ok();
    assert!(text.starts_with("kept\n4750 3 4\nfile\n"), "{text}");
    assert_eq!(mount_at(&text, "/var/data").kind, "tmpfs");
    assert!(!bundle.inside("/var/data/new").exists());
    Ok(())
}

fn m18_idmapped_bind(cx: &Context) -> Done {
    cx.need(host::kernel() >= (6, 3), "an idmapped tmpfs needs Linux 6.3")?;
    let dir = source(cx);
    std::os::unix::fs::chown(dir.join("file"), Some(1000), Some(1000)).expect("chown");
    let map = json!([{"containerID": 1000, "hostID": 2000, "size": 10}]);
    let mut bundle = cx.bundle();
    bundle.push(
        "/mounts",
        json!({"destination": "/m", "type": "bind", "source": dir, "options": ["bind", "idmap"],
               "uidMappings": map, "gidMappings": map}),
    );
    assert_eq!(cx.run_ok(&mut bundle, &["stat", "-c", "%u %g", "/m/file"]), "2000 2000");
    bundle.push(
        "/mounts",
        json!({"destination": "/n", "type": "bind", "source": dir, "options": ["bind"],
               "uidMappings": map}),
    );
    cx.run(&bundle).refused();
    Ok(())
}

fn m20_nothing_below_proc_but_a_few_files(cx: &Context) -> Done {
    let dir = source(cx);
    for target in ["/proc/self/attr", "/proc/sys", "/proc/1", "/proc/sysrq-trigger"] {
        let mut bundle = cx.bundle();
        bundle.bind(&dir.join(if target.ends_with("trigger") { "file" } else { "." }), target, &[]);
        let text = cx.run(&bundle).refused();
        assert!(text.contains("/proc"), "{target}: {text}");
    }
    let mut bundle = cx.bundle();
    bundle.bind(&dir.join("file"), "/proc/uptime", &[]).bind(&dir.join("file"), "/proc/meminfo", &[]);
    assert_eq!(cx.run_ok(&mut bundle, &["cat", "/proc/uptime", "/proc/meminfo"]).lines().count(), 2);
    // A plain directory in the place of procfs would swallow what is written
    // for a label.
    let mut bundle = cx.bundle();
    bundle.unmount("/proc").bind(&dir, "/proc", &[]);
    cx.run(&bundle).refused();
    Ok(())
}

fn m22_cgroup_read_only(cx: &Context) -> Done {
    for with_namespace in [true, false] {
        let mut bundle = cx.bundle();
        if !with_namespace {
            bundle.without_namespace("cgroup");
        }
        bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["ro", "nosuid", "noexec", "nodev"]);
        bundle.shell(
            "n=0; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do \
             if mkdir $d/made 2>/dev/null; then echo WRITABLE $d; fi; n=$((n+1)); done; \
             cat /proc/self/mountinfo; cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null; true",
        );
        let text = cx.run(&bundle).ok();
        assert!(!text.contains("WRITABLE"), "{text}");
        let all = mounts(&text);
        let count = all.iter().filter(|m| m.kind.starts_with("cgroup")).count();
        let expected = if cx.cgroups.is_pure_v2() { 1 } else { cx.cgroups.v1.len().min(5) };
        assert!(count >= expected, "{count} cgroup mounts: {text}");
        assert!(all.iter().filter(|m| m.kind.starts_with("cgroup")).all(|m| m.has("ro")), "{text}");
        // Its own processes, not the host's.
        assert!(text.lines().last().is_some_and(|l| l.len() < 8), "{text}");
    }
    Ok(())
}

fn m22_cgroup_writable_shows_own_limits(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    let mut bundle = cx.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 33}));
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["rw", "nosuid", "noexec", "nodev"]);
    let dir = if cx.cgroups.is_pure_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" };
    bundle.shell(&format!("cat {dir}/pids.max; mkdir {dir}/own && echo made && rmdir {dir}/own"));
    assert_eq!(cx.run(&bundle).ok(), "33\nmade");
    Ok(())
}

fn m23_devpts_is_a_new_instance(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("ls /dev/pts; stat -c %a /dev/pts/ptmx; cat /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    let lines: Vec<&str> = text.lines().take(2).collect();
    assert_eq!(lines, ["ptmx", "666"]);
    let mount = mount_at(&text, "/dev/pts");
    assert!(mount.super_options.iter().any(|o| o == "gid=5"), "{mount:?}");
    Ok(())
}

fn m24_mqueue_and_shm(cx: &Context) -> Done {
    let text = seen(cx, &mut cx.bundle());
    assert_eq!(mount_at(&text, "/dev/mqueue").kind, "mqueue");
    let shm = mount_at(&text, "/dev/shm");
    assert!(shm.kind == "tmpfs" && shm.super_options.iter().any(|o| o == "size=65536k"), "{shm:?}");
    Ok(())
}

fn m25_tmpfs_keeps_the_mode_of_what_it_hides(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::create_dir(bundle.inside("/odd")).expect("mkdir");
    fs::set_permissions(bundle.inside("/odd"), fs::Permissions::from_mode(0o2711)).expect("chmod");
    bundle.mount("tmpfs", "t", "/odd", &[]).mount("tmpfs", "t", "/tmp", &["mode=0700"]);
    let text = cx.run_ok(&mut bundle, &["stat", "-c", "%a", "/odd", "/tmp"]);
    assert!(text == "2711\n700" || text == "711\n700", "{text}");
    Ok(())
}

fn m27_mount_over_the_root_is_refused(cx: &Context) -> Done {
    for target in ["/", "//", "/.", "/tmp/.."] {
        let mut bundle = cx.bundle();
        bundle.mount("tmpfs", "t", target, &[]);
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn overlay_mount(cx: &Context) -> Done {
    let dir = cx.fresh_dir("overlay");
    for name in ["one", "two", "upper", "work"] {
        fs::create_dir(dir.join(name)).expect("mkdir");
    }
    fs::write(dir.join("one/a"), "a1").expect("write");
    fs::write(dir.join("two/a"), "a2").expect("write");
    fs::write(dir.join("two/b"), "b2").expect("write");
    let path = |n: &str| dir.join(n).display().to_string();
    let lower = format!("lowerdir={}:{}", path("one"), path("two"));
    let upper = format!("upperdir={}", path("upper"));
    let work = format!("workdir={}", path("work"));
    let mut bundle = cx.bundle();
    bundle.mount("overlay", "overlay", "/o", &[&lower, &upper, &work]);
    bundle.shell("cat /o/a /o/b; echo new >/o/c; rm /o/b");
    assert_eq!(cx.run(&bundle).ok(), "a1b2");
    assert_eq!(fs::read_to_string(dir.join("upper/c")).expect("in the upper layer"), "new\n");
    assert_eq!(fs::read_to_string(dir.join("two/b")).expect("untouched"), "b2");
    Ok(())
}

fn bind_of_a_file_and_a_directory(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    bundle.bind(&dir, "/d", &["ro"]).bind(&dir.join("file"), "/f", &[]).bind(&dir, "/w", &[]);
    bundle.shell("cat /d/file /f; echo more >>/f; touch /d/x || echo ro; touch /w/y; touch /w/z");
    let out = cx.run(&bundle);
    assert_eq!(out.ok(), "from the host\nfrom the host\nro");
    assert!(fs::read_to_string(dir.join("file")).expect("read").ends_with("more\n"));
    assert!(dir.join("y").exists() && dir.join("z").exists() && !dir.join("x").exists());
    Ok(())
}

fn bind_missing_source_is_refused(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.bind(std::path::Path::new("/no/such/source"), "/m", &[]);
    let text = cx.run(&bundle).refused().to_lowercase();
    assert!(text.contains("/no/such/source") && text.contains("no such file"), "{text}");
    Ok(())
}

fn bind_of_a_file_on_a_directory_says_so(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    bundle.bind(&dir.join("file"), "/etc", &[]);
    let text = cx.run(&bundle).refused().to_lowercase();
    assert!(text.contains("not a directory"), "{text}");
    Ok(())
}

fn bind_of_a_socket_and_a_fifo(cx: &Context) -> Done {
    let dir = cx.fresh_dir("special");
    let _listener = std::os::unix::net::UnixListener::bind(dir.join("socket")).expect("bind");
    nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    let mut bundle = cx.bundle();
    bundle.bind(&dir.join("socket"), "/run/s", &[]).bind(&dir.join("fifo"), "/run/f", &[]);
    let text = cx.run_ok(&mut bundle, &["stat", "-c", "%F", "/run/s", "/run/f"]);
    assert_eq!(text, "socket\nfifo");
    Ok(())
}

fn rbind_brings_the_mounts_below(cx: &Context) -> Done {
    let dir = nested(cx);
    fs::write(dir.join("below/deep"), "deep").expect("write");
    let mut bundle = cx.bundle();
    bundle
        .mount("bind", dir.to_str().unwrap(), "/r", &["rbind"])
        .mount("bind", dir.to_str().unwrap(), "/b", &["bind"]);
    bundle.shell("ls /r/below; echo -; ls /b/below");
    assert_eq!(cx.run(&bundle).ok(), "deep\n-");
    unnest(&dir);
    Ok(())
}

fn source_flags_are_kept_in_a_user_namespace(cx: &Context) -> Done {
    let dir = cx.fresh_dir("flagged");
    let flags = nix::mount::MsFlags::MS_NOSUID | nix::mount::MsFlags::MS_NODEV;
    nix::mount::mount(Some("t"), &dir, Some("tmpfs"), flags, Some("mode=0755")).expect("mount");
    let mut bundle = cx.bundle();
    bundle.user_namespace().bind(&dir, "/m", &["ro"]);
    let mount = mount_at(&seen(cx, &mut bundle), "/m");
    assert!(mount.has("ro") && mount.has("nosuid") && mount.has("nodev"), "{mount:?}");
    host::wait_for("the end of the mount", || nix::mount::umount(&dir).ok());
    Ok(())
}

fn sysfs_and_proc_are_the_containers(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("ls /sys/class/net; ls -d /proc/[0-9]* | wc -l; cat /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    let count: u32 = text.lines().find_map(|l| l.parse().ok()).expect("a count");
    assert!(count <= 3, "{text}");
    assert_eq!(mount_at(&text, "/proc").kind, "proc");
    assert!(mount_at(&text, "/sys").has("ro"));
    Ok(())
}

fn hundred_mounts(cx: &Context) -> Done {
    let dir = source(cx);
    let mut bundle = cx.bundle();
    for n in 0..50 {
        bundle.bind(&dir, &format!("/b/{n}"), &["ro", "nosuid"]);
        bundle.mount("tmpfs", "t", &format!("/t/{n}"), &["size=4k"]);
    }
    let text = seen(cx, &mut bundle);
    assert_eq!(mounts(&text).iter().filter(|m| m.point.starts_with("/b/") || m.point.starts_with("/t/")).count(), 100);
    Ok(())
}

fn nothing_of_the_host_remains_mounted(cx: &Context) -> Done {
    for options in [&[][..], &["--no-pivot"]] {
        let mut bundle = cx.bundle();
        bundle.args(&CAT).write();
        let text = cx.call(&["run"]).args(options).arg("-b").arg(bundle.dir()).arg(cx.id()).run().ok();
        if options.is_empty() {
            let scratch = cx.scratch().to_str().unwrap().to_owned();
            for mount in mounts(&text) {
                assert!(!mount.point.starts_with(&scratch), "{mount:?}");
                assert_ne!(mount.kind, "ext4", "{mount:?}");
            }
        }
        assert_eq!(mount_at(&text, "/").kind, "tmpfs");
    }
    Ok(())
}
