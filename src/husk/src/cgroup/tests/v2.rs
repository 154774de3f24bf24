//! The v2 side.
