//! Reading a document, and saying where it is wrong.
//!
//! A good document is read once. Only when that fails is it read again, slowly: each value of the
//! wrong type is reported with its pointer and taken out, until the rest can be read, so that all
//! of them are reported at once.

use super::{Config, Process, Resources, strict};
use crate::error::{Code, Error, Pointer, Problem};
use serde::Deserialize;
use serde_json::Value;

/// How many values of the wrong type are reported.
const MOST_PROBLEMS: usize = 100;

/// Reads a `config.json`.
///
/// # Errors
/// [`Error::Refused`] with every value that has the wrong type, or the place where the text stops
/// being JSON.
pub fn parse(text: &[u8]) -> Result<Config<'_>, Error> {
    document(text, "config.json", |t| first_wrong::<Config<'_>>(t))
}

/// Reads the document of `exec --process`.
///
/// # Errors
/// As [`parse`].
pub fn parse_process(text: &[u8]) -> Result<Process<'_>, Error> {
    document(text, "the process file", |t| first_wrong::<Process<'_>>(t))
}

/// Reads the document of `update --resources`.
///
/// # Errors
/// As [`parse`].
pub fn parse_resources(text: &[u8]) -> Result<Resources<'_>, Error> {
    document(text, "the resources", |t| first_wrong::<Resources<'_>>(t))
}

fn document<'t, T: Deserialize<'t>>(
    text: &'t [u8],
    what: &str,
    first_wrong: impl Fn(&[u8]) -> Option<(Pointer, String)>,
) -> Result<T, Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = strict::read(&mut reader).and_then(|document| reader.end().map(|()| document));
    let error = match read {
        Ok(document) => return Ok(document),
        Err(error) => error,
    };
    // A member that is there twice is refused above, where it cannot be known that another one
    // follows. A value keeps the last of them, as engines and other runtimes do.
    let last_of_each = serde_json::from_slice::<Value>(text).and_then(strict::read);
    last_of_each.map_err(|_| explain(text, what, &error, first_wrong))
}

fn explain(
    text: &[u8],
    what: &str,
    error: &serde_json::Error,
    first_wrong: impl Fn(&[u8]) -> Option<(Pointer, String)>,
) -> Error {
    let mut problems = wrong_types(text, first_wrong);
    if problems.is_empty() {
        problems.push(
            Problem::new(Code::CONFIG_JSON, "", format!("{what} cannot be read: {error}"))
                .hint("check the JSON at that line and column"),
        );
    }
    Error::Refused(problems)
}

/// The values that keep `text` from being read; none when it is not JSON at all.
fn wrong_types(
    text: &[u8],
    first_wrong: impl Fn(&[u8]) -> Option<(Pointer, String)>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Ok(mut document) = serde_json::from_slice::<Value>(text) else { return problems };
    while problems.len() < MOST_PROBLEMS {
        let Ok(rest) = serde_json::to_vec(&document) else { break };
        let Some((pointer, reason)) = first_wrong(&rest) else { break };
        problems.push(
            Problem::new(Code::CONFIG_JSON, pointer.clone(), reason)
                .hint("give the value the type that the specification names"),
        );
        if !take_out(&mut document, &pointer) {
            break;
        }
    }
    problems
}

/// Where `text` stops being a `T`, and why.
fn first_wrong<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Option<(Pointer, String)> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let error = strict::read::<T, _>(tracked).err()?;
    let path = track.path();
    let pointer = path.iter().fold(Pointer::default(), |at, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => at.index(*index),
        serde_path_to_error::Segment::Map { key } => at.key(key),
        _ => at,
    });
    let reason = error.to_string();
    // The position is that in a copy of the document, which nobody sees.
    let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
    Some((pointer, reason))
}

/// Replaces the value at `pointer` by `null`, which every member takes.
fn take_out(document: &mut Value, pointer: &Pointer) -> bool {
    match document.pointer_mut(pointer.as_str()) {
        Some(value) if !value.is_null() => {
            *value = Value::Null;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_unknown_members_are_nothing() {
        let config =
            parse(br#"{"ociVersion":"1.2.0","process":null,"mounts":null,"x":{"y":[1]},"linux":{"namespaces":null}}"#)
                .unwrap();
        assert_eq!(config.oci_version.as_str(), "1.2.0");
        assert!(config.process.is_none() && config.mounts.is_empty());
    }

    #[test]
    fn every_wrong_type_is_reported_with_its_pointer() {
        let text = br#"{"hostname":5,"process":{"args":"sh","user":{"uid":-1}},"mounts":[{"destination":"/a"},{"destination":{}}]}"#;
        let Err(Error::Refused(problems)) = parse(text) else { panic!("taken") };
        let at: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(
            at,
            ["/hostname", "/mounts/1/destination", "/process/args", "/process/user/uid"]
        );
    }

    #[test]
    fn all_arrays_in_the_place_of_objects_are_reported() {
        let text =
            br#"{"root":["rootfs"],"hooks":[],"process":{"user":[0,0]},"linux":{"seccomp":[]}}"#;
        let Err(Error::Refused(problems)) = parse(text) else { panic!("taken") };
        let at: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(at, ["/hooks", "/linux/seccomp", "/process/user", "/root"]);
        assert!(parse(br#"{"root":null,"hooks":null,"process":{"user":null}}"#).is_ok());
    }

    #[test]
    fn an_array_is_not_an_object() {
        let element = ["mounts", "process/rlimits", "linux/namespaces", "linux/uidMappings"];
        let more = ["linux/devices", "linux/seccomp/syscalls", "hooks/prestart"];
        let resources = ["devices", "hugepageLimits", "network/priorities", "blockIO/weightDevice"];
        let resources = resources.map(|list| format!("linux/resources/{list}"));
        let lists = element.into_iter().chain(more).chain(resources.iter().map(String::as_str));
        let lists = lists.map(|list| format!("{list}/0"));
        let members = [
            "root",
            "process",
            "process/user",
            "process/consoleSize",
            "process/capabilities",
            "process/scheduler",
            "process/ioPriority",
            "process/execCPUAffinity",
            "hooks",
            "annotations",
            "linux",
            "linux/timeOffsets/monotonic",
            "linux/netDevices/eth0",
            "linux/resources",
            "linux/resources/memory",
            "linux/resources/cpu",
            "linux/resources/pids",
            "linux/resources/blockIO",
            "linux/resources/network",
            "linux/resources/rdma/mlx",
            "linux/intelRdt",
            "linux/sysctl",
            "linux/seccomp",
            "linux/personality",
            "linux/memoryPolicy",
        ];
        for place in members.into_iter().map(str::to_owned).chain(lists) {
            for array in ["[]", "[0,0]"] {
                let text = place.rsplit('/').fold(array.to_owned(), |inner, key| match key {
                    "0" => format!("[{inner}]"),
                    key => format!("{{{key:?}:{inner}}}"),
                });
                let Err(Error::Refused(problems)) = parse(text.as_bytes()) else {
                    panic!("{text} is taken")
                };
                let at: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
                assert_eq!(at, [format!("/{place}")], "{text}");
                let reason = &problems[0].reason;
                assert!(reason.contains("sequence, expected an object"), "{text}: {reason}");
            }
        }
        assert!(parse(b"[]").is_err());
        assert!(parse_process(b"[]").is_err() && parse_process(br#"{"user":[]}"#).is_err());
        assert!(parse_resources(b"[]").is_err() && parse_resources(br#"{"cpu":[]}"#).is_err());
    }

    #[test]
    fn null_in_the_place_of_an_object_has_no_members() {
        let config = parse(br#"{"process":{"user":null},"mounts":[null]}"#).unwrap();
        assert_eq!(config.process.unwrap().user.uid, 0);
        assert_eq!(config.mounts.len(), 1);
        assert!(config.mounts[0].destination.is_empty());
    }

    #[test]
    fn the_last_of_a_member_counts() {
        let text = br#"{"hostname":"a","process":{"cwd":"/a","cwd":"/b"},"hostname":"b"}"#;
        let config = parse(text).unwrap();
        assert_eq!(config.hostname.as_str(), "b");
        assert_eq!(config.process.unwrap().cwd.as_str(), "/b");
        let Err(Error::Refused(problems)) = parse(br#"{"hostname":"a","hostname":5}"#) else {
            panic!("taken")
        };
        assert_eq!(problems[0].pointer.as_str(), "/hostname");
    }

    #[test]
    fn text_after_the_document_is_refused() {
        let error = parse(b"{} {}").unwrap_err();
        assert!(error.to_string().contains("trailing characters"), "{error}");
    }

    #[test]
    fn nul_in_a_string_is_refused() {
        let Err(Error::Refused(problems)) = parse(br#"{"process":{"args":["a\u0000b"]}}"#) else {
            panic!("taken")
        };
        assert_eq!(problems[0].pointer.as_str(), "/process/args/0");
        assert!(problems[0].reason.contains("NUL"), "{}", problems[0].reason);
    }

    #[test]
    fn text_that_is_not_json_says_where() {
        let error = parse(b"{\"ociVersion\": ").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        assert!(parse(b"null").is_err() || parse(b"null").unwrap().root.is_none());
    }

    #[test]
    fn strings_borrow_from_the_document() {
        let text = br#"{"hostname":"plain"}"#;
        let config = parse(text).unwrap();
        let range = text.as_ptr_range();
        assert!(range.contains(&config.hostname.as_str().as_ptr()));
    }
}
