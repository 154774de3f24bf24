//! From the name of an image to its config and its layers.

use super::{Archive, Blob, Directory, Files, docker};
use crate::digest::Digest;
use crate::document::{
    self, ImageConfig, Index, Manifest, Platform, check_layer_type, layer_may_be_absent,
};
use crate::error::{Context as _, Error, Kind, Result};
use crate::layer::{Compression, Limits};
use crate::reference::{Form, ImageName, Reference};
use crate::refuse;
use crate::text::quoted;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::stat::Mode;
use std::fs::File;
use std::path::Path;

/// Layers that an image may have.
const MAX_LAYERS: usize = 1000;

/// One layer, not yet verified.
pub struct Layer {
    /// Its bytes, usually compressed.
    pub blob: Blob,
    /// What they must hash to, if a manifest says.
    pub digest: Option<Digest>,
    /// What the uncompressed bytes must hash to; only a bare root file system has none.
    pub diff_id: Option<Digest>,
    /// What the manifest calls it.
    pub media_type: Option<String>,
}

/// A chosen image.
pub struct Image {
    /// Of its manifest, or of its config in the older form of `docker save`.
    pub digest: Option<Digest>,
    /// What it says about itself; empty for a bare root file system.
    pub config: ImageConfig,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// Whether names that begin with `.wh.` are whiteouts: not in a bare root file
    /// system.
    pub whiteouts: bool,
}

/// What an image name turned out to be.
pub enum Opened {
    /// A layout, in a directory or in an archive.
    Layout(Box<dyn Files>),
    /// The older form of `docker save`.
    Docker(Archive),
    /// A root file system.
    Tar(Blob),
}

fn open_file(path: &Path) -> Result<File> {
    if path.as_os_str() == "-" {
        return Ok(File::from(crate::sys::standard_input()?));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    open_path(path, flags, Mode::empty()).map(File::from).map_err(|errno| match errno {
        nix::errno::Errno::ENOENT => Error::not_found("there is no such file or directory"),
        errno => errno.into(),
    })
}

/// Opens a file as a range where it has a size, as a stream where it has none.
fn open_blob(path: &Path) -> Result<Blob> {
    let file = open_file(path)?;
    if file.metadata()?.is_dir() {
        refuse!("it is a directory; a layout directory is named oci:DIR");
    }
    if file.metadata()?.is_file() { Blob::whole(file) } else { Ok(Blob::stream(file)) }
}

fn layout(path: &Path) -> Result<Box<dyn Files>> {
    let file = open_file(path)?;
    if !file.metadata()?.is_dir() {
        refuse!("it is not a directory; an archive is named oci-archive:FILE");
    }
    let directory = Directory::open(path)?;
    check_marker(&directory)?;
    Ok(Box::new(directory))
}

fn check_marker(files: &dyn Files) -> Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: Option<String>,
    }
    let Some(blob) = files.file("oci-layout")? else {
        refuse!("it has no oci-layout file, so it is not an image layout");
    };
    let marker: Marker =
        document::parse(&blob.read(4096).context(|| "oci-layout")?).context(|| "oci-layout")?;
    match marker.image_layout_version.as_deref() {
        Some(version) if version.starts_with("1.") => Ok(()),
        version => {
            refuse!("oci-layout: version {} is not known", quoted(version.unwrap_or("(none)")))
        }
    }
}

/// Finds out what `name` is and opens it. `spool` bounds temporary space, in bytes.
pub fn open_index(name: &ImageName, spool: Option<u64>, limits: &Limits) -> Result<Opened> {
    let archive = || Archive::open(&open_blob(&name.path)?, spool, limits);
    let is_layout = |archive: &Archive| {
        Ok::<_, Error>(
            archive.file("oci-layout")?.is_some() && archive.file("index.json")?.is_some(),
        )
    };
    let by_content = |archive: Archive| {
        if is_layout(&archive)? {
            check_marker(&archive)?;
            return Ok(Opened::Layout(Box::new(archive) as Box<dyn Files>));
        }
        Ok::<_, Error>(Opened::Docker(archive))
    };
    match name.form {
        Form::Oci => layout(&name.path).map(Opened::Layout),
        Form::OciArchive => {
            let archive = archive()?;
            check_marker(&archive)?;
            Ok(Opened::Layout(Box::new(archive)))
        }
        Form::DockerArchive => by_content(archive()?),
        Form::Tar => open_blob(&name.path).map(Opened::Tar),
        Form::Unknown => {
            let file = open_file(&name.path)?;
            if file.metadata()?.is_dir() {
                return layout(&name.path).map(Opened::Layout);
            }
            if !file.metadata()?.is_file() {
                refuse!("cannot look into it twice; say what it is, as in docker-archive:-");
            }
            let blob = Blob::whole(file)?;
            // A root file system has its size in members: do not index it for nothing.
            let archive = Archive::open(&blob, spool, limits);
            match archive {
                Ok(archive) if is_layout(&archive)? || archive.file("manifest.json")?.is_some() => {
                    by_content(archive)
                }
                _ => Ok(Opened::Tar(blob)),
            }
        }
    }
}

/// Opens the image that `name` and `platform` mean. Documents are verified; layers
/// are verified when they are read.
pub fn open(
    name: &ImageName,
    platform: &Platform,
    document_limit: u64,
    spool: Option<u64>,
    limits: &Limits,
) -> Result<Image> {
    match open_index(name, spool, limits)? {
        Opened::Layout(files) => {
            let image = from_layout(&*files, &name.reference, platform, document_limit);
            match image {
                // docker's own archives are layouts that may not repeat the tag there.
                Err(e) if e.kind() == Kind::NotFound && name.form == Form::DockerArchive => {
                    let archive = Archive::open(&open_blob(&name.path)?, spool, limits)?;
                    if archive.file("manifest.json")?.is_none() {
                        return Err(e);
                    }
                    docker::image(&archive, &name.reference, document_limit)
                }
                other => other,
            }
        }
        Opened::Docker(archive) => docker::image(&archive, &name.reference, document_limit),
        Opened::Tar(blob) => {
            let layer = Layer { blob, digest: None, diff_id: None, media_type: None };
            let config = ImageConfig::default();
            Ok(Image { digest: None, config, layers: vec![layer], whiteouts: false })
        }
    }
}

fn from_layout(
    files: &dyn Files,
    reference: &Reference,
    platform: &Platform,
    limit: u64,
) -> Result<Image> {
    let index = files
        .file("index.json")?
        .ok_or_else(|| Error::refused("it has no index.json"))?
        .read(limit)
        .context(|| "index.json")?;
    let index = Index::parse(&index, None).context(|| "index.json")?;
    let selected = document::select(files, &index, reference, platform, limit)?;
    let digest = selected.digest;
    let content = document::fetch(files, &selected.descriptor, limit)?;
    let manifest = Manifest::parse(&content, selected.descriptor.media_type.as_deref())
        .context(|| format!("manifest {digest}"))?;
    let config: ImageConfig = document::parse(&document::fetch(files, &manifest.config, limit)?)
        .context(|| "config".to_owned())?;
    let count = manifest.layers().len();
    if count > MAX_LAYERS {
        refuse!("manifest {digest}: it has {count} layers, at most {MAX_LAYERS} are taken");
    }
    let diff_ids = config.diff_ids(count)?;
    let mut layers = Vec::new();
    for (n, (descriptor, diff_id)) in manifest.layers().iter().zip(diff_ids).enumerate() {
        let what = || format!("layer {} of {count}", n + 1);
        let layer_digest = descriptor.digest().context(what)?;
        let what = || format!("layer {} of {count} ({layer_digest})", n + 1);
        check_layer_type(descriptor.media_type.as_deref()).context(what)?;
        let size = descriptor.size().context(what)?;
        let blob = match files.blob(&layer_digest) {
            Err(_) if layer_may_be_absent(descriptor.media_type.as_deref()) => {
                let urls: Vec<String> =
                    descriptor.urls.iter().flatten().map(|url| quoted(url).to_string()).collect();
                refuse!(
                    "layer {} of {count} ({layer_digest}): it is not part of the image; it must \
                     be fetched by hand from {}",
                    n + 1,
                    urls.join(" or ")
                )
            }
            blob => blob.context(what)?,
        };
        if blob.size() != Some(size) {
            refuse!(
                "layer {} of {count} ({layer_digest}): it has {} bytes, its descriptor says {size}",
                n + 1,
                blob.size().unwrap_or(0)
            );
        }
        layers.push(Layer {
            blob,
            digest: Some(layer_digest),
            diff_id: Some(diff_id),
            media_type: descriptor.media_type.clone(),
        });
    }
    Ok(Image { digest: Some(digest), config, layers, whiteouts: true })
}

impl Layer {
    /// What it is called in messages; `n` counts from 0.
    pub fn title(&self, n: usize, count: usize) -> String {
        match self.digest.as_ref().or(self.diff_id.as_ref()) {
            Some(digest) => format!("layer {} of {count} ({digest})", n + 1),
            None => "root file system".into(),
        }
    }

    /// A warning when the media type names another compression than the content has.
    /// It is only that, because the diff id decides.
    pub fn compression_warning(&self) -> Result<Option<String>> {
        let Some(media_type) = &self.media_type else { return Ok(None) };
        let found = Compression::sniff(&self.blob.head(4)?);
        let named = match media_type.rsplit(['+', '.']).next() {
            Some("gzip") => Compression::Gzip,
            Some("zstd") => Compression::Zstd,
            _ => Compression::None,
        };
        Ok((found != named && self.blob.size() != Some(0))
            .then(|| format!("its media type says {named}, its content is {found}")))
    }
}
