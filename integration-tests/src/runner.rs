//! Walks the table of tests: one process a test, several side by side.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::case::Test;
use crate::context::Context;
use crate::{guard, host, reaper, suite};

/// Exit status of a test process that skipped its test.
const SKIPPED: i32 = 77;
/// Longest that one test may take, in seconds on a usual machine.
const TEST_SECONDS: u64 = 180;

struct Options {
    filters: Vec<String>,
    exact: bool,
    list: bool,
    threads: usize,
}

const HELP: &str = "\
usage: husk-tests [FILTER...] [--exact] [--list] [--test-threads N]

Runs the tests whose name (MODULE::TEST) contains one of the filters.
Environment: HUSK_BIN, HUSK_BUNDLE_BIN, HUSK_TEST_PEER=1, HUSK_TEST_SLOW=N, HUSK_TEST_SCRATCH=DIR
";

/// Reads the arguments and runs what they ask for.
pub fn main(args: &[String]) -> ExitCode {
    if let [first, name, token] = args
        && first == "--one"
    {
        return one(name, token);
    }
    let options = match parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(word) => {
            eprintln!("unknown argument {word}\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    let tests: Vec<&'static Test> = suite::all()
        .into_iter()
        .filter(|t| {
            options.filters.is_empty()
                || options.filters.iter().any(|f| matches(t, f, options.exact))
        })
        .collect();
    if options.list {
        for test in &tests {
            println!("{}: test", full_name(test));
        }
        return ExitCode::SUCCESS;
    }
    run_all(&tests, options.threads)
}

fn matches(test: &Test, filter: &str, exact: bool) -> bool {
    let name = full_name(test);
    if exact { name == filter || test.name == filter } else { name.contains(filter) }
}

fn full_name(test: &Test) -> String {
    let module = test.module.rsplit("::").next().unwrap_or(test.module);
    format!("{module}::{}", test.name)
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut options =
        Options { filters: Vec::new(), exact: false, list: false, threads: cores.min(8) };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => options.list = true,
            "--exact" => options.exact = true,
            "-h" | "--help" => return Ok(None),
            // What `cargo test` hands to every test program alike.
            "--nocapture" | "--quiet" | "-q" | "--include-ignored" => {}
            "--test-threads" | "--format" | "-Z" => {
                let value = words.next().ok_or(word)?;
                if word == "--test-threads" {
                    options.threads = value.parse().map_err(|_| value.clone())?;
                }
            }
            _ => match word.strip_prefix("--test-threads=") {
                Some(value) => options.threads = value.parse().map_err(|_| word.clone())?,
                None if word.starts_with("--format=") => {}
                None if word.starts_with('-') => return Err(word.clone()),
                None => options.filters.push(word.clone()),
            },
        }
    }
    options.threads = options.threads.max(1);
    Ok(Some(options))
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
    /// Failed, but in a point where a peer is known to be allowed to differ.
    Differs(String),
}

fn run_all(tests: &[&'static Test], threads: usize) -> ExitCode {
    if let Err(why) = host_can_run() {
        // Nothing can be tested, and that is not success.
        println!("cannot run: {why}");
        return ExitCode::FAILURE;
    }
    println!("runtime: {}", crate::runtime::program().display());
    println!("running {} tests", tests.len());
    nix::sys::prctl::set_child_subreaper(true).expect("become a sub-reaper");
    let queue = Mutex::new(tests.iter());
    let children = Mutex::new(BTreeMap::<i32, ()>::new());
    let (sender, results) = mpsc::channel();
    let mut counts = (0, 0, 0, 0);
    let mut failed = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (queue, children) = (&queue, &children);
            scope.spawn(move || {
                loop {
                    let Some(test) = queue.lock().unwrap().next() else { break };
                    let started = Instant::now();
                    let verdict = in_a_process(test, children);
                    let _ = sender.send((*test, verdict, started.elapsed()));
                }
            });
        }
        drop(sender);
        for (test, verdict, took) in results {
            let name = full_name(test);
            match verdict {
                Verdict::Passed => {
                    counts.0 += 1;
                    println!("test {name} ... ok ({:.2}s)", took.as_secs_f32());
                }
                Verdict::Failed(text) => {
                    counts.1 += 1;
                    println!("test {name} ... FAILED");
                    for line in text.lines() {
                        println!("    {line}");
                    }
                    failed.push(name);
                }
                Verdict::Skipped(why) => {
                    counts.2 += 1;
                    println!("skipped: {name}: {why}");
                }
                Verdict::Differs(text) => {
                    counts.3 += 1;
                    println!("test {name} ... differs (allowed of a peer)");
                    for line in text.lines().take(3) {
                        println!("    {line}");
                    }
                }
            }
        }
    });
    guard::remove_common_parent();
    let mut left = guard::cgroups_named(&format!("ht{}-", std::process::id()))
        .iter()
        .map(|dir| format!("cgroup {}", dir.display()))
        .collect::<Vec<_>>();
    let own = guard::children_of(std::process::id() as i32);
    left.extend(own.iter().map(|pid| format!("process {pid}")));
    for what in &left {
        println!("left behind by the suite: {what}");
        counts.1 += 1;
    }
    if !failed.is_empty() {
        println!("\nfailed:");
        for name in &failed {
            println!("    {name}");
        }
    }
    let differs = if host::is_peer() { format!(", {} differ", counts.3) } else { String::new() };
    println!("\n{} passed, {} failed, {} skipped{differs}", counts.0, counts.1, counts.2);
    if counts.1 == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn host_can_run() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("root is needed: the tests make namespaces, mounts and cgroups".to_owned());
    }
    let program = crate::runtime::program();
    if !program.is_file() && !program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(());
    }
    if !program.is_file() {
        return Err(format!("no runtime at {}; build husk or set HUSK_BIN", program.display()));
    }
    crate::bundle::busybox().map(drop)
}

fn in_a_process(test: &'static Test, children: &Mutex<BTreeMap<i32, ()>>) -> Verdict {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let serial = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    // Ends in a letter, so that no token is the beginning of another.
    let token = format!("ht{}-{serial}z", std::process::id());
    let exe = std::env::current_exe().expect("own path");
    let started = {
        let mut running = children.lock().unwrap();
        let child = Command::new(exe)
            .args(["--one", &full_name(test), &token])
            // The line of the failed assertion is enough.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        if let Ok(child) = &child {
            running.insert(child.id() as i32, ());
        }
        child
    };
    let mut child = match started {
        Ok(child) => child,
        Err(e) => return Verdict::Failed(format!("cannot start the test process: {e}")),
    };
    let reader = collect(&mut child);
    let status = wait(&mut child, host::deadline(TEST_SECONDS));
    children.lock().unwrap().remove(&(child.id() as i32));
    guard::scrub(&token);
    reap_strays(children);
    let text = reader
        .recv_timeout(Duration::from_secs(5))
        .unwrap_or_else(|_| "(a process that outlived the test still holds its output)".to_owned());
    match status {
        None => {
            Verdict::Failed(format!("no end within {:?}\n{text}", host::deadline(TEST_SECONDS)))
        }
        Some(status) if status.code() == Some(0) => Verdict::Passed,
        Some(status) if status.code() == Some(SKIPPED) => {
            Verdict::Skipped(text.lines().last().unwrap_or("no reason given").to_owned())
        }
        Some(_) if test.stricter && host::is_peer() => Verdict::Differs(text),
        Some(status) => match status.signal() {
            Some(signal) => {
                Verdict::Failed(format!("{text}\ntest process ended by signal {signal}"))
            }
            None => Verdict::Failed(text),
        },
    }
}

/// Reads both streams to their end in the background.
fn collect(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::spawn(move || {
        let other = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.map(|mut s| s.read_to_end(&mut text));
            text
        });
        let mut text = Vec::new();
        let _ = stdout.map(|mut s| s.read_to_end(&mut text));
        text.extend(other.join().unwrap_or_default());
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    receiver
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Orphans come to this process only when the test process that they belonged
/// to is gone, so none of them may live on.
fn reap_strays(children: &Mutex<BTreeMap<i32, ()>>) {
    let running = children.lock().unwrap();
    for pid in guard::children_of(std::process::id() as i32) {
        if !running.contains_key(&pid) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
        }
    }
}

/// The body of a test process.
fn one(name: &str, token: &str) -> ExitCode {
    let Some(test) = suite::all().into_iter().find(|t| full_name(t) == name) else {
        eprintln!("no test {name}");
        return ExitCode::FAILURE;
    };
    let context = match Context::new(token) {
        Ok(context) => context,
        Err(why) => {
            eprintln!("cannot prepare the test: {why}");
            return ExitCode::FAILURE;
        }
    };
    reaper::start();
    let before = guard::Snapshot::take(&context);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (test.run)(&context)));
    context.tear_down();
    let left = before.left_behind(&context);
    let status = match (&outcome, left.is_empty()) {
        (Err(_), _) => 101,
        (Ok(Ok(())), true) => 0,
        (Ok(Err(skip)), true) => {
            println!("{}", skip.0.replace('\n', " "));
            SKIPPED
        }
        _ => 102,
    };
    for line in &left {
        eprintln!("left behind: {line}");
    }
    let _ = std::io::stdout().flush();
    // The namespace's scratch mount ends with this process.
    std::process::exit(status)
}
