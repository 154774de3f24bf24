//! The older form of `docker save`: `manifest.json` names the config and the layers
//! as members of the archive.

use super::open::{Image, Layer};
use super::{Archive, Files as _};
use crate::digest::{Algorithm, Digest};
use crate::document::{self, ImageConfig, familiar};
use crate::error::{Context as _, Error, Result};
use crate::reference::Reference;
use crate::refuse;
use crate::text::quoted;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: Option<String>,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

impl Item {
    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }

    fn named(&self, wanted: &str) -> bool {
        let wanted = familiar(wanted);
        self.tags()
            .iter()
            .map(|tag| familiar(tag))
            .any(|tag| tag == wanted || tag.strip_suffix(":latest") == Some(wanted))
    }
}

fn choose(items: Vec<Item>, reference: &Reference) -> Result<Item> {
    let there = items
        .iter()
        .enumerate()
        .take(50)
        .map(|(n, item)| {
            let tags: Vec<String> = item.tags().iter().map(|t| quoted(t).to_string()).collect();
            format!("\n  @{n} {}", tags.join(" "))
        })
        .collect::<String>();
    let count = items.len();
    let mut items = items.into_iter();
    let (found, what) = match reference {
        Reference::Only if count == 1 => (items.next(), String::new()),
        Reference::Only => (None, "the archive holds several images, say which one".into()),
        Reference::Number(n) => (items.nth(*n), format!("there is no image number {n}")),
        Reference::Name(name) => {
            (items.find(|i| i.named(name)), format!("no image is called {}", quoted(name)))
        }
        Reference::Digest(digest) => (
            items.find(|i| i.config.as_deref().is_some_and(|c| c.contains(digest.hex()))),
            format!("no image has the digest {digest}"),
        ),
    };
    found.ok_or_else(|| Error::not_found(format!("{what}; there is:{there}")))
}

/// The digest in the name of a config: `HEX.json` or `blobs/sha256/HEX`.
fn digest_in_name(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next()?;
    let digits = last.strip_suffix(".json").unwrap_or(last);
    Digest::parse(&format!("{}:{digits}", Algorithm::Sha256.name())).ok()
}

/// The image that `reference` means.
pub fn image(archive: &Archive, reference: &Reference, limit: u64) -> Result<Image> {
    let manifest = archive
        .file("manifest.json")?
        .ok_or_else(|| Error::refused("the archive has neither an index.json nor a manifest.json"))?
        .read(limit)
        .context(|| "manifest.json")?;
    let items: Vec<Item> = document::parse(&manifest).context(|| "manifest.json")?;
    let item = choose(items, reference)?;
    let Some(name) = &item.config else { refuse!("manifest.json: an image has no config") };
    let named = || format!("config {}", quoted(name));
    let content = archive
        .member(name)
        .and_then(|blob| blob.ok_or_else(|| Error::refused("it is missing from the archive")))
        .and_then(|blob| blob.read(limit))
        .context(named)?;
    let digest = Digest::of(Algorithm::Sha256, &content);
    if digest_in_name(name).is_some_and(|expected| expected != digest) {
        return Err(Error::refused(format!("its content hashes to {digest}"))).context(named);
    }
    let config: ImageConfig = document::parse(&content).context(named)?;
    let names = item.layers.unwrap_or_default();
    let diff_ids = config.diff_ids(names.len()).context(named)?;
    let layers = names
        .iter()
        .zip(diff_ids)
        .enumerate()
        .map(|(n, (name, diff_id))| {
            let blob = archive
                .member(name)
                .and_then(|b| b.ok_or_else(|| Error::refused("it is missing from the archive")))
                .context(|| format!("layer {} {}", n + 1, quoted(name)))?;
            Ok(Layer { blob, digest: None, diff_id: Some(diff_id), media_type: None })
        })
        .collect::<Result<_>>()?;
    Ok(Image { digest: Some(digest), config, layers, whiteouts: true })
}
