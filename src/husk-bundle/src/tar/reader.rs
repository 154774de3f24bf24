//! The reader proper: from a stream of blocks to entries.

use super::entry::{Entry, Kind, Time};
use super::header::{BLOCK, Format, Header, sparse_block};
use super::pax::Extended;
use super::sparse::{self, MAX_PIECES, MapText};
use crate::error::{Error, Result};
use crate::refuse;

/// Where the bytes come from.
pub trait Input {
    /// At least one byte, or an empty slice at the end.
    fn fill(&mut self) -> Result<&[u8]>;
    /// Marks the first `n` bytes of the last [`Self::fill`] as used.
    fn consume(&mut self, n: usize);
    /// Passes over `n` bytes; false if the stream ends before.
    fn skip(&mut self, mut n: u64) -> Result<bool> {
        while n > 0 {
            let available = self.fill()?.len();
            if available == 0 {
                return Ok(false);
            }
            let step = available.min(usize::try_from(n).unwrap_or(usize::MAX));
            self.consume(step);
            n -= step as u64;
        }
        Ok(true)
    }
}

/// Bytes of all extended headers and long names before one entry.
const MAX_EXTENDED: u64 = 1 << 20;
/// Headers of that kind before one entry.
const MAX_EXTENSIONS: usize = 16;
/// Bytes of a name or of the target of a link.
const MAX_NAME: usize = 4096;

/// Reads an archive entry by entry. Data that the caller leaves are passed over.
pub struct Reader<I> {
    input: I,
    /// Data of the current entry not read yet, and the padding behind them.
    left: u64,
    padding: u64,
    /// Times from a global header; its other keys are not honoured.
    global: (Option<Time>, Option<Time>),
    ended: bool,
}

#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    extended: Option<Extended>,
    bytes: u64,
    count: usize,
}

fn cut_off() -> Error {
    Error::refused("the archive ends in the middle of an entry")
}

impl<I: Input> Reader<I> {
    /// Starts at the current position of `input`.
    pub fn new(input: I) -> Self {
        Self { input, left: 0, padding: 0, global: (None, None), ended: false }
    }

    /// Gives the input back, wherever it stands.
    pub fn into_input(self) -> I {
        self.input
    }

    /// The input, for asking where it stands.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// The next entry, or `None` at the end: two zero blocks, or the end of the
    /// stream at a block boundary.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended || !self.finish_entry()? {
            return Ok(None);
        }
        let mut pending = Pending::default();
        loop {
            let Some(header) = self.header()? else {
                if pending.count > 0 {
                    refuse!("the archive ends after an extended header");
                }
                self.ended = true;
                return Ok(None);
            };
            let named = |error: Error| {
                error.in_context(format_args!("entry {}", crate::text::Quoted(&header.path())))
            };
            match header.flag() {
                b'x' | b'g' | b'L' | b'K' => {
                    self.extension(&header, &mut pending).map_err(named)?;
                }
                _ => return self.entry(&header, pending).map(Some).map_err(named),
            }
        }
    }

    /// Hands all remaining data of the current entry to `take`, piece by piece.
    pub fn data(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.left > 0 {
            let chunk = self.input.fill()?;
            let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
            let piece = chunk.get(..want).filter(|p| !p.is_empty()).ok_or_else(cut_off)?;
            take(piece)?;
            self.input.consume(want);
            self.left -= want as u64;
        }
        Ok(())
    }

    fn finish_entry(&mut self) -> Result<bool> {
        let rest = std::mem::take(&mut self.left);
        let padding = std::mem::take(&mut self.padding);
        if !self.input.skip(rest)? || !self.input.skip(padding)? {
            return Err(cut_off());
        }
        Ok(true)
    }

    /// A whole block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(space) = block.get_mut(filled..).filter(|s| !s.is_empty()) {
            let chunk = self.input.fill()?;
            let n = chunk.len().min(space.len());
            if n == 0 {
                return if filled == 0 { Ok(None) } else { Err(cut_off()) };
            }
            for (to, from) in space.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.input.consume(n);
            filled += n;
        }
        Ok(Some(block))
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.block()? else { return Ok(None) };
        if let Some(header) = Header::parse(block)? {
            return Ok(Some(header));
        }
        match self.block()? {
            Some(second) if second.iter().any(|b| *b != 0) => {
                refuse!("a single zero block stands between entries")
            }
            _ => Ok(None),
        }
    }

    fn extension(&mut self, header: &Header, pending: &mut Pending) -> Result<()> {
        let size = header.size()?;
        pending.bytes = pending.bytes.saturating_add(size);
        pending.count += 1;
        if pending.bytes > MAX_EXTENDED || pending.count > MAX_EXTENSIONS {
            refuse!(
                "more than {MAX_EXTENDED} bytes or {MAX_EXTENSIONS} pieces of extended headers \
                 before one entry"
            );
        }
        self.expect(size);
        let mut data = Vec::new();
        self.data(|piece| {
            data.extend_from_slice(piece);
            Ok(())
        })?;
        self.finish_entry()?;
        let twice = match header.flag() {
            b'x' => pending.extended.replace(Extended::parse(&data)?).is_some(),
            b'g' => {
                // Only what cannot redirect a file is taken from a header that
                // speaks for the whole archive.
                let global = Extended::parse(&data)?;
                self.global = (global.mtime.or(self.global.0), global.atime.or(self.global.1));
                pending.count -= 1;
                pending.bytes -= size;
                false
            }
            flag => {
                let name = data.strip_suffix(b"\0").unwrap_or(&data);
                if name.contains(&0) {
                    refuse!("a long name contains a NUL");
                }
                let slot = if flag == b'L' { &mut pending.path } else { &mut pending.link };
                slot.replace(name.to_vec()).is_some()
            }
        };
        if twice {
            refuse!("two extended headers of the same kind stand before one entry");
        }
        Ok(())
    }

    fn expect(&mut self, data: u64) {
        self.left = data;
        self.padding = data.wrapping_neg() % BLOCK as u64;
    }

    fn entry(&mut self, header: &Header, pending: Pending) -> Result<Entry> {
        let extended = pending.extended.unwrap_or_default();
        let path = extended.path.or(pending.path).unwrap_or_else(|| header.path());
        let path = extended.sparse.name.clone().unwrap_or(path);
        let link = extended.link.or(pending.link).unwrap_or_else(|| header.link());
        if path.len() > MAX_NAME || link.len() > MAX_NAME {
            refuse!("its name or its link target is longer than {MAX_NAME} bytes");
        }
        let size = match extended.size {
            Some(size) => size,
            None => header.size()?,
        };
        if i64::try_from(size).is_err() {
            refuse!("its size is out of range");
        }
        let mut kind = match header.flag() {
            b'0' | 0 | b'7' if path.ends_with(b"/") && size == 0 => Kind::Directory,
            b'0' | 0 | b'7' | b'S' => Kind::File { sparse: None },
            b'1' => Kind::HardLink { target: link },
            b'2' => Kind::Symlink { target: link },
            b'3' | b'4' => {
                let (major, minor) = header.device()?;
                if header.flag() == b'3' {
                    Kind::Char { major, minor }
                } else {
                    Kind::Block { major, minor }
                }
            }
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            flag => refuse!("its type {} is not known", crate::text::Quoted(&[flag])),
        };
        // Only files have data. Some writers give links the size of their target,
        // and no reader takes that for data.
        self.expect(if matches!(kind, Kind::File { .. }) { size } else { 0 });
        if let Kind::File { sparse } = &mut kind {
            if header.flag() == b'S' {
                if header.format() != Format::Gnu {
                    refuse!("it is sparse in a format that has no sparse files");
                }
                *sparse = Some(self.old_sparse(header)?);
            } else if extended.sparse.seen {
                *sparse = Some(match extended.sparse.version {
                    (Some(1), Some(0)) => self.text_sparse(&extended.sparse)?,
                    (None | Some(0), _) => sparse::from_extended(&extended.sparse, self.left)?,
                    _ => refuse!("its form of sparse file is not known"),
                });
            }
        }
        let seconds = header.mtime()?;
        Ok(Entry {
            path,
            kind,
            mode: header.mode()?,
            uid: extended.uid.map_or_else(|| header.uid(), Ok)?,
            gid: extended.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: extended.mtime.or(self.global.0).unwrap_or(Time { seconds, nanos: 0 }),
            atime: extended.atime.or(self.global.1),
            xattrs: extended.xattrs,
            data: self.left,
        })
    }

    /// The map in the header and in the blocks between the header and the data.
    fn old_sparse(&mut self, header: &Header) -> Result<super::SparseMap> {
        let (mut pieces, mut more, size) = header.sparse()?;
        while more {
            let block = self.block()?.ok_or_else(cut_off)?;
            let (further, another) = sparse_block(&block)?;
            pieces.extend(further);
            more = another;
            if pieces.len() > MAX_PIECES {
                refuse!("its sparse map has more than {MAX_PIECES} pieces");
            }
        }
        sparse::checked(size, pieces, self.left)
    }

    /// The map in the first blocks of the data.
    fn text_sparse(&mut self, keys: &super::pax::Sparse) -> Result<super::SparseMap> {
        let size = keys.size.ok_or_else(|| Error::refused("it is sparse but has no real size"))?;
        let mut text = MapText::default();
        loop {
            if self.left < BLOCK as u64 {
                refuse!("its sparse map does not end");
            }
            let block = self.block()?.ok_or_else(cut_off)?;
            self.left -= BLOCK as u64;
            if text.block(&block)? {
                return sparse::checked(size, text.pairs()?, self.left);
            }
        }
    }
}
