//! What the reader says about one member of an archive.

/// A time stamp: seconds since 1970, which may be negative, and the nanoseconds
/// (0 to 999 999 999) after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanos: u32,
}

impl Time {
    /// Parses the decimal form of PAX: an optional sign, digits, an optional
    /// fraction. Digits of the fraction beyond the ninth are cut off.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let decimal = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !decimal(whole) || !decimal(fraction) {
            return None;
        }
        // More digits than any time needs: the caller clamps.
        let seconds: i64 = whole.parse().unwrap_or(i64::MAX);
        let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = nanos.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Some(match (negative, nanos) {
            (false, _) => Self { seconds, nanos },
            (true, 0) => Self { seconds: -seconds, nanos: 0 },
            (true, _) => {
                Self { seconds: (-seconds).saturating_sub(1), nanos: 1_000_000_000 - nanos }
            }
        })
    }
}

/// Where the data of a sparse file lies; everything else of it is zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMap {
    /// The size of the file as it appears.
    pub size: u64,
    /// Offset and length of each piece of data, ascending and not overlapping.
    pub pieces: Vec<(u64, u64)>,
}

/// What kind of object an entry describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; the data follows.
    File {
        /// Set when the data are only the pieces of a sparse file.
        sparse: Option<SparseMap>,
    },
    /// Another name of an object that the archive, or a lower layer, has already.
    HardLink {
        /// Its name, as the archive has it.
        target: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: Vec<u8>,
    },
    /// A directory.
    Directory,
    /// A character device.
    Char {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
    /// A named pipe.
    Fifo,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in the archive, not yet judged.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits and set-id bits, 0 to 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last modification.
    pub mtime: Time,
    /// Last access, if the archive says.
    pub atime: Option<Time>,
    /// Extended attributes, in the order of the archive.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of data that follow in the stream.
    pub data: u64,
}

impl Entry {
    /// The size a file will appear to have; 0 for anything else.
    pub fn apparent_size(&self) -> u64 {
        match &self.kind {
            Kind::File { sparse: Some(map) } => map.size,
            Kind::File { sparse: None } => self.data,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = |seconds, nanos| Some(Time { seconds, nanos });
        for (text, expected) in [
            ("0", time(0, 0)),
            ("1700000000.123456789", time(1_700_000_000, 123_456_789)),
            ("1.5", time(1, 500_000_000)),
            ("1.", time(1, 0)),
            ("1.1234567899", time(1, 123_456_789)),
            ("-1", time(-1, 0)),
            ("-1.25", time(-2, 750_000_000)),
            ("-0.5", time(-1, 500_000_000)),
            ("99999999999999999999", time(i64::MAX, 0)),
            ("", None),
            (".5", None),
            ("+1", None),
            ("--1", None),
            ("1e3", None),
            ("1.2.3", None),
            (" 1", None),
        ] {
            assert_eq!(Time::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
