//! The name, the colour and the logo that a deployment gives its pages.
//!
//! A template asks for the theme of the service that answers ([`current`]). So a page needs no field for it, and a service
//! without a theme does nothing.

mod colour;
mod logo;
mod palette;

use std::{
    future::Future,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use self::{colour::Colour, logo::Logo};

/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

/// What a deployment gives its pages: a name, a colour, a logo.
///
/// The colour is made to fit where its contrast is too low, for light and for dark pages: text has a contrast of 4.5:1 or
/// more, bars and borders have one of 3:1 or more.
#[derive(Debug, Clone, Default)]
pub struct Theme(Arc<Inner>);

#[derive(Debug, Clone, Default)]
struct Inner {
    name: Option<String>,
    style: Option<Bytes>,
    logo: Option<Arc<Logo>>,
    /// A hash of style and logo. It is in their addresses, so that browsers can keep them.
    version: String,
}

/// Why a theme is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTheme {
    /// The name is empty, too long, or has invisible characters.
    #[error("the name must have 1 to {LONGEST_NAME} characters, and no control characters")]
    Name,
    /// The text is not a colour.
    #[error("{0:?} is not a colour: give six hexadecimal digits, such as #0b6067")]
    Colour(String),
    /// The file is not an image of a known kind, or does not say its size.
    #[error("the logo must be a PNG, or an SVG with a viewBox")]
    NoLogo,
    /// The file has this many bytes.
    #[error("the logo has {0} bytes; it may have 32768")]
    LargeLogo(usize),
    /// The image is too wide or too narrow for the head of a page.
    #[error("the logo must be between 4 times as high as wide and 6 times as wide as high")]
    LogoShape,
}

impl Theme {
    /// Sets the name of the site: beside the logo, and in the titles of pages.
    ///
    /// # Errors
    /// It is empty, too long, or has control characters.
    pub fn with_name(self, name: &str) -> Result<Self, InvalidTheme> {
        let name = name.trim();
        let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
        if !fits || name.chars().any(char::is_control) {
            return Err(InvalidTheme::Name);
        }
        Ok(self.changed(|theme| theme.name = Some(name.to_owned())))
    }

    /// Sets the colour of buttons, bars and of the first of two options, such as `#0b6067`.
    ///
    /// # Errors
    /// The text is not a colour.
    pub fn with_colour(self, colour: &str) -> Result<Self, InvalidTheme> {
        let known = Colour::read(colour.trim());
        let known = known.ok_or_else(|| InvalidTheme::Colour(colour.to_owned()))?;
        Ok(self.changed(|theme| theme.style = Some(palette::style_sheet(known).into())))
    }

    /// Sets the logo: the bytes of a PNG, or of an SVG with a `viewBox`.
    ///
    /// # Errors
    /// It is something else, too large, or too wide.
    pub fn with_logo(self, bytes: impl Into<Bytes>) -> Result<Self, InvalidTheme> {
        let logo = Logo::read(bytes.into())?;
        Ok(self.changed(|theme| theme.logo = Some(Arc::new(logo))))
    }

    fn changed(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        let mut hash = Sha256::new();
        hash.update(inner.style.as_deref().unwrap_or_default());
        hash.update(inner.logo.as_ref().map_or(&[][..], |logo| &logo.bytes));
        inner.version = HEXLOWER.encode(&hash.finalize()[..6]);
        Self(Arc::new(inner))
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The address of its style sheet, below that of the assets.
    pub(crate) fn style_address(&self) -> Option<String> {
        let Inner { style, version, .. } = &*self.0;
        style.as_ref().map(|_| format!("{STYLE}?v={version}"))
    }

    /// The logo as a page shows it.
    pub(crate) fn logo(&self) -> Option<ShownLogo> {
        let Inner { logo, version, .. } = &*self.0;
        logo.as_ref().map(|logo| ShownLogo {
            address: format!("{}?v={version}", logo.kind.name()),
            content_type: logo.kind.content_type(),
            width: logo.width,
        })
    }

    pub(crate) fn version(&self) -> &str {
        &self.0.version
    }

    /// Its files: the name below the address of the assets, the content type, and the bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &'static str, Bytes)> {
        let Inner { style, logo, .. } = &*self.0;
        let style = style.clone();
        let style = style.map(|style| (STYLE, "text/css; charset=utf-8", style));
        let logo = logo.clone();
        let logo = logo.map(|logo| {
            let Logo { bytes, kind, .. } = &*logo;
            (kind.name(), kind.content_type(), bytes.clone())
        });
        style.into_iter().chain(logo)
    }

    /// Makes this the theme of all pages that are made by this future.
    pub(crate) fn around<F: Future>(&self, answer: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), answer)
    }
}

const STYLE: &str = "theme.css";

/// A logo on a page, at a height of 36 CSS pixels.
pub(crate) struct ShownLogo {
    pub(crate) address: String,
    pub(crate) content_type: &'static str,
    pub(crate) width: u32,
}

tokio::task_local! {
    static CURRENT: Theme;
}

static NONE: LazyLock<Theme> = LazyLock::new(Theme::default);

/// The theme of the service that answers.
pub(crate) fn current() -> Theme {
    CURRENT
        .try_with(Theme::clone)
        .unwrap_or_else(|_| NONE.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_theme_is_that_of_the_service_that_answers() {
        assert_eq!(current().name(), None);
        let club = Theme::default().with_name(" Chess club ").unwrap();
        let name = club.around(async { current().name().map(ToOwned::to_owned) });
        assert_eq!(name.await.as_deref(), Some("Chess club"));
        assert_eq!(current().name(), None);
    }

    #[test]
    fn its_files_have_an_address_that_differs_with_their_bytes() {
        let one = Theme::default().with_colour("#0b6067").unwrap();
        let other = Theme::default().with_colour("#0b6068").unwrap();
        assert_ne!(one.style_address(), other.style_address());
        assert_eq!(one.files().count(), 1);
        let logo = one.with_logo(&b"<svg viewBox='0 0 4 2'/>"[..]).unwrap();
        assert_eq!(logo.logo().unwrap().width, 72);
        assert_eq!(logo.files().count(), 2);
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        let long = "x".repeat(41);
        for name in ["", "  ", "a\nb", long.as_str()] {
            assert_eq!(
                Theme::default().with_name(name).unwrap_err(),
                InvalidTheme::Name
            );
        }
        let red = Theme::default().with_colour("red").unwrap_err();
        assert!(red.to_string().contains("#0b6067"), "{red}");
    }
}
