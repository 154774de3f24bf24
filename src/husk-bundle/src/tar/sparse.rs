//! The maps of sparse files, in the forms that carry them as text.

use super::entry::SparseMap;
use super::pax::Sparse;
use crate::error::{Error, Result};
use crate::refuse;

/// More pieces than any map may have: what fits into the extended headers of one
/// entry, and a bound for the forms that keep the map elsewhere.
pub const MAX_PIECES: usize = 65_536;

/// Checks a map: pieces ascend, do not overlap, lie within the size, and add up to
/// the data that the archive holds.
pub fn checked(size: u64, pieces: Vec<(u64, u64)>, data: u64) -> Result<SparseMap> {
    let (mut end, mut sum) = (0u64, 0u64);
    for (offset, length) in &pieces {
        let piece_end = offset.checked_add(*length).filter(|end| *end <= size);
        match piece_end {
            Some(piece_end) if *offset >= end => end = piece_end,
            _ => refuse!("its sparse map overlaps or reaches beyond the size of the file"),
        }
        sum += length;
    }
    if sum != data {
        refuse!("its sparse map promises {sum} bytes of data, the archive has {data}");
    }
    i64::try_from(size).map_err(|_| Error::refused("its size is out of range"))?;
    Ok(SparseMap { size, pieces: pieces.into_iter().filter(|(_, length)| *length > 0).collect() })
}

/// Pairs up a list of offset, length, offset, length.
pub fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_PIECES {
        refuse!("its sparse map is not a list of at most {MAX_PIECES} pairs");
    }
    Ok(pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

/// The map of the forms 0.0 and 0.1, which is in the extended header itself.
pub fn from_extended(sparse: &Sparse, data: u64) -> Result<SparseMap> {
    let size = sparse
        .size
        .ok_or_else(|| Error::refused("its extended header has a sparse map but no size"))?;
    checked(size, pairs(&sparse.numbers)?, data)
}

/// Collects the map of form 1.0, which precedes the data: decimal numbers, one a
/// line, the first being the number of pairs; zeros up to the next block.
#[derive(Default)]
pub struct MapText {
    numbers: Vec<u64>,
    current: Option<u64>,
}

impl MapText {
    /// Takes in one block; true once the map is complete.
    pub fn block(&mut self, block: &[u8]) -> Result<bool> {
        for byte in block {
            match (byte, self.current) {
                (b'0'..=b'9', current) => {
                    let digit = u64::from(byte - b'0');
                    let value = current.unwrap_or(0).checked_mul(10);
                    self.current = value.and_then(|v| v.checked_add(digit));
                    if self.current.is_none() {
                        refuse!("its sparse map has a number that does not fit");
                    }
                }
                (b'\n', Some(number)) => {
                    self.numbers.push(number);
                    self.current = None;
                    if self.complete()? {
                        return Ok(true);
                    }
                }
                _ => refuse!("its sparse map is not a list of numbers"),
            }
        }
        Ok(false)
    }

    fn complete(&self) -> Result<bool> {
        let count = self.numbers.first().copied().unwrap_or(0);
        match usize::try_from(count) {
            Ok(count) if count <= MAX_PIECES => Ok(self.numbers.len() == count * 2 + 1),
            _ => refuse!("its sparse map claims {count} pieces; at most {MAX_PIECES} are taken"),
        }
    }

    /// The pairs, once [`Self::block`] has said that they are complete.
    pub fn pairs(&self) -> Result<Vec<(u64, u64)>> {
        pairs(self.numbers.get(1..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        for (size, pieces, data, ok) in [
            (10, vec![(0, 4), (6, 4)], 8, true),
            (10, vec![(0, 4), (4, 6)], 10, true),
            (10, vec![], 0, true),
            (10, vec![(10, 0)], 0, true),
            (10, vec![(0, 4), (3, 4)], 8, false),
            (10, vec![(6, 4), (0, 4)], 8, false),
            (10, vec![(6, 5)], 5, false),
            (10, vec![(u64::MAX, 2)], 2, false),
            (10, vec![(0, 4)], 5, false),
            (u64::MAX, vec![], 0, false),
        ] {
            assert_eq!(checked(size, pieces.clone(), data).is_ok(), ok, "{size} {pieces:?}");
        }
    }

    #[test]
    fn text_form() {
        let mut text = MapText::default();
        assert!(text.block(b"2\n0\n4\n6\n4\n\0\0").unwrap());
        assert_eq!(text.pairs().unwrap(), [(0, 4), (6, 4)]);
        let mut split = MapText::default();
        assert!(!split.block(b"1\n1").unwrap());
        assert!(split.block(b"0\n5\n").unwrap());
        assert_eq!(split.pairs().unwrap(), [(10, 5)]);
        for bad in [&b"x\n"[..], b"\n", b"99999999999999999999\n", b"70000\n", b"1 \n"] {
            assert!(MapText::default().block(bad).is_err());
        }
    }
}
