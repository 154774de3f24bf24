//! What the process that waits for `start` shows to the outside, and what an
//! `exec` shows to the inside, while they are still the runtime's own code.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::case::Done;
use crate::container::Container;
use crate::context::Context;
use crate::tests;

tests![
    waiting_init_holds_no_host_directory,
    waiting_init_has_root_and_cwd_inside,
    stricter waiting_init_runs_from_a_copy,
    stricter waiting_init_has_an_empty_environment,
    waiting_init_is_confined_to_its_namespaces,
    waiting_init_has_one_parent_and_a_session,
    stricter waiting_init_costs_little,
    host_binary_is_unchanged_after_an_attack,
    program_may_be_proc_self_exe,
    exec_shows_nothing_of_the_host,
];

/// A created container whose creator leaked directories and secrets.
fn waiting<'a>(cx: &'a Context) -> (Container<'a>, crate::bundle::Bundle) {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set("/process/user", json!({"uid": 1000, "gid": 1000})).write();
    let (id, pid_file) = (cx.id(), cx.fresh_path("pid"));
    let mut call = cx.call(&["create", "-b"]).arg(bundle.dir()).arg("--pid-file").arg(&pid_file);
    for number in 3..10 {
        call = call.give(File::open("/").expect("open /"), number);
    }
    let out = call.arg(&id).env("MY_SECRET", "hunter2").run();
    out.ok();
    (Container::adopt(cx, id, &pid_file, out.stdout_path), bundle)
}

fn waiting_init_holds_no_host_directory(cx: &Context) -> Done {
    let (container, bundle) = waiting(cx);
    let root = fs::metadata(bundle.rootfs()).expect("the rootfs");
    for entry in fs::read_dir(format!("/proc/{}/fd", container.pid)).expect("fds").flatten() {
        let target = fs::read_link(entry.path()).expect("link");
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        let inside = (meta.dev(), meta.ino()) == (root.dev(), root.ino());
        let procfs = target == std::path::Path::new("/") && meta.ino() == 1;
        assert!(!meta.is_dir() || inside || procfs, "{:?} -> {}", entry.file_name(), target.display());
    }
    Ok(())
}

fn waiting_init_has_root_and_cwd_inside(cx: &Context) -> Done {
    let (container, bundle) = waiting(cx);
    let own = fs::metadata(bundle.rootfs()).expect("the rootfs");
    for link in ["root", "cwd"] {
        let seen = fs::metadata(format!("/proc/{}/{link}/", container.pid)).expect(link);
        assert_eq!((seen.dev(), seen.ino()), (own.dev(), own.ino()), "{link}");
    }
    Ok(())
}

fn waiting_init_runs_from_a_copy(cx: &Context) -> Done {
    let (container, _) = waiting(cx);
    let seen = fs::metadata(format!("/proc/{}/exe", container.pid)).expect("exe");
    let own = fs::metadata(crate::runtime::program()).expect("the runtime");
    assert_ne!((seen.dev(), seen.ino()), (own.dev(), own.ino()), "the host's file itself");
    Ok(())
}

fn waiting_init_has_an_empty_environment(cx: &Context) -> Done {
    let (container, _) = waiting(cx);
    let text = container.proc_file("environ");
    assert!(!text.contains("hunter2") && !text.contains("MY_SECRET"), "{text:?}");
    assert!(text.replace('\0', "").is_empty(), "{text:?}");
    Ok(())
}

fn waiting_init_is_confined_to_its_namespaces(cx: &Context) -> Done {
    let (container, _) = waiting(cx);
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("own");
        assert_ne!(container.proc_link(&format!("ns/{kind}")), own.display().to_string(), "{kind}");
    }
    let table = container.proc_file("mountinfo");
    assert!(!table.contains("old_root") && !table.contains(cx.state_root().to_str().unwrap()), "{table}");
    Ok(())
}

fn waiting_init_has_one_parent_and_a_session(cx: &Context) -> Done {
    let (container, _) = waiting(cx);
    let stat = container.proc_file("stat");
    let words: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(words[1], std::process::id().to_string(), "parent: {stat}");
    assert_eq!(words[3], container.pid.to_string(), "session: {stat}");
    let children = crate::guard::children_of(std::process::id() as i32);
    assert_eq!(children, [container.pid], "nobody else stays");
    Ok(())
}

fn waiting_init_costs_little(cx: &Context) -> Done {
    let (container, _) = waiting(cx);
    let status = crate::inside::Status::parse(&container.proc_file("status"));
    let rss: u64 = status.get("VmRSS").split(' ').next().unwrap().parse().expect("a number");
    assert!(rss < 4096, "{rss} KiB");
    assert_eq!(status.get("Threads"), "1");
    Ok(())
}

fn host_binary_is_unchanged_after_an_attack(cx: &Context) -> Done {
    let program = crate::runtime::program();
    let before = fs::read(&program).expect("read the runtime");
    let mut bundle = cx.bundle();
    bundle.add_capability("CAP_SYS_PTRACE");
    // Inside, every foreign executable is opened for writing again and again.
    bundle.shell(
        "echo up; while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || \
         { : >>$p/exe; } 2>/dev/null && echo OPENED $(readlink $p/exe); done; done",
    );
    let container = cx.start(&bundle);
    container.wait_output("up");
    for _ in 0..crate::host::rounds(15) {
        container.exec_call(&[], &["true"]).run();
        container.exec_call(&[], &["/proc/self/exe"]).run_any();
    }
    let text = container.output();
    let name = program.file_name().expect("a name").to_string_lossy().into_owned();
    for line in text.lines().filter(|l| l.starts_with("OPENED")) {
        assert!(!line.contains(&name), "{line}");
    }
    container.delete_force();
    assert!(fs::read(&program).expect("read the runtime") == before, "the runtime was changed");
    Ok(())
}

fn program_may_be_proc_self_exe(cx: &Context) -> Done {
    let program = crate::runtime::program();
    let before = fs::read(&program).expect("read the runtime");
    let mut bundle = cx.bundle();
    std::os::unix::fs::symlink("/proc/self/exe", bundle.inside("/link")).expect("symlink");
    fs::write(bundle.inside("/script"), "#!/proc/self/exe\n").expect("write");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(bundle.inside("/script"), fs::Permissions::from_mode(0o755)).expect("chmod");
    for name in ["/proc/self/exe", "/link", "/script"] {
        bundle.args(&[name]);
        let out = cx.run(&bundle);
        assert!(out.code.is_some(), "{name}: {out}");
    }
    assert!(fs::read(&program).expect("read the runtime") == before, "the runtime was changed");
    Ok(())
}

/// A container in which every process that is not its own is searched for a
/// way to the host, through its directories.
fn searcher(cx: &Context) -> crate::bundle::Bundle {
    let marker = cx.fresh_path("host-marker");
    fs::write(&marker, "").expect("write");
    let mut bundle = cx.bundle();
    bundle.add_capability("CAP_SYS_PTRACE").add_capability("CAP_DAC_READ_SEARCH");
    let climb = "../".repeat(12);
    bundle.shell(&format!(
        "echo up; while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; \
         for d in $p/cwd $p/root $p/fd/*; do \
         [ -e $d/{climb}{0} ] && echo ESCAPE $d $(readlink $d); done; done; done 2>/dev/null",
        marker.display()
    ));
    bundle
}

fn exec_shows_nothing_of_the_host(cx: &Context) -> Done {
    let container = cx.start(&searcher(cx));
    container.wait_output("up");
    for _ in 0..crate::host::rounds(25) {
        let mut call = container.exec_call(&[], &["true"]);
        for number in 3..6 {
            call = call.give(File::open("/").expect("open /"), number);
        }
        call.run().ok();
    }
    let text = container.output();
    assert!(!text.contains("ESCAPE"), "{text}");
    Ok(())
}
