//! Container ids.

use crate::error::{Code, Error};
use std::ffi::OsStr;
use std::fmt;

/// The id of a container: one or more of `A-Z a-z 0-9 _ + - .`, not `.` or `..`, at most 255
/// bytes. It can stand as a file name and nowhere else mean anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks an id.
    ///
    /// # Errors
    /// Refuses everything else.
    pub fn new(text: &OsStr) -> Result<Self, Error> {
        match text.to_str().filter(|text| is_id(text)) {
            Some(id) => Ok(Self(id.to_owned())),
            None => {
                let mut shown = text.to_string_lossy().into_owned();
                if let Some((end, _)) = shown.char_indices().nth(64) {
                    shown.truncate(end);
                    shown.push('…');
                }
                let message = format!(
                    "invalid container ID format: {shown:?} (letters, digits, _ + - . are allowed, \
                     255 at most)"
                );
                Err(Error::said(Code::CONTAINER_ID, message))
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    (1..=255).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != ".."
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad() {
        let longest = "x".repeat(255);
        for good in ["a", "A-1_2+3.4", ".a", "...", "-x", longest.as_str()] {
            assert_eq!(ContainerId::new(OsStr::new(good)).unwrap().as_str(), good);
        }
        let long = "x".repeat(5000);
        for bad in ["", ".", "..", "a/b", "../a", "a b", "a\n", "ä", "a\0", long.as_str()] {
            let error = ContainerId::new(OsStr::new(bad)).unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
    }
}
