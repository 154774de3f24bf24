//! Mounts that the image or the user asks for.

use super::process::absolute;
use crate::error::{Error, Result};
use crate::refuse;
use crate::text::quoted;
use serde_json::{Value, json};

/// What becomes of the volumes that an image declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Volumes {
    /// A directory in the bundle with a copy of the image's content, as docker does.
    #[default]
    Anonymous,
    /// An empty tmpfs.
    Tmpfs,
    /// Nothing: part of the root file system.
    Ignore,
}

impl Volumes {
    /// Parses the option's value.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "anonymous" => Ok(Volumes::Anonymous),
            "tmpfs" => Ok(Volumes::Tmpfs),
            "ignore" => Ok(Volumes::Ignore),
            _ => Err(Error::usage(format!(
                "--volumes: {} is none of anonymous, tmpfs, ignore",
                quoted(text)
            ))),
        }
    }
}

/// Checks a volume of the image: a mount there must not hide what the runtime
/// provides.
pub fn volume_path(text: &str) -> Result<String> {
    let path = absolute(text, "volume")?;
    if text.split('/').any(|part| part == "..") {
        refuse!("volume {} goes through \"..\"", quoted(text));
    }
    if path == "/" {
        refuse!("volume {} would hide the whole image", quoted(text));
    }
    for own in ["/proc", "/sys", "/dev"] {
        if path == own || path.starts_with(&format!("{own}/")) {
            refuse!("volume {} would hide {own}", quoted(text));
        }
    }
    Ok(path)
}

/// A tmpfs at `PATH[:OPTIONS]`.
pub fn tmpfs(text: &str) -> Result<Value> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let destination =
        absolute(path, "the path").map_err(|e| Error::usage(format!("--tmpfs: {e}")))?;
    let mut list = vec!["nosuid", "nodev", "noexec"];
    list.extend(options.split(',').filter(|option| !option.is_empty()));
    Ok(json!({
        "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list,
    }))
}

/// Docker's long form: `type=bind,src=PATH,dst=PATH[,readonly][,OPTION...]`.
pub fn mount(text: &str) -> Result<Value> {
    let wrong = |why: String| Error::usage(format!("--mount {}: {why}", quoted(text)));
    let (mut kind, mut source, mut destination) = ("bind", None, None);
    let mut options: Vec<String> = Vec::new();
    for part in text.split(',') {
        match part.split_once('=').unwrap_or((part, "")) {
            ("type", value) => kind = value,
            ("src" | "source", value) => source = Some(value),
            ("dst" | "destination" | "target", value) => destination = Some(value),
            ("readonly" | "ro", "" | "true" | "1") => options.push("ro".into()),
            ("readonly" | "ro", "false" | "0") => {}
            ("bind-propagation", value) => options.push(value.into()),
            ("tmpfs-size", value) => options.push(format!("size={value}")),
            ("tmpfs-mode", value) => options.push(format!("mode={value}")),
            ("", _) => return Err(wrong("it has an empty part".into())),
            _ => options.push(part.into()),
        }
    }
    let destination = destination.ok_or_else(|| wrong("it has no dst=PATH".into()))?;
    let destination = absolute(destination, "dst").map_err(|e| wrong(e.to_string()))?;
    let source = match (kind, source) {
        ("bind", None) => return Err(wrong("a bind mount needs src=PATH".into())),
        ("bind", Some(source)) => {
            options.insert(0, "rbind".into());
            // Relative to where we are, not to where the container is started.
            let path = std::path::absolute(source).map_err(|e| wrong(e.to_string()))?;
            path.to_str().ok_or_else(|| wrong("src is not UTF-8".into()))?.to_owned()
        }
        (kind, source) => source.unwrap_or(kind).to_owned(),
    };
    Ok(json!({ "destination": destination, "type": kind, "source": source, "options": options }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(
            mount("type=bind,src=/host,dst=/in,readonly").unwrap(),
            json!({ "destination": "/in", "type": "bind", "source": "/host",
                    "options": ["rbind", "ro"] })
        );
        assert_eq!(
            mount("type=tmpfs,dst=/tmp,tmpfs-size=1m,mode=1777").unwrap(),
            json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
                    "options": ["size=1m", "mode=1777"] })
        );
        for bad in ["", "type=bind,dst=/x", "type=bind,src=/x", "dst=rel,src=/x", "dst=/x,,src=/y"]
        {
            assert!(mount(bad).is_err(), "{bad}");
        }
        assert_eq!(tmpfs("/run:size=1m").unwrap()["options"][3], "size=1m");
        assert!(tmpfs("run").is_err());
    }

    #[test]
    fn volumes() {
        for (path, ok) in [
            ("/data", true),
            ("/data/", true),
            ("/processes", true),
            ("/", false),
            ("/a/../..", false),
            ("/a/../b", false),
            ("data", false),
            ("/proc", false),
            ("/dev/shm", false),
            ("/sys/x", false),
        ] {
            assert_eq!(volume_path(path).is_ok(), ok, "{path}");
        }
    }
}
