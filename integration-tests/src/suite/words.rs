//! The exit codes and words that engines look for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::tests;

tests![
    unknown_id_does_not_exist,
    program_not_found_in_path,
    program_not_found_by_path,
    stricter program_is_a_directory,
    program_is_not_executable,
    program_in_a_path_through_a_file,
    stricter exec_words_and_status_255,
    create_words_start_with_create_failed,
    pause_and_resume_words,
    exec_in_stopped_and_paused,
    no_rootfs_and_no_config,
    console_words,
    stricter missing_program_is_found_missing_in_create_not_start,
];

fn unknown_id_does_not_exist(cx: &Context) -> Done {
    let table: &[&[&str]] =
        &[&["state"], &["start"], &["kill"], &["delete"], &["pause"], &["resume"], &["ps"]];
    for verb in table {
        let out = cx.call(verb).arg("nobody").run();
        out.refused_with("container does not exist");
    }
    let out = cx.call(&["exec", "nobody", "true"]).run();
    assert!(out.failed(out.code.unwrap_or(0).max(1)).contains("container does not exist"), "{out}");
    Ok(())
}

const CREATE: &str = "create failed: unable to start container process: ";

fn create(cx: &Context, program: &str) -> String {
    let mut bundle = cx.bundle();
    fs::write(bundle.inside("/plain"), "x").expect("a plain file");
    fs::set_permissions(bundle.inside("/plain"), fs::Permissions::from_mode(0o644)).expect("mode");
    bundle.args(&[program]).write();
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg(cx.id()).run().refused()
}

fn program_not_found_in_path(cx: &Context) -> Done {
    let text = create(cx, "nosuch");
    assert!(text.contains("exec: \"nosuch\": executable file not found in $PATH"), "{text}");
    Ok(())
}

fn program_not_found_by_path(cx: &Context) -> Done {
    let text = create(cx, "/nosuch");
    assert!(text.contains("exec: \"/nosuch\": stat /nosuch: no such file or directory"), "{text}");
    Ok(())
}

fn program_is_a_directory(cx: &Context) -> Done {
    let text = create(cx, "/etc");
    assert!(text.contains("exec: \"/etc\": is a directory"), "{text}");
    Ok(())
}

fn program_is_not_executable(cx: &Context) -> Done {
    let text = create(cx, "/plain");
    assert!(text.contains("exec: \"/plain\": permission denied"), "{text}");
    Ok(())
}

fn program_in_a_path_through_a_file(cx: &Context) -> Done {
    let text = create(cx, "/plain/x").to_lowercase();
    assert!(text.contains("not a directory"), "{text}");
    Ok(())
}

fn exec_words_and_status_255(cx: &Context) -> Done {
    let container = cx.sleeper();
    let table = [
        ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
        ("/nosuch", "exec: \"/nosuch\": stat /nosuch: no such file or directory"),
        ("/etc", "exec: \"/etc\": is a directory"),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
    ];
    for (program, words) in table {
        let text = container.exec_call(&[], &[program]).run().failed(255);
        assert!(text.contains(words), "{text}");
        assert!(text.contains("exec failed: unable to start container process: "), "{text}");
    }
    Ok(())
}

fn create_words_start_with_create_failed(cx: &Context) -> Done {
    let text = create(cx, "nosuch");
    assert!(text.contains(CREATE), "{text}");
    Ok(())
}

fn pause_and_resume_words(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.verb(&["resume"]).refused_with("container not paused");
    container.kill("9");
    container.wait_status("stopped");
    container.verb(&["pause"]).refused_with("container not running");
    Ok(())
}

fn exec_in_stopped_and_paused(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.verb(&["pause"]).ok();
    let text = container.exec_call(&[], &["true"]).run().failed(255);
    assert!(
        text.contains("cannot exec in a paused container (use --ignore-paused to override)"),
        "{text}"
    );
    container.verb(&["resume"]).ok();
    container.kill("9");
    container.wait_status("stopped");
    let text = container.exec_call(&[], &["true"]).run().failed(255);
    assert!(text.contains("cannot exec in a stopped container"), "{text}");
    Ok(())
}

fn no_rootfs_and_no_config(cx: &Context) -> Done {
    let empty = cx.fresh_dir("empty");
    let out = cx.call(&["create", "-b"]).arg(&empty).arg(cx.id()).run();
    out.refused_with("config.json");
    let out = cx.call(&["create", "-b"]).arg(cx.fresh_path("no")).arg(cx.id()).run();
    assert!(out.refused().to_lowercase().contains("no such file or directory"), "{out}");
    let bundle = crate::bundle::Bundle::without_rootfs(cx);
    let out = cx.run(&bundle);
    assert!(out.refused().contains("rootfs"), "{out}");
    Ok(())
}

fn console_words(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/terminal", json!(true)).write();
    let out = cx.call(&["create", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    out.refused_with("cannot allocate tty if");
    out.refused_with("without setting console socket");
    let plain = cx.bundle();
    plain.write();
    let out = cx
        .call(&["create", "--console-socket", "/nowhere", "-b"])
        .arg(plain.dir())
        .arg(cx.id())
        .run();
    out.refused();
    Ok(())
}

fn missing_program_is_found_missing_in_create_not_start(cx: &Context) -> Done {
    let text = create(cx, "nosuch");
    assert!(text.contains("nosuch"), "{text}");
    let mut bundle = cx.bundle();
    // Last duplicate of a variable wins, for the search too.
    bundle.set("/process/env", json!(["PATH=/nowhere", "PATH=/bin"])).args(&["true"]);
    cx.run(&bundle).ok();
    bundle.set("/process/env", json!(["PATH=/bin", "PATH=/nowhere"]));
    cx.run(&bundle).refused_with("executable file not found in $PATH");
    Ok(())
}
