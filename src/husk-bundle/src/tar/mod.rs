//! Reading tar archives: every form that images are found in, one entry at a
//! time, from a stream.
//!
//! ustar with its prefix field, the old V7 form, GNU (long names, base-256
//! numbers, sparse files) and PAX (names, sizes, ids, times with fractions,
//! extended attributes, the three sparse forms). Nothing is allocated for a size
//! that the archive merely claims, and a header that does not parse is an error,
//! never a guess: whatever two programs could read differently is refused.
//!
//! This module knows nothing of files or layers.

mod entry;
mod header;
mod pax;
mod reader;
mod sparse;

pub use entry::{Entry, Kind, SparseMap, Time};
pub use header::BLOCK;
pub use reader::{Input, Reader};
