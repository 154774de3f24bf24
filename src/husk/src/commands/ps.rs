//! `husk ps`.

use super::{Context, DONE, Format};
use crate::cli::Given;
use crate::error::{Code, Error, Failure};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// Shows the processes of a container.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let format = Format::of(own)?;
    let container = cx.root().container(&super::id(arguments)?)?;
    let pids = container.processes()?.pids()?;
    let text = match format {
        // Callers know this way of saying "none".
        Format::Json if pids.is_empty() => "null\n".to_owned(),
        Format::Json => format!("{}\n", super::json(&pids)?),
        Format::Table => {
            let table = ps(arguments.get(1..).unwrap_or_default())?;
            cut(&table, &pids.into_iter().collect())?
        }
    };
    cx.print(&text)?;
    Ok(DONE)
}

/// What ps(1) prints.
fn ps(options: &[OsString]) -> Result<String, Error> {
    let usual = [OsString::from("-ef")];
    let options = if options.is_empty() { usual.as_slice() } else { options };
    let failed = |doing: String| Failure::new(Code::PROCESS_FAILED, doing);
    let output = Command::new("ps").args(options).stdin(Stdio::null()).output().map_err(|e| {
        failed("execute ps".to_owned())
            .errno("execve", e.raw_os_error().unwrap_or(libc::EIO))
            .hint("install ps, or ask for --format json")
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("list processes with ps: {}", said.trim())).into())
}

/// The header and the lines whose PID is one of `pids`.
fn cut(table: &str, pids: &BTreeSet<i32>) -> Result<String, Error> {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_whitespace().position(|name| name == "PID").ok_or_else(|| {
        let words = "the output of ps has no column PID: ask for one in its options";
        Error::said(Code::PROCESS_FAILED, words)
    })?;
    let mut text = format!("{header}\n");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_processes_are_cut() {
        let table = "UID   PID CMD\nroot    1 init\nroot   17 sh 1\nroot  170 x\n";
        assert_eq!(cut(table, &[17].into()).unwrap(), "UID   PID CMD\nroot   17 sh 1\n");
        assert_eq!(cut(table, &BTreeSet::new()).unwrap(), "UID   PID CMD\n");
        assert!(cut("UID CMD\nroot x\n", &[17].into()).is_err());
        assert!(cut("", &[17].into()).is_err());
    }
}
