//! The documents as they are written.
//!
//! Own structures rather than a library's: a field that is `null` counts as absent
//! (docker writes many), a document that is two kinds at once must be told apart,
//! and what is missing must be missing, not defaulted.

use super::parse;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::refuse;
use crate::text::quoted;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A reference to content (image-spec, descriptor.md).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content claims to be.
    pub media_type: Option<String>,
    digest: Option<String>,
    size: Option<i64>,
    /// Where else the content can be had; only named in messages.
    pub urls: Option<Vec<String>>,
    /// Names and marks.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The content itself, in base64.
    pub data: Option<String>,
    /// What an image in an index is made for.
    pub platform: Option<PlatformModel>,
    /// Set when the content is something else than an image.
    pub artifact_type: Option<String>,
}

/// The platform object of a descriptor.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PlatformModel {
    /// Go's name of the architecture.
    pub architecture: Option<String>,
    /// Go's name of the system.
    pub os: Option<String>,
    /// Of the architecture.
    pub variant: Option<String>,
}

/// What a document is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// An index or a docker manifest list.
    Index,
    /// A manifest.
    Manifest,
}

const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const CONFIG_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What a media type says a document is.
fn document_kind(media_type: &str) -> Result<DocumentKind> {
    if INDEX_TYPES.contains(&media_type) {
        Ok(DocumentKind::Index)
    } else if MANIFEST_TYPES.contains(&media_type) {
        Ok(DocumentKind::Manifest)
    } else if media_type.starts_with("application/vnd.docker.distribution.manifest.v1+") {
        refuse!("an image of schema 1, which is too old; save it again with a newer program")
    } else {
        refuse!("not an image: its media type is {}", quoted(media_type))
    }
}

/// Refuses a layer type that we cannot unpack, an encrypted one for instance.
pub fn check_layer_type(media_type: Option<&str>) -> Result<()> {
    let Some(media_type) = media_type else { return Ok(()) };
    let suffix = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ]
    .iter()
    .find_map(|base| media_type.strip_prefix(base));
    match suffix {
        Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd") => Ok(()),
        _ => refuse!("its media type {} is none that can be unpacked", quoted(media_type)),
    }
}

/// Whether a layer of this type may lawfully be kept elsewhere.
pub fn layer_may_be_absent(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|t| t.contains(".nondistributable.") || t.contains(".foreign."))
}

impl Descriptor {
    /// The digest, with its syntax checked.
    pub fn digest(&self) -> Result<Digest> {
        match &self.digest {
            Some(text) => Digest::parse(text),
            None => refuse!("a descriptor has no digest"),
        }
    }

    /// The size in bytes.
    pub fn size(&self) -> Result<u64> {
        match self.size.map(u64::try_from) {
            Some(Ok(size)) => Ok(size),
            Some(Err(_)) => refuse!("a descriptor has a negative size"),
            None => refuse!("a descriptor has no size"),
        }
    }

    /// What kind of document it points to.
    pub fn kind(&self) -> Result<DocumentKind> {
        match &self.media_type {
            Some(media_type) => document_kind(media_type),
            None => refuse!("a descriptor has no media type"),
        }
    }

    /// A word for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.media_type.as_deref() {
            Some(t) if INDEX_TYPES.contains(&t) => "index",
            Some(t) if MANIFEST_TYPES.contains(&t) => "manifest",
            Some(t) if CONFIG_TYPES.contains(&t) => "config",
            _ => "blob",
        }
    }

    /// One annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether it points to something that accompanies an image without being one.
    pub fn is_attestation(&self) -> bool {
        let platform = self.platform.as_ref();
        let unknown = |text: &Option<String>| text.as_deref() == Some("unknown");
        platform.is_some_and(|p| unknown(&p.os) && unknown(&p.architecture))
            || self.annotation("vnd.docker.reference.type").is_some()
    }
}

/// The outer form, to find out what a document is before believing its descriptor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    schema_version: Option<i64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Checks that a document is of the kind its descriptor says, and no other
/// (CVE-2021-41190: one document that is index and manifest at once).
fn check_outline(content: &[u8], kind: DocumentKind, outer: Option<&str>) -> Result<()> {
    let outline: Outline = parse(content)?;
    if outline.fs_layers.is_some() || outline.schema_version == Some(1) {
        refuse!("an image of schema 1, which is too old; save it again with a newer program");
    }
    if outline.schema_version != Some(2) {
        refuse!("not valid: schemaVersion is not 2");
    }
    if outline.manifests.is_some() && (outline.layers.is_some() || outline.config.is_some()) {
        refuse!("not valid: it is both an index and a manifest");
    }
    if let Some(inner) = outline.media_type.as_deref() {
        let differs = outer.is_some_and(|outer| outer != inner);
        if differs || document_kind(inner)? != kind {
            refuse!(
                "it says it is {}, its descriptor says {}",
                quoted(inner),
                quoted(outer.unwrap_or("an index"))
            );
        }
    }
    let fits = match kind {
        DocumentKind::Index => outline.manifests.is_some(),
        DocumentKind::Manifest => outline.config.is_some(),
    };
    if !fits {
        let field = if kind == DocumentKind::Index { "manifests" } else { "config" };
        refuse!("not valid: {field} is missing");
    }
    Ok(())
}

/// A list of images (image-spec, image-index.md).
#[derive(Debug, Deserialize)]
pub struct Index {
    /// The images, or further lists.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// Parses an index; `outer` is the media type its descriptor gives, if it has one.
    pub fn parse(content: &[u8], outer: Option<&str>) -> Result<Self> {
        check_outline(content, DocumentKind::Index, outer)?;
        parse(content)
    }
}

/// One image: config and layers (image-spec, manifest.md).
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The config document.
    pub config: Descriptor,
    layers: Option<Vec<Descriptor>>,
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
}

impl Manifest {
    /// Parses a manifest and refuses what is not an image.
    pub fn parse(content: &[u8], outer: Option<&str>) -> Result<Self> {
        check_outline(content, DocumentKind::Manifest, outer)?;
        let manifest: Self = parse(content)?;
        let config_type = manifest.config.media_type.as_deref().unwrap_or_default();
        if !CONFIG_TYPES.contains(&config_type) {
            let kind = manifest.artifact_type.as_deref().unwrap_or(config_type);
            refuse!("not an image but an artifact of type {}", quoted(kind));
        }
        Ok(manifest)
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Descriptor] {
        self.layers.as_deref().unwrap_or_default()
    }
}

/// What an image says about itself (image-spec, config.md).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ImageConfig {
    /// When it was made.
    pub created: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// Go's name of the architecture.
    pub architecture: Option<String>,
    /// Go's name of the system.
    pub os: Option<String>,
    /// Of the architecture.
    pub variant: Option<String>,
    /// Of the system.
    #[serde(rename = "os.version")]
    pub os_version: Option<String>,
    /// That the system must have.
    #[serde(rename = "os.features")]
    pub os_features: Option<Vec<String>>,
    /// How to start it.
    pub config: Option<ProcessConfig>,
    /// What its layers unpack to.
    pub rootfs: Option<RootFs>,
}

/// The `config` object: defaults for running the image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProcessConfig {
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// Keys such as `80/tcp`.
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The command's first words.
    pub entrypoint: Option<Vec<String>>,
    /// The command's default remaining words.
    pub cmd: Option<Vec<String>>,
    /// Directories that are kept apart from the image.
    pub volumes: Option<BTreeMap<String, serde_json::Value>>,
    /// Where the command starts.
    pub working_dir: Option<String>,
    /// Free annotations.
    pub labels: Option<BTreeMap<String, String>>,
    /// How to ask the command to end.
    pub stop_signal: Option<String>,
}

/// The `rootfs` object.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    kind: Option<String>,
    diff_ids: Option<Vec<String>>,
}

impl ImageConfig {
    /// The digests of the uncompressed layers, lowest first. There must be exactly
    /// as many as there are layers.
    pub fn diff_ids(&self, layers: usize) -> Result<Vec<Digest>> {
        let Some(rootfs) = &self.rootfs else { refuse!("the config has no rootfs object") };
        if rootfs.kind.as_deref() != Some("layers") {
            refuse!("the config's rootfs.type is not \"layers\"");
        }
        let ids = rootfs.diff_ids.as_deref().unwrap_or_default();
        if ids.len() != layers {
            return Err(Error::refused(format!(
                "the config names {} diff ids, the manifest {layers} layers",
                ids.len()
            )));
        }
        ids.iter().map(|id| Digest::parse(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_are_two_things() {
        for (content, kind, ok) in [
            (r#"{"schemaVersion":2,"manifests":[]}"#, DocumentKind::Index, true),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, DocumentKind::Index, false),
            (r#"{"schemaVersion":2,"manifests":null}"#, DocumentKind::Index, false),
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, DocumentKind::Manifest, true),
            (r#"{"schemaVersion":2,"config":{},"manifests":[]}"#, DocumentKind::Manifest, false),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, DocumentKind::Manifest, false),
            (r#"{"schemaVersion":"2","config":{}}"#, DocumentKind::Manifest, false),
            ("", DocumentKind::Index, false),
            ("null", DocumentKind::Index, false),
        ] {
            assert_eq!(check_outline(content.as_bytes(), kind, None).is_ok(), ok, "{content}");
        }
    }

    #[test]
    fn layer_types() {
        for (media_type, ok) in [
            ("application/vnd.oci.image.layer.v1.tar", true),
            ("application/vnd.oci.image.layer.v1.tar+gzip", true),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", true),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", true),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", false),
            ("text/plain", false),
        ] {
            assert_eq!(check_layer_type(Some(media_type)).is_ok(), ok, "{media_type}");
        }
    }
}
