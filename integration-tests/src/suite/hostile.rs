//! Images and configurations that try to reach the host: symbolic links in the
//! place of mount targets, `/dev`, `/proc`, masked files, the working
//! directory, `/etc/passwd`. Whatever happens, the host side stays as it was.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use serde_json::json;

use crate::bundle::Bundle;
use crate::case::Done;
use crate::context::Context;
use crate::inside::mount_at;
use crate::tests;

tests![
    m3_symlinked_targets_stay_inside,
    m3_missing_levels_below_a_symlink,
    m3_target_swapped_while_mounting,
    m20_proc_as_a_symlink,
    m20_sys_as_a_symlink,
    stricter d4_dev_as_a_symlink,
    stricter d4_device_through_a_symlinked_parent,
    dev_pts_full_of_symlinks,
    masked_and_readonly_through_symlinks,
    cwd_through_a_leaked_descriptor,
    exec_cwd_through_a_leaked_descriptor,
    cwd_created_through_a_symlink_stays_inside,
    stricter passwd_and_group_as_fifos,
    stricter passwd_as_a_symlink_to_an_endless_device,
    passwd_with_a_huge_line,
    stricter exec_with_fifos_over_proc,
    proc_over_a_plain_directory_in_the_volume,
    stricter file_bound_over_a_sysctl,
    hooks_of_the_image_do_not_count,
    program_name_as_an_absolute_symlink,
    rootfs_entries_as_fifos,
    tmpcopyup_through_symlinks,
    annotations_change_nothing,
];

/// A directory on the host that nothing may change, with one file in it.
struct Victim {
    dir: PathBuf,
    before: String,
}

impl Victim {
    fn new(cx: &Context) -> Self {
        let dir = cx.fresh_dir("victim");
        fs::create_dir(dir.join("sub")).expect("mkdir");
        fs::write(dir.join("file"), "untouched").expect("write");
        fs::write(dir.join("ptmx"), "untouched").expect("write");
        let before = picture(&dir);
        Victim { dir, before }
    }

    /// Relative from the root of a bundle's root file system.
    fn relative(&self) -> String {
        format!("../../{}", self.dir.file_name().unwrap().to_string_lossy())
    }

    #[track_caller]
    fn check(&self, what: &str) {
        assert_eq!(picture(&self.dir), self.before, "{what} changed the host");
        let own = crate::host::mountinfo();
        assert!(!own.contains(self.dir.to_str().unwrap()), "{what} left a mount:\n{own}");
    }
}

/// Every name below `dir` with mode, owner, size and number.
fn picture(dir: &Path) -> String {
    let mut rows = Vec::new();
    for entry in fs::read_dir(dir).expect("list").flatten() {
        let meta = entry.path().symlink_metadata().expect("metadata");
        rows.push(format!(
            "{} {:o} {}:{} {} {}",
            entry.path().display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.rdev(),
            if meta.is_file() { fs::read_to_string(entry.path()).unwrap_or_default() } else { String::new() }
        ));
        if meta.is_dir() {
            rows.push(picture(&entry.path()));
        }
    }
    rows.sort();
    rows.join("\n")
}

/// Every way in which the image may point to the victim.
fn links(victim: &Victim) -> [String; 4] {
    let name = victim.dir.display().to_string();
    [name.clone(), victim.relative(), format!("{}{name}", "../".repeat(20)), format!("{name}/sub/..")]
}

fn m3_symlinked_targets_stay_inside(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    let source = cx.fresh_dir("source");
    fs::write(source.join("file"), "from the volume").expect("write");
    for link in links(&victim) {
        let mut bundle = cx.bundle();
        symlink(&link, bundle.inside("/target")).expect("symlink");
        symlink(format!("{link}/file"), bundle.inside("/filetarget")).expect("symlink");
        bundle
            .mount("tmpfs", "t", "/target", &[])
            .bind(&source, "/target/sub", &[])
            .bind(&source.join("file"), "/filetarget", &[])
            .mount("tmpfs", "t", "/target/a/b/c", &[]);
        bundle.shell("echo x >/target/made; cat /filetarget");
        let out = cx.run(&bundle);
        if out.code == Some(0) {
            assert!(out.stdout.contains("from the volume"), "{out}");
        } else {
            out.refused();
        }
        victim.check(&link);
    }
    Ok(())
}

fn m3_missing_levels_below_a_symlink(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        let mut bundle = cx.bundle();
        fs::create_dir(bundle.inside("/a")).expect("mkdir");
        symlink(&link, bundle.inside("/a/b")).expect("symlink");
        bundle.mount("tmpfs", "t", "/a/b/new/levels", &[]);
        bundle.mount("tmpfs", "t", "/a/b/../c/../../up", &[]);
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{out}");
        victim.check(&link);
    }
    Ok(())
}

fn m3_target_swapped_while_mounting(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    let volume = cx.fresh_dir("volume");
    fs::create_dir(volume.join("real")).expect("mkdir");
    symlink(&victim.dir, volume.join("link")).expect("symlink");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (volume, stop) = (&volume, &stop);
        scope.spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                crate::sys::exchange(&volume.join("real"), &volume.join("link"));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut bundle = cx.bundle();
            bundle.bind(volume, "/v", &[]).mount("tmpfs", "t", "/v/real", &[]);
            bundle.mount("tmpfs", "t", "/v/real/deep/er", &[]).args(&["true"]);
            for _ in 0..crate::host::rounds(25) {
                let out = cx.run(&bundle);
                assert!(matches!(out.code, Some(0 | 1)), "{out}");
                victim.check("the race");
            }
        }));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    Ok(())
}

fn m20_proc_as_a_symlink(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in ["/evil".to_owned(), victim.dir.display().to_string(), victim.relative()] {
        let mut bundle = cx.bundle();
        fs::remove_dir(bundle.inside("/proc")).expect("rmdir");
        fs::create_dir_all(bundle.inside("/evil/self/attr")).expect("mkdir");
        symlink(&link, bundle.inside("/proc")).expect("symlink");
        let out = cx.run(bundle.args(&["cat", "/proc/self/mountinfo"]));
        if out.code == Some(0) {
            assert_eq!(mount_at(&out.stdout, "/proc").kind, "proc", "{out}");
            mount_at(&out.stdout, "/proc/sys");
        } else {
            out.refused();
        }
        victim.check(&link);
    }
    Ok(())
}

fn m20_sys_as_a_symlink(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in ["/evil".to_owned(), victim.dir.display().to_string(), victim.relative()] {
        let mut bundle = cx.bundle();
        fs::remove_dir(bundle.inside("/sys")).expect("rmdir");
        fs::create_dir_all(bundle.inside("/evil")).expect("mkdir");
        symlink(&link, bundle.inside("/sys")).expect("symlink");
        bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["ro"]);
        let out = cx.run(bundle.args(&["cat", "/proc/self/mountinfo"]));
        if out.code == Some(0) {
            assert_eq!(mount_at(&out.stdout, "/sys").kind, "sysfs", "{out}");
        } else {
            out.refused();
        }
        victim.check(&link);
    }
    Ok(())
}

fn d4_dev_as_a_symlink(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        for with_tmpfs in [true, false] {
            let mut bundle = cx.bundle();
            fs::remove_dir(bundle.inside("/dev")).expect("rmdir");
            symlink(&link, bundle.inside("/dev")).expect("symlink");
            if !with_tmpfs {
                for target in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
                    bundle.unmount(target);
                }
            }
            bundle.push("/linux/devices", json!({"path": "/dev/odd", "type": "c", "major": 1, "minor": 3}));
            let out = cx.run(&bundle);
            assert!(matches!(out.code, Some(0 | 1)), "{out}");
            victim.check(&format!("/dev -> {link}, tmpfs {with_tmpfs}"));
        }
    }
    Ok(())
}

fn d4_device_through_a_symlinked_parent(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        for path in ["/p/node", "/p/../node", "/p/sub/new/node", "/dev/../../../node", "/p/file"] {
            let mut bundle = cx.bundle();
            symlink(&link, bundle.inside("/p")).expect("symlink");
            bundle.push("/linux/devices", json!({"path": path, "type": "c", "major": 1, "minor": 3}));
            bundle.push("/linux/devices", json!({"path": format!("{path}2"), "type": "p"}));
            let out = cx.run(&bundle);
            assert!(matches!(out.code, Some(0 | 1)), "{out}");
            victim.check(&format!("{path}, {link}"));
            assert!(!bundle.dir().join("node").exists() && !cx.scratch().join("node").exists());
        }
    }
    Ok(())
}

fn dev_pts_full_of_symlinks(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    let volume = cx.fresh_dir("pts");
    for n in 0..8 {
        symlink(victim.dir.join("file"), volume.join(n.to_string())).expect("symlink");
    }
    let mut bundle = cx.bundle();
    bundle.unmount("/dev/pts").bind(&volume, "/dev/pts", &[]);
    bundle.set("/process/terminal", json!(true));
    bundle.args(&["sh", "-c", "stat -L -c %F /dev/console"]).write();
    let socket = crate::console::ConsoleSocket::new(cx);
    let out = cx
        .call(&["create", "--console-socket"])
        .arg(socket.path())
        .arg("-b")
        .arg(bundle.dir())
        .arg(cx.id())
        .run();
    assert!(matches!(out.code, Some(0 | 1)), "{out}");
    victim.check("/dev/pts");
    Ok(())
}

fn masked_and_readonly_through_symlinks(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        let mut bundle = cx.bundle();
        symlink(&link, bundle.inside("/m")).expect("symlink");
        symlink(format!("{link}/file"), bundle.inside("/f")).expect("symlink");
        bundle.set("/linux/maskedPaths", json!(["/m", "/f", "/m/file", "/../../x"]));
        bundle.set("/linux/readonlyPaths", json!(["/m", "/f", "/m/../sub"]));
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{out}");
        victim.check(&link);
        fs::write(victim.dir.join("file"), "untouched").expect("the host may still write");
    }
    Ok(())
}

/// Working directories that name a descriptor which the caller left open.
fn escapes(image_link: &str) -> Vec<String> {
    let mut all = Vec::new();
    let last = if crate::host::rounds(16) < 16 { 6 } else { 16 };
    for number in 3..last {
        all.push(format!("/proc/self/fd/{number}"));
        all.push(format!("/proc/self/fd/{number}/../../.."));
        all.push(format!("/proc/thread-self/fd/{number}/"));
    }
    all.push(image_link.to_owned());
    all
}

/// What a program would see if its working directory were on the host.
fn looks_like_the_host(cx: &Context, text: &str) -> bool {
    text.contains(cx.token()) || text.contains("HOST")
}

fn cwd_through_a_leaked_descriptor(cx: &Context) -> Done {
    let host = cx.fresh_dir("hostdir");
    fs::write(host.join("HOST"), "").expect("write");
    let mut bundle = cx.bundle();
    symlink("/proc/self/fd/7", bundle.inside("/link")).expect("symlink");
    for cwd in escapes("/link") {
        bundle.set("/process/cwd", json!(cwd)).shell("ls -a . .. ../.. ../../.. 2>/dev/null; true").write();
        let mut call = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id());
        for number in 3..16 {
            call = call.give(File::open(&host).expect("open"), number);
        }
        let out = call.run();
        assert!(matches!(out.code, Some(0 | 1)), "{cwd}: {out}");
        assert!(!looks_like_the_host(cx, &out.stdout), "{cwd}: {out}");
    }
    Ok(())
}

fn exec_cwd_through_a_leaked_descriptor(cx: &Context) -> Done {
    let host = cx.fresh_dir("hostdir");
    fs::write(host.join("HOST"), "").expect("write");
    let mut bundle = cx.bundle();
    symlink("/proc/self/fd/7", bundle.inside("/link")).expect("symlink");
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    for cwd in escapes("/link") {
        let mut call = container
            .exec_call(&["--cwd", &cwd], &["sh", "-c", "ls -a . .. ../.. ../../.. 2>/dev/null; true"]);
        for number in 3..16 {
            call = call.give(File::open(&host).expect("open"), number);
        }
        let out = call.run();
        assert!(matches!(out.code, Some(0 | 1 | 255)), "{cwd}: {out}");
        assert!(!looks_like_the_host(cx, &out.stdout), "{cwd}: {out}");
    }
    Ok(())
}

fn cwd_created_through_a_symlink_stays_inside(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        let mut bundle = cx.bundle();
        symlink(&link, bundle.inside("/l")).expect("symlink");
        bundle.set("/process/cwd", json!("/l/new/folder"));
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{out}");
        victim.check(&link);
    }
    Ok(())
}

fn special_passwd(cx: &Context, make: impl Fn(&Path)) -> Bundle {
    let bundle = cx.bundle();
    for name in ["/etc/passwd", "/etc/group"] {
        fs::remove_file(bundle.inside(name)).expect("remove");
        make(&bundle.inside(name));
    }
    bundle
}

fn passwd_and_group_as_fifos(cx: &Context) -> Done {
    let mut bundle =
        special_passwd(cx, |path| nix::unistd::mkfifo(path, Mode::S_IRWXU).expect("mkfifo"));
    for uid in [0, 1000] {
        bundle.set("/process/user", json!({"uid": uid, "gid": 0, "additionalGids": [5]}));
        let out = cx.run(bundle.args(&["true"]));
        assert!(matches!(out.code, Some(0 | 1)), "{out}");
    }
    bundle.set("/process/user", json!({"uid": 0, "gid": 0})).args(&["sleep", "1000"]);
    bundle.write();
    let id = cx.id();
    if cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().code == Some(0) {
        cx.call(&["start", &id]).run().ok();
        let out = cx.call(&["exec", "-u", "1000", &id, "true"]).run();
        assert!(out.code.is_some(), "{out}");
    }
    Ok(())
}

fn passwd_as_a_symlink_to_an_endless_device(cx: &Context) -> Done {
    for target in ["/dev/zero", "/proc/self/fd/0", "passwd", "/dev/pts/ptmx"] {
        let bundle = special_passwd(cx, |path| symlink(target, path).expect("symlink"));
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{target}: {out}");
    }
    Ok(())
}

fn passwd_with_a_huge_line(cx: &Context) -> Done {
    let text = format!("{}\nroot:x:0:0:root:/found:/bin/sh\n", "x".repeat(20_000_000));
    let mut bundle = special_passwd(cx, |path| fs::write(path, &text).expect("write"));
    let out = cx.run(bundle.args(&["sh", "-c", "echo home=$HOME"]));
    assert!(matches!(out.code, Some(0 | 1)), "{out}");
    let text = "root:x:0:0:root:/a:/bin/sh\n\n:::::\nnonsense\nroot:x:99999999999:0::/b:\n1000:x:5:5::/c:\n";
    let mut bundle = special_passwd(cx, |path| fs::write(path, text).expect("write"));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 0}));
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo home=$HOME"]), "home=/");
    Ok(())
}

fn exec_with_fifos_over_proc(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.add_capability("CAP_SYS_ADMIN").without_namespace("cgroup").remove("/linux/seccomp");
    bundle.shell(
        "mount -t tmpfs t /proc && mkdir -p /proc/self/attr /proc/self/fd /proc/thread-self /proc/1/attr /proc/sys/kernel && \
         for f in self/status self/mountinfo self/attr/exec self/uid_map self/setgroups self/oom_score_adj self/cgroup \
         self/loginuid 1/status 1/attr/exec sys/kernel/cap_last_cap sys/kernel/overflowuid mounts filesystems stat version; do \
         mkfifo /proc/$f; done; echo trapped; while :; do sleep 1; done",
    );
    let container = cx.start(&bundle);
    container.wait_output("trapped");
    let out = container.exec_call(&[], &["true"]).run();
    assert!(out.code.is_some(), "{out}");
    container.delete_force();
    Ok(())
}

fn proc_over_a_plain_directory_in_the_volume(cx: &Context) -> Done {
    let volume = cx.fresh_dir("volume");
    fs::create_dir_all(volume.join("self/attr")).expect("mkdir");
    fs::create_dir_all(volume.join("sys/kernel")).expect("mkdir");
    for file in ["self/attr/exec", "sys/kernel/msgmax", "self/oom_score_adj"] {
        fs::write(volume.join(file), "as it was").expect("write");
    }
    let before = picture(&volume);
    let mut bundle = cx.bundle();
    bundle.unmount("/proc").bind(&volume, "/proc", &[]);
    bundle.set("/linux/sysctl", json!({"kernel.msgmax": "70000"}));
    bundle.set("/process/oomScoreAdj", json!(300));
    cx.run(&bundle).refused();
    assert_eq!(picture(&volume), before);
    Ok(())
}

fn file_bound_over_a_sysctl(cx: &Context) -> Done {
    let file = cx.fresh_path("dummy");
    fs::write(&file, "as it was").expect("write");
    let mut bundle = cx.bundle();
    bundle.bind(&file, "/proc/sys/kernel/msgmax", &[]);
    bundle.set("/linux/sysctl", json!({"kernel.msgmax": "70000"}));
    let out = cx.run(bundle.args(&["cat", "/proc/sys/kernel/msgmax"]));
    assert!(matches!(out.code, Some(0 | 1)), "{out}");
    assert_eq!(fs::read_to_string(&file).expect("read"), "as it was");
    Ok(())
}

fn hooks_of_the_image_do_not_count(cx: &Context) -> Done {
    // A runtime-side hook is looked up on the host, whatever the image holds.
    let mark = cx.fresh_path("mark");
    let mut bundle = cx.bundle();
    let name = format!("/{}-hook", cx.token());
    let path = bundle.inside(&name);
    fs::write(&path, format!("#!/bin/sh\ntouch {}\n", mark.display())).expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    bundle.push("/hooks/createRuntime", json!({"path": name}));
    cx.run(&bundle).refused();
    assert!(!mark.exists());
    Ok(())
}

fn program_name_as_an_absolute_symlink(cx: &Context) -> Done {
    let host = cx.fresh_path("host-program");
    fs::write(&host, "#!/bin/sh\necho HOST\n").expect("write");
    fs::set_permissions(&host, fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut bundle = cx.bundle();
    for link in [host.display().to_string(), format!("../../{}", host.file_name().unwrap().to_string_lossy())] {
        let path = bundle.inside("/program");
        let _ = fs::remove_file(&path);
        symlink(&link, &path).expect("symlink");
        let out = cx.run(bundle.args(&["/program"]));
        assert!(!out.stdout.contains("HOST"), "{out}");
        out.refused();
    }
    Ok(())
}

fn rootfs_entries_as_fifos(cx: &Context) -> Done {
    for name in ["/bin/program", "/etc", "/dev", "/proc", "/sys", "/tmp/cwd"] {
        let mut bundle = cx.bundle();
        let path = bundle.inside(name);
        let _ = fs::remove_dir_all(&path);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("mkfifo");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        match name {
            "/bin/program" => bundle.args(&["program"]),
            "/tmp/cwd" => bundle.set("/process/cwd", json!("/tmp/cwd")),
            _ => &mut bundle,
        };
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{name}: {out}");
    }
    Ok(())
}

fn tmpcopyup_through_symlinks(cx: &Context) -> Done {
    let victim = Victim::new(cx);
    for link in links(&victim) {
        let mut bundle = cx.bundle();
        fs::create_dir(bundle.inside("/data")).expect("mkdir");
        symlink(&link, bundle.inside("/data/inner")).expect("symlink");
        symlink(&link, bundle.inside("/outer")).expect("symlink");
        bundle.mount("tmpfs", "t", "/data", &["tmpcopyup"]);
        bundle.mount("tmpfs", "t", "/outer", &["tmpcopyup"]);
        bundle.shell("readlink /data/inner; ls /outer; echo x >/outer/x");
        let out = cx.run(&bundle);
        assert!(!out.stdout.contains("ptmx"), "content of the host: {out}");
        victim.check(&link);
    }
    Ok(())
}

fn annotations_change_nothing(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let text = "cat /proc/self/status | grep -E 'Groups|Cap|Seccomp|NoNew'; id; ls /";
    bundle.shell(text);
    let plain = cx.run(&bundle).ok();
    bundle.set(
        "/annotations",
        json!({"run.oci.keep_original_groups": "1", "run.oci.hooks.stdout": "/tmp/x",
               "run.oci.handler": "krun", "module.wasm.image/variant": "compat",
               "run.oci.seccomp_bpf_data": "AAAA", "org.criu.config": "/etc/passwd",
               "run.oci.systemd.force_cgroup_v1": "/sys/fs/cgroup", "rootfs": "/", "bundle": "/"}),
    );
    assert_eq!(cx.run(&bundle).ok(), plain);
    Ok(())
}
