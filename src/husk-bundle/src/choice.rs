//! Which image is meant, opened and checked for its platform.

use crate::document::{MAX_DOCUMENT, Platform};
use crate::error::{Context as _, Error, Result};
use crate::layer::Limits;
use crate::reference::ImageName;
use crate::source::{self, Image};

/// What the user says about the image.
#[derive(Clone)]
pub struct Choice {
    /// Its name.
    pub image: ImageName,
    /// Which of several platforms; the host's if not said.
    pub platform: Option<Platform>,
    /// Bytes that one document may have.
    pub max_document: u64,
}

/// An image that was found.
pub struct Chosen {
    /// Its documents are verified, its layers are not yet.
    pub image: Image,
    /// What it is for.
    pub platform: Platform,
    /// What the user should know.
    pub warnings: Vec<String>,
}

fn platform_of(image: &Image, wanted: &Platform) -> Platform {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let config = &image.config;
    match text(&config.architecture) {
        architecture if architecture.is_empty() => wanted.clone(),
        architecture => {
            Platform { os: text(&config.os), architecture, variant: text(&config.variant) }
        }
    }
}

impl Choice {
    /// A choice with every default.
    pub fn new(image: ImageName) -> Self {
        Self { image, platform: None, max_document: MAX_DOCUMENT }
    }

    /// The platform that is wanted.
    pub fn wanted(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    /// Finds the image. `spool` bounds temporary space, in bytes.
    pub fn open(&self, spool: Option<u64>, limits: &Limits) -> Result<Chosen> {
        let context = || format!("image {}", self.image);
        let wanted = self.wanted();
        let image = source::open(&self.image, &wanted, self.max_document, spool, limits)
            .context(context)?;
        let platform = platform_of(&image, &wanted);
        let mut warnings = Vec::new();
        if wanted.rank(&platform).is_none() {
            if self.platform.is_some() {
                let message = format!("it is for {platform}, not for {wanted}");
                return Err(Error::not_found(message)).context(context);
            }
            warnings.push(format!("the image is for {platform}, this machine is {wanted}"));
        }
        Ok(Chosen { image, platform, warnings })
    }
}
