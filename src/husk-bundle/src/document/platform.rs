//! Which platform an image is for, and which one is wanted.

use super::model::PlatformModel;
use crate::error::{Error, Result};
use crate::text::quoted;
use std::fmt;

/// System, architecture and variant, in Go's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, ...
    pub architecture: String,
    /// `v8`, `v3`, ... or empty.
    pub variant: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = if self.os.is_empty() { "linux" } else { &self.os };
        write!(f, "{os}/{}", self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: String::new() }
    }

    /// Parses `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match *parts.as_slice() {
            [architecture] => ("linux", architecture, ""),
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            _ => ("", "", ""),
        };
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(Error::usage(format!(
                "platform {} is not of the form os/arch[/variant]",
                quoted(text)
            )));
        }
        Ok(Self { os: os.into(), architecture: architecture.into(), variant: variant.into() })
    }

    /// What a descriptor says; an absent field stays empty.
    pub fn of(model: &PlatformModel) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            os: text(&model.os),
            architecture: text(&model.architecture),
            variant: text(&model.variant),
        }
    }

    /// How well an image for `offer` serves: 0 is best, `None` not at all.
    ///
    /// Older variants of arm and amd64 run on newer ones, so they are taken when
    /// nothing better is there. Without a wanted variant, amd64 is the base level,
    /// arm64 is v8, and 32-bit arm is v7.
    pub fn rank(&self, offer: &Platform) -> Option<usize> {
        let os_fits = offer.os.is_empty() || offer.os == self.os;
        if !os_fits || offer.architecture != self.architecture {
            return None;
        }
        let ladder: &[&str] = match self.architecture.as_str() {
            "arm" | "arm64" => &["v9", "v8", "v7", "v6", "v5", ""],
            "amd64" => &["v4", "v3", "v2", "v1", ""],
            _ => &[""],
        };
        let wanted = match (self.variant.as_str(), self.architecture.as_str()) {
            ("", "arm64") => "v8",
            ("", "arm") => "v7",
            ("", "amd64") => "v1",
            (variant, _) => variant,
        };
        if wanted == offer.variant {
            return Some(0);
        }
        let step = |variant: &str| ladder.iter().position(|v| *v == variant);
        match (step(wanted), step(&offer.variant)) {
            (Some(from), Some(to)) if to > from => Some(to - from),
            // A wanted variant outside the ladder falls back to none.
            (None, _) if offer.variant.is_empty() => Some(1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_fall_back_downwards_only() {
        let rank = |want: &str, offer: &str| {
            Platform::parse(want).unwrap().rank(&Platform::parse(offer).unwrap())
        };
        for (want, offer, expected) in [
            ("linux/amd64", "linux/amd64", Some(1)),
            ("linux/amd64", "linux/amd64/v1", Some(0)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/amd64/v3", "linux/amd64/v2", Some(1)),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64", "linux/arm64", Some(3 + 1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/amd64", "windows/amd64", None),
            ("linux/s390x", "linux/s390x", Some(0)),
            ("amd64", "linux/arm64", None),
        ] {
            assert_eq!(rank(want, offer), expected, "{want} {offer}");
        }
        for bad in ["", "linux/", "a/b/c/d"] {
            assert!(Platform::parse(bad).is_err());
        }
    }
}
