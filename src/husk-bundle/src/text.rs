//! Names from an image, made fit for a terminal, and a few encodings.

use std::fmt;

/// Shows bytes from an image in single quotes, with everything escaped that a
/// terminal could act on.
///
/// ```
/// assert_eq!(husk_bundle::text::Quoted(b"a\x1b[2J").to_string(), r"'a\x1b[2J'");
/// ```
pub struct Quoted<'a>(pub &'a [u8]);

/// How much of a name is shown. A longer one is cut: it comes from the image.
const SHOWN: usize = 300;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\'' | '\\' => write!(f, "\\{c}")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    // Alphanumerics cannot reorder or hide text; other signs beyond ASCII might.
                    c if c.is_ascii() || c.is_alphanumeric() => write!(f, "{c}")?,
                    c => write!(f, "{}", c.escape_unicode())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            write!(f, "...' ({} bytes)", self.0.len())
        } else {
            f.write_str("'")
        }
    }
}

/// [`Quoted`] for text.
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text.as_bytes())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Decodes base64 (RFC 4648 §4). Padding may be missing, since one writer of
/// extended headers leaves it out; anything else that is wrong gives `None`.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        let (spare, bytes) = match group.len() {
            4 => (0, 3),
            3 => (6, 2),
            2 => (12, 1),
            _ => return None,
        };
        let whole = (bits << spare).to_be_bytes();
        out.extend(whole.iter().skip(1).take(bytes));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_leaves_nothing_for_a_terminal() {
        for (input, expected) in [
            (&b"plain-1.2"[..], "'plain-1.2'"),
            (b"a'b\\", r"'a\'b\\'"),
            (b"\x1b]0;x\x07", r"'\x1b]0;x\x07'"),
            (b"\xff\xfe", r"'\xff\xfe'"),
            ("h\u{e9}".as_bytes(), "'h\u{e9}'"),
            ("\u{202e}x".as_bytes(), r"'\u{202e}x'"),
            (b"a\nb", r"'a\nb'"),
        ] {
            assert_eq!(Quoted(input).to_string(), expected);
        }
        assert!(Quoted(&[b'x'; 5000]).to_string().len() < 400);
    }

    #[test]
    fn base64_decodes_and_refuses() {
        for (input, expected) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm8", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("Z", None),
            ("Zm9v=Zg", None),
            ("Zm 9", None),
        ] {
            assert_eq!(base64(input.as_bytes()).as_deref(), expected, "{input}");
        }
    }
}
