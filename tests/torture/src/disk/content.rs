//! What is in one file: as it is now, and what it takes to make it again what was last synced.

use std::{collections::BTreeMap, fs::File, io, ops::Range, os::unix::fs::FileExt};

use super::PowerCut;

/// What is written whole or not at all.
const PAGE: u64 = 4096;

/// The content of a file. It is in a file of the backing folder, as it is now; of each page that was
/// changed since the last sync, what was there before is in memory.
#[derive(Debug)]
pub(super) struct Content {
    file: File,
    len: u64,
    synced_len: u64,
    /// By number, pages below `synced_len` as they were at the last sync.
    before: BTreeMap<u64, Vec<u8>>,
}

/// The numbers of the pages that a range touches.
fn pages(bytes: &Range<u64>) -> Range<u64> {
    if bytes.is_empty() {
        return 0..0;
    }
    bytes.start / PAGE..bytes.end.div_ceil(PAGE)
}

impl Content {
    /// Of a new file: nothing, as if that were synced.
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            len: 0,
            synced_len: 0,
            before: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut data = vec![0; size.min(left)];
        self.file.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        self.remember(offset..end)?;
        // Should it fail half-way, the undo is there for all of it.
        self.file.write_all_at(data, offset)?;
        self.len = self.len.max(end);
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        if len < self.len {
            self.remember(len..self.len)?;
        }
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    /// Keeps what is there, where it is what was synced.
    fn remember(&mut self, bytes: Range<u64>) -> io::Result<()> {
        for page in pages(&(bytes.start..bytes.end.min(self.synced_len))) {
            if self.before.contains_key(&page) {
                continue;
            }
            let start = page * PAGE;
            let size = PAGE.min(self.synced_len - start);
            // Beyond the end it is cut off, which was remembered when it was.
            let mut old = vec![0; usize::try_from(size).unwrap_or_default()];
            self.file.read_exact_at(&mut old, start)?;
            self.before.insert(page, old);
        }
        Ok(())
    }

    /// What is there is on the disk.
    pub(super) fn sync(&mut self) {
        self.synced_len = self.len;
        self.before.clear();
    }

    /// Makes it what is on the disk after a power cut. How many bytes were forgotten, about.
    pub(super) fn cut(&mut self, how: &mut PowerCut) -> io::Result<u64> {
        let mut forgotten = self.len.abs_diff(self.synced_len);
        let was_cut_off = self.len < self.synced_len;
        if self.len != self.synced_len {
            let kept = self.len.saturating_sub(self.synced_len);
            let kept = self.synced_len + how.kept_of_tail(kept);
            forgotten -= kept - self.synced_len;
            self.file.set_len(kept)?;
            self.len = kept;
        }
        for (page, old) in std::mem::take(&mut self.before) {
            if was_cut_off || !how.keeps_page() {
                self.file.write_all_at(&old, page * PAGE)?;
                forgotten += old.len() as u64;
            }
        }
        self.synced_len = self.len;
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(synced: &[u8]) -> Content {
        let mut content = Content::new(tempfile::tempfile().unwrap());
        content.write(0, synced).unwrap();
        content.sync();
        content
    }

    fn all(content: &Content) -> Vec<u8> {
        content.read(0, usize::MAX).unwrap()
    }

    #[test]
    fn what_is_not_synced_is_forgotten_and_what_is_stays() {
        let mut content = content(b"synced");
        content.write(6, b" and not").unwrap();
        assert_eq!(all(&content), b"synced and not");
        content.cut(&mut PowerCut::all_forgotten()).unwrap();
        assert_eq!(all(&content), b"synced");
    }

    #[test]
    fn what_was_written_over_comes_back() {
        let old: Vec<u8> = (0..=250).cycle().take(3 * 4096 + 100).collect();
        let mut content = content(&old);
        content.write(4000, &[7; 5000]).unwrap();
        content.write(10, b"new").unwrap();
        content.write(old.len() as u64 - 1, &[9; 9000]).unwrap();
        content.cut(&mut PowerCut::all_forgotten()).unwrap();
        assert!(all(&content) == old);
    }

    #[test]
    fn what_was_cut_off_comes_back() {
        let old: Vec<u8> = (0..=250).cycle().take(2 * 4096 + 100).collect();
        let mut content = content(&old);
        content.set_len(5).unwrap();
        content.write(3, b"and again").unwrap();
        content.set_len(3 * 4096).unwrap();
        content.set_len(0).unwrap();
        content.cut(&mut PowerCut::all_forgotten()).unwrap();
        assert!(all(&content) == old);
    }

    #[test]
    fn a_torn_file_has_pages_of_before_and_after_and_a_part_of_its_end() {
        let old = vec![1; 64 * 4096];
        let mut content = content(&old);
        content.write(0, &vec![2; 64 * 4096]).unwrap();
        content.write(64 * 4096, &[2; 1000]).unwrap();
        content.cut(&mut PowerCut::torn(1)).unwrap();
        let now = all(&content);
        assert!((64 * 4096..=64 * 4096 + 1000).contains(&now.len()));
        let (pages, _) = now.as_chunks::<4096>();
        assert!(
            pages
                .iter()
                .all(|page| page.iter().all(|byte| *byte == page[0]))
        );
        assert!(pages.iter().any(|page| page[0] == 1) && pages.iter().any(|page| page[0] == 2));
    }
}
