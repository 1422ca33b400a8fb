//! Draws pictures as PNG, for who reads no SVG: messengers, mail, slides.
//!
//! There is one font in the binary. It has the Latin, Greek, Cyrillic and Arabic scripts and more, and neither Japanese,
//! Chinese or Korean nor emoji: a font for these has many megabytes. For these the [fonts](super::fonts) of the machine are
//! used. A picture whose texts can be written with none of them is not drawn with boxes in their place;
//! [`Pictures::can_write`] says so before.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use bytes::Bytes;
use resvg::{
    render,
    tiny_skia::{Pixmap, Transform},
    usvg::{
        Options, Tree,
        fontdb::{Database, Source},
    },
};
use sha2::{Digest, Sha256};
use skrifa::{FontRef, MetadataProvider, charmap::Charmap};
use tokio::sync::Semaphore;

use super::fonts::MachineFonts;
use crate::problem::Problem;

const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";

/// How many pictures are kept. The largest are some 200 kB.
const KEPT: usize = 64;

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(FONT)));
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

static SIGNS: LazyLock<Option<Charmap<'static>>> =
    LazyLock::new(|| Some(FontRef::new(FONT).ok()?.charmap()));

/// Whether the font in the binary has this sign.
pub(super) fn base_has(sign: char) -> bool {
    // Marks of direction and joining are not drawn.
    let is_seen = !matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}');
    let signs = SIGNS.as_ref();
    !is_seen || sign.is_whitespace() || signs.is_some_and(|signs| signs.map(sign).is_some())
}

/// Draws pictures, one at a time, and keeps the last ones.
pub(in crate::result) struct Pictures {
    kept: Mutex<VecDeque<(Key, Bytes)>>,
    /// However many ask, only one core draws.
    drawing: Arc<Semaphore>,
    fonts: Arc<MachineFonts>,
}

/// Names a picture by what is drawn.
type Key = [u8; 32];

impl Default for Pictures {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            drawing: Arc::new(Semaphore::new(1)),
            fonts: Arc::default(),
        }
    }
}

impl Pictures {
    /// Whether all signs of these texts can be written.
    pub(super) async fn can_write<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let signs = texts.into_iter().flat_map(str::chars);
        let lacking: Vec<char> = signs.filter(|sign| !base_has(*sign)).collect();
        if lacking.is_empty() {
            return true;
        }
        let fonts = Arc::clone(&self.fonts);
        let has_all = move || lacking.iter().all(|sign| fonts.has(*sign));
        tokio::task::spawn_blocking(has_all).await.unwrap_or(false)
    }

    /// The picture as PNG, this many times as large as it says.
    pub(super) async fn png(&self, svg: String, scale: f32) -> Result<Bytes, Problem> {
        // The rasteriser finds the direction of each text by itself, and the font has no sign for the isolates.
        let svg = svg.replace(['\u{2068}', '\u{2069}'], "");
        let key: Key = Sha256::digest(&svg).into();
        if let Some(kept) = self.kept(&key) {
            return Ok(kept);
        }
        let permit = Arc::clone(&self.drawing).acquire_owned().await;
        let permit = permit.map_err(|_| Problem::internal())?;
        // Somebody else may have had it drawn meanwhile.
        if let Some(kept) = self.kept(&key) {
            return Ok(kept);
        }
        let fonts = Arc::clone(&self.fonts);
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = draw(&svg, scale, &fonts);
            drop(permit);
            drawn
        });
        let png = drawn.await.ok().flatten().ok_or_else(|| {
            tracing::error!("could not draw a picture");
            Problem::internal()
        })?;
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back((key, png.clone()));
        if all.len() > KEPT {
            all.pop_front();
        }
        Ok(png)
    }

    fn kept(&self, key: &Key) -> Option<Bytes> {
        let all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = all.iter().filter(|(kept, _)| kept == key);
        of.next().map(|(_, png)| png.clone())
    }
}

fn draw(svg: &str, scale: f32, fonts: &MachineFonts) -> Option<Bytes> {
    let mut fontdb = Arc::clone(&FONTS);
    fonts.add_for(svg, &mut fontdb);
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb,
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).ok()?;
    let size = tree.size().to_int_size().scale_by(scale)?;
    let mut image = Pixmap::new(size.width(), size.height())?;
    let transform = Transform::from_scale(scale, scale);
    render(&tree, transform, &mut image.as_mut());
    Some(image.encode_png().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::share::fonts::tests::with_a_square;

    #[test]
    fn the_font_has_the_scripts_that_the_documents_name() {
        for text in [
            "Tea or coffee? – “Ärger”, naïve, Łódź",
            "Сколько голосов?",
            "ماذا تشرب في الصباح؟",
            "Τσάι ή καφές;",
            "\u{2068}Cats\u{2069}",
        ] {
            assert!(text.chars().all(base_has), "{text}");
        }
        for sign in ['お', '茶', '차', '🍕'] {
            assert!(!base_has(sign), "{sign}");
        }
    }

    #[tokio::test]
    async fn signs_that_the_font_lacks_are_written_with_a_font_of_the_machine() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"100\" font-family=\"sans-serif\">\
             <text x=\"0\" y=\"90\" font-size=\"100\" fill=\"#f00\">茶</text></svg>";
        let pictures = Pictures {
            fonts: Arc::new(with_a_square()),
            ..Pictures::default()
        };
        assert!(pictures.can_write(["Tea", "茶"]).await);
        assert!(!pictures.can_write(["茶", "水"]).await);
        let png = pictures.png(svg.to_owned(), 1.0).await.unwrap();
        let image = Pixmap::decode_png(&png).unwrap();
        let inside = image.pixel(50, 50).unwrap();
        assert_eq!((inside.red(), inside.alpha()), (255, 255), "the square");
        assert_eq!(image.pixel(2, 50).unwrap().alpha(), 0, "beside it");
    }

    #[tokio::test]
    async fn a_picture_is_drawn_once_and_has_its_letters() {
        let pictures = Pictures::default();
        let svg = |text: &str| {
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"50\" font-family=\"system-ui, sans-serif\">\
                 <text x=\"10\" y=\"30\" font-size=\"20\" fill=\"#f00\">{text}</text></svg>"
            )
        };
        let png = pictures.png(svg("Cats"), 2.0).await.unwrap();
        let image = Pixmap::decode_png(&png).unwrap();
        assert_eq!((image.width(), image.height()), (400, 100));
        let red = image.pixels().iter().filter(|pixel| pixel.alpha() > 200);
        assert!(red.count() > 200, "letters are drawn");
        let same = pictures.png(svg("Cats"), 2.0).await.unwrap();
        assert_eq!(same.as_ptr(), png.as_ptr(), "it is kept");
        for number in 0..KEPT {
            pictures.png(svg(&number.to_string()), 0.1).await.unwrap();
        }
        assert!(pictures.kept(&Sha256::digest(svg("Cats")).into()).is_none());
    }
}
