//! Writing archives.

/// Builds an archive member by member. Members get mode 0755 or 0644, owner 0:0 and
/// mtime 1 unless a call before says otherwise.
#[derive(Clone, Default)]
pub struct Tar {
    out: Vec<u8>,
    next: Settings,
}

#[derive(Clone, Default)]
struct Settings {
    mode: Option<u32>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    pax: Vec<(Vec<u8>, Vec<u8>)>,
    gnu: bool,
}

/// One record of an extended header.
pub fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

/// A number in a header field: octal if it fits, else base-256.
fn number(field: &mut [u8], value: i64) {
    let digits = field.len() - 1;
    let octal = format!("{value:0digits$o}");
    if value >= 0 && octal.len() == digits {
        field[..digits].copy_from_slice(octal.as_bytes());
        field[digits] = 0;
        return;
    }
    let mut rest = i128::from(value);
    for byte in field.iter_mut().rev() {
        *byte = u8::try_from(rest & 0xff).expect("masked to a byte");
        rest >>= 8;
    }
    field[0] |= 0x80;
}

/// Puts the right checksum into a header.
fn seal(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

impl Tar {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Mode of the next member.
    pub fn mode(mut self, mode: u32) -> Self {
        self.next.mode = Some(mode);
        self
    }

    /// Owner and group of the next member.
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.next.uid, self.next.gid) = (Some(uid), Some(gid));
        self
    }

    /// Modification time of the next member, in seconds.
    pub fn mtime(mut self, mtime: i64) -> Self {
        self.next.mtime = Some(mtime);
        self
    }

    /// A record of the extended header of the next member.
    pub fn pax(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.next.pax.push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// An extended attribute of the next member.
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(format!("SCHILY.xattr.{name}"), value)
    }

    /// Long names of the next member are written in GNU's way.
    pub fn gnu(mut self) -> Self {
        self.next.gnu = true;
        self
    }

    /// A directory.
    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.member(b'5', name.as_ref(), b"", &[], (0, 0))
    }

    /// A regular file.
    pub fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.member(b'0', name.as_ref(), b"", data, (0, 0))
    }

    /// A symbolic link.
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(b'2', name.as_ref(), target.as_ref(), &[], (0, 0))
    }

    /// Another name for a member that came before.
    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(b'1', name.as_ref(), target.as_ref(), &[], (0, 0))
    }

    /// A named pipe.
    pub fn fifo(self, name: impl AsRef<[u8]>) -> Self {
        self.member(b'6', name.as_ref(), b"", &[], (0, 0))
    }

    /// A device; `flag` is `b'3'` for a character and `b'4'` for a block device.
    pub fn device(self, flag: u8, name: impl AsRef<[u8]>, major: i64, minor: i64) -> Self {
        self.member(flag, name.as_ref(), b"", &[], (major, minor))
    }

    /// A member of any type.
    pub fn member(
        mut self,
        flag: u8,
        name: &[u8],
        link: &[u8],
        data: &[u8],
        device: (i64, i64),
    ) -> Self {
        let next = std::mem::take(&mut self.next);
        let mut pax = next.pax;
        for (field, key, long) in [(name, "path", b'L'), (link, "linkpath", b'K')] {
            if field.len() <= 100 {
                continue;
            }
            if next.gnu {
                let data = [field, b"\0"].concat();
                let header = header(long, b"././@LongLink", b"", data.len(), &Settings::default());
                self = self.raw(&header).padded(&data);
            } else if !pax.iter().any(|(other, _)| other == key.as_bytes()) {
                pax.insert(0, (key.as_bytes().to_vec(), field.to_vec()));
            }
        }
        if !pax.is_empty() {
            let records: Vec<u8> = pax.iter().flat_map(|(k, v)| pax_record(k, v)).collect();
            let header = header(b'x', b"PaxHeaders/x", b"", records.len(), &Settings::default());
            self = self.raw(&header).padded(&records);
        }
        let settings = Settings { pax: Vec::new(), ..next };
        let mut block = header(flag, name, link, data.len(), &settings);
        number(&mut block[329..337], device.0);
        number(&mut block[337..345], device.1);
        seal(&mut block);
        self.raw(&block).padded(data)
    }

    /// A global extended header.
    pub fn global(self, records: &[(&str, &str)]) -> Self {
        let data: Vec<u8> =
            records.iter().flat_map(|(k, v)| pax_record(k.as_bytes(), v.as_bytes())).collect();
        let header = header(b'g', b"pax_global_header", b"", data.len(), &Settings::default());
        self.raw(&header).padded(&data)
    }

    /// A header block changed by `change`, with its checksum made right again, and
    /// data behind it.
    pub fn changed_header(
        mut self,
        flag: u8,
        name: &str,
        data: &[u8],
        change: impl FnOnce(&mut [u8; 512]),
    ) -> Self {
        let next = std::mem::take(&mut self.next);
        let mut block = header(flag, name.as_bytes(), b"", data.len(), &next);
        change(&mut block);
        seal(&mut block);
        self.raw(&block).padded(data)
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Bytes, and zeros up to the next block.
    pub fn padded(mut self, bytes: &[u8]) -> Self {
        self.out.extend_from_slice(bytes);
        self.out.resize(self.out.len().next_multiple_of(512), 0);
        self
    }

    /// The archive, with two end blocks.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.resize(self.out.len() + 1024, 0);
        self.out
    }

    /// The archive without end blocks.
    pub fn cut(self) -> Vec<u8> {
        self.out
    }
}

fn header(flag: u8, name: &[u8], link: &[u8], size: usize, settings: &Settings) -> [u8; 512] {
    let mut block = [0u8; 512];
    let short = |text: &[u8]| text[..text.len().min(100)].to_vec();
    let (name, link) = (short(name), short(link));
    block[..name.len()].copy_from_slice(&name);
    block[157..157 + link.len()].copy_from_slice(&link);
    let usual = if flag == b'5' { 0o755 } else { 0o644 };
    number(&mut block[100..108], i64::from(settings.mode.unwrap_or(usual)));
    let id = |id: Option<u64>| id.unwrap_or(0).cast_signed();
    number(&mut block[108..116], id(settings.uid));
    number(&mut block[116..124], id(settings.gid));
    number(&mut block[124..136], i64::try_from(size).expect("a size in memory"));
    number(&mut block[136..148], settings.mtime.unwrap_or(1));
    block[156] = flag;
    block[257..265].copy_from_slice(if settings.gnu { b"ustar  \0" } else { b"ustar\x0000" });
    seal(&mut block);
    block
}
