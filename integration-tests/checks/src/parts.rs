//! Walks the parts of a test run: each a name and a shell command.
//!
//! A part that prints closing lines counts what these say; any other counts as
//! one test, passed if its status is 0. The closing lines themselves are taken
//! out of the output, so that the run ends with exactly one.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::counts::Counts;

/// Longest that one part may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The process group of the part that runs now, or 0.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// One part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: String,
    command: String,
    /// The parts after this one make no sense without it.
    needed: bool,
}

impl Part {
    /// Reads `NAME=COMMAND`, or `NAME!=COMMAND` for a part that those after it need.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, command) =
            text.split_once('=').ok_or_else(|| format!("no NAME=COMMAND: {text}"))?;
        let (name, needed) = match name.strip_suffix('!') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.is_empty() || command.trim().is_empty() {
            return Err(format!("no NAME=COMMAND: {text}"));
        }
        Ok(Part { name: name.to_owned(), command: command.to_owned(), needed })
    }
}

/// Runs all parts, prints a table and the closing line on `out`; true if all passed.
///
/// A part that fails does not keep the others from running, unless they need it.
///
/// # Errors
/// Only when `out` cannot be written.
pub fn walk(parts: &[Part], out: &mut dyn Write) -> io::Result<bool> {
    let mut rows = Vec::new();
    let mut total = Counts::default();
    let mut missing: Option<&str> = None;
    for part in parts {
        let started = Instant::now();
        let (counts, remark) = match missing {
            Some(name) => {
                (Counts { failed: 1, ..Counts::default() }, format!("not run, as {name} failed"))
            }
            None => {
                writeln!(out, "== {}: {}", part.name, part.command)?;
                run(part, out)?
            }
        };
        if part.needed && counts.failed > 0 && missing.is_none() {
            missing = Some(&part.name);
        }
        total += counts;
        rows.push((part.name.as_str(), counts, started.elapsed().as_secs_f32(), remark));
    }
    writeln!(
        out,
        "\n{:<14} {:>7} {:>7} {:>7} {:>8}",
        "part", "passed", "failed", "skipped", "seconds"
    )?;
    for (name, counts, seconds, remark) in rows {
        let Counts { passed, failed, skipped } = counts;
        writeln!(out, "{name:<14} {passed:>7} {failed:>7} {skipped:>7} {seconds:>8.1}  {remark}")?;
    }
    writeln!(out, "\n{total}")?;
    out.flush()?;
    Ok(total.failed == 0)
}

fn run(part: &Part, out: &mut dyn Write) -> io::Result<(Counts, String)> {
    let failed = Counts { failed: 1, ..Counts::default() };
    let mut child = match start(&part.command) {
        Ok(child) => child,
        Err(e) => return Ok((failed, format!("could not be started: {e}"))),
    };
    RUNNING.store(child.id(), Ordering::SeqCst);
    let mut counts = Counts::default();
    let mut remark = String::new();
    let lines = lines_of(&mut child);
    let end = Instant::now() + LIMIT;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => match Counts::of_line(&line) {
                Some(more) => counts += more,
                None => {
                    out.write_all(line.as_bytes())?;
                    out.flush()?;
                }
            },
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                remark = format!("stopped after {} s", LIMIT.as_secs());
                stop_group(child.id());
                break;
            }
        }
    }
    let status = child.wait();
    RUNNING.store(0, Ordering::SeqCst);
    let well = remark.is_empty() && status.as_ref().is_ok_and(ExitStatus::success);
    if well && counts.is_empty() {
        counts.passed = 1;
    } else if !well && counts.failed == 0 {
        counts += failed;
        if remark.is_empty() {
            remark = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        }
    }
    Ok((counts, remark))
}

/// In a process group of its own, so that all of it can be stopped.
fn start(command: &str) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// The child's output line by line, each with its newline.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Asks the part that runs now, and all that it started, to end.
pub fn interrupt() {
    signal_group(RUNNING.load(Ordering::SeqCst), Signal::SIGTERM);
}

/// Ends a part that takes too long: with time to clean up, then without.
fn stop_group(leader: u32) {
    signal_group(leader, Signal::SIGTERM);
    std::thread::sleep(Duration::from_secs(10));
    signal_group(leader, Signal::SIGKILL);
}

fn signal_group(leader: u32, signal: Signal) {
    if let Ok(leader) = i32::try_from(leader)
        && leader > 1
    {
        let _ = killpg(Pid::from_raw(leader), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(parts: &[&str]) -> (bool, String) {
        let parts: Vec<Part> = parts.iter().map(|p| Part::parse(p).unwrap()).collect();
        let mut out = Vec::new();
        let well = walk(&parts, &mut out).unwrap();
        (well, String::from_utf8(out).unwrap())
    }

    fn last_line(text: &str) -> &str {
        text.lines().last().unwrap()
    }

    #[test]
    fn parts_are_named_commands() {
        assert!(Part::parse("build!=make").unwrap().needed);
        let part = Part::parse("unit=A=1 cargo test").unwrap();
        assert_eq!((part.name.as_str(), part.command.as_str()), ("unit", "A=1 cargo test"));
        for wrong in ["", "name", "=x", "!=x", "name="] {
            assert!(Part::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sums_what_parts_count_and_counts_the_others_as_one() {
        let (well, text) = outcome(&[
            "format=true",
            "unit=echo 'test result: ok. 5 passed; 0 failed; 1 ignored; finished in 0s'",
            "tests=echo hello; echo 10 passed, 0 failed, 2 skipped; echo 1 passed, 0 failed",
        ]);
        assert!(well, "{text}");
        assert_eq!(last_line(&text), "17 passed, 0 failed, 3 skipped");
        assert!(text.contains("hello\n"), "{text}");
        let closing = text.lines().filter_map(Counts::of_line).count();
        assert_eq!(closing, 1, "one closing line only: {text}");
    }

    #[test]
    fn a_failing_status_counts_even_when_the_numbers_look_good() {
        let (well, text) = outcome(&["tests=echo 3 passed, 0 failed; exit 1", "after=true"]);
        assert!(!well);
        assert_eq!(last_line(&text), "4 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn counted_failures_count_even_with_status_zero() {
        let (well, text) = outcome(&["tests=echo 3 passed, 2 failed"]);
        assert!(!well);
        assert_eq!(last_line(&text), "3 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn what_needs_a_failed_part_is_not_run() {
        let (well, text) = outcome(&["build!=false", "tests=echo ran"]);
        assert!(!well);
        assert!(!text.contains("ran\n"), "{text}");
        assert!(text.contains("not run, as build failed"), "{text}");
        assert_eq!(last_line(&text), "0 passed, 2 failed, 0 skipped");
    }
}
