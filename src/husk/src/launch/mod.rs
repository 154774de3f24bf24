//! Bringing a container's first process, or one more process, to life.

mod describe;
mod session;

pub use session::{Event, Init, Session};
