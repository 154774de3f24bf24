//! From an image to a running container: the converter and the runtime, one
//! after the other, on an image made here from busybox alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::busybox;
use crate::case::Done;
use crate::context::Context;
use crate::guard::COMMON_PARENT;
use crate::inside::{Status, lines};
use crate::runtime::{Output, beside_us};
use crate::tests;

tests![
    layout_directory_runs,
    layout_archive_runs,
    plain_tar_runs,
    image_config_decides_user_env_and_cwd,
    whiteouts_modes_links_and_owners_survive,
    docker_profile_confines,
    damaged_layer_is_refused_and_leaves_no_bundle,
    words_replace_the_command,
];

/// The converter: `HUSK_BUNDLE_BIN`, or what was built beside this program.
fn converter(cx: &Context) -> Result<PathBuf, crate::case::Skip> {
    let named = std::env::var_os("HUSK_BUNDLE_BIN").filter(|v| !v.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| beside_us("husk-bundle"));
    cx.need(path.is_file(), &format!("no converter at {}", path.display()))?;
    Ok(path)
}

fn convert(cx: &Context, image: &str, words: &[&str]) -> Result<(PathBuf, Output), crate::case::Skip> {
    let bundle = cx.fresh_path("converted");
    let out = crate::runtime::Call::bare(cx)
        .instead(&converter(cx)?)
        .args(&["unpack", image])
        .arg(&bundle)
        .args(words)
        .run();
    Ok((bundle, out))
}

/// Runs an applet of busybox in `dir`; gives its output.
fn applet(dir: &Path, args: &[&str]) -> Vec<u8> {
    let path = busybox().unwrap_or_else(|why| panic!("{why}"));
    // Collected by the reaper of the test, so the output goes through a file.
    let file = dir.join(format!(".out-{}", args.len() + fs::read_dir(dir).map_or(0, Iterator::count)));
    let stdout = fs::File::create(&file).expect("create");
    #[allow(clippy::zombie_processes)]
    let child = Command::new(path).args(args).current_dir(dir).stdout(stdout).spawn().expect("busybox");
    let pid = child.id() as i32;
    let end = crate::host::wait_for("busybox", || crate::reaper::ended(pid));
    assert_eq!(end.code(), 0, "busybox {args:?}");
    let bytes = fs::read(&file).expect("read");
    fs::remove_file(&file).expect("remove");
    bytes
}

fn digest(dir: &Path, name: &str) -> String {
    let text = String::from_utf8(applet(dir, &["sha256sum", name])).expect("text");
    text.split(' ').next().expect("a digest").to_owned()
}

/// An image layout with two layers, the upper one gzipped.
struct Image {
    dir: PathBuf,
}

impl Image {
    fn new(cx: &Context, config: Value) -> Self {
        let dir = cx.fresh_dir("image");
        fs::create_dir_all(dir.join("blobs/sha256")).expect("mkdir");
        let image = Image { dir };
        let mut layers = Vec::new();
        let mut ids = Vec::new();
        for (n, fill) in [lower, upper].iter().enumerate() {
            let tree = cx.fresh_dir("layer");
            fill(&tree);
            let tar = image.dir.join("layer.tar");
            // In a layer the root itself comes without a name.
            applet(&tree, &["tar", "-cf", tar.to_str().expect("a path"), "."]);
            ids.push(format!("sha256:{}", digest(&image.dir, "layer.tar")));
            let kind = if n == 0 { "" } else { "+gzip" };
            if n == 1 {
                applet(&image.dir, &["gzip", "-f", "layer.tar"]);
            }
            let name = if n == 0 { "layer.tar" } else { "layer.tar.gz" };
            layers.push(image.blob(name, &format!("application/vnd.oci.image.layer.v1.tar{kind}")));
        }
        let document = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
            "config": config, "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let config = image.document(&document, "application/vnd.oci.image.config.v1+json");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let manifest = image.document(&manifest, kind);
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(image.dir.join("index.json"), index.to_string()).expect("write");
        fs::write(image.dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write");
        image
    }

    fn document(&self, value: &Value, kind: &str) -> Value {
        fs::write(self.dir.join("document"), value.to_string()).expect("write");
        self.blob("document", kind)
    }

    /// Moves a file among the blobs; gives its descriptor.
    fn blob(&self, name: &str, kind: &str) -> Value {
        let digest = digest(&self.dir, name);
        let size = fs::metadata(self.dir.join(name)).expect("metadata").len();
        fs::rename(self.dir.join(name), self.dir.join("blobs/sha256").join(&digest)).expect("rename");
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size})
    }

    fn name(&self) -> String {
        format!("oci:{}", self.dir.display())
    }
}

fn lower(tree: &Path) {
    for dir in ["bin", "etc", "proc", "sys", "dev", "tmp", "data/keep", "data/gone", "home/user"] {
        fs::create_dir_all(tree.join(dir)).expect("mkdir");
    }
    fs::copy(busybox().unwrap_or_else(|why| panic!("{why}")), tree.join("bin/busybox")).expect("copy");
    for name in ["sh", "cat", "stat", "id", "ls", "echo", "env", "readlink", "pwd", "touch", "mount"] {
        symlink("busybox", tree.join("bin").join(name)).expect("symlink");
    }
    fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n")
        .expect("write");
    fs::write(tree.join("etc/group"), "root:x:0:\nuser:x:1001:\nextra:x:2000:user\n").expect("write");
    fs::write(tree.join("data/keep/old"), "lower").expect("write");
    fs::write(tree.join("data/gone/file"), "lower").expect("write");
    fs::write(tree.join("data/replaced"), "lower").expect("write");
    std::os::unix::fs::chown(tree.join("home/user"), Some(1000), Some(1001)).expect("chown");
}

fn upper(tree: &Path) {
    fs::create_dir_all(tree.join("data")).expect("mkdir");
    fs::write(tree.join("data/.wh.gone"), "").expect("a whiteout");
    fs::write(tree.join("data/replaced"), "upper").expect("write");
    fs::hard_link(tree.join("data/replaced"), tree.join("data/linked")).expect("hard link");
    fs::write(tree.join("data/special"), "x").expect("write");
    std::os::unix::fs::chown(tree.join("data/special"), Some(33), Some(44)).expect("chown");
    let mode = fs::Permissions::from_mode(0o4751);
    fs::set_permissions(tree.join("data/special"), mode).expect("chmod");
}

fn plain_config() -> Value {
    json!({"Cmd": ["sh", "-c", "echo from-the-image"], "Env": ["PATH=/bin", "FROM=image"]})
}

/// Puts the container of a converted bundle below the cgroup of the tests.
fn run(cx: &Context, bundle: &Path) -> Output {
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).expect("config.json");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let id = cx.id();
    config["linux"]["cgroupsPath"] = json!(format!("/{COMMON_PARENT}/{id}"));
    config["process"]["terminal"] = json!(false);
    fs::write(&path, config.to_string()).expect("write");
    cx.call(&["run", "-b"]).arg(bundle).arg(id).run()
}

fn layout_directory_runs(cx: &Context) -> Done {
    let image = Image::new(cx, plain_config());
    let (bundle, out) = convert(cx, &image.name(), &[])?;
    out.ok();
    assert_eq!(run(cx, &bundle).ok(), "from-the-image");
    Ok(())
}

fn layout_archive_runs(cx: &Context) -> Done {
    let image = Image::new(cx, plain_config());
    let file = cx.fresh_path("image.tar");
    applet(&image.dir, &["tar", "-cf", file.to_str().unwrap(), "oci-layout", "index.json", "blobs"]);
    for name in [format!("oci-archive:{}", file.display()), file.display().to_string()] {
        let (bundle, out) = convert(cx, &name, &[])?;
        out.ok();
        assert_eq!(run(cx, &bundle).ok(), "from-the-image");
    }
    Ok(())
}

fn plain_tar_runs(cx: &Context) -> Done {
    let tree = cx.fresh_dir("tree");
    lower(&tree);
    let file = cx.fresh_path("root.tar");
    applet(&tree, &["tar", "-cf", file.to_str().unwrap(), "."]);
    let (bundle, out) = convert(cx, &format!("tar:{}", file.display()), &["--", "/bin/cat", "/data/keep/old"])?;
    out.ok();
    assert_eq!(run(cx, &bundle).ok(), "lower");
    Ok(())
}

fn image_config_decides_user_env_and_cwd(cx: &Context) -> Done {
    let image = Image::new(
        cx,
        json!({"User": "user", "WorkingDir": "/data", "Env": ["PATH=/bin", "A=b=c"],
               "Entrypoint": ["sh", "-c"], "Cmd": ["echo pwd=$(pwd); echo id=$(id -u):$(id -g); echo a=$A; echo home=$HOME; cat /proc/self/status"]}),
    );
    let (bundle, out) = convert(cx, &image.name(), &[])?;
    out.ok();
    let text = run(cx, &bundle).ok();
    let seen = lines(&text);
    assert_eq!(seen["pwd"], "/data");
    assert_eq!(seen["id"], "1000:1001");
    assert_eq!(seen["a"], "b=c");
    assert_eq!(seen["home"], "/home/user");
    let groups = Status::parse(&text).get("Groups");
    assert!(groups.split(' ').any(|g| g == "2000"), "{groups}");
    Ok(())
}

fn whiteouts_modes_links_and_owners_survive(cx: &Context) -> Done {
    let image = Image::new(cx, json!({"Cmd": ["sh", "-c", "ls /data; cat /data/linked /data/keep/old; stat -c '%a %u:%g' /data/special"], "Env": ["PATH=/bin"]}));
    let (bundle, out) = convert(cx, &image.name(), &[])?;
    out.ok();
    let root = bundle.join("rootfs/data");
    let (one, other) = (fs::metadata(root.join("replaced")), fs::metadata(root.join("linked")));
    assert_eq!(one.expect("replaced").ino(), other.expect("linked").ino(), "a hard link");
    let text = run(cx, &bundle).ok();
    assert_eq!(text, "keep\nlinked\nreplaced\nspecial\nupperlower4751 33:44");
    Ok(())
}

fn docker_profile_confines(cx: &Context) -> Done {
    let image = Image::new(cx, json!({"Cmd": ["cat", "/proc/self/status"], "Env": ["PATH=/bin"]}));
    let (bundle, out) = convert(cx, &image.name(), &[])?;
    out.ok();
    let status = Status::parse(&run(cx, &bundle).ok());
    assert_eq!(status.get("Seccomp"), "2");
    assert_eq!(status.bits("CapEff"), 0xa804_25fb, "Docker's fourteen");
    assert_eq!(status.bits("CapBnd"), 0xa804_25fb);
    assert_eq!(status.bits("CapInh") | status.bits("CapAmb"), 0);
    let (bundle, out) = convert(cx, &image.name(), &["--", "sh", "-c", "mount -t tmpfs t /tmp || echo denied; touch /proc/sys/x 2>/dev/null || echo fixed"])?;
    out.ok();
    assert_eq!(run(cx, &bundle).ok(), "denied\nfixed");
    Ok(())
}

fn damaged_layer_is_refused_and_leaves_no_bundle(cx: &Context) -> Done {
    let image = Image::new(cx, plain_config());
    let blobs = image.dir.join("blobs/sha256");
    let largest = fs::read_dir(&blobs)
        .expect("list")
        .flatten()
        .max_by_key(|e| e.metadata().map_or(0, |m| m.len()))
        .expect("a blob")
        .path();
    let mut bytes = fs::read(&largest).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).expect("write");
    let (bundle, out) = convert(cx, &image.name(), &[])?;
    out.refused();
    assert!(!bundle.exists(), "{out}");
    let left: Vec<_> = fs::read_dir(cx.scratch())
        .expect("list")
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().contains("converted"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

fn words_replace_the_command(cx: &Context) -> Done {
    let image = Image::new(cx, json!({"Entrypoint": ["sh", "-c"], "Cmd": ["exit 1"], "Env": ["PATH=/bin"]}));
    let (bundle, out) = convert(cx, &image.name(), &["--", "echo replaced"])?;
    out.ok();
    let text = fs::read_to_string(bundle.join("config.json")).expect("config.json");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let args: Vec<&str> =
        config["process"]["args"].as_array().expect("args").iter().filter_map(Value::as_str).collect();
    assert_eq!(args.last(), Some(&"echo replaced"), "{args:?}");
    assert_eq!(run(cx, &bundle).ok(), "replaced");
    Ok(())
}
