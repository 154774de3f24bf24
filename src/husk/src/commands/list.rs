//! `husk list`.

use super::{Context, DONE, Format};
use crate::cli::Given;
use crate::container::{Container, Document, Look, State, Status};
use crate::error::{Code, Error};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

/// Lists the containers of the runtime root.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, _: &[OsString]) -> Result<u8, Error> {
    let format = Format::of(own)?;
    let root = cx.root();
    let Some(ids) = root.ids()? else {
        if cx.global.root.explicit {
            let path = root.path().display();
            let words = format!("cannot read the runtime root {path}: no such file or directory");
            return Err(Error::said(Code::STATE_FAILED, words));
        }
        return print(cx, own, format, &[]);
    };
    let mut owners = Owners::default();
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        let container = match root.find(&id)?.map(Container::look).transpose() {
            // Deleted since the directory was read, or not there yet.
            Ok(None | Some(Look::BeingMade)) => continue,
            Ok(Some(Look::Whole(container))) => container,
            Ok(Some(Look::HalfMade(error))) | Err(error) => {
                cx.log.notice(&error.to_string());
                continue;
            }
        };
        match container.status() {
            Ok(status) => {
                let owner = owners.name(root.owner(&id));
                rows.push(Row { state: container.into_parts().1, status, owner });
            }
            Err(error) => cx.log.notice(&error.to_string()),
        }
    }
    print(cx, own, format, &rows)
}

struct Row {
    state: State,
    status: Status,
    owner: String,
}

fn print(cx: &mut Context<'_>, own: &Given, format: Format, rows: &[Row]) -> Result<u8, Error> {
    let mut text = String::new();
    if own.switch("quiet") {
        for row in rows {
            text.push_str(&row.state.id);
            text.push('\n');
        }
    } else if format == Format::Json {
        // Callers know this way of saying "none".
        let none = rows.is_empty();
        let list: Vec<_> =
            rows.iter().map(|row| Document::new(&row.state, row.status, &row.owner)).collect();
        text = if none { "null".to_owned() } else { super::json(&list)? };
        text.push('\n');
    } else {
        text = table(rows);
    }
    cx.print(&text)?;
    Ok(DONE)
}

fn table(rows: &[Row]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let cells = rows.iter().map(|Row { state, status, owner }| {
        let pid = if *status == Status::Stopped { 0 } else { state.init().pid.as_raw() };
        [
            state.id.clone(),
            pid.to_string(),
            status.to_string(),
            state.bundle.clone(),
            state.created.clone(),
            owner.clone(),
        ]
    });
    columns(std::iter::once(header).chain(cells).collect())
}

/// Columns of at least 12 characters, three blanks apart.
fn columns<const N: usize>(lines: Vec<[String; N]>) -> String {
    let mut widths = [12usize; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count().saturating_add(3));
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (n, (width, cell)) in widths.iter().zip(line).enumerate() {
            // Writing to a string cannot fail.
            let _ = if n.saturating_add(1) < N {
                write!(text, "{cell:width$}")
            } else {
                writeln!(text, "{cell}")
            };
        }
    }
    text
}

/// Names of users, each looked up once.
#[derive(Default)]
struct Owners {
    users: Option<BTreeMap<u32, String>>,
}

impl Owners {
    fn name(&mut self, uid: Option<u32>) -> String {
        let Some(uid) = uid else { return String::new() };
        let users = self.users.get_or_insert_with(|| {
            users(&std::fs::read_to_string("/etc/passwd").unwrap_or_default())
        });
        users.get(&uid).cloned().unwrap_or_else(|| format!("#{uid}"))
    }
}

/// The names in a passwd file, by user id; of several the first one.
fn users(passwd: &str) -> BTreeMap<u32, String> {
    let mut users = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok()));
        if let (Some(name), Some(uid)) = (name.filter(|name| !name.is_empty()), uid) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users() {
        let users =
            users("root:x:0:0:r:/root:/bin/sh\ntoor:x:0:0::/:\nbad\n:x:5:\nu:x:1000:1000::/:");
        let expected = [(0, "root".to_owned()), (1000, "u".to_owned())];
        assert_eq!(users, BTreeMap::from(expected));
    }

    #[test]
    fn columns_line_up() {
        let lines =
            vec![["ID", "PID"].map(String::from), ["long-container", "7"].map(String::from)];
        assert_eq!(columns(lines), "ID               PID\nlong-container   7\n");
        assert_eq!(columns(vec![["ID", "PID"].map(String::from)]), "ID          PID\n");
    }
}
