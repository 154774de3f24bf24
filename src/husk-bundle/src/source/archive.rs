//! A tar that holds the files of an image: where each member lies.
//!
//! Nothing is unpacked. A plain file that can be sought in is indexed where it is;
//! a compressed one, or a pipe, is first written out to an unnamed file.

use super::{Blob, Files};
use crate::error::{Context as _, Error, Result};
use crate::layer::{Compression, Limits, Stream};
use crate::refuse;
use crate::tar::{self, Kind, Reader};
use crate::text::Quoted;
use std::collections::BTreeMap;
use std::io::Write as _;

/// Members that an archive of an image may have.
const MAX_MEMBERS: usize = 100_000;
/// Links from member to member.
const MAX_HOPS: usize = 16;

enum Member {
    File(Blob),
    /// The name it leads to; `None` if that climbs out of the archive.
    Link(Option<Vec<u8>>),
}

/// The index of an archive.
pub struct Archive {
    members: BTreeMap<Vec<u8>, Member>,
}

/// Reads headers and jumps over data.
struct Seeking {
    blob: Blob,
    reader: super::blob::BlobReader,
    buffer: Vec<u8>,
    used: usize,
}

impl Seeking {
    fn new(blob: Blob) -> Self {
        let reader = blob.reader();
        Self { blob, reader, buffer: Vec::new(), used: 0 }
    }

    fn position(&self) -> u64 {
        self.reader.position() - (self.buffer.len() - self.used) as u64
    }
}

impl tar::Input for Seeking {
    fn fill(&mut self) -> Result<&[u8]> {
        if self.used == self.buffer.len() {
            use std::io::Read as _;
            self.buffer.resize(8192, 0);
            let n = self.reader.read(&mut self.buffer)?;
            self.buffer.truncate(n);
            self.used = 0;
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.used = self.used.saturating_add(n).min(self.buffer.len());
    }

    fn skip(&mut self, n: u64) -> Result<bool> {
        let buffered = (self.buffer.len() - self.used) as u64;
        if n <= buffered {
            self.consume(usize::try_from(n).unwrap_or(usize::MAX));
            return Ok(true);
        }
        self.used = self.buffer.len();
        Ok(self.reader.seek_forward(n - buffered))
    }
}

/// A member's name without `.`, empty components and, where it can be resolved,
/// `..`; `None` if it climbs above the archive.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                out.pop()?;
            }
            part => out.push(part),
        }
    }
    Some(out.join(&b'/'))
}

impl Archive {
    /// Makes the index. `spool_limit` bounds what a compressed archive or a pipe may
    /// take on disk.
    pub fn open(blob: &Blob, spool_limit: Option<u64>, limits: &Limits) -> Result<Self> {
        let plain =
            blob.size().is_some() && Compression::sniff(&blob.head(4)?) == Compression::None;
        let blob = if plain { blob.clone() } else { spool(blob, spool_limit, limits)? };
        let mut members = BTreeMap::new();
        let mut reader = Reader::new(Seeking::new(blob));
        while let Some(entry) = reader.next_entry()? {
            let Some(name) = clean(&entry.path) else { continue };
            let member = match entry.kind {
                Kind::File { sparse: None } => {
                    let input: &Seeking = reader.input();
                    let blob = input.blob.slice(input.position(), entry.data);
                    Member::File(blob.context(|| format!("member {}", Quoted(&name)))?)
                }
                Kind::HardLink { target } => Member::Link(clean(&target)),
                Kind::Symlink { target } if target.starts_with(b"/") => Member::Link(None),
                Kind::Symlink { target } => {
                    let folder = name.rsplitn(2, |b| *b == b'/').nth(1).unwrap_or_default();
                    Member::Link(clean(&[folder, b"/", &target].concat()))
                }
                _ => continue,
            };
            // As in any tar, the last member of a name counts.
            members.insert(name, member);
            if members.len() > MAX_MEMBERS {
                refuse!("the archive has more than {MAX_MEMBERS} members");
            }
        }
        Ok(Self { members })
    }

    /// A member, after following links within the archive.
    pub fn member(&self, name: &str) -> Result<Option<Blob>> {
        let Some(mut name) = clean(name.as_bytes()) else {
            refuse!("the name {} climbs out of the archive", Quoted(name.as_bytes()));
        };
        for _ in 0..MAX_HOPS {
            match self.members.get(&name) {
                Some(Member::File(blob)) => return Ok(Some(blob.clone())),
                Some(Member::Link(Some(target))) => name = target.clone(),
                Some(Member::Link(None)) => {
                    refuse!("member {} is a link out of the archive", Quoted(&name))
                }
                None => return Ok(None),
            }
        }
        refuse!("member {} is a link that does not end", Quoted(&name))
    }
}

impl Files for Archive {
    fn file(&self, name: &str) -> Result<Option<Blob>> {
        self.member(name)
    }
}

/// Writes the uncompressed archive to a file that nobody else can see.
fn spool(blob: &Blob, limit: Option<u64>, limits: &Limits) -> Result<Blob> {
    use crate::tar::Input as _;
    let what = "writing the archive to a temporary file";
    let mut file = crate::sys::unnamed_file(&std::env::temp_dir()).context(|| what)?;
    let mut stream = Stream::open(blob, None, limits)?;
    let mut written = 0u64;
    loop {
        let chunk = stream.fill()?;
        let n = chunk.len();
        if n == 0 {
            break;
        }
        written += n as u64;
        if limit.is_some_and(|limit| written > limit) {
            return Err(Error::refused("the archive is larger than --max-size allows"));
        }
        file.write_all(chunk).context(|| what)?;
        stream.consume(n);
    }
    Blob::whole(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (name, expected) in [
            ("a/b", Some("a/b")),
            ("./a//b/", Some("a/b")),
            ("a/../b", Some("b")),
            ("/a", Some("a")),
            ("../a", None),
            ("a/../../b", None),
        ] {
            assert_eq!(clean(name.as_bytes()), expected.map(|e| e.as_bytes().to_vec()), "{name}");
        }
    }
}
