//! From an index to the one image that is meant (image-spec, image-index.md).

use super::model::{Descriptor, DocumentKind, Index};
use super::platform::Platform;
use crate::digest::Digest;
use crate::error::{Context as _, Error, Result};
use crate::reference::Reference;
use crate::refuse;
use crate::source::Files;
use crate::text::quoted;
use std::collections::BTreeSet;

/// Indexes within indexes.
const MAX_DEPTH: usize = 8;
/// Descriptors looked at.
const MAX_NODES: usize = 10_000;

/// One image that an index leads to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its manifest.
    pub descriptor: Descriptor,
    /// The digest of that.
    pub digest: Digest,
    /// The name under which the outermost index lists it.
    pub name: Option<String>,
    /// What its descriptor says it is for.
    pub platform: Option<Platform>,
}

/// The outcome of [`select`].
#[derive(Debug)]
pub struct Selected {
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// Its digest.
    pub digest: Digest,
}

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor
        .annotation("io.containerd.image.name")
        .or_else(|| descriptor.annotation("org.opencontainers.image.ref.name"))
}

/// The part of a reference behind its last colon, unless that belongs to a port.
fn tag(name: &str) -> Option<&str> {
    name.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// The short form in which docker shows a name: without the default registry and
/// folder.
pub fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// Whether the user's `wanted` names this entry: first by its reference, then by
/// its full image name, then by the tag of either.
fn named(descriptor: &Descriptor, wanted: &str, step: usize) -> bool {
    let reference = descriptor.annotation("org.opencontainers.image.ref.name");
    let image = descriptor.annotation("io.containerd.image.name");
    match step {
        0 => reference == Some(wanted),
        1 => image.is_some_and(|name| {
            name == wanted
                || familiar(name) == familiar(wanted)
                || familiar(name).strip_suffix(":latest") == Some(familiar(wanted))
        }),
        _ => [reference, image].iter().any(|n| n.and_then(tag) == Some(wanted)),
    }
}

fn chosen_roots(index: &Index, reference: &Reference) -> Result<Vec<Descriptor>> {
    let images = || index.manifests.iter().filter(|d| !d.is_attestation());
    let missing = |what: String| {
        let names: BTreeSet<String> =
            images().filter_map(name_of).map(|n| quoted(n).to_string()).collect();
        let names = Vec::from_iter(names).join(", ");
        let there = if names.is_empty() { "no image has a name".into() } else { names };
        Err(Error::not_found(format!("{what}; there is: {there}")))
    };
    match reference {
        Reference::Only => Ok(images().cloned().collect()),
        Reference::Name(wanted) => {
            for step in 0..3 {
                let found: Vec<_> = images().filter(|d| named(d, wanted, step)).cloned().collect();
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            missing(format!("no image is called {}", quoted(wanted)))
        }
        // Found anywhere in the tree, so the filter comes after the walk.
        Reference::Digest(_) => Ok(index.manifests.clone()),
        Reference::Number(n) => match images().nth(*n) {
            Some(descriptor) => Ok(vec![descriptor.clone()]),
            None => missing(format!("there is no image number {n} (the first is 0)")),
        },
    }
}

/// All images below `roots`, each digest once.
fn leaves(files: &dyn Files, roots: Vec<Descriptor>, limit: u64) -> Result<Vec<Candidate>> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    let mut nodes = 0;
    let mut waiting: Vec<(Descriptor, usize, Option<String>)> = roots
        .into_iter()
        .rev()
        .map(|d| {
            let name = name_of(&d).map(str::to_owned);
            (d, 0, name)
        })
        .collect();
    while let Some((descriptor, depth, name)) = waiting.pop() {
        nodes += 1;
        if nodes > MAX_NODES {
            refuse!("the index leads to more than {MAX_NODES} entries");
        }
        if descriptor.is_attestation() {
            continue;
        }
        let digest = descriptor.digest()?;
        if !seen.insert(digest.clone()) {
            continue;
        }
        let platform = descriptor.platform.as_ref().map(Platform::of);
        match descriptor.kind() {
            Ok(DocumentKind::Manifest) => {
                out.push(Candidate { descriptor, digest, name, platform });
            }
            Ok(DocumentKind::Index) => {
                if depth >= MAX_DEPTH {
                    refuse!("indexes are nested deeper than {MAX_DEPTH} levels");
                }
                let content = super::fetch(files, &descriptor, limit)?;
                let index = Index::parse(&content, descriptor.media_type.as_deref())
                    .context(|| format!("index {digest}"))?;
                for child in index.manifests.into_iter().rev() {
                    waiting.push((child, depth + 1, name.clone()));
                }
            }
            Err(error) => return Err(error.in_context(digest)),
        }
    }
    Ok(out)
}

/// Every image that an index leads to.
pub fn candidates(files: &dyn Files, index: &Index, limit: u64) -> Result<Vec<Candidate>> {
    leaves(files, index.manifests.clone(), limit)
}

fn listed(candidates: &[Candidate]) -> String {
    let line = |c: &Candidate| {
        let name = c.name.as_deref().map(|n| format!("{} ", quoted(n))).unwrap_or_default();
        let platform = c.platform.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
        format!("\n  {name}{}{platform}", c.digest)
    };
    let mut text: String = candidates.iter().take(50).map(line).collect();
    if candidates.len() > 50 {
        text.push_str("\n  and more");
    }
    text
}

/// Finds the image that `reference` and `platform` mean, or says what there is.
pub fn select(
    files: &dyn Files,
    index: &Index,
    reference: &Reference,
    platform: &Platform,
    limit: u64,
) -> Result<Selected> {
    let mut found = leaves(files, chosen_roots(index, reference)?, limit)?;
    if let Reference::Digest(wanted) = reference {
        found.retain(|c| c.digest == *wanted);
        found.truncate(1);
        if found.is_empty() {
            return Err(Error::not_found(format!("no image has the digest {wanted}")));
        }
    }
    if found.is_empty() {
        return Err(Error::not_found("the index lists no image"));
    }
    // An entry that says nothing of its platform may be anything; one that says it
    // fits goes before it.
    let rank = |c: &Candidate| match &c.platform {
        Some(p) if !p.architecture.is_empty() => platform.rank(p),
        _ => Some(usize::MAX),
    };
    let Some(best) = found.iter().filter_map(rank).min() else {
        return Err(Error::not_found(format!(
            "no image for {platform}; there is:{}\nchoose with --platform os/arch[/variant]",
            listed(&found)
        )));
    };
    let all = found.clone();
    found.retain(|c| rank(c) == Some(best));
    let Some(first) = found.first() else {
        return Err(Error::not_found("the index lists no image"));
    };
    if found.iter().any(|c| c.digest != first.digest) {
        return Err(Error::not_found(format!(
            "several images match, say which one, as IMAGE:NAME or IMAGE@DIGEST; there is:{}",
            listed(&all)
        )));
    }
    Ok(Selected { descriptor: first.descriptor.clone(), digest: first.digest.clone() })
}
