//! The values that an operation is made of.

use core::ffi::CStr;

/// Where an encoded plan goes.
pub trait Sink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
}

/// Reads an encoded plan; every read answers `None` beyond the end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }
}

/// A value that can stand in an operation.
pub trait Field<'a>: Sized {
    /// Reads the value.
    fn read(from: &mut Reader<'a>) -> Option<Self>;
    /// Writes the value.
    fn write(&self, to: &mut impl Sink);
}

macro_rules! number_fields {
    ($($t:ty),+) => {$(
        impl<'a> Field<'a> for $t {
            fn read(from: &mut Reader<'a>) -> Option<Self> {
                let bytes = from.take(size_of::<$t>())?;
                Some(<$t>::from_le_bytes(bytes.try_into().ok()?))
            }
            fn write(&self, to: &mut impl Sink) {
                to.put(&self.to_le_bytes());
            }
        }
    )+};
}
number_fields!(u8, u16, u32, u64, i32, i64);

impl<'a> Field<'a> for bool {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        Some(u8::read(from)? != 0)
    }
    fn write(&self, to: &mut impl Sink) {
        u8::from(*self).write(to);
    }
}

fn write_len(len: usize, to: &mut impl Sink) {
    // A plan is far below 4 GiB: the host side bounds the configuration that it comes from.
    u32::try_from(len).unwrap_or(u32::MAX).write(to);
}

fn read_len(from: &mut Reader<'_>) -> Option<usize> {
    usize::try_from(u32::read(from)?).ok()
}

/// Text without NUL; once encoded it is followed by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    stored: Option<&'a CStr>,
}

impl<'a> Text<'a> {
    /// Text to be written into a plan; cut at a NUL, which no checked configuration holds.
    pub fn new(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let bytes = text.as_ref();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        Self { bytes: bytes.get(..end).unwrap_or_default(), stored: None }
    }

    /// The text without the NUL.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The text as the kernel takes it. Empty for text that was not read from a plan.
    pub fn c_str(&self) -> &'a CStr {
        self.stored.unwrap_or(c"")
    }
}

impl<'a> Field<'a> for Text<'a> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let len = read_len(from)?;
        let stored = CStr::from_bytes_with_nul(from.take(len.checked_add(1)?)?).ok()?;
        Some(Self { bytes: stored.to_bytes(), stored: Some(stored) })
    }
    fn write(&self, to: &mut impl Sink) {
        write_len(self.bytes.len(), to);
        to.put(self.bytes);
        to.put(&[0]);
    }
}

/// Bytes of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Field<'a> for Bytes<'a> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let len = read_len(from)?;
        Some(Self(from.take(len)?))
    }
    fn write(&self, to: &mut impl Sink) {
        write_len(self.0.len(), to);
        to.put(self.0);
    }
}

/// A list of texts.
#[derive(Clone, Copy, Debug)]
pub enum Texts<'a> {
    /// To be written.
    List(&'a [&'a str]),
    /// Read from a plan: how many, and their encoding.
    Encoded(u32, Reader<'a>),
}

impl<'a> Texts<'a> {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Encoded(count, _) => usize::try_from(*count).unwrap_or(0),
        }
    }

    /// The texts of a list that was read from a plan.
    pub fn iter(&self) -> impl Iterator<Item = Text<'a>> {
        let mut reader = match self {
            Self::List(_) => Reader::new(&[]),
            Self::Encoded(_, reader) => *reader,
        };
        core::iter::from_fn(move || Text::read(&mut reader))
    }
}

impl<'a> Field<'a> for Texts<'a> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let count = u32::read(from)?;
        let Bytes(encoded) = Bytes::read(from)?;
        Some(Self::Encoded(count, Reader::new(encoded)))
    }
    fn write(&self, to: &mut impl Sink) {
        let Self::List(list) = self else { return };
        write_len(list.len(), to);
        let len = list.iter().fold(0usize, |n, t| n.saturating_add(t.len()).saturating_add(5));
        write_len(len, to);
        for text in *list {
            Text::new(text).write(to);
        }
    }
}

/// A list of numbers.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// To be written.
    List(&'a [u32]),
    /// Read from a plan.
    Encoded(&'a [u8]),
}

impl<'a> Numbers<'a> {
    /// The numbers as the kernel takes them, of a list that was read from a plan.
    pub fn encoded(&self) -> &'a [u8] {
        match *self {
            Self::List(_) => &[],
            Self::Encoded(bytes) => bytes,
        }
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let (list, encoded) = match *self {
            Self::List(list) => (list, &[][..]),
            Self::Encoded(bytes) => (&[][..], bytes),
        };
        let decoded =
            encoded.chunks_exact(4).filter_map(|b| b.try_into().ok().map(u32::from_le_bytes));
        list.iter().copied().chain(decoded)
    }
}

impl<'a> Field<'a> for Numbers<'a> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let Bytes(encoded) = Bytes::read(from)?;
        Some(Self::Encoded(encoded))
    }
    fn write(&self, to: &mut impl Sink) {
        let Self::List(list) = self else { return };
        write_len(list.len().saturating_mul(4), to);
        for number in *list {
            number.write(to);
        }
    }
}

/// Place of a descriptor in the list that travels with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u16);

impl<'a> Field<'a> for Slot {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        u16::read(from).map(Self)
    }
    fn write(&self, to: &mut impl Sink) {
        self.0.write(to);
    }
}
