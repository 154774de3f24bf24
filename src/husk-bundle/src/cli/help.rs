//! The help texts.

use super::options::{Group, OPTIONS, Spec, Verb};
use std::fmt::Write as _;

/// What help was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Program,
    Command(Verb),
}

const PROGRAM: &str = "\
husk-bundle turns a container image into a bundle: a directory with a config.json
and a root file system, from which an OCI runtime starts a container.

Usage:
  husk-bundle unpack [options] IMAGE BUNDLE [-- WORDS...]
  husk-bundle verify [options] IMAGE
  husk-bundle unpack --help        all options
  husk-bundle --version

For example:
  skopeo copy docker://debian:12 oci:debian     # or: docker save debian:12 -o debian.tar
  husk-bundle unpack oci:debian ./bundle -- sh -c 'echo hello'
  husk run --bundle ./bundle demo
";

const UNPACK: &str = "\
Usage: husk-bundle unpack [options] IMAGE BUNDLE [-- WORDS...]

Unpacks IMAGE into the new directory BUNDLE. WORDS, if given, replace the command of
the image. Every size and digest is verified; BUNDLE appears whole or not at all.
";

const VERIFY: &str = "\
Usage: husk-bundle verify [options] IMAGE

Reads IMAGE to its end and checks every size, digest and diff id. Writes nothing.
";

const IMAGE: &str = "
IMAGE is one of
  oci:DIR[:NAME]             an image layout directory
  oci-archive:FILE[:NAME]    the same in a tar, which may be compressed
  docker-archive:FILE[:NAME] what `docker save` writes
  tar:FILE                   a root file system; it says nothing about what to run,
                             so give WORDS
  PATH                       any of these, found out by looking
NAME is a name or tag in the image; @DIGEST and @N (the Nth, from 0) work in its place.
FILE may be - for standard input.
";

const STATUS: &str = "
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no such image or platform.
";

const EXAMPLES: &str = "
For example:
  husk-bundle unpack oci:alpine ./bundle
  husk-bundle unpack --tty docker-archive:app.tar:app:1.2 ./bundle -- sh
  docker save app | husk-bundle unpack docker-archive:- ./bundle
  husk-bundle unpack --user 1000:1000 --read-only --tmpfs /tmp app.tar ./bundle
";

fn heading(spec: &Spec) -> String {
    let short = spec.short.map(|c| format!("-{c}, ")).unwrap_or_default();
    let value = spec.value.map(|value| format!(" {value}")).unwrap_or_default();
    format!("  {short}--{}{value}", spec.long)
}

/// The text for a topic.
pub fn text(topic: Topic) -> String {
    let verb = match topic {
        Topic::Program => return PROGRAM.into(),
        Topic::Command(verb) => verb,
    };
    let mut out = match verb {
        Verb::Unpack => UNPACK.to_owned() + IMAGE,
        Verb::Verify => VERIFY.to_owned() + IMAGE,
    };
    for (group, title) in Group::ALL {
        let listed = || OPTIONS.iter().filter(|spec| spec.group == group && spec.serves(verb));
        if listed().next().is_none() {
            continue;
        }
        let _ = write!(out, "\n{title}:\n");
        for spec in listed() {
            let heading = heading(spec);
            let mut lines = spec.help.lines();
            if heading.len() < 30 {
                let _ = writeln!(out, "{heading:30}{}", lines.next().unwrap_or_default());
            } else {
                let _ = writeln!(out, "{heading}");
            }
            for line in lines {
                let _ = writeln!(out, "{:30}{line}", "");
            }
        }
    }
    out + STATUS + if verb == Verb::Unpack { EXAMPLES } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_help_and_lines_fit() {
        let text = text(Topic::Command(Verb::Unpack));
        for spec in &OPTIONS {
            assert!(text.contains(&format!("--{}", spec.long)), "{}", spec.long);
        }
        for (n, one) in OPTIONS.iter().enumerate() {
            for other in OPTIONS.iter().skip(n + 1) {
                assert_ne!(one.long, other.long);
                assert!(one.short.is_none() || one.short != other.short);
            }
        }
        assert!(text.lines().all(|line| line.len() <= 110), "a line is too long");
    }
}
