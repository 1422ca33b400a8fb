//! Fonts of the machine, for signs that the font in the binary lacks, such as Japanese and Chinese ones.
//!
//! Fonts for these signs are too large for the binary. Where the machine has one, pictures are written with it. The folders are
//! read once, when the first text needs it, and only the coverage of each font is kept. A font that was installed later is found
//! after a restart.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use resvg::usvg::fontdb::{Database, Source, Style, Weight};
use skrifa::{FontRef, MetadataProvider, raw::TableProvider};

use super::png::base_has;

/// Where systems keep their fonts.
const FOLDERS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

/// So many files are looked at, in folders so deep, and none that is larger.
const MOST_FILES: usize = 2_000;
const DEEPEST: usize = 6;
const LARGEST: u64 = 64 * 1024 * 1024;

/// The fonts of the machine.
#[derive(Debug)]
pub(super) struct MachineFonts {
    folders: Vec<PathBuf>,
    faces: OnceLock<Vec<Face>>,
}

/// A face of a font file.
#[derive(Debug)]
struct Face {
    path: PathBuf,
    is_sans: bool,
    /// The signs that the font in the binary lacks: the first and the last of each range, in order.
    ranges: Vec<(u32, u32)>,
    /// The file, from the first picture that needs it.
    bytes: OnceLock<Option<Arc<Vec<u8>>>>,
}

impl Default for MachineFonts {
    fn default() -> Self {
        Self::in_folders(FOLDERS.map(PathBuf::from).into())
    }
}

impl MachineFonts {
    pub(super) fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            faces: OnceLock::new(),
        }
    }

    /// Whether a font of the machine has this sign. The first call reads all of them: not for a thread of the service.
    pub(super) fn has(&self, sign: char) -> bool {
        self.with(sign).is_some()
    }

    /// Adds the fonts that these texts need.
    pub(super) fn add_for(&self, text: &str, database: &mut Arc<Database>) {
        let lacking: BTreeSet<char> = text.chars().filter(|sign| !base_has(*sign)).collect();
        let mut added: Vec<*const Face> = Vec::new();
        for face in lacking.into_iter().filter_map(|sign| self.with(sign)) {
            if added.iter().any(|one| std::ptr::eq(*one, face)) {
                continue;
            }
            added.push(face);
            if let Some(bytes) = face.bytes() {
                Arc::make_mut(database).load_font_source(Source::Binary(bytes));
            }
        }
    }

    fn with(&self, sign: char) -> Option<&Face> {
        self.faces().iter().find(|face| face.has(sign))
    }

    fn faces(&self) -> &[Face] {
        self.faces.get_or_init(|| {
            let mut files = Vec::new();
            for folder in &self.folders {
                list(folder, DEEPEST, &mut files);
            }
            files.sort_unstable();
            let mut faces: Vec<_> = files.iter().flat_map(|path| faces_of(path)).collect();
            // Of several, the one that looks most like the font in the binary, and then the one with the most signs.
            faces.sort_by_key(|face| (!face.is_sans, std::cmp::Reverse(face.size())));
            tracing::debug!(fonts = faces.len(), "read the fonts of the machine");
            faces
        })
    }
}

impl Face {
    fn has(&self, sign: char) -> bool {
        let sign = u32::from(sign);
        let after = self.ranges.partition_point(|(first, _)| *first <= sign);
        after > 0 && sign <= self.ranges[after - 1].1
    }

    fn size(&self) -> u32 {
        self.ranges
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum()
    }

    fn bytes(&self) -> Option<Arc<Vec<u8>>> {
        let read = || read(&self.path).map(Arc::new);
        self.bytes.get_or_init(read).clone()
    }
}

/// The font files in a folder and below it. A folder that cannot be read has none.
fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if files.len() >= MOST_FILES {
            return;
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("ttf" | "otf" | "ttc" | "otc") => files.push(path),
            _ if depth > 0 && path.is_dir() => list(&path, depth - 1, files),
            _ => {}
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let is_fit = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
    is_fit.then(|| fs::read(path).ok()).flatten()
}

/// The upright faces of usual weight in a file that have signs which the font in the binary lacks.
fn faces_of(path: &Path) -> Vec<Face> {
    let Some(bytes) = read(path).map(Arc::new) else {
        return Vec::new();
    };
    let mut database = Database::new();
    let source = Source::Binary(Arc::<Vec<u8>>::clone(&bytes));
    let ids = database.load_font_source(source);
    let infos = ids.iter().filter_map(|id| database.face(*id));
    let usual = infos.filter(|info| info.style == Style::Normal && info.weight == Weight::NORMAL);
    let faces = usual.filter_map(|info| {
        let font = FontRef::from_index(&bytes, info.index).ok()?;
        // Some have pictures in place of outlines.
        let has_outlines = font.glyf().is_ok() || font.cff().is_ok() || font.cff2().is_ok();
        let ranges = has_outlines.then(|| ranges_of(&font))?;
        let mut names = info.families.iter().map(|(name, _)| name.to_lowercase());
        let is_like = |name: String| {
            ["sans", "gothic", "hei"]
                .iter()
                .any(|word| name.contains(word))
        };
        let is_sans = !info.monospaced && names.any(is_like);
        (!ranges.is_empty()).then(|| Face {
            path: path.to_owned(),
            is_sans,
            ranges,
            bytes: OnceLock::new(),
        })
    });
    faces.collect()
}

fn ranges_of(font: &FontRef<'_>) -> Vec<(u32, u32)> {
    let signs = font.charmap().mappings();
    let signs = signs.filter(|(sign, _)| char::from_u32(*sign).is_some_and(|sign| !base_has(sign)));
    let signs: BTreeSet<u32> = signs.map(|(sign, _)| sign).collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for sign in signs {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == sign => *last = sign,
            _ => ranges.push((sign, sign)),
        }
    }
    ranges
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// It has one sign, U+8336, whose glyph is a square.
    pub(in crate::result::share) fn with_a_square() -> MachineFonts {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fonts");
        MachineFonts::in_folders(vec![folder.into()])
    }

    #[test]
    fn the_signs_of_a_font_in_the_folder_are_known() {
        let fonts = with_a_square();
        assert!(fonts.has('茶'));
        assert!(!fonts.has('水'));
        let none = MachineFonts::in_folders(vec!["/no/such/folder".into()]);
        assert!(!none.has('茶'));
    }

    #[test]
    fn a_face_has_what_is_in_its_ranges() {
        let face = Face {
            path: PathBuf::new(),
            is_sans: true,
            ranges: vec![(5, 7), (10, 10)],
            bytes: OnceLock::new(),
        };
        let had: Vec<_> = (0..20_u8)
            .filter(|sign| face.has(char::from(*sign)))
            .collect();
        assert_eq!(had, [5, 6, 7, 10]);
        assert_eq!(face.size(), 4);
    }
}
