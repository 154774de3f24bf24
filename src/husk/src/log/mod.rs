//! The log: one line for each thing that is worth telling, written with one write(2).
//!
//! Engines read a JSON log for the last line of level `error`; one of them takes the log only when
//! it is a single JSON object. So a command that fails writes exactly one line, whatever it would
//! have warned about; warnings are written when it succeeds, or with `--debug`.

mod time;

pub use time::{now, rfc3339};

use crate::error::{Error, Severity};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time="…" level=… msg="…"`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What is being done.
    Debug,
    /// What the reader should know although the command went on.
    Warning,
    /// Why the command failed.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One line before it is formatted.
#[derive(Debug, Serialize)]
struct Line<'a> {
    level: Level,
    msg: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    syscall: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(level: Level, msg: &'a str) -> Self {
        let time = rfc3339(now());
        Self { level, msg, time, code: None, pointer: None, syscall: None, errno: None, hint: None }
    }

    fn of(error: &'a Error, msg: &'a str) -> Self {
        let mut line = Self::new(Level::Error, msg);
        line.code = Some(error.code().as_str());
        match error {
            Error::Refused(problems) => {
                let first = problems.iter().find(|p| p.severity == Severity::Error);
                line.pointer = first.map(|p| p.pointer.as_str());
                line.hint = first.and_then(|p| p.hint.as_deref());
            }
            Error::Failed(failure) => {
                line.pointer = failure.pointer.as_ref().map(|p| p.as_str());
                line.syscall = failure.syscall;
                line.errno = Some(failure.errno).filter(|errno| *errno != 0);
                line.hint = failure.hint.as_deref();
            }
            Error::Said(..) => {}
        }
        line
    }

    fn format(&self, format: Format) -> String {
        let mut text = match format {
            Format::Json => serde_json::to_string(self).unwrap_or_default(),
            Format::Text => {
                let Self { time, level, msg, .. } = self;
                // Quoted as Go quotes: `"`, `\` and control characters are escaped.
                format!("time=\"{time}\" level={} msg={msg:?}", level.name())
            }
        };
        text.push('\n');
        text
    }
}

/// Where the lines go. The file is opened when there is something to write, and at no other time:
/// its descriptor is never there to be inherited.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<PathBuf>,
    format: Option<Format>,
    debug: bool,
    warnings: Vec<String>,
}

impl Log {
    /// A log into `file`, or onto standard error.
    pub fn new(file: Option<PathBuf>, format: Option<Format>, debug: bool) -> Self {
        Self { file, format, debug, warnings: Vec::new() }
    }

    /// Says what is being done; only with `--debug`.
    pub fn debug(&self, message: &str) {
        if self.debug {
            self.put(&Line::new(Level::Debug, message));
        }
    }

    /// Keeps a warning until the command has succeeded; with `--debug` it is written at once.
    pub fn warning(&mut self, message: impl Into<String>) {
        let message = message.into();
        if self.debug {
            self.put(&Line::new(Level::Warning, &message));
        } else {
            self.warnings.push(message);
        }
    }

    /// Tells a person at once what is odd, past the log: for commands whose result is read by
    /// people, and which do not fail because of it.
    pub fn notice(&self, message: &str) {
        to_stderr(&format!("{message}\n"));
    }

    /// Writes the warnings of a command that succeeded.
    pub fn flush_warnings(&mut self) {
        for message in std::mem::take(&mut self.warnings) {
            self.put(&Line::new(Level::Warning, &message));
        }
    }

    /// Writes why the command failed: one line into the log, and the bare message for a person.
    pub fn error(&self, error: &Error) {
        let message = error.to_string();
        let logged =
            (self.file.is_some() || self.format.is_some()) && self.put(&Line::of(error, &message));
        if !logged || self.file.is_some() {
            to_stderr(&for_a_person(error));
        }
    }

    /// Whether the line reached the place that the caller named.
    fn put(&self, line: &Line<'_>) -> bool {
        let Some(path) = &self.file else {
            to_stderr(&line.format(self.format.unwrap_or_default()));
            return true;
        };
        let text = line.format(self.format.unwrap_or_default());
        let written = open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(e) = &written {
            to_stderr(&format!("husk: cannot write the log {}: {e}\n", path.display()));
        }
        written.is_ok()
    }
}

fn open(path: &PathBuf) -> std::io::Result<File> {
    // Without O_NONBLOCK a fifo without a reader would hold the command for ever.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// The message on lines of its own, one for each problem.
fn for_a_person(error: &Error) -> String {
    let mut text = String::new();
    match error {
        Error::Refused(problems) => {
            for problem in problems.iter().filter(|p| p.severity == Severity::Error) {
                text.push_str(&problem.to_string());
                text.push('\n');
            }
        }
        other => {
            text.push_str(&other.to_string());
            text.push('\n');
        }
    }
    text
}

/// Nobody can be told when standard error itself cannot be written.
fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Failure, Problem};

    fn json(error: &Error) -> serde_json::Value {
        let message = error.to_string();
        let text = Line::of(error, &message).format(Format::Json);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn a_failure_carries_its_details() {
        let failure = Failure::new(Code::CGROUP_FAILED, "make /x").errno("mkdir", 13);
        let line = json(&failure.at("/linux/cgroupsPath").hint("be root").into());
        assert_eq!(line["level"], "error");
        assert_eq!(line["code"], "HUSK-CGROUP-FAILED");
        assert_eq!(line["pointer"], "/linux/cgroupsPath");
        assert_eq!((&line["syscall"], &line["errno"]), (&"mkdir".into(), &13.into()));
        assert_eq!(line["hint"], "be root");
        assert!(line["msg"].as_str().unwrap().contains("permission denied"));
    }

    #[test]
    fn several_problems_are_one_line() {
        let problems = vec![
            Problem::new(Code::CONFIG_INVALID, "/a", "one\ntwo").warning(),
            Problem::new(Code::CONFIG_INVALID, "/b", "line\nbreak"),
            Problem::new(Code::CONFIG_INVALID, "/c", "three"),
        ];
        let error = Error::Refused(problems);
        let line = json(&error);
        assert_eq!(line["msg"], "/b: line\nbreak; /c: three");
        assert_eq!(line["pointer"], "/b");
        assert_eq!(for_a_person(&error), "/b: line\nbreak\n/c: three\n");
    }

    #[test]
    fn text_lines_are_quoted() {
        let text = Line::new(Level::Warning, "a \"b\"\nc").format(Format::Text);
        assert!(
            text.starts_with("time=\"")
                && text.ends_with(" level=warning msg=\"a \\\"b\\\"\\nc\"\n"),
            "{text}"
        );
    }

    #[test]
    fn a_log_is_appended_to_and_holds_one_line_for_a_failure() {
        let path = std::env::temp_dir().join(format!("husk-log-{}", std::process::id()));
        let mut log = Log::new(Some(path.clone()), Some(Format::Json), false);
        log.warning("odd");
        log.debug("not asked for");
        log.error(&Error::said(Code::USAGE, "no"));
        log.error(&Error::said(Code::USAGE, "again"));
        let text = std::fs::read_to_string(&path).expect("the log");
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("\"msg\":\"no\"") && text.contains("\"msg\":\"again\""), "{text}");
    }
}
