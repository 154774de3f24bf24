//! The list of operations that the container's side carries out, while it is put together.

use crate::error::Pointer;
use husk_init::wire::{MOST_DESCRIPTORS, Op, Reader, Sink, Slot};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Encoded operations, the property that asked for each, and the descriptors that they use.
#[derive(Debug, Default)]
pub struct Steps {
    bytes: Buffer,
    origins: Vec<Pointer>,
    descriptors: Vec<Option<OwnedFd>>,
}

#[derive(Debug, Default)]
struct Buffer(Vec<u8>);

impl Sink for Buffer {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl Steps {
    /// An empty list.
    pub fn new() -> Self {
        Self {
            bytes: Buffer(Vec::with_capacity(8 << 10)),
            origins: Vec::with_capacity(96),
            descriptors: Vec::with_capacity(32),
        }
    }

    /// Appends an operation that the property at `origin` asks for; an empty pointer for one that
    /// every container has.
    pub fn push(&mut self, op: &Op<'_>, origin: impl Into<Pointer>) {
        op.write(&mut self.bytes);
        self.origins.push(origin.into());
    }

    /// Takes a descriptor along; [`Steps::too_many`] says whether there is room for all.
    pub fn descriptor(&mut self, fd: OwnedFd) -> Slot {
        let slot = self.reserve(1);
        self.fill(slot, 0, fd);
        slot
    }

    /// Keeps places for descriptors that exist only later, once the plan is acted upon: those of
    /// the container's cgroups.
    pub fn reserve(&mut self, count: usize) -> Slot {
        let first = Slot(u16::try_from(self.descriptors.len()).unwrap_or(u16::MAX));
        self.descriptors.extend(std::iter::repeat_with(|| None).take(count));
        first
    }

    /// Fills the `nth` of the places from `first` on.
    pub fn fill(&mut self, first: Slot, nth: usize, fd: OwnedFd) {
        let place = usize::from(first.0).saturating_add(nth);
        if let Some(place) = self.descriptors.get_mut(place) {
            *place = Some(fd);
        }
    }

    /// Whether the steps need more descriptors, or are more, than can be passed on.
    pub fn too_many(&self) -> bool {
        self.descriptors.len() > MOST_DESCRIPTORS || self.origins.len() > usize::from(u16::MAX)
    }

    /// The encoded operations.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.0
    }

    /// The descriptors, in the order of their slots; `None` for a place that was never filled.
    pub fn descriptors(&self) -> Option<Vec<BorrowedFd<'_>>> {
        self.descriptors.iter().map(|fd| fd.as_ref().map(AsFd::as_fd)).collect()
    }

    /// The operation of that index, and the property that asked for it.
    pub fn get(&self, index: usize) -> Option<(Op<'_>, &Pointer)> {
        let mut reader = Reader::new(self.bytes());
        for _ in 0..index {
            Op::read(&mut reader)?;
        }
        Some((Op::read(&mut reader)?, self.origins.get(index)?))
    }

    /// Every operation with the property that asked for it.
    pub fn iter(&self) -> impl Iterator<Item = (Op<'_>, &Pointer)> {
        let mut reader = Reader::new(self.bytes());
        self.origins.iter().map_while(move |origin| Some((Op::read(&mut reader)?, origin)))
    }
}
