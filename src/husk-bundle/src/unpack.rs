//! All of it in order: choose the image, unpack its layers, write its config.json,
//! put the bundle in its place.

use crate::choice::{Choice, Chosen};
use crate::config::{self, Options};
use crate::digest::Algorithm;
use crate::error::{Context as _, Error, Result};
use crate::extract::{Extractor, Rules};
use crate::layer::{Limits, Stream};
use crate::reference::ImageName;
use crate::source::Layer;
use crate::staging::Staging;
use crate::tar::Reader;
use serde_json::{Value, json};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

/// Bytes that may follow the end of a layer's archive when nothing else bounds them.
pub(crate) const MAX_PADDING: u64 = 1 << 30;

/// An order to unpack.
#[derive(Clone)]
pub struct Order {
    /// The image.
    pub choice: Choice,
    /// Where the bundle goes.
    pub bundle: PathBuf,
    /// How layers are unpacked. Whether whiteouts count is decided by the image.
    pub rules: Rules,
    /// What goes into config.json.
    pub config: Options,
    /// Mode of the bundle's directory. If not said, only its owner may enter, and with
    /// mapped ids also the group that stands for the container's root: a runtime whose
    /// process has those ids must reach the root file system, and nobody else the
    /// set-id programs in it (CVE-2021-41103).
    pub mode: Option<u32>,
    /// Replace an older bundle.
    pub force: bool,
    /// Who may end the work.
    pub limits: Limits,
}

impl Order {
    /// An order with every default.
    pub fn new(image: ImageName, bundle: impl Into<PathBuf>) -> Self {
        Self {
            choice: Choice::new(image),
            bundle: bundle.into(),
            rules: Rules::default(),
            config: Options::default(),
            mode: None,
            force: false,
            limits: Limits::default(),
        }
    }
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// Where the bundle is.
    pub bundle: PathBuf,
    /// Digest of the manifest; of the config in the older form of `docker save`.
    pub digest: Option<String>,
    /// What the image is for.
    pub platform: String,
    /// How many layers.
    pub layers: usize,
    /// How many entries they had.
    pub entries: u64,
    /// How large all files together appear.
    pub bytes: u64,
    /// Devices in whose place an empty file was left.
    pub devices_left_out: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Report {
    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "bundle": self.bundle.to_string_lossy(),
            "digest": self.digest,
            "platform": self.platform,
            "layers": self.layers,
            "entries": self.entries,
            "bytes": self.bytes,
            "devicesLeftOut": self.devices_left_out,
            "warnings": self.warnings,
        })
    }
}

/// Reads one layer to its end into `extractor`, with all its digests checked.
fn unpack_layer(extractor: &mut Extractor, layer: &Layer, order: &Order) -> Result<()> {
    let algorithm = layer.diff_id.as_ref().map_or(Algorithm::Sha256, |id| id.algorithm());
    let stream =
        Stream::with_diff_algorithm(&layer.blob, layer.digest.as_ref(), algorithm, &order.limits)?;
    let mut archive = Reader::new(stream);
    extractor.layer(&mut archive)?;
    let padding = order.rules.max_size.unwrap_or(MAX_PADDING).max(1 << 20);
    archive.into_input().finish(layer.diff_id.as_ref(), padding)?;
    Ok(())
}

/// Does the work. On any error nothing is left of it.
pub fn unpack(order: &Order) -> Result<Report> {
    let image_context = || format!("image {}", order.choice.image);
    let spool = order.rules.max_size.map(|size| size.saturating_add(1 << 28));
    let Chosen { image, platform, mut warnings } = order.choice.open(spool, &order.limits)?;

    let bundle_context = || format!("bundle {}", order.bundle.display());
    let staging = Staging::new(&order.bundle, order.force).context(bundle_context)?;
    let group = order.rules.gids.to_host(0).filter(|_| !order.rules.gids.0.is_empty());
    let mode = order.mode.unwrap_or(if group.is_some() { 0o710 } else { 0o700 });
    staging.set_access(mode, group).context(bundle_context)?;
    let root = staging.make_directory("rootfs").context(bundle_context)?;
    let rules = Rules { whiteouts: image.whiteouts, ..order.rules.clone() };
    let mut extractor = Extractor::new(root.try_clone()?, rules, order.limits.clone());
    let count = image.layers.len();
    if count == 0 {
        // Even an image without layers has a root that looks the same every time.
        let mut nothing = Reader::new(Empty);
        extractor.layer(&mut nothing)?;
    }
    for (n, layer) in image.layers.iter().enumerate() {
        let name = || layer.title(n, count);
        if let Some(warning) = layer.compression_warning().context(image_context)? {
            warnings.push(format!("{}: {warning}", name()));
        }
        unpack_layer(&mut extractor, layer, order).context(name).context(image_context)?;
    }
    let converted =
        config::convert(&image.config, root.as_fd(), &order.config).context(image_context)?;
    seed_volumes(&staging, &root, &converted.volumes, order).context(image_context)?;
    let mut text = serde_json::to_vec_pretty(&converted.document)
        .map_err(|error| Error::refused(error.to_string()))?;
    text.push(b'\n');
    staging.write_file("config.json", &text).context(bundle_context)?;
    order.limits.check()?;
    staging.finish().context(bundle_context)?;

    let totals = extractor.totals;
    warnings.extend(extractor.notes.into_list());
    Ok(Report {
        bundle: order.bundle.clone(),
        digest: image.digest.map(|digest| digest.to_string()),
        platform: platform.to_string(),
        layers: count,
        entries: totals.entries,
        bytes: totals.bytes,
        devices_left_out: totals.devices_left_out,
        warnings,
    })
}

struct Empty;

impl crate::tar::Input for Empty {
    fn fill(&mut self) -> Result<&[u8]> {
        Ok(&[])
    }
    fn consume(&mut self, _: usize) {}
}

fn seed_volumes(
    staging: &Staging,
    root: &std::os::fd::OwnedFd,
    volumes: &[String],
    order: &Order,
) -> Result<()> {
    if volumes.is_empty() {
        return Ok(());
    }
    let folder = staging.make_directory("volumes")?;
    for (n, path) in volumes.iter().enumerate() {
        let setter =
            crate::extract::Setter::new(order.rules.uids.clone(), order.rules.gids.clone());
        crate::extract::copy::directory(
            root.as_fd(),
            path.as_bytes(),
            folder.as_fd(),
            n.to_string().as_bytes(),
            &setter,
            &order.limits,
        )
        .context(|| format!("volume {}", crate::text::quoted(path)))?;
    }
    Ok(())
}
