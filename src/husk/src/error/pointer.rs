//! JSON pointers (RFC 6901) into `config.json`.

use std::borrow::Cow;
use std::fmt;

/// Where a value stands in a JSON document; `""` is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(Cow<'static, str>);

impl Pointer {
    /// The member `key` of this value; `~` and `/` in it are escaped.
    pub fn key(&self, key: &str) -> Self {
        let mut text =
            String::with_capacity(self.0.len().saturating_add(key.len()).saturating_add(1));
        text.push_str(&self.0);
        text.push('/');
        for c in key.chars() {
            match c {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                c => text.push(c),
            }
        }
        Self(Cow::Owned(text))
    }

    /// The element `index` of this array.
    pub fn index(&self, index: usize) -> Self {
        Self(Cow::Owned(format!("{}/{index}", self.0)))
    }

    /// The pointer's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Pointer {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Pointer {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&Pointer> for Pointer {
    fn from(other: &Pointer) -> Self {
        other.clone()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped() {
        let at = Pointer::from("/linux/sysctl").key("net/ipv4~x").index(3);
        assert_eq!(at.as_str(), "/linux/sysctl/net~1ipv4~0x/3");
    }
}
