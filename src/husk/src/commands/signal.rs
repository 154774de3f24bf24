//! Names of signals.

use crate::error::{Code, Error};
use std::ffi::OsStr;

/// Every name without `SIG`, with aliases.
const NAMES: &[(&str, i32)] = &[
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGIO),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
];

/// The first and the last real-time signal for which programs have names; the C library keeps two
/// numbers below for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A signal: a number, or a name with or without `SIG` in any case; `RTMIN+N` and `RTMAX-N` too.
///
/// # Errors
/// `unknown signal "X"`.
pub fn parse(text: &OsStr) -> Result<i32, Error> {
    let found = text.to_str().and_then(|text| number(text).or_else(|| name(text)));
    found.ok_or_else(|| {
        let shown: String = text.to_string_lossy().chars().take(64).collect();
        Error::said(Code::USAGE, format!("unknown signal {shown:?}"))
    })
}

fn number(text: &str) -> Option<i32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (0..=*REAL_TIME.end()).contains(n))
}

fn name(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = || {
        let signal = if let Some(rest) = name.strip_prefix("RTMIN") {
            REAL_TIME.start().checked_add(offset(rest, '+')?)?
        } else {
            REAL_TIME.end().checked_sub(offset(name.strip_prefix("RTMAX")?, '-')?)?
        };
        REAL_TIME.contains(&signal).then_some(signal)
    };
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, signal)| *signal).or_else(real_time)
}

fn offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() { Some(0) } else { number(text.strip_prefix(sign)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let table = [
            ("9", Some(9)),
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("sigkill", Some(9)),
            ("winch", Some(28)),
            ("0", Some(0)),
            ("37", Some(37)),
            ("64", Some(64)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMIN", Some(34)),
            ("65", None),
            ("-1", None),
            ("+9", None),
            ("9 ", None),
            (" 9", None),
            ("0x9", None),
            ("999999999999999999999", None),
            ("SIGNOPE", None),
            ("SIG", None),
            ("", None),
            ("SIGSIGKILL", None),
            ("RTMIN+31", None),
            ("RTMIN-1", None),
            ("RTMAX+1", None),
        ];
        for (text, signal) in table {
            assert_eq!(parse(OsStr::new(text)).ok(), signal, "{text:?}");
        }
        let error = parse(OsStr::new("SIGNOPE")).unwrap_err();
        assert_eq!(error.to_string(), "unknown signal \"SIGNOPE\"");
    }
}
