//! The words by which a user names an image.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::text::quoted;
use std::fmt;
use std::path::PathBuf;

/// Which image of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Nothing was said: there must be only one.
    Only,
    /// By name or tag.
    Name(String),
    /// By the digest of its manifest.
    Digest(Digest),
    /// By its position, from 0.
    Number(usize),
}

/// The form of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An image layout directory.
    Oci,
    /// The same in a tar.
    OciArchive,
    /// What `docker save` writes.
    DockerArchive,
    /// A root file system in a tar, without a config.
    Tar,
    /// To be found out by looking.
    Unknown,
}

/// An image, as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The form.
    pub form: Form,
    /// The directory or file; `-` is standard input, for the archive forms.
    pub path: PathBuf,
    /// Which one of those in it.
    pub reference: Reference,
    text: String,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const FORMS: [(&str, Form); 4] = [
    ("oci:", Form::Oci),
    ("oci-archive:", Form::OciArchive),
    ("docker-archive:", Form::DockerArchive),
    ("tar:", Form::Tar),
];

impl ImageName {
    /// A name that stands for no image yet.
    pub(crate) fn nothing() -> Self {
        let (form, reference) = (Form::Unknown, Reference::Only);
        Self { form, path: PathBuf::new(), reference, text: String::new() }
    }

    /// Parses `FORM:PATH[:REFERENCE|@DIGEST|@NUMBER]`, or a bare path.
    ///
    /// With a form, the path ends at the first colon; a path that contains one can
    /// only be given bare.
    pub fn parse(text: &str) -> Result<Self> {
        let known = FORMS.iter().find_map(|(p, form)| Some((*form, text.strip_prefix(p)?)));
        let (form, rest) = known.unwrap_or((Form::Unknown, text));
        let (path, reference) = match form {
            Form::Unknown => {
                if let Some((scheme, _)) = text.split_once("://") {
                    return Err(Error::usage(format!(
                        "{} images are not read; save the image to a file first",
                        quoted(scheme)
                    )));
                }
                (rest, Reference::Only)
            }
            Form::Tar => (rest, Reference::Only),
            _ => split(rest)?,
        };
        if path.is_empty() || path.contains('\0') {
            return Err(Error::usage(format!("image {} names no file", quoted(text))));
        }
        Ok(Self { form, path: path.into(), reference, text: quoted(text).to_string() })
    }
}

fn split(rest: &str) -> Result<(&str, Reference)> {
    if let Some((path, behind)) = rest.split_once('@')
        && !path.contains(':')
    {
        if let Ok(number) = behind.parse() {
            return Ok((path, Reference::Number(number)));
        }
        let digest = Digest::parse(behind).map_err(|e| Error::usage(e.to_string()))?;
        return Ok((path, Reference::Digest(digest)));
    }
    match rest.split_once(':') {
        None | Some((_, "")) => Ok((rest.strip_suffix(':').unwrap_or(rest), Reference::Only)),
        Some((path, name)) => Ok((path, Reference::Name(name.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let name = |n: &str| Reference::Name(n.into());
        for (text, form, path, reference) in [
            ("oci:dir", Form::Oci, "dir", Reference::Only),
            ("oci:dir:tag", Form::Oci, "dir", name("tag")),
            ("oci:/a/b:c.io/x:1", Form::Oci, "/a/b", name("c.io/x:1")),
            ("oci:dir@2", Form::Oci, "dir", Reference::Number(2)),
            (
                &format!("oci:dir@{digest}"),
                Form::Oci,
                "dir",
                Reference::Digest(Digest::parse(&digest).unwrap()),
            ),
            ("oci-archive:f.tar:v1", Form::OciArchive, "f.tar", name("v1")),
            ("docker-archive:f.tar:busybox:1", Form::DockerArchive, "f.tar", name("busybox:1")),
            ("docker-archive:-", Form::DockerArchive, "-", Reference::Only),
            ("tar:a:b", Form::Tar, "a:b", Reference::Only),
            ("./a:b@c", Form::Unknown, "./a:b@c", Reference::Only),
        ] {
            let parsed = ImageName::parse(text).unwrap();
            assert_eq!(
                (parsed.form, parsed.path.to_str(), parsed.reference),
                (form, Some(path), reference),
                "{text}"
            );
        }
        for bad in ["", "oci:", "oci:@1", "oci:dir@sha256:xyz", "docker://busybox"] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
    }
}
