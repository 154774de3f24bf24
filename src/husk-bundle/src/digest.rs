//! Digests of content: `sha256:` and `sha512:`, checked before they are used.

use crate::error::{Error, Result};
use crate::text::{hex, quoted};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;

/// The algorithms that the image format names and we can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 64 digits.
    Sha256,
    /// SHA-512, 128 digits.
    Sha512,
}

impl Algorithm {
    /// The name as it stands in a digest and in the path of a blob.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }
}

/// A digest with correct syntax, hence safe as a path component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// Parses `ALGORITHM:HEX`; capitals, other lengths and other algorithms are
    /// refused (image-spec, descriptor.md, Digests).
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| Err(Error::refused(format!("digest {} {why}", quoted(text))));
        let Some((name, digits)) = text.split_once(':') else {
            return refused("has no algorithm");
        };
        let (algorithm, length) = match name {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return refused("uses an algorithm other than sha256 and sha512"),
        };
        if digits.len() != length {
            return refused("has the wrong length");
        }
        if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return refused("has characters other than 0-9 and a-f");
        }
        Ok(Self { algorithm, hex: digits.to_owned() })
    }

    /// The digest of `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Computes a digest over a stream.
pub enum Hasher {
    /// See [`Algorithm::Sha256`].
    Sha256(Sha256),
    /// See [`Algorithm::Sha512`].
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }

    /// Takes in the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of everything seen.
    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(state) => {
                Digest { algorithm: Algorithm::Sha256, hex: hex(&state.finalize()) }
            }
            Hasher::Sha512(state) => {
                Digest { algorithm: Algorithm::Sha512, hex: hex(&state.finalize()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax() {
        let good = "a".repeat(64);
        for (text, ok) in [
            (format!("sha256:{good}"), true),
            (format!("sha512:{good}{good}"), true),
            (format!("sha512:{good}"), false),
            (format!("sha256:{}", good.to_uppercase()), false),
            (format!("md5:{}", "a".repeat(32)), false),
            ("sha256:../../../etc/passwd".to_owned(), false),
            (format!("sha256:{}/", "a".repeat(63)), false),
            (good.clone(), false),
            (String::new(), false),
        ] {
            assert_eq!(Digest::parse(&text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn known_value() {
        assert_eq!(
            Digest::of(Algorithm::Sha256, b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
