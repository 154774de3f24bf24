//! Bringing a container's first process, or one more process, to life.

mod agent;
mod bring_up;
mod cgroups;
mod create;
mod describe;
mod exec;
mod foreground;
mod inherited;
pub mod notify;
mod run;
mod session;
mod sockets;

pub use create::{Created, Options, create};
pub use exec::{Added, ExecOptions, exec};
pub use run::{RunOptions, run};
pub use session::{Event, Init, Session};

use crate::container::dir::MOST_BYTES;
use crate::error::{Code, Error, Failure};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a bundle's configuration.
fn read_config(bundle: &Path) -> Result<Vec<u8>, Error> {
    read_document(&bundle.join("config.json"))
}

/// Reads a document of a caller: a regular file of bounded size.
///
/// # Errors
/// What the system answered.
pub fn read_document(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |errno| {
        Failure::new(Code::CONFIG_UNREADABLE, format!("read {}", path.display()))
            .errno("open", errno)
            .hint("--bundle names a directory with a config.json; husk spec writes one")
    };
    let io = |e: std::io::Error| failed(e.raw_os_error().unwrap_or(libc::EIO));
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(failed(libc::EINVAL).into());
    }
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    if found.len() > most {
        return Err(failed(libc::EFBIG).into());
    }
    let mut text = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0).saturating_add(1));
    file.take(most).read_to_end(&mut text).map_err(io)?;
    Ok(text)
}
