//! Many at once, and death in the middle.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::runtime::Running;
use crate::{guard, host, tests};

tests![
    fifty_containers_at_once,
    fifty_runs_at_once,
    stricter parallel_creates_of_one_id_have_one_winner,
    stricter r7_parallel_starts_have_one_winner,
    parallel_deletes_of_one_id,
    parallel_kills_and_states,
    stricter create_killed_at_any_moment_is_cleaned_by_delete_force,
    stricter run_killed_at_any_moment_is_cleaned_by_delete_force,
    stricter start_killed_at_any_moment,
    stricter delete_killed_at_any_moment_can_be_repeated,
    exec_killed_at_any_moment_leaves_the_container,
    start_delete_stress,
    stricter full_state_directory_is_an_error_with_a_message,
];

fn fifty_containers_at_once(cx: &Context) -> Done {
    let mut first = cx.bundle();
    first.args(&["sleep", "1000"]).write();
    let bundles: Vec<_> = (0..50).map(|_| first.twin(cx)).collect();
    let ids: Vec<String> = (0..50).map(|_| cx.id()).collect();
    let all = |start: &dyn Fn(usize) -> Running| {
        let running: Vec<Running> = (0..50).map(start).collect();
        for call in running {
            call.finish().ok();
        }
    };
    all(&|n| {
        bundles[n].write();
        cx.call(&["create", "-b"]).arg(bundles[n].dir()).arg(&ids[n]).seconds(120).spawn()
    });
    let listed = cx.call(&["list", "-q"]).run().ok();
    assert_eq!(listed.lines().count(), 50);
    all(&|n| cx.call(&["start", &ids[n]]).seconds(120).spawn());
    for id in &ids {
        assert_eq!(cx.state(id)["status"], "running");
    }
    all(&|n| cx.call(&["delete", "--force", &ids[n]]).seconds(120).spawn());
    assert!(guard::state_entries(&cx.state_root()).is_empty());
    Ok(())
}

fn fifty_runs_at_once(cx: &Context) -> Done {
    let mut first = cx.bundle();
    first.shell("echo $$; exit 9").write();
    let running: Vec<Running> = (0..50)
        .map(|_| {
            let twin = first.twin(cx);
            twin.write();
            cx.call(&["run", "-b"]).arg(twin.dir()).arg(cx.id()).seconds(120).spawn()
        })
        .collect();
    for call in running {
        let out = call.finish();
        assert_eq!((out.code, out.stdout.as_str()), (Some(9), "1\n"), "{out}");
    }
    Ok(())
}

fn parallel_creates_of_one_id_have_one_winner(cx: &Context) -> Done {
    let mut first = cx.bundle();
    first.args(&["sleep", "1000"]).write();
    for _ in 0..3 {
        let id = cx.id();
        let running: Vec<Running> = (0..8)
            .map(|_| {
                let twin = first.twin(cx);
                twin.write();
                cx.call(&["create", "-b"]).arg(twin.dir()).arg(&id).spawn()
            })
            .collect();
        let ends: Vec<_> = running.into_iter().map(Running::finish).collect();
        let winners = ends.iter().filter(|o| o.code == Some(0)).count();
        assert_eq!(winners, 1, "{}", ends.iter().map(|o| o.to_string()).collect::<String>());
        assert!(ends.iter().all(|o| o.code.is_some() && !o.timed_out));
        assert_eq!(cx.state(&id)["status"], "created");
        cx.call(&["delete", "--force", &id]).run().ok();
        let left = guard::cgroups_named(cx.token());
        assert!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

fn r7_parallel_starts_have_one_winner(cx: &Context) -> Done {
    for _ in 0..host::rounds(5) {
        let mut bundle = cx.bundle();
        bundle.shell("echo once; exec sleep 1000");
        let container = cx.create(&bundle);
        let running: Vec<Running> =
            (0..6).map(|_| cx.call(&["start", &container.id]).seconds(10).spawn()).collect();
        let ends: Vec<_> = running.into_iter().map(Running::finish).collect();
        assert!(ends.iter().all(|o| !o.timed_out), "a loser hangs");
        assert_eq!(ends.iter().filter(|o| o.code == Some(0)).count(), 1);
        container.wait_output("once");
        assert_eq!(container.output().matches("once").count(), 1);
        container.delete_force();
    }
    Ok(())
}

fn parallel_deletes_of_one_id(cx: &Context) -> Done {
    for force in [true, false] {
        let container = cx.sleeper();
        let mut words = vec!["delete"];
        if force {
            words.push("--force");
        } else {
            container.kill("9");
            container.wait_status("stopped");
        }
        let running: Vec<Running> =
            (0..6).map(|_| cx.call(&words).arg(&container.id).spawn()).collect();
        for call in running {
            let out = call.finish();
            assert!(!out.timed_out, "{out}");
            if !force && out.code != Some(0) {
                assert!(out.stderr.contains("does not exist") || host::is_peer(), "{out}");
            }
        }
        container.assert_gone();
    }
    Ok(())
}

fn parallel_kills_and_states(cx: &Context) -> Done {
    let container = cx.sleeper();
    let id = container.id.as_str();
    let table: &[&[&str]] = &[
        &["state", id],
        &["kill", id, "0"],
        &["ps", "-f", "json", id],
        &["list", "-q"],
        &["exec", id, "true"],
        &["kill", id, "WINCH"],
    ];
    let running: Vec<Running> =
        (0..4).flat_map(|_| table.iter()).map(|args| cx.call(args).spawn()).collect();
    for call in running {
        call.finish().ok();
    }
    Ok(())
}

/// Starts the call, kills it after a while, cleans up, and looks around. The
/// waits cover the whole length of the call in small steps.
fn kill_at_moments(
    cx: &Context,
    rounds: u32,
    step: Duration,
    start: &dyn Fn(&str) -> Running,
) {
    let mounts = host::mountinfo();
    // The whole length of the call is covered, in larger steps if need be.
    let fewer = host::rounds(rounds);
    let step = step * (rounds / fewer);
    for round in 0..fewer {
        let id = cx.id();
        let call = start(&id);
        std::thread::sleep(step * round);
        call.kill();
        call.finish();
        let out = cx.call(&["delete", "--force", &id]).run();
        out.ok();
        let what = format!("killed after {:?}", step * round);
        assert!(guard::state_entries(&cx.state_root()).is_empty(), "{what}: state stays");
        let left = guard::cgroups_named(cx.token());
        assert!(left.is_empty(), "{what}: {left:?}");
        assert_eq!(host::mountinfo(), mounts, "{what}: a mount stays");
        host::wait_for(&format!("{what}: the end of all children"), || {
            guard::children_of(std::process::id() as i32).is_empty().then_some(())
        });
    }
}

fn create_killed_at_any_moment_is_cleaned_by_delete_force(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set("/linux/resources/pids", json!({"limit": 50}));
    bundle.write();
    kill_at_moments(cx, 80, Duration::from_micros(120), &|id| {
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(id).spawn()
    });
    Ok(())
}

fn run_killed_at_any_moment_is_cleaned_by_delete_force(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("sleep 1000 & sleep 1000").write();
    kill_at_moments(cx, 80, Duration::from_micros(150), &|id| {
        cx.call(&["run", "-b"]).arg(bundle.dir()).arg(id).spawn()
    });
    Ok(())
}

fn start_killed_at_any_moment(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    kill_at_moments(cx, 25, Duration::from_micros(100), &|id| {
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(id).run().ok();
        cx.call(&["start", id]).spawn()
    });
    Ok(())
}

fn delete_killed_at_any_moment_can_be_repeated(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    kill_at_moments(cx, 25, Duration::from_micros(200), &|id| {
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(id).run().ok();
        cx.call(&["start", id]).run().ok();
        cx.call(&["delete", "--force", id]).spawn()
    });
    Ok(())
}

fn exec_killed_at_any_moment_leaves_the_container(cx: &Context) -> Done {
    let container = cx.sleeper();
    for round in 0..host::rounds(40) {
        let call = container.exec_call(&[], &["sleep", "1000"]).spawn();
        std::thread::sleep(Duration::from_micros(200) * round);
        call.kill();
        call.finish();
    }
    assert_eq!(container.status(), "running");
    assert_eq!(container.exec(&["echo", "alive"]), "alive");
    container.delete_force();
    Ok(())
}

fn start_delete_stress(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    for _ in 0..host::rounds(30) {
        let id = cx.id();
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
        cx.call(&["start", &id]).run().ok();
        // The program ends at once: both orders must work.
        let out = cx.call(&["delete", &id]).run();
        if out.code != Some(0) {
            cx.call(&["delete", "--force", &id]).run().ok();
        }
    }
    assert!(guard::cgroups_named(cx.token()).is_empty());
    Ok(())
}

fn full_state_directory_is_an_error_with_a_message(cx: &Context) -> Done {
    let root = cx.fresh_dir("small");
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("small"), &root, Some("tmpfs"), flags, Some("size=16k,nr_inodes=40"))
        .expect("a small tmpfs");
    let filler = root.join("filler");
    let _ = fs::write(&filler, vec![0; 64 << 10]);
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    let call = |words: &[&str]| crate::runtime::Call::bare(cx).arg("--root").arg(&root).args(words);
    let out = call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run();
    assert!(out.refused().to_lowercase().contains("no space left"), "{out}");
    fs::remove_file(&filler).expect("make room");
    call(&["delete", "--force", &id]).run().ok();
    assert!(guard::cgroups_named(cx.token()).is_empty());
    call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
    call(&["delete", "--force", &id]).run().ok();
    host::wait_for("the end of the mount", || nix::mount::umount(&root).ok());
    Ok(())
}
