//! PAX extended headers: records of the form `LENGTH KEY=VALUE\n`.

use super::entry::Time;
use crate::error::{Error, Result};
use crate::refuse;
use crate::text::{Quoted, base64};

/// Key and value of each record, in order.
pub fn records(mut data: &[u8]) -> Result<Vec<(&[u8], &[u8])>> {
    let mut out = Vec::new();
    while !data.is_empty() {
        let (record, rest) = record(data)
            .ok_or_else(|| Error::refused("an extended header has a record of a wrong length"))?;
        out.push(record);
        data = rest;
    }
    Ok(out)
}

type Split<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn record(data: &[u8]) -> Option<Split<'_>> {
    let blank = data.iter().take(20).position(|b| *b == b' ')?;
    let digits = std::str::from_utf8(data.get(..blank)?).ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (whole, rest) = data.split_at_checked(digits.parse().ok()?)?;
    let body = whole.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    let key = body.get(..equals).filter(|key| !key.is_empty())?;
    Some(((key, body.get(equals + 1..)?), rest))
}

/// What the extended header before an entry says about it. A key that is absent,
/// or has an empty value, leaves the header's own field in force.
#[derive(Debug, Default)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<Time>,
    pub atime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

/// The keys of the three PAX forms of sparse files.
#[derive(Debug, Default)]
pub struct Sparse {
    pub version: (Option<u64>, Option<u64>),
    pub name: Option<Vec<u8>>,
    /// `GNU.sparse.size` (0.0 and 0.1) or `GNU.sparse.realsize` (1.0).
    pub size: Option<u64>,
    /// Offsets and lengths (0.0 and 0.1) in the order in which they came.
    pub numbers: Vec<u64>,
    pub seen: bool,
}

fn decimal(key: &[u8], value: &[u8]) -> Result<u64> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            Error::refused(format!(
                "the extended header's {} is not a number that fits: {}",
                Quoted(key),
                Quoted(value)
            ))
        })
}

fn time(key: &[u8], value: &[u8]) -> Result<Time> {
    Time::parse(value).ok_or_else(|| {
        Error::refused(format!(
            "the extended header's {} is not a time: {}",
            Quoted(key),
            Quoted(value)
        ))
    })
}

/// Undoes the `%XX` escapes in the key of a `LIBARCHIVE.xattr.` record.
fn unescape(key: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let digits = [*rest.next()?, *rest.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(*byte);
        }
    }
    Some(out)
}

impl Extended {
    /// Reads the data of an `x` header.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let mut out = Self::default();
        for (key, value) in records(data)? {
            out.take(key, value)?;
        }
        Ok(out)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.xattr(name.to_vec(), value.to_vec());
        }
        if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let (Some(name), Some(value)) = (unescape(name), base64(value)) else {
                refuse!("the extended header's {} is not well encoded", Quoted(key));
            };
            return self.xattr(name, value);
        }
        let is_text = matches!(key, b"path" | b"linkpath" | b"GNU.sparse.name");
        if is_text && value.contains(&0) {
            refuse!("the extended header's {} contains a NUL", Quoted(key));
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(key, value)?),
            b"uid" => self.uid = Some(decimal(key, value)?),
            b"gid" => self.gid = Some(decimal(key, value)?),
            b"mtime" => self.mtime = Some(time(key, value)?),
            b"atime" => self.atime = Some(time(key, value)?),
            b"GNU.sparse.major" => self.sparse.version.0 = Some(decimal(key, value)?),
            b"GNU.sparse.minor" => self.sparse.version.1 = Some(decimal(key, value)?),
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                self.sparse.size = Some(decimal(key, value)?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse.numbers.push(decimal(key, value)?);
            }
            b"GNU.sparse.map" => {
                for number in value.split(|b| *b == b',') {
                    self.sparse.numbers.push(decimal(key, number)?);
                }
            }
            _ => {}
        }
        self.sparse.seen |= key.starts_with(b"GNU.sparse.");
        Ok(())
    }

    fn xattr(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<()> {
        if name.is_empty() || name.contains(&0) {
            refuse!("the extended header has an attribute without a proper name");
        }
        // The same attribute twice (both spellings, from bsdtar): the later one.
        self.xattrs.retain(|(other, _)| *other != name);
        self.xattrs.push((name, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_their_lengths() {
        let good = records(b"11 path=abc12 comment=\n").ok();
        assert_eq!(good, None, "a record must end in a newline");
        assert_eq!(
            records(b"12 path=abc\n13 comment==\n").ok(),
            Some(vec![(&b"path"[..], &b"abc"[..]), (b"comment", b"=")])
        );
        for bad in [
            &b"0 a=b\n"[..],
            b"99 a=b\n",
            b"5 a=b\n",
            b"7 a=b\n",
            b"-6 a=b\n",
            b"6 a\n",
            b"6 =ab\n",
            b"99999999999999999999999 a=b\n",
            b"a=b\n",
            b" a=b\n",
        ] {
            assert!(records(bad).is_err(), "{}", Quoted(bad));
        }
        assert!(records(b"6 a=b\n").is_ok());
    }

    #[test]
    fn both_spellings_of_an_attribute() {
        let mut extended = Extended::default();
        extended.take(b"LIBARCHIVE.xattr.user.a%3Db", b"Zm9v").unwrap();
        extended.take(b"SCHILY.xattr.user.a=b", b"bar\0\n").unwrap();
        assert_eq!(extended.xattrs, [(b"user.a=b".to_vec(), b"bar\0\n".to_vec())]);
    }
}
