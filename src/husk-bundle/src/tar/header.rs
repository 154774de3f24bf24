//! The 512-byte header block.

use crate::error::{Error, Result};
use crate::refuse;

/// Archives are made of blocks of this many bytes.
pub const BLOCK: usize = 512;

/// Which family a header belongs to; it decides how bytes 257 to 512 are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Before POSIX: no magic, no prefix.
    V7,
    /// POSIX, with a prefix field of 155 bytes.
    Ustar,
    /// Like POSIX, with a prefix field of 131 bytes.
    Star,
    /// GNU: other fields where POSIX has the prefix.
    Gnu,
}

/// Offset and length of a piece of data in a sparse file.
pub type Piece = (u64, u64);

/// One header block whose checksum is right.
pub struct Header {
    block: [u8; BLOCK],
}

/// The bytes of a text field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or(field)
}

/// A number: octal digits, or with the top bit set a base-256 number.
fn number(field: &[u8], what: &str) -> Result<i64> {
    let wrong = || Error::refused(format!("the header's {what} is not a number"));
    match field.first() {
        Some(first) if first & 0x80 != 0 => {
            let negative = first & 0x40 != 0;
            let mut value: i128 = if negative { -1 } else { 0 };
            for (n, byte) in field.iter().enumerate() {
                let byte = if n == 0 && !negative { byte & 0x7f } else { *byte };
                value = value.checked_mul(256).ok_or_else(wrong)? | i128::from(byte);
            }
            i64::try_from(value)
                .map_err(|_| Error::refused(format!("the header's {what} is out of range")))
        }
        _ => {
            let digits = field.trim_ascii_start();
            let end = digits.iter().position(|b| matches!(b, 0 | b' ')).unwrap_or(digits.len());
            let (digits, rest) = digits.split_at_checked(end).ok_or_else(wrong)?;
            if !rest.iter().all(|b| matches!(b, 0 | b' ')) {
                return Err(wrong());
            }
            digits.iter().try_fold(0i64, |value, byte| match byte {
                b'0'..=b'7' => value
                    .checked_mul(8)
                    .and_then(|v| v.checked_add(i64::from(byte - b'0')))
                    .ok_or_else(wrong),
                _ => Err(wrong()),
            })
        }
    }
}

impl Header {
    /// Takes a block; `None` when it is all zeros (an end block).
    pub fn parse(block: [u8; BLOCK]) -> Result<Option<Self>> {
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let claimed = number(&block[148..156], "checksum")?;
        // The sum is taken with the field itself as blanks. Some old writers
        // added the bytes up as signed numbers.
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (n, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&n) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        if claimed != unsigned && claimed != signed {
            refuse!("a header's checksum is wrong: the archive is damaged, or it is not a tar");
        }
        Ok(Some(Self { block }))
    }

    /// The family.
    pub fn format(&self) -> Format {
        match (&self.block[257..265], &self.block[508..512]) {
            (b"ustar  \0", _) => Format::Gnu,
            (magic, trailer) if magic.starts_with(b"ustar\0") => {
                if trailer == b"tar\0" {
                    Format::Star
                } else {
                    Format::Ustar
                }
            }
            _ => Format::V7,
        }
    }

    /// The type flag.
    pub fn flag(&self) -> u8 {
        self.block[156]
    }

    /// The name, with the prefix in front where the format has one.
    pub fn path(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        let prefix = match self.format() {
            Format::Ustar => text(&self.block[345..500]),
            Format::Star => text(&self.block[345..476]),
            Format::V7 | Format::Gnu => b"",
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// The target of a link.
    pub fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    /// Permission and set-id bits; the file type bits that some writers add are
    /// left out.
    pub fn mode(&self) -> Result<u32> {
        let mode = number(&self.block[100..108], "mode")?;
        u32::try_from(mode & 0o7777).map_err(|_| Error::refused("the header's mode is negative"))
    }

    /// The owner.
    pub fn uid(&self) -> Result<u64> {
        not_negative(number(&self.block[108..116], "uid")?, "uid")
    }

    /// The group.
    pub fn gid(&self) -> Result<u64> {
        not_negative(number(&self.block[116..124], "gid")?, "gid")
    }

    /// The number of data bytes behind the header.
    pub fn size(&self) -> Result<u64> {
        not_negative(number(&self.block[124..136], "size")?, "size")
    }

    /// Seconds since 1970.
    pub fn mtime(&self) -> Result<i64> {
        number(&self.block[136..148], "mtime")
    }

    /// Major and minor number.
    pub fn device(&self) -> Result<(u64, u64)> {
        if self.format() == Format::V7 {
            return Ok((0, 0));
        }
        Ok((
            not_negative(number(&self.block[329..337], "device number")?, "device number")?,
            not_negative(number(&self.block[337..345], "device number")?, "device number")?,
        ))
    }

    /// The four map entries of an old GNU sparse header, whether more blocks of
    /// them follow, and the size of the file.
    pub fn sparse(&self) -> Result<(Vec<Piece>, bool, u64)> {
        let size = not_negative(number(&self.block[483..495], "real size")?, "real size")?;
        Ok((sparse_pairs(&self.block[386..482])?, self.block[482] != 0, size))
    }
}

fn not_negative(value: i64, what: &str) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::refused(format!("the header's {what} is negative")))
}

/// The pairs of offset and length in a field of an old GNU sparse header, up to
/// the first unused one.
fn sparse_pairs(field: &[u8]) -> Result<Vec<Piece>> {
    let (pairs, _) = field.as_chunks::<24>();
    let mut out = Vec::new();
    for pair in pairs {
        if pair[0] == 0 || pair[12] == 0 {
            break;
        }
        out.push((
            not_negative(number(&pair[..12], "sparse offset")?, "sparse offset")?,
            not_negative(number(&pair[12..], "sparse length")?, "sparse length")?,
        ));
    }
    Ok(out)
}

/// A block that continues the map of an old GNU sparse header: 21 pairs, and
/// whether another block follows.
pub fn sparse_block(block: &[u8; BLOCK]) -> Result<(Vec<Piece>, bool)> {
    Ok((sparse_pairs(&block[..504])?, block[504] != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"00000000", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o7777_7777)),
            (b"\x80\0\0\0\0\0\x01\x00", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"-0000001", None),
            (b"0000648\0", None),
            (b"12 34\0\0\0", None),
        ] {
            assert_eq!(number(field, "test").ok(), expected, "{field:?}");
        }
    }
}
