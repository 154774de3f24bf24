//! husk-bundle: turns a container image into an OCI bundle, a directory with a
//! `config.json` and a root file system.
//!
//! Read in this order: [`reference`] (how the user names an image), [`source`]
//! (where its bytes come from), [`document`] (index, manifest, config and which
//! image is meant), [`layer`] (one uncompressed, verified stream), [`tar`] (its
//! entries), [`extract`] (their way into a directory), [`config`] (the
//! `config.json`), [`unpack`] (all of it in order, into a bundle that appears whole
//! or not at all), [`verify`] (the same without writing), [`cli`].
//!
//! Nothing in an image is believed: every size and digest is checked, every name is
//! resolved below a descriptor of the root, nothing of the image is executed and no
//! library is asked about its users. The library prints nothing, never exits and
//! keeps no state of the process.

pub mod choice;
pub mod cli;
pub mod config;
pub mod digest;
pub mod document;
pub mod error;
pub mod extract;
pub mod layer;
pub mod reference;
pub mod source;
mod staging;
mod sys;
pub mod tar;
pub mod text;
pub mod unpack;
pub mod verify;

#[cfg(feature = "test-support")]
pub mod testimage;
