//! Drives the built binaries from outside.
