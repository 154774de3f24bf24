//! The one error of this package: a kind, which decides the exit status, and a
//! sentence for the reader.
//!
//! Context is put in front of the sentence once, by whoever knows it: the tar
//! reader knows the entry, the caller the layer, the caller of that the image.

use std::fmt;

/// What an error means for the caller; see [`Kind::exit_status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The input was refused, or the system refused an operation.
    Refused,
    /// The command line makes no sense.
    Usage,
    /// The image, the reference or the platform is not there.
    NotFound,
    /// A signal asked for an end.
    Interrupted,
}

impl Kind {
    /// The exit status of the program: 1, 2 or 3.
    pub fn exit_status(self) -> u8 {
        match self {
            Kind::Refused | Kind::Interrupted => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// Shorthand for results of this package.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The input or the system refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into() }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    /// Something that was asked for by name is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound, message: message.into() }
    }

    /// A signal asked for an end.
    pub fn interrupted() -> Self {
        Self { kind: Kind::Interrupted, message: "interrupted by a signal".into() }
    }

    /// What kind of error this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Puts `what: ` in front of the message.
    pub fn in_context(self, what: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{what}: {}", self.message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<nix::errno::Errno> for Error {
    fn from(errno: nix::errno::Errno) -> Self {
        let hint = match errno {
            nix::errno::Errno::ENOSPC => " (the file system of the bundle is full)",
            nix::errno::Errno::EDQUOT => " (the quota is used up)",
            nix::errno::Errno::EMFILE => " (raise the limit on open files: ulimit -n)",
            _ => "",
        };
        Self::refused(format!("{}{hint}", errno.desc()))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => nix::errno::Errno::from_raw(number).into(),
            None => Self::refused(error.to_string()),
        }
    }
}

/// Adds what was being done to an error of any source.
pub trait Context<T> {
    /// `what` is only called when there is an error.
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().in_context(what()))
    }
}

/// Returns early with [`Error::refused`].
#[macro_export]
macro_rules! refuse {
    ($($part:tt)*) => { return Err($crate::error::Error::refused(format!($($part)*))) };
}
