//! What the name of an entry means: a place in the tree, or a whiteout.

use crate::error::Result;
use crate::refuse;

/// Bytes that one component of a name may have.
const MAX_COMPONENT: usize = 255;

/// A name as a list of components: no empty one, no `.`, no `..`.
///
/// A leading `/` is dropped and `..` is resolved in the text. A name that climbs
/// above the root is refused: no real image has one.
pub fn components(name: &[u8]) -> Result<Vec<&[u8]>> {
    if name.is_empty() {
        refuse!("its name is empty");
    }
    let mut out: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if out.pop().is_none() {
                    refuse!("its name climbs above the root");
                }
            }
            part if part.len() > MAX_COMPONENT => {
                refuse!("a component of its name is longer than {MAX_COMPONENT} bytes")
            }
            part if part.contains(&0) => refuse!("its name contains a NUL"),
            part => out.push(part),
        }
    }
    Ok(out)
}

/// What the last component of a name in a layer stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// An object of the tree.
    Object,
    /// The object of this name in lower layers goes away.
    Whiteout(&'a [u8]),
    /// Everything that lower layers have in this directory goes away.
    Opaque,
    /// Bookkeeping of an old storage driver, not part of the tree.
    Leftover,
}

/// Looks at all components, since bookkeeping may be a whole directory.
pub fn meaning<'a>(components: &[&'a [u8]]) -> Result<Meaning<'a>> {
    let Some((last, parents)) = components.split_last() else { return Ok(Meaning::Object) };
    if parents.iter().any(|part| part.starts_with(b".wh..wh.")) {
        return Ok(Meaning::Leftover);
    }
    if parents.iter().any(|part| part.starts_with(b".wh.")) {
        refuse!("a whiteout cannot contain anything");
    }
    match last.strip_prefix(b".wh.") {
        None => Ok(Meaning::Object),
        Some(b"" | b"." | b"..") => refuse!("it is a whiteout of nothing that could be removed"),
        Some(b".wh..opq") => Ok(Meaning::Opaque),
        Some(hidden) if hidden.starts_with(b".wh.") => Ok(Meaning::Leftover),
        Some(hidden) => Ok(Meaning::Whiteout(hidden)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Quoted;

    #[test]
    fn names() {
        let long = "x".repeat(255);
        let longer = "x".repeat(256);
        for (name, expected) in [
            ("a/b", Some(vec!["a", "b"])),
            ("/a//./b/", Some(vec!["a", "b"])),
            ("a/../b", Some(vec!["b"])),
            ("./", Some(vec![])),
            ("/", Some(vec![])),
            (&long, Some(vec![&*long])),
            ("", None),
            ("..", None),
            ("a/../..", None),
            ("/../a", None),
            (&longer, None),
            ("a\0b", None),
        ] {
            let expected =
                expected.map(|e: Vec<&str>| e.into_iter().map(str::as_bytes).collect::<Vec<_>>());
            assert_eq!(components(name.as_bytes()).ok(), expected, "{}", Quoted(name.as_bytes()));
        }
    }

    #[test]
    fn whiteouts() {
        let of = |name: &'static str| {
            let parts: Vec<&[u8]> = name.split('/').map(str::as_bytes).collect();
            meaning(&parts).ok()
        };
        for (name, expected) in [
            ("a/b", Some(Meaning::Object)),
            ("a/.wh.b", Some(Meaning::Whiteout(b"b"))),
            (".wh..wh..opq", Some(Meaning::Opaque)),
            (".wh..wh.plnk", Some(Meaning::Leftover)),
            (".wh..wh.plnk/1.2", Some(Meaning::Leftover)),
            (".wh..wh.x", Some(Meaning::Leftover)),
            (".wh..hidden", Some(Meaning::Whiteout(b".hidden"))),
            (".wh.", None),
            (".wh..", None),
            (".wh...", None),
            (".wh.a/b", None),
            ("x.wh.y", Some(Meaning::Object)),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }
}
