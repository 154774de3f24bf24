//! From words to an order. Values are checked here, so that everything behind sees
//! only what is meant.

use super::help::Topic;
use super::options::{Id, OPTIONS, Spec, Verb};
use crate::choice::Choice;
use crate::config::{self, Profile, Seccomp, Volumes};
use crate::document::{self, Platform};
use crate::error::{Context as _, Error, Result};
use crate::extract::IdRange;
use crate::reference::ImageName;
use crate::text::quoted;
use crate::unpack::Order;
use std::ffi::OsString;
use std::path::PathBuf;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Quiet,
    Normal,
    Verbose,
    Json,
}

/// What is to be done.
pub enum Command {
    Help(Topic),
    Version,
    Unpack(Box<Order>, Output),
    Verify(Choice, Output),
}

/// Bytes that a file named by an option may have.
const MAX_OPTION_FILE: u64 = 4 << 20;

fn usage(error: lexopt::Error) -> Error {
    Error::usage(error.to_string())
}

fn text(value: OsString) -> Result<String> {
    value
        .into_string()
        .map_err(|value| Error::usage(format!("{} is not UTF-8", quoted(&value.to_string_lossy()))))
}

/// Parses the words behind the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = lexopt::Parser::from_args(args);
    match parser.next().map_err(usage)? {
        None => Err(Error::usage("a command is missing")),
        Some(lexopt::Arg::Short('h') | lexopt::Arg::Long("help")) => {
            Ok(Command::Help(Topic::Program))
        }
        Some(lexopt::Arg::Long("version")) => Ok(Command::Version),
        Some(lexopt::Arg::Value(name)) => match text(name)?.as_str() {
            "unpack" => command(parser, Verb::Unpack),
            "verify" => command(parser, Verb::Verify),
            "help" => Ok(Command::Help(Topic::Program)),
            other => Err(Error::usage(format!("there is no command {}", quoted(other)))),
        },
        Some(other) => Err(usage(other.unexpected())),
    }
}

fn command(mut parser: lexopt::Parser, verb: Verb) -> Result<Command> {
    let wanted = if verb == Verb::Unpack { 2 } else { 1 };
    let mut settings = Settings::default();
    let mut names: Vec<OsString> = Vec::new();
    loop {
        if verb == Verb::Unpack && names.len() == wanted {
            // What follows the bundle is for the container only behind "--", so that a
            // misplaced option is not taken for a word of the command.
            if let Some(mut rest) = parser.try_raw_args()
                && rest.next_if(|word| word == "--").is_some()
            {
                let words: Result<Vec<String>> = rest.map(text).collect();
                settings.order.config.words = words?;
                break;
            }
        }
        let Some(arg) = parser.next().map_err(usage)? else { break };
        let spec = match arg {
            lexopt::Arg::Value(name) => {
                if names.len() == wanted {
                    let hint = match verb {
                        Verb::Unpack => "; words for the container stand behind --",
                        Verb::Verify => "",
                    };
                    return Err(Error::usage(format!(
                        "unexpected {}{hint}",
                        quoted(&name.to_string_lossy())
                    )));
                }
                names.push(name);
                continue;
            }
            lexopt::Arg::Long(long) => OPTIONS.iter().find(|spec| spec.long == long),
            lexopt::Arg::Short(short) => OPTIONS.iter().find(|spec| spec.short == Some(short)),
        };
        let Some(spec) = spec.filter(|spec| spec.serves(verb)) else {
            return Err(usage(arg.unexpected()));
        };
        let value = match spec.value {
            Some(_) => text(parser.value().map_err(usage)?)?,
            None => String::new(),
        };
        match spec.id {
            Id::Help => return Ok(Command::Help(Topic::Command(verb))),
            Id::Version => return Ok(Command::Version),
            _ => settings.set(spec, value).map_err(|error| match error.to_string() {
                text if text.starts_with("--") => error,
                _ => error.in_context(format_args!("--{}", spec.long)),
            })?,
        }
    }
    let Settings { mut order, output } = settings;
    let mut names = names.into_iter();
    match (verb, names.next(), names.next()) {
        (Verb::Unpack, Some(image), Some(bundle)) => {
            order.choice.image = ImageName::parse(&text(image)?)?;
            order.bundle = PathBuf::from(bundle);
            Ok(Command::Unpack(Box::new(order), output))
        }
        (Verb::Verify, Some(image), _) => {
            order.choice.image = ImageName::parse(&text(image)?)?;
            Ok(Command::Verify(order.choice, output))
        }
        (Verb::Unpack, ..) => Err(Error::usage("unpack needs an IMAGE and a BUNDLE")),
        (Verb::Verify, ..) => Err(Error::usage("verify needs an IMAGE")),
    }
}

struct Settings {
    order: Order,
    output: Output,
}

impl Default for Settings {
    fn default() -> Self {
        // Replaced before anyone sees it: both names are required.
        let image = ImageName::nothing();
        Self { order: Order::new(image, PathBuf::new()), output: Output::Normal }
    }
}

impl Settings {
    fn set(&mut self, spec: &Spec, value: String) -> Result<()> {
        let order = &mut self.order;
        let config = &mut order.config;
        let rules = &mut order.rules;
        match spec.id {
            Id::Platform => order.choice.platform = Some(Platform::parse(&value)?),
            Id::User => config.user = Some(value),
            Id::Env => config.env.extend(variable(value)?),
            Id::EnvFile => {
                for line in read_file(&value)?.lines() {
                    let line = line.trim_start();
                    if !line.is_empty() && !line.starts_with('#') {
                        config.env.extend(variable(line.to_owned())?);
                    }
                }
            }
            Id::UnsetEnv => config.unset_env.push(value),
            Id::Cwd => config.cwd = Some(value),
            Id::Entrypoint => config.entrypoint = Some(entrypoint(value)?),
            Id::Tty => config.tty = true,
            Id::AllowNoArgs => config.allow_no_args = true,
            Id::Profile => config.profile = Profile::parse(&value)?,
            Id::CapAdd => config.cap_add.push(value),
            Id::CapDrop => config.cap_drop.push(value),
            Id::NoNewPrivileges => config.no_new_privileges = true,
            Id::Seccomp => config.seccomp = seccomp(&value)?,
            Id::ReadOnly => config.read_only = true,
            Id::UidMap => {
                let range = id_range(&value)?;
                rules.uids.0.push(range);
                config.uids.0.push(range);
            }
            Id::GidMap => {
                let range = id_range(&value)?;
                rules.gids.0.push(range);
                config.gids.0.push(range);
            }
            Id::Hostname => {
                if value.is_empty() || value.len() > 64 || value.contains('\0') {
                    return Err(Error::usage("a host name has 1 to 64 bytes"));
                }
                config.hostname = Some(value);
            }
            Id::Mount => config.mounts.push(config::mount(&value)?),
            Id::Tmpfs => config.mounts.push(config::tmpfs(&value)?),
            Id::Volumes => config.volumes = Volumes::parse(&value)?,
            Id::Annotation => match value.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    config.annotations.insert(key.into(), value.into());
                }
                _ => return Err(Error::usage(format!("{} is not KEY=VALUE", quoted(&value)))),
            },
            Id::NoDevices => rules.no_devices = true,
            Id::KeepDirlinks => rules.keep_dirlinks = true,
            Id::MaxSize => rules.max_size = Some(size(&value)?),
            Id::MaxFileSize => rules.max_file_size = Some(size(&value)?),
            Id::MaxEntries => rules.max_entries = Some(size(&value)?),
            Id::MaxDocument => order.choice.max_document = size(&value)?,
            Id::Force => order.force = true,
            Id::BundleMode => {
                let mode = u32::from_str_radix(&value, 8).ok().filter(|mode| *mode <= 0o777);
                order.mode = Some(mode.ok_or_else(|| {
                    Error::usage(format!("{} is not an octal mode", quoted(&value)))
                })?);
            }
            Id::Json => self.output = Output::Json,
            Id::Quiet => self.output = Output::Quiet,
            Id::Verbose => self.output = Output::Verbose,
            Id::Help | Id::Version => {}
        }
        Ok(())
    }
}

/// `NAME=VALUE`, or `NAME` with the caller's value; nothing if the caller has none.
fn variable(text: String) -> Result<Option<String>> {
    if text.contains('=') {
        return Ok(Some(text));
    }
    if text.is_empty() {
        return Err(Error::usage("a variable needs a name"));
    }
    match std::env::var_os(&text) {
        None => Ok(None),
        Some(value) => match value.into_string() {
            Ok(value) => Ok(Some(format!("{text}={value}"))),
            Err(_) => {
                Err(Error::usage(format!("the caller's variable {} is not UTF-8", quoted(&text))))
            }
        },
    }
}

fn entrypoint(value: String) -> Result<Vec<String>> {
    if value.starts_with('[') {
        return serde_json::from_str(&value).map_err(|error| {
            Error::usage(format!("{} is not a JSON array of words: {error}", quoted(&value)))
        });
    }
    Ok(if value.is_empty() { Vec::new() } else { vec![value] })
}

fn read_file(path: &str) -> Result<String> {
    use std::io::Read as _;
    let what = || format!("file {}", quoted(path));
    let file = std::fs::File::open(path).context(what)?;
    let mut content = String::new();
    file.take(MAX_OPTION_FILE + 1).read_to_string(&mut content).context(what)?;
    if content.len() as u64 > MAX_OPTION_FILE {
        return Err(Error::refused("it is larger than 4 MiB")).context(what);
    }
    Ok(content)
}

fn seccomp(value: &str) -> Result<Seccomp> {
    match value {
        "default" => Ok(Seccomp::Default),
        "none" | "unconfined" => Ok(Seccomp::None),
        path => {
            let content = read_file(path)?;
            let profile = document::parse(content.as_bytes());
            let profile = profile.and_then(config::checked_seccomp);
            profile.map(Seccomp::Given).context(|| format!("file {}", quoted(path)))
        }
    }
}

fn id_range(text: &str) -> Result<IdRange> {
    let wrong = || Error::usage(format!("{} is not CONTAINER:HOST[:COUNT]", quoted(text)));
    let numbers: Vec<u32> =
        text.split(':').map(|n| n.parse().map_err(|_| wrong())).collect::<Result<_>>()?;
    let (container, host, count) = match *numbers.as_slice() {
        [container, host] => (container, host, 1),
        [container, host, count] => (container, host, count),
        _ => return Err(wrong()),
    };
    let fits = |first: u32| first.checked_add(count).is_some();
    if count == 0 || !fits(container) || !fits(host) {
        return Err(wrong());
    }
    Ok(IdRange { container, host, count })
}

/// A number with an optional K, M, G or T, which count in 1024s.
fn size(text: &str) -> Result<u64> {
    let wrong = || Error::usage(format!("{} is not a size such as 500M", quoted(text)));
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    let (digits, shift) = match bare.as_bytes().last() {
        Some(b'K') => (bare.strip_suffix('K'), 10),
        Some(b'M') => (bare.strip_suffix('M'), 20),
        Some(b'G') => (bare.strip_suffix('G'), 30),
        Some(b'T') => (bare.strip_suffix('T'), 40),
        _ => (Some(bare), 0),
    };
    let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Form;

    fn parsed(line: &[&str]) -> Result<Command> {
        parse(line.iter().map(OsString::from))
    }

    fn order(line: &[&str]) -> Order {
        match parsed(line) {
            Ok(Command::Unpack(order, _)) => *order,
            Ok(_) => panic!("not an order"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn words_stand_behind_the_dashes() {
        let order = order(&["unpack", "-t", "oci:x", "b", "--", "sh", "-c", "--", "x"]);
        assert_eq!(order.config.words, ["sh", "-c", "--", "x"]);
        assert!(order.config.tty);
        assert_eq!((order.choice.image.form, order.bundle), (Form::Oci, "b".into()));
    }

    #[test]
    fn options_may_follow_names() {
        let order = order(&["unpack", "oci:x", "b", "--user=1:2", "-eA=1", "--max-size", "2G"]);
        assert_eq!(order.config.user.as_deref(), Some("1:2"));
        assert_eq!(order.config.env, ["A=1"]);
        assert_eq!(order.rules.max_size, Some(2 << 30));
    }

    #[test]
    fn mistakes() {
        for line in [
            &[][..],
            &["pack"],
            &["unpack"],
            &["unpack", "oci:x"],
            &["unpack", "oci:x", "b", "sh"],
            &["unpack", "--nonsense", "oci:x", "b"],
            &["unpack", "--platform", "a/b/c/d", "oci:x", "b"],
            &["unpack", "--max-size", "big", "oci:x", "b"],
            &["unpack", "--max-size", "99999999999T", "oci:x", "b"],
            &["unpack", "--uid-map", "0:1:0", "oci:x", "b"],
            &["unpack", "--bundle-mode", "7777", "oci:x", "b"],
            &["unpack", "--profile", "podman", "oci:x", "b"],
            &["unpack", "--entrypoint", "[1]", "oci:x", "b"],
            &["unpack", "--tty=yes", "oci:x", "b"],
            &["unpack", "--mount", "nonsense", "oci:x", "b"],
        ] {
            match parsed(line) {
                Err(error) => assert_eq!(error.kind().exit_status(), 2, "{line:?}: {error}"),
                Ok(_) => panic!("accepted {line:?}"),
            }
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("5k", Some(5120)),
            ("1MiB", Some(1 << 20)),
            ("1gb", Some(1 << 30)),
            ("", None),
            ("-1", None),
            ("1.5G", None),
            ("M", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
