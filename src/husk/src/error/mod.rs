//! What husk says when it refuses or fails.
//!
//! A [`Problem`] is about one value of the configuration and is found before anything has been
//! done; all problems of a bundle are reported together. A [`Failure`] is a step that the kernel
//! refused while husk was at work. [`Error`] is either, or a plain refusal in runc's words.

mod codes;
mod pointer;

pub use codes::Code;
pub use pointer::Pointer;

use std::borrow::Cow;
use std::fmt;

/// Whether a problem stops the container from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The container cannot be made.
    Error,
    /// Worth telling; the specification asks the runtime to go on.
    Warning,
}

/// One thing that is wrong with a configuration, found while planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable identifier of the kind of problem.
    pub code: Code,
    /// Where in `config.json` (or the process file of `exec`).
    pub pointer: Pointer,
    /// What is wrong, with the offending value, as a sentence without a full stop.
    pub reason: String,
    /// What to change.
    pub hint: Option<Cow<'static, str>>,
    /// Refusal or warning.
    pub severity: Severity,
}

impl Problem {
    /// A problem that refuses the configuration.
    pub fn new(code: Code, pointer: impl Into<Pointer>, reason: impl Into<String>) -> Self {
        let (pointer, reason) = (pointer.into(), reason.into());
        Self { code, pointer, reason, hint: None, severity: Severity::Error }
    }

    /// Adds what the reader should change.
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Turns the problem into a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Collects problems while a configuration is read, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds a problem, refusal or warning.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Adds a refusal; `hint` says what to change.
    pub fn refuse(
        &mut self,
        code: Code,
        at: impl Into<Pointer>,
        reason: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) {
        self.push(Problem::new(code, at, reason).hint(hint));
    }

    /// Adds a warning.
    pub fn warn(&mut self, code: Code, at: impl Into<Pointer>, reason: impl Into<String>) {
        self.push(Problem::new(code, at, reason).warning());
    }

    /// Whether any problem refuses the configuration.
    pub fn refused(&self) -> bool {
        self.list.iter().any(|p| p.severity == Severity::Error)
    }

    /// Everything found so far, in the order found.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The warnings, when nothing refuses the configuration; all problems as an error otherwise.
    pub fn into_result(self) -> Result<Vec<Problem>, Error> {
        if self.refused() { Err(Error::Refused(self.list)) } else { Ok(self.list) }
    }
}

/// A step that the system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable identifier of the kind of failure.
    pub code: Code,
    /// What was being done, or what could not be done.
    pub doing: String,
    /// The property that asked for it, where there is one.
    pub pointer: Option<Pointer>,
    /// The system call, where one failed.
    pub syscall: Option<&'static str>,
    /// What the system answered, as an errno; 0 where no system call failed.
    pub errno: i32,
    /// What to try.
    pub hint: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failed step without a system call.
    pub fn new(code: Code, doing: impl Into<String>) -> Self {
        let doing = doing.into();
        Self { code, doing, pointer: None, syscall: None, errno: 0, hint: None }
    }

    /// The system's answer.
    pub fn errno(mut self, syscall: &'static str, errno: i32) -> Self {
        self.syscall = Some(syscall);
        self.errno = errno;
        self
    }

    /// The property that asked for the step.
    pub fn at(mut self, pointer: impl Into<Pointer>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// What the reader can try.
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        if self.errno != 0 {
            write!(f, ": {}", errno_text(self.errno))?;
        }
        if let Some(pointer) = &self.pointer {
            write!(f, " [{pointer}]")?;
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The configuration was refused; warnings may be among the problems.
    Refused(Vec<Problem>),
    /// A step failed; everything done before it has been undone.
    Failed(Box<Failure>),
    /// A refusal in the words that engines match (`container does not exist`, …).
    Said(Code, String),
}

impl Error {
    /// A refusal in fixed words.
    pub fn said(code: Code, words: impl Into<String>) -> Self {
        Self::Said(code, words.into())
    }

    /// The stable identifier of the first cause.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(problems) => {
                let first = problems.iter().find(|p| p.severity == Severity::Error);
                first.map_or(Code::CONFIG_INVALID, |p| p.code)
            }
            Self::Failed(failure) => failure.code,
            Self::Said(code, _) => *code,
        }
    }
}

/// What runc says before the reason why a container could not be made; callers look for it.
const CREATE_FAILED: &str = "runc create failed: ";
const RUN_FAILED: &str = "runc run failed: ";
const EXEC_FAILED: &str = "exec failed: ";
const START_FAILED: &str = "unable to start container process: ";
const INIT_FAILED: &str = "error during container init: ";

impl Error {
    /// The error of `create`, in runc's words.
    #[must_use]
    pub fn at_create(self) -> Self {
        self.before(CREATE_FAILED)
    }

    /// The error of `run`, in runc's words.
    #[must_use]
    pub fn at_run(self) -> Self {
        self.before(RUN_FAILED)
    }

    /// The error of `exec`, in runc's words.
    #[must_use]
    pub fn at_exec(self) -> Self {
        self.before(EXEC_FAILED)
    }

    fn before(self, words: &str) -> Self {
        match self {
            // Found before there was an init.
            Self::Failed(mut failure)
                if matches!(failure.code, Code::CONFIG_UNREADABLE | Code::STATE_FAILED) =>
            {
                failure.doing = format!("{words}{}", failure.doing);
                Self::Failed(failure)
            }
            Self::Failed(mut failure) => {
                let init = if words == EXEC_FAILED { "" } else { INIT_FAILED };
                failure.doing = format!("{words}{START_FAILED}{init}{}", failure.doing);
                Self::Failed(failure)
            }
            Self::Said(code, said) => Self::Said(code, format!("{words}{said}")),
            refused => refused,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problems) => {
                let refusals = problems.iter().filter(|p| p.severity == Severity::Error);
                for (n, problem) in refusals.enumerate() {
                    if n > 0 {
                        f.write_str("; ")?;
                    }
                    problem.fmt(f)?;
                }
                Ok(())
            }
            Self::Failed(failure) => failure.fmt(f),
            Self::Said(_, words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// What an errno means, in the lower-case words that engines search for.
pub fn errno_text(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let mut words = String::with_capacity(text.len());
    let mut chars = text.chars();
    let acronym = chars.clone().nth(1).is_some_and(char::is_uppercase);
    if let Some(first) = chars.next() {
        if acronym { words.push(first) } else { words.extend(first.to_lowercase()) }
    }
    words.push_str(chars.as_str());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_in_words_that_engines_match() {
        assert_eq!(errno_text(libc::ENOENT), "no such file or directory");
        assert_eq!(errno_text(libc::EACCES), "permission denied");
        assert_eq!(errno_text(libc::EPERM), "operation not permitted");
        assert_eq!(errno_text(libc::EISDIR), "is a directory");
    }

    #[test]
    fn warnings_do_not_refuse() {
        let mut problems = Problems::default();
        problems.warn(Code::CONFIG_INVALID, "/process", "odd");
        assert!(!problems.refused());
        problems.refuse(Code::CONFIG_INVALID, "/root/path", "gone", "make it");
        let error = problems.into_result().unwrap_err();
        assert_eq!(error.to_string(), "/root/path: gone (make it)");
    }
}
