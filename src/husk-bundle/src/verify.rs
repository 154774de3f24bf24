//! Reading an image to its end without writing anything: every size, digest and diff
//! id, and that each layer is an archive.

use crate::choice::{Choice, Chosen};
use crate::digest::Algorithm;
use crate::error::{Context as _, Result};
use crate::layer::{Limits, Stream};
use crate::tar::Reader;
use crate::unpack::MAX_PADDING;
use serde_json::{Value, json};

/// What was found.
#[derive(Debug)]
pub struct Verified {
    /// Digest of the manifest; of the config in the older form of `docker save`.
    pub digest: Option<String>,
    /// What the image is for.
    pub platform: String,
    /// How many layers.
    pub layers: usize,
    /// How many entries they have.
    pub entries: u64,
    /// Bytes of all layers together, uncompressed.
    pub bytes: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Verified {
    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "digest": self.digest,
            "platform": self.platform,
            "layers": self.layers,
            "entries": self.entries,
            "bytes": self.bytes,
            "warnings": self.warnings,
        })
    }
}

/// Verifies one image.
pub fn verify(choice: &Choice, limits: &Limits) -> Result<Verified> {
    let context = || format!("image {}", choice.image);
    let Chosen { image, platform, mut warnings } = choice.open(None, limits)?;
    let count = image.layers.len();
    let (mut entries, mut bytes) = (0u64, 0u64);
    for (n, layer) in image.layers.iter().enumerate() {
        let title = || layer.title(n, count);
        if let Some(warning) = layer.compression_warning().context(context)? {
            warnings.push(format!("{}: {warning}", title()));
        }
        let algorithm = layer.diff_id.as_ref().map_or(Algorithm::Sha256, |id| id.algorithm());
        let digest = layer.digest.as_ref();
        let read = || -> Result<(u64, u64)> {
            let stream = Stream::with_diff_algorithm(&layer.blob, digest, algorithm, limits)?;
            let mut archive = Reader::new(stream);
            let mut entries = 0u64;
            while archive.next_entry()?.is_some() {
                entries += 1;
            }
            let bytes = archive.into_input().finish(layer.diff_id.as_ref(), MAX_PADDING)?;
            Ok((entries, bytes))
        };
        let (more_entries, more_bytes) = read().context(title).context(context)?;
        entries += more_entries;
        bytes += more_bytes;
    }
    Ok(Verified {
        digest: image.digest.map(|digest| digest.to_string()),
        platform: platform.to_string(),
        layers: count,
        entries,
        bytes,
        warnings,
    })
}
