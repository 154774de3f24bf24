//! The command line: help, version, global options, spelling of options, logs.

use std::fs;

use serde_json::Value;

use crate::case::Done;
use crate::context::Context;
use crate::runtime::Call;
use crate::tests;

tests![
    every_command_has_help,
    version_is_readable_by_engines,
    usage_errors_exit_1,
    unknown_command_and_option_are_refused,
    global_options_are_accepted,
    one_dash_opens_long_options,
    options_take_values_after_equals,
    flags_take_true_and_false,
    options_end_at_the_id,
    json_log_is_one_object,
    text_log_has_level_and_message,
    debug_log_keeps_the_error_last,
    log_file_is_appended_to,
    error_goes_to_stderr_too,
    success_prints_nothing,
    default_root_is_used_without_root_option,
    works_without_any_environment,
    stricter root_may_not_be_the_root_directory,
    stricter full_stdout_is_an_error,
    closed_stdout_is_no_crash,
    closed_stdin_is_no_crash,
    stdin_is_not_read_without_terminal,
];

const VERBS: [&str; 13] = [
    "create", "start", "state", "kill", "delete", "run", "exec", "list", "ps", "pause", "resume",
    "spec", "features",
];

fn every_command_has_help(cx: &Context) -> Done {
    for global in ["--help", "-h"] {
        let text = Call::bare(cx).arg(global).run().ok();
        for verb in VERBS {
            assert!(text.contains(verb), "{global} does not name {verb}:\n{text}");
        }
    }
    for verb in VERBS {
        for option in ["--help", "-h"] {
            let text = Call::bare(cx).args(&[verb, option]).run().ok();
            assert!(text.contains(verb), "{verb} {option} says: {text}");
        }
    }
    Ok(())
}

fn version_is_readable_by_engines(cx: &Context) -> Done {
    for option in ["--version", "-v"] {
        let text = Call::bare(cx).arg(option).run().ok();
        let first = text.lines().next().unwrap_or_default();
        let (name, rest) = first.split_once(" version ").expect("`NAME version X` comes first");
        assert!(!name.contains(' '), "one word before `version`: {first}");
        assert!(rest.starts_with(|c: char| c.is_ascii_digit()), "a number behind: {first}");
        for word in ["commit: ", "spec: "] {
            let found = text.lines().any(|l| l.len() > word.len() && l.starts_with(word));
            assert!(found, "no line `{word}X` in {text}");
        }
    }
    Ok(())
}

fn usage_errors_exit_1(cx: &Context) -> Done {
    let table: &[&[&str]] = &[
        &["state"],
        &["state", "a", "b"],
        &["create"],
        &["create", "a", "b"],
        &["start"],
        &["kill"],
        &["delete"],
        &["pause"],
        &["resume"],
        &["run"],
        &["ps"],
    ];
    for args in table {
        let out = cx.call(args).run();
        assert_eq!(out.code, Some(1), "{out}");
        assert!(!out.stderr.is_empty() || !out.stdout.is_empty(), "says nothing: {out}");
    }
    Ok(())
}

fn unknown_command_and_option_are_refused(cx: &Context) -> Done {
    let table: &[&[&str]] =
        &[&["frobnicate"], &["--frobnicate"], &["state", "--frobnicate", "x"], &["list", "-Z"]];
    for args in table {
        let out = cx.call(args).run();
        assert!(!matches!(out.code, Some(0) | None), "{out}");
        let word = args.iter().find(|a| a.contains('f') || a.contains('Z')).unwrap();
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains(word.trim_start_matches('-')), "does not name {word}: {out}");
    }
    Ok(())
}

fn global_options_are_accepted(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    let table: &[&[&str]] = &[
        &["--debug"],
        &["--log-format", "json"],
        &["--log-format=text"],
        &["--rootless=auto"],
        &["--rootless", "false"],
        &["--log", "LOG", "--log-format", "json", "--debug"],
    ];
    for options in table {
        let log = log.display().to_string();
        let options: Vec<&str> =
            options.iter().map(|o| if *o == "LOG" { log.as_str() } else { o }).collect();
        cx.call(&options).arg("list").run().ok();
    }
    cx.call(&["--log-format", "xml", "list"]).run().refused();
    Ok(())
}

fn one_dash_opens_long_options(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let root = cx.state_root();
    let pid_file = cx.fresh_path("pid");
    let id = cx.id();
    let call = |words: &[&str]| Call::bare(cx).arg("-root").arg(&root).args(words);
    call(&["create", "-bundle"])
        .arg(bundle.dir())
        .arg("-pid-file")
        .arg(&pid_file)
        .arg(&id)
        .run()
        .ok();
    assert!(pid_file.exists());
    call(&["delete", "-force", &id]).run().ok();
    let id = cx.id();
    call(&["run", "-no-subreaper", "-bundle"]).arg(bundle.dir()).arg(&id).run().ok();
    Ok(())
}

fn options_take_values_after_equals(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let pid_file = cx.fresh_path("pid");
    let id = cx.id();
    Call::bare(cx)
        .arg(format!("--root={}", cx.state_root().display()))
        .args(&["--log-format=json", "create"])
        .arg(format!("--bundle={}", bundle.dir().display()))
        .arg(format!("--pid-file={}", pid_file.display()))
        .arg(&id)
        .run()
        .ok();
    assert!(pid_file.exists());
    let text = cx.call(&["list", "-f=json"]).run().ok();
    assert!(text.contains(&id), "{text}");
    cx.call(&["delete", "--force=true", &id]).run().ok();
    Ok(())
}

fn flags_take_true_and_false(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    container.verb(&["delete", "--force=false"]).refused_with("is not stopped");
    container.verb(&["delete", "--force=true"]).ok();
    Ok(())
}

fn options_end_at_the_id(cx: &Context) -> Done {
    let container = cx.sleeper();
    let out = container.exec_call(&[], &["echo", "--cwd", "-t", "--", "x"]).run().ok();
    assert_eq!(out, "--cwd -t -- x");
    Ok(())
}

fn json_log_is_one_object(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    cx.call(&["--log"])
        .arg(&log)
        .args(&["--log-format", "json", "state", "nobody"])
        .run()
        .refused();
    let text = fs::read_to_string(&log).expect("the log file");
    let entry: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(entry["level"], "error", "{text}");
    assert!(entry["msg"].as_str().unwrap().contains("does not exist"), "{text}");
    let time = entry["time"].as_str().expect("a time");
    assert!(is_rfc3339(time), "{time}");
    Ok(())
}

fn is_rfc3339(time: &str) -> bool {
    let bytes = time.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit))
    };
    let zone = time.ends_with('Z')
        || time
            .get(time.len().saturating_sub(6)..)
            .is_some_and(|z| z.starts_with(['+', '-']) && z.as_bytes()[3] == b':');
    digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && digits(11..13)
        && digits(14..16)
        && digits(17..19)
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && zone
}

fn text_log_has_level_and_message(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    cx.call(&["--log"]).arg(&log).args(&["state", "nobody"]).run().refused();
    let text = fs::read_to_string(&log).expect("the log file");
    for part in ["time=\"", "level=error", "msg=\"", "does not exist"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    Ok(())
}

fn debug_log_keeps_the_error_last(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    let mut bundle = cx.bundle();
    bundle.args(&["/nowhere/to/be/found"]).write();
    cx.call(&["--debug", "--log"])
        .arg(&log)
        .args(&["--log-format=json", "create", "--bundle"])
        .arg(bundle.dir())
        .arg(cx.id())
        .run()
        .refused();
    let text = fs::read_to_string(&log).expect("the log file");
    let mut last_error = None;
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let level = entry["level"].as_str().expect("a level").to_owned();
        assert!(["debug", "info", "warning", "error"].contains(&level.as_str()), "{line}");
        if level == "error" {
            last_error = Some(entry["msg"].as_str().unwrap().to_owned());
        }
    }
    assert!(last_error.expect("an error line").contains("no such file or directory"), "{text}");
    Ok(())
}

fn log_file_is_appended_to(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    for _ in 0..2 {
        cx.call(&["--log"]).arg(&log).args(&["--log-format=json", "state", "x"]).run().refused();
    }
    assert_eq!(fs::read_to_string(&log).expect("the log file").lines().count(), 2);
    Ok(())
}

fn error_goes_to_stderr_too(cx: &Context) -> Done {
    let log = cx.fresh_path("log");
    let out = cx.call(&["--log"]).arg(&log).args(&["--log-format=json", "state", "x"]).run();
    let text = out.refused_with("does not exist");
    assert!(!text.trim_start().starts_with('{'), "plain words, no JSON: {text}");
    Ok(())
}

fn success_prints_nothing(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let id = cx.id();
    let quiet = |words: &[&str]| {
        let out = cx.call(words).arg(&id).run();
        out.ok();
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""), "{out}");
    };
    quiet(&["create", "--bundle", &bundle.dir().display().to_string()]);
    quiet(&["start"]);
    let state = cx.call(&["state", &id]).run();
    state.ok();
    assert_eq!(state.stderr, "", "readers merge both streams");
    let ps = cx.call(&["ps", "--format", "json", &id]).run();
    ps.ok();
    assert_eq!(ps.stderr, "", "readers merge both streams");
    quiet(&["pause"]);
    quiet(&["resume"]);
    quiet(&["delete", "--force"]);
    quiet(&["delete", "--force"]);
    Ok(())
}

fn default_root_is_used_without_root_option(cx: &Context) -> Done {
    // Hidden below a tmpfs, the host's own default folder stays untouched.
    let none = None::<&str>;
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, none).expect("tmpfs on /run");
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let id = cx.id();
    let listed = Call::bare(cx).args(&["list", "-q"]).run();
    if !crate::host::is_peer() {
        assert_eq!(listed.ok(), "", "a missing default root is an empty list");
    }
    // As conmon calls it for root: the variable is there and empty.
    let bare = || Call::bare(cx).env("XDG_RUNTIME_DIR", "");
    bare().args(&["create", "--bundle"]).arg(bundle.dir()).arg(&id).run().ok();
    let own: Vec<_> =
        fs::read_dir("/run").expect("read /run").flatten().map(|e| e.path()).collect();
    assert_eq!(own.len(), 1, "one folder below /run: {own:?}");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&own[0]).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "the root is private");
    assert_eq!(bare().args(&["list", "-q"]).run().ok(), id);
    bare().args(&["delete", "--force", &id]).run().ok();
    // The end of the container's mount namespace may come a moment later.
    crate::host::wait_for("/run to be free", || nix::mount::umount("/run").ok());
    Ok(())
}

fn works_without_any_environment(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let id = cx.id();
    let call = |words: &[&str]| cx.call(words).no_env().arg(&id).run().ok();
    call(&["create", "--bundle", &bundle.dir().display().to_string()]);
    call(&["start"]);
    call(&["pause"]);
    call(&["resume"]);
    cx.call(&["exec", &id, "true"]).no_env().run().ok();
    cx.call(&["kill", &id, "9"]).no_env().run().ok();
    call(&["delete", "--force"]);
    Ok(())
}

fn root_may_not_be_the_root_directory(cx: &Context) -> Done {
    Call::bare(cx).args(&["--root", "/", "state", "x"]).run().refused();
    let before = fs::read_dir("/").expect("list /").count();
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    let out =
        Call::bare(cx).args(&["--root", "/", "create", "-b"]).arg(bundle.dir()).arg(&id).run();
    if out.code == Some(0) {
        Call::bare(cx).args(&["--root", "/", "delete", "--force", &id]).run().ok();
    }
    out.refused();
    assert_eq!(fs::read_dir("/").expect("list /").count(), before);
    Ok(())
}

fn full_stdout_is_an_error(cx: &Context) -> Done {
    let container = cx.sleeper();
    let full = || fs::File::options().write(true).open("/dev/full").expect("open /dev/full");
    let id = container.id.as_str();
    let table: &[&[&str]] = &[
        &["state", id],
        &["list"],
        &["list", "-f", "json"],
        &["ps", "-f", "json", id],
        &["features"],
        &["--version"],
        &["--help"],
    ];
    for args in table {
        let out = cx.call(args).stdout(full()).run();
        assert!(!matches!(out.code, Some(0) | None), "output was lost in silence: {out}");
    }
    Ok(())
}

fn closed_stdout_is_no_crash(cx: &Context) -> Done {
    let container = cx.sleeper();
    for fd in [1, 2] {
        for args in [vec!["state", container.id.as_str()], vec!["list"], vec!["features"]] {
            let out = cx.call(&args).close(fd).run();
            assert!(out.code.is_some(), "{out}");
        }
        let out = cx.call(&["state", "nobody"]).close(fd).run();
        assert_eq!(out.code, Some(1), "{out}");
    }
    Ok(())
}

fn closed_stdin_is_no_crash(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "fds"]).write();
    for closed in [vec![0], vec![0, 1], vec![0, 1, 2], vec![2]] {
        let mut call = cx.call(&["run", "--bundle"]).arg(bundle.dir()).arg(cx.id());
        for fd in &closed {
            call = call.close(*fd);
        }
        let out = call.run();
        assert!(out.code.is_some(), "closed {closed:?}: {out}");
        if closed == [0] && out.code == Some(0) {
            let first = out.stdout.lines().next().unwrap_or_default().to_owned();
            assert!(!first.starts_with("0 /") || first == "0 /dev/null", "a foreign file: {out}");
        }
    }
    Ok(())
}

fn stdin_is_not_read_without_terminal(cx: &Context) -> Done {
    use std::io::Read;
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let path = cx.fresh_path("input");
    fs::write(&path, "first\nsecond\n").expect("write the input");
    let mut input = fs::File::open(&path).expect("open the input");
    let id = cx.id();
    let copy = input.try_clone().expect("share the offset");
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).stdin(copy).run().ok();
    cx.call(&["start", &id]).stdin(input.try_clone().expect("share")).run().ok();
    let mut rest = String::new();
    input.read_to_string(&mut rest).expect("read what is left");
    assert_eq!(rest, "first\nsecond\n");
    Ok(())
}
