//! A range of bytes in an open file, or a stream that can be read once.

use crate::error::{Error, Result};
use crate::refuse;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Content that can be read, several times over if it is a range of a file.
#[derive(Debug, Clone)]
pub struct Blob {
    file: Arc<File>,
    range: Option<(u64, u64)>,
}

impl Blob {
    /// A whole regular file.
    pub fn whole(file: File) -> Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            refuse!("it is not a regular file");
        }
        Ok(Self { file: Arc::new(file), range: Some((0, metadata.len())) })
    }

    /// Something that can only be read from front to end, a pipe for instance.
    pub fn stream(file: File) -> Self {
        Self { file: Arc::new(file), range: None }
    }

    /// The bytes from `offset` on of this range, `size` of them; they must lie in it.
    pub fn slice(&self, offset: u64, size: u64) -> Result<Self> {
        let inside = self.range.and_then(|(start, whole)| {
            (offset.checked_add(size)? <= whole).then_some(start.checked_add(offset)?)
        });
        match inside {
            Some(start) => Ok(Self { file: self.file.clone(), range: Some((start, size)) }),
            None => Err(Error::refused("a piece reaches beyond the end of its file")),
        }
    }

    /// Number of bytes; `None` for a stream.
    pub fn size(&self) -> Option<u64> {
        self.range.map(|(_, size)| size)
    }

    /// A reader of all of it.
    pub fn reader(&self) -> BlobReader {
        BlobReader { file: self.file.clone(), range: self.range }
    }

    /// All of it in memory; refused if it is more than `limit` bytes.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>> {
        if self.size().is_some_and(|size| size > limit) {
            refuse!("it is larger than the limit of {limit} bytes");
        }
        let mut out = Vec::new();
        self.reader().take(limit.saturating_add(1)).read_to_end(&mut out)?;
        if out.len() as u64 > limit {
            refuse!("it is larger than the limit of {limit} bytes");
        }
        Ok(out)
    }

    /// Up to `n` bytes from the front.
    pub fn head(&self, n: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.reader().take(n).read_to_end(&mut out)?;
        Ok(out)
    }
}

/// See [`Blob::reader`].
pub struct BlobReader {
    file: Arc<File>,
    /// Position and bytes left; `None` for a stream.
    range: Option<(u64, u64)>,
}

impl BlobReader {
    /// Passes over `n` bytes without reading them.
    pub fn seek_forward(&mut self, n: u64) -> bool {
        match &mut self.range {
            Some((position, left)) if n <= *left => {
                *position += n;
                *left -= n;
                true
            }
            _ => false,
        }
    }

    /// Position in the file; 0 for a stream.
    pub fn position(&self) -> u64 {
        self.range.map_or(0, |(position, _)| position)
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((position, left)) = &mut self.range else {
            return (&*self.file).read(buffer);
        };
        let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let n = match buffer.get_mut(..want) {
            Some(space) => self.file.read_at(space, *position)?,
            None => 0,
        };
        *position += n as u64;
        *left -= n as u64;
        Ok(n)
    }
}
