//! The uncompressed stream of one layer, with both of its digests.
//!
//! One thread reads, hashes what it reads and decompresses; the caller's thread
//! hashes what comes out and uses it. Buffers go round between the two. Whoever
//! reads a [`Stream`] to its end and calls [`Stream::finish`] knows that every byte
//! was as the image says.

use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::source::Blob;
use crate::tar::Input;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Size of one buffer, and how many of them are on their way.
const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 4;
/// The largest window a zstd frame may ask for: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What bounds reading, and who may end it.
#[derive(Clone, Default)]
pub struct Limits {
    /// Set from outside to end the work.
    pub cancel: Arc<AtomicBool>,
}

impl Limits {
    /// An error once [`Self::cancel`] is set.
    pub fn check(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::interrupted()) } else { Ok(()) }
    }
}

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, of one or more members.
    Gzip,
    /// RFC 8878, of one or more frames.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// By the first four bytes.
    pub fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable one before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    hasher: Option<Hasher>,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let (Some(hasher), Some(read)) = (&mut self.hasher, buffer.get(..n)) {
            hasher.update(read);
        }
        self.bytes += n as u64;
        Ok(n)
    }
}

type Source = BufReader<Hashing<crate::source::BlobReader>>;

enum Decoder {
    None(Source),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Source>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Source>>),
}

impl Decoder {
    fn new(blob: &Blob, digest: Option<&Digest>) -> Result<Self> {
        let hasher = digest.map(|d| Hasher::new(d.algorithm()));
        let hashing = Hashing { inner: blob.reader(), hasher, bytes: 0 };
        let mut source = BufReader::with_capacity(BUFFER, hashing);
        Ok(match Compression::sniff(source.fill_buf()?) {
            Compression::None => Decoder::None(source),
            Compression::Gzip => {
                Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(source)))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Decoder::Zstd(Box::new(decoder))
            }
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Decoder::None(source) => source.read(buffer).map_err(Error::from),
            Decoder::Gzip(decoder) => decoder.read(buffer).context(|| "gzip"),
            Decoder::Zstd(decoder) => decoder.read(buffer).context(|| "zstd"),
        }
    }

    /// The hash of everything in the blob, also of what the decoder did not want.
    fn finish(self) -> Result<Option<Digest>> {
        let mut source = match self {
            Decoder::None(source) => source,
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        io::copy(&mut source, &mut io::sink())?;
        Ok(source.into_inner().hasher.map(Hasher::finish))
    }
}

enum Message {
    Data(Vec<u8>),
    End,
    Failed(Error),
}

fn produce(
    blob: &Blob,
    digest: Option<&Digest>,
    out: &SyncSender<Message>,
    back: &Receiver<Vec<u8>>,
) -> Result<bool> {
    let mut decoder = Decoder::new(blob, digest)?;
    loop {
        let mut buffer = back.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut filled = 0;
        while let Some(space) = buffer.get_mut(filled..).filter(|s| !s.is_empty()) {
            let n = decoder.read(space)?;
            if n == 0 {
                break;
            }
            filled += n;
        }
        if filled == 0 {
            break;
        }
        buffer.truncate(filled);
        if out.send(Message::Data(buffer)).is_err() {
            // The other side has given up, and knows why.
            return Ok(false);
        }
    }
    if let (Some(expected), Some(found)) = (digest, decoder.finish()?)
        && *expected != found
    {
        refuse!("its content hashes to {found}");
    }
    Ok(true)
}

/// See the module.
pub struct Stream {
    from: Receiver<Message>,
    back: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    used: usize,
    hasher: Hasher,
    ended: bool,
    limits: Limits,
    total: u64,
}

impl Stream {
    /// Starts reading `blob`, which must hash to `digest`.
    pub fn open(blob: &Blob, digest: Option<&Digest>, limits: &Limits) -> Result<Self> {
        Self::with_diff_algorithm(blob, digest, Algorithm::Sha256, limits)
    }

    /// The same, with the algorithm of the diff id to compare with later.
    pub fn with_diff_algorithm(
        blob: &Blob,
        digest: Option<&Digest>,
        algorithm: Algorithm,
        limits: &Limits,
    ) -> Result<Self> {
        let (out, from) = sync_channel(BUFFERS);
        let (back, returned) = sync_channel::<Vec<u8>>(BUFFERS * 2);
        let (blob, digest) = (blob.clone(), digest.cloned());
        // Not joined: it may sit in a read from a pipe when the work is given up, and
        // ends by itself when its channel is gone.
        thread::Builder::new().name("decode".into()).spawn(move || {
            let last = match produce(&blob, digest.as_ref(), &out, &returned) {
                Ok(true) => Message::End,
                Ok(false) => return,
                Err(error) => Message::Failed(error),
            };
            let _ = out.send(last);
        })?;
        let hasher = Hasher::new(algorithm);
        let limits = limits.clone();
        Ok(Self { from, back, buffer: Vec::new(), used: 0, hasher, ended: false, limits, total: 0 })
    }

    /// Uncompressed bytes so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Reads what is left, padding usually, and compares with the diff id.
    /// More than `padding` bytes left are refused.
    pub fn finish(mut self, diff_id: Option<&Digest>, padding: u64) -> Result<u64> {
        let mut seen = 0u64;
        loop {
            let n = self.fill()?.len();
            if n == 0 {
                break;
            }
            seen += n as u64;
            if seen > padding {
                refuse!("more than {padding} bytes follow the end of the archive");
            }
            self.consume(n);
        }
        let found = self.hasher.finish();
        match diff_id {
            Some(expected) if *expected != found => {
                refuse!("uncompressed it hashes to {found}, its diff id is {expected}")
            }
            _ => Ok(self.total),
        }
    }
}

impl Input for Stream {
    fn fill(&mut self) -> Result<&[u8]> {
        while self.used >= self.buffer.len() && !self.ended {
            self.limits.check()?;
            match self.from.recv_timeout(Duration::from_millis(200)) {
                Ok(Message::Data(buffer)) => {
                    self.hasher.update(&buffer);
                    self.total += buffer.len() as u64;
                    self.used = 0;
                    let _ = self.back.try_send(std::mem::replace(&mut self.buffer, buffer));
                }
                Ok(Message::End) => self.ended = true,
                Ok(Message::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => refuse!("the decoder ended unexpectedly"),
            }
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.used = self.used.saturating_add(n).min(self.buffer.len());
    }
}
