//! Writing images.

use super::Tar;
use crate::digest::{Algorithm, Digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Packing {
    /// Compresses.
    pub fn pack(self, raw: &[u8]) -> Vec<u8> {
        match self {
            Packing::None => raw.to_vec(),
            Packing::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(raw).expect("writing to memory");
                encoder.finish().expect("writing to memory")
            }
            Packing::Zstd => zstd::stream::encode_all(raw, 1).expect("compressing in memory"),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Packing::None => "",
            Packing::Gzip => "+gzip",
            Packing::Zstd => "+zstd",
        }
    }
}

/// A descriptor of `content`.
pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    let digest = Digest::of(Algorithm::Sha256, content).to_string();
    json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
}

type Change<T> = Box<dyn FnOnce(&mut T)>;

/// Builds an image. The changes run when their document is made: config first, then
/// manifest, index, and at last all files of the layout by name.
#[derive(Default)]
pub struct Image {
    layers: Vec<(Vec<u8>, Packing)>,
    name: Option<String>,
    process: Value,
    config: Vec<Change<Value>>,
    manifest: Vec<Change<Value>>,
    index: Vec<Change<Value>>,
    files: Vec<Change<BTreeMap<String, Vec<u8>>>>,
}

/// The files of a layout, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Image {
    /// An image for this machine, without layers.
    pub fn new() -> Self {
        Self { process: json!({ "Cmd": ["true"] }), ..Self::default() }
    }

    /// An image with the host's busybox, which must be a static program, under `/bin`
    /// with links for `applets`, and with the usual empty directories.
    pub fn busybox(applets: &[&str]) -> Self {
        let program = fs::read("/bin/busybox").expect("busybox-static is installed");
        let mut tar = Tar::new();
        for name in ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "var"] {
            tar = tar.dir(name);
        }
        tar = tar.mode(0o1777).dir("tmp").mode(0o755).file("bin/busybox", &program);
        for applet in applets {
            tar = tar.symlink(format!("bin/{applet}"), "busybox");
        }
        let tar = tar
            .file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n")
            .file("etc/group", b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
        Self::new().packed_layer(tar.finish(), Packing::Gzip).cmd(&["/bin/sh"])
    }

    /// Adds an uncompressed layer on top.
    pub fn layer(self, tar: Vec<u8>) -> Self {
        self.packed_layer(tar, Packing::None)
    }

    /// Adds a layer on top.
    pub fn packed_layer(mut self, tar: Vec<u8>, packing: Packing) -> Self {
        self.layers.push((tar, packing));
        self
    }

    /// The name in the index.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The command.
    pub fn cmd(self, words: &[&str]) -> Self {
        self.process("Cmd", json!(words))
    }

    /// A field of the `config` object, such as `Env`.
    pub fn process(mut self, key: &str, value: Value) -> Self {
        self.process[key] = value;
        self
    }

    /// Changes the config document.
    pub fn config(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.config.push(Box::new(change));
        self
    }

    /// Changes the manifest.
    pub fn manifest(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.manifest.push(Box::new(change));
        self
    }

    /// Changes `index.json`.
    pub fn index(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.index.push(Box::new(change));
        self
    }

    /// Changes the files of the layout.
    pub fn files(mut self, change: impl FnOnce(&mut Files) + 'static) -> Self {
        self.files.push(Box::new(change));
        self
    }

    fn config_document(&mut self) -> Value {
        let id = |tar: &Vec<u8>| Digest::of(Algorithm::Sha256, tar).to_string();
        let diff_ids: Vec<String> = self.layers.iter().map(|(tar, _)| id(tar)).collect();
        let mut config = json!({
            "architecture": crate::document::Platform::host().architecture,
            "os": "linux",
            "config": self.process,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        for change in self.config.drain(..) {
            change(&mut config);
        }
        config
    }

    /// The files of the layout, by name.
    pub fn build(mut self) -> Files {
        let mut files = Files::new();
        let mut put = |content: Vec<u8>, media_type: &str| {
            let descriptor = descriptor(media_type, &content);
            let hex = Digest::of(Algorithm::Sha256, &content).hex().to_owned();
            files.insert(format!("blobs/sha256/{hex}"), content);
            descriptor
        };
        let config = self.config_document();
        let config = put(config.to_string().into_bytes(), CONFIG);
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(tar, packing)| put(packing.pack(tar), &format!("{LAYER}{}", packing.suffix())))
            .collect();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        for change in self.manifest {
            change(&mut manifest);
        }
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned();
        let mut manifest = put(manifest.to_string().into_bytes(), &media_type);
        if let Some(name) = &self.name {
            manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        let mut index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        for change in self.index {
            change(&mut index);
        }
        files.insert("index.json".into(), index.to_string().into_bytes());
        files.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        for change in self.files {
            change(&mut files);
        }
        files
    }

    /// Writes a layout directory.
    pub fn write_layout(self, directory: &Path) {
        for (name, content) in self.build() {
            let path = directory.join(name);
            let folder = path.parent().expect("a name within the layout");
            fs::DirBuilder::new().recursive(true).create(folder).expect("making a directory");
            fs::write(path, content).expect("writing a file of the layout");
        }
    }

    /// An oci-archive.
    pub fn oci_archive(self) -> Vec<u8> {
        let archive = |tar: Tar, (name, content): (String, Vec<u8>)| tar.file(name, &content);
        self.build().into_iter().fold(Tar::new(), archive).finish()
    }

    /// What `docker save` wrote in its older form, under the image's name. `change`
    /// may alter the files; layers are called `N/layer.tar`.
    pub fn docker_archive(mut self, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
        let config = self.config_document().to_string().into_bytes();
        let config_name = format!("{}.json", Digest::of(Algorithm::Sha256, &config).hex());
        let names: Vec<String> = (0..self.layers.len()).map(|n| format!("{n}/layer.tar")).collect();
        let manifest = json!([{
            "Config": config_name, "RepoTags": self.name.iter().collect::<Vec<_>>(),
            "Layers": names,
        }]);
        let mut members = vec![(config_name, config)];
        for (name, (tar, packing)) in names.into_iter().zip(&self.layers) {
            members.push((name, packing.pack(tar)));
        }
        members.push(("manifest.json".into(), manifest.to_string().into_bytes()));
        change(&mut members);
        let archive = |tar: Tar, (name, content): (String, Vec<u8>)| match name.split_once(" -> ") {
            Some((name, target)) => tar.symlink(name, target),
            None => tar.file(name, &content),
        };
        members.into_iter().fold(Tar::new(), archive).finish()
    }
}
