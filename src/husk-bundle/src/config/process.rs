//! The words, the environment and the directory of the process.

use super::Options;
use crate::document::ProcessConfig;
use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::text::quoted;

/// The search path when the image has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn no_nul(text: &str, what: &str) -> Result<()> {
    if text.contains('\0') {
        refuse!("{what} {} contains a NUL", quoted(text));
    }
    Ok(())
}

/// The command: entry point and words, of the user where given, else of the image.
/// An entry point of the user drops the words of the image, which were meant for
/// another program.
pub fn args(image: &ProcessConfig, options: &Options) -> Result<Vec<String>> {
    let mut out = match &options.entrypoint {
        Some(words) => words.clone(),
        None => image.entrypoint.clone().unwrap_or_default(),
    };
    if !options.words.is_empty() {
        out.extend(options.words.iter().cloned());
    } else if options.entrypoint.is_none() {
        out.extend(image.cmd.iter().flatten().cloned());
    }
    if out.is_empty() && !options.allow_no_args {
        refuse!(
            "the image does not say what to run; give the words behind --, or --entrypoint, \
             or --allow-no-args"
        );
    }
    for word in &out {
        no_nul(word, "the command's word")?;
    }
    Ok(out)
}

/// One variable with the checks that execve's users rely on.
fn variable(text: &str) -> Result<(&str, &str)> {
    no_nul(text, "the variable")?;
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => refuse!("the variable {} is not of the form NAME=value", quoted(text)),
    }
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

/// The environment: the image's variables as they are and in their order, then
/// what is missing, with the user's changes in place.
pub fn env(image: &ProcessConfig, options: &Options, home: &str) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    for text in image.env.iter().flatten() {
        variable(text).context(|| "the image's config")?;
        out.push(text.clone());
    }
    let defaults = [
        Some(format!("PATH={PATH}")),
        options.tty.then(|| "TERM=xterm".to_owned()),
        Some(format!("HOME={home}")),
    ];
    for default in defaults.into_iter().flatten() {
        if !out.iter().any(|other| name(other) == name(&default)) {
            out.push(default);
        }
    }
    for text in &options.env {
        variable(text).map_err(|e| Error::usage(format!("--env: {e}")))?;
        // In place, so that the order stays that of the image.
        let mut same = out.iter_mut().filter(|other| name(other) == name(text));
        match same.next() {
            Some(first) => first.clone_from(text),
            None => out.push(text.clone()),
        }
    }
    out.retain(|text| !options.unset_env.iter().any(|unset| unset == name(text)));
    Ok(out)
}

/// A path of the image: absolute, without `.`, `..` and empty components.
pub fn absolute(path: &str, what: &str) -> Result<String> {
    no_nul(path, what)?;
    if !path.starts_with('/') {
        refuse!("{what} {} is not absolute", quoted(path));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    refuse!("{what} {} climbs above the root", quoted(path));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// Where the process starts.
pub fn cwd(image: &ProcessConfig, options: &Options) -> Result<String> {
    match options.cwd.as_deref().or(image.working_dir.as_deref()) {
        None | Some("") => Ok("/".into()),
        Some(path) => absolute(path, "the working directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn commands() {
        let image = ProcessConfig {
            entrypoint: Some(words(&["/entry"])),
            cmd: Some(words(&["default"])),
            ..ProcessConfig::default()
        };
        for (entrypoint, given, expected) in [
            (None, vec![], vec!["/entry", "default"]),
            (None, vec!["mine"], vec!["/entry", "mine"]),
            (Some(vec!["/other"]), vec![], vec!["/other"]),
            (Some(vec!["/other"]), vec!["mine"], vec!["/other", "mine"]),
            (Some(vec![]), vec!["mine"], vec!["mine"]),
        ] {
            let options = Options {
                entrypoint: entrypoint.map(|e| words(&e)),
                words: words(&given),
                ..Options::default()
            };
            assert_eq!(args(&image, &options).unwrap(), words(&expected));
        }
        assert!(args(&ProcessConfig::default(), &Options::default()).is_err());
    }

    #[test]
    fn environments() {
        let image = |env: &[&str]| ProcessConfig { env: Some(words(env)), ..Default::default() };
        let plain = Options::default();
        assert_eq!(
            env(&image(&["HOME=/mine", "A=1"]), &plain, "/root").unwrap(),
            words(&["HOME=/mine", "A=1", &format!("PATH={PATH}")])
        );
        let options = Options {
            tty: true,
            env: words(&["A=2", "B=3"]),
            unset_env: words(&["PATH"]),
            ..Options::default()
        };
        assert_eq!(
            env(&image(&["A=1"]), &options, "/").unwrap(),
            words(&["A=2", "TERM=xterm", "HOME=/", "B=3"])
        );
        for bad in ["novalue", "=x", "A=\0"] {
            assert!(env(&image(&[bad]), &plain, "/").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn directories() {
        for (path, expected) in [
            ("/a//b/./c/", Some("/a/b/c")),
            ("/a/../b", Some("/b")),
            ("/", Some("/")),
            ("a", None),
            ("/..", None),
            ("/a\0", None),
        ] {
            assert_eq!(absolute(path, "path").ok().as_deref(), expected, "{path:?}");
        }
    }
}
