//! Parts of data files that were read lately. A file never changes, and its name is used once, so that a part stays what it was.

use std::ops::Range;

use bytes::Bytes;
use object_store::path::Path;

/// A larger part is not kept: it would drive out many others.
const MAX_PART_BYTES: u64 = 8 << 20;

/// What a part costs beside its bytes.
const ENTRY_BYTES: u64 = 100;

type Part = (String, u64, u64);

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<Part, Bytes> for ByBytes {
    fn weight(&self, (path, ..): &Part, bytes: &Bytes) -> u64 {
        ENTRY_BYTES + (path.len() + bytes.len()) as u64
    }
}

/// Parts of files, within a budget of bytes; those not asked for go first.
pub struct PageCache {
    parts: quick_cache::sync::Cache<Part, Bytes, ByBytes>,
}

impl PageCache {
    /// Nothing yet, and never more than so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            parts: quick_cache::sync::Cache::with_weighter(1000, bytes, ByBytes),
        }
    }

    /// A part that was read before.
    pub fn get(&self, path: &Path, range: &Range<u64>) -> Option<Bytes> {
        self.parts
            .get(&(path.as_ref().to_owned(), range.start, range.end))
    }

    /// Keeps a part. The bytes are copied: they may be a piece of something larger.
    pub fn insert(&self, path: &Path, range: &Range<u64>, bytes: &Bytes) {
        if range.end - range.start <= MAX_PART_BYTES {
            let part = (path.as_ref().to_owned(), range.start, range.end);
            self.parts.insert(part, Bytes::copy_from_slice(bytes));
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> u64 {
        self.parts.weight()
    }
}

impl std::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageCache({} bytes)", self.size_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_again_and_the_budget_is_kept() {
        let cache = PageCache::new(100_000);
        let path = Path::from("raw/a.parquet");
        let bytes = Bytes::from(vec![7; 1000]);
        cache.insert(&path, &(0..1000), &bytes);
        assert_eq!(cache.get(&path, &(0..1000)), Some(bytes.clone()));
        assert_eq!(cache.get(&path, &(0..999)), None);
        assert_eq!(cache.get(&Path::from("raw/b.parquet"), &(0..1000)), None);
        for i in 1..1000 {
            cache.insert(&path, &(i * 1000..(i + 1) * 1000), &bytes);
        }
        assert!(cache.size_bytes() <= 100_000, "{}", cache.size_bytes());
        let large = MAX_PART_BYTES + 1;
        cache.insert(&path, &(0..large), &Bytes::from(vec![0; large as usize]));
        assert_eq!(cache.get(&path, &(0..large)), None);
    }
}
