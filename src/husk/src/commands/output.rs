//! Standard output, where an error is an error.

use crate::error::{Code, Error, Failure};
use std::io::{self, Write};

/// Descriptor 1 without a buffer: a text goes out with one call, and a failure is seen.
#[derive(Clone, Copy, Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        nix::unistd::write(io::stdout(), text).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints all of `text`.
pub fn print(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    let failed = |e: io::Error| {
        let failure = Failure::new(Code::OUTPUT_FAILED, "write the output");
        Error::from(failure.errno("write", e.raw_os_error().unwrap_or(libc::EIO)))
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}
