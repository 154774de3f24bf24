//! Where the bytes of an image come from.
//!
//! A [`Blob`] is a range of an open file. [`Files`] gives blobs by the name they
//! have in an image layout; a directory and an archive both do. What they hold is
//! believed only after `document` and `layer` have checked its digest.

mod archive;
mod blob;
mod docker;
mod layout;
mod open;

pub use archive::Archive;
pub use blob::{Blob, BlobReader};
pub use layout::Directory;
pub use open::{Image, Layer, Opened, open, open_index};

use crate::digest::Digest;
use crate::error::{Error, Result};

/// Gives content by its name in an image layout.
pub trait Files {
    /// The file of that name, such as `index.json`; `None` if there is none.
    fn file(&self, name: &str) -> Result<Option<Blob>>;

    /// The blob with that digest. Nothing has been verified yet.
    fn blob(&self, digest: &Digest) -> Result<Blob> {
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        self.file(&name)?.ok_or_else(|| Error::refused("the blob is missing from the image"))
    }
}
