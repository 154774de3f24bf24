//! Small images for tests, good ones and bad ones. Only with the cargo feature
//! `test-support`.
//!
//! [`Tar`] writes archives header by header, so that it can also write what no other
//! program would. [`Image`] makes a layout, an oci-archive or a docker-archive of
//! layers and lets a test change any document or file before it is written.
//!
//! ```
//! use husk_bundle::testimage::{Image, Tar};
//!
//! let layer = Tar::new().dir("etc").file("etc/motd", b"hello\n").finish();
//! let image = Image::new().layer(layer).cmd(&["cat", "/etc/motd"]);
//! let directory = tempfile::tempdir().unwrap();
//! image.write_layout(&directory.path().join("image"));
//! ```
// A test that cannot make its image has nothing better to do than to panic.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod image;
mod tar;

pub use image::{Files, Image, Packing, descriptor};
pub use tar::{Tar, pax_record};

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::Path;

/// The extended attributes of a file or directory.
pub fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::File::open(path).expect("opening it");
    let value = |name: &[u8]| crate::sys::get_xattr(file.as_fd(), name);
    crate::sys::list_xattrs(file.as_fd())
        .expect("listing its attributes")
        .into_iter()
        .map(|name| {
            let value = value(&name).expect("reading an attribute").unwrap_or_default();
            (String::from_utf8_lossy(&name).into_owned(), value)
        })
        .collect()
}
