//! The JSON documents of an image: index, manifest, config (image-spec), and
//! which of several images is meant.

mod model;
mod platform;
mod select;

pub use model::{
    Descriptor, DocumentKind, ImageConfig, Index, Manifest, ProcessConfig, RootFs,
    check_layer_type, layer_may_be_absent,
};
pub use platform::Platform;
pub use select::{Candidate, Selected, candidates, familiar, select};

use crate::digest::{Digest, Hasher};
use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::source::Files;
use crate::text::base64;
use serde::de::DeserializeOwned;

/// Bytes that an index, a manifest or a config may have unless the caller raises it.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// Levels of nesting in a document.
const MAX_DEPTH: usize = 64;

/// Parses a document after checking how deep it goes.
pub fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T> {
    check_depth(content)?;
    serde_json::from_slice(content).map_err(|error| Error::refused(format!("not valid: {error}")))
}

fn check_depth(content: &[u8]) -> Result<()> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in content {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            refuse!("not valid: nested deeper than {MAX_DEPTH} levels");
        }
    }
    Ok(())
}

/// Reads the document that a descriptor names, from the descriptor itself when it
/// carries it, and checks size and digest.
pub fn fetch(files: &dyn Files, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
    let digest = descriptor.digest()?;
    let size = descriptor.size()?;
    let what = || format!("{} {digest}", descriptor.kind_name());
    if size > limit {
        let hint = "raise --max-document if this is meant";
        return Err(Error::refused(format!("claims {size} bytes, the limit is {limit}; {hint}")))
            .context(what);
    }
    let content = match &descriptor.data {
        Some(text) => base64(text.as_bytes())
            .ok_or_else(|| Error::refused("the embedded data is not base64"))
            .context(what)?,
        None => files.blob(&digest).context(what)?.read(limit).context(what)?,
    };
    verify(&content, &digest, size).context(what)?;
    Ok(content)
}

/// Checks content that is in memory against size and digest.
pub fn verify(content: &[u8], digest: &Digest, size: u64) -> Result<()> {
    if content.len() as u64 != size {
        refuse!("has {} bytes, its descriptor says {size}", content.len());
    }
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(content);
    let found = hasher.finish();
    if found != *digest {
        refuse!("its content hashes to {found}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(check_depth(&deep(64)).is_ok());
        assert!(check_depth(&deep(65)).is_err());
        assert!(check_depth(&vec![b'['; 1_000_000]).is_err());
        assert!(check_depth(format!("\"{}\\\"[\"", "[".repeat(100)).as_bytes()).is_ok());
    }
}
