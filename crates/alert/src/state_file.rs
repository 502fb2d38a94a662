//! The file in which the state of alerts survives a restart: JSON, replaced as a whole.
//!
//! It is written beside its place, made durable, and then put there: whoever reads it finds the old or the new content, even after a
//! loss of power. A file that was written but not put in place is overwritten by the next.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::error::AlertError;

/// The version of the format.
pub const VERSION: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    #[serde(flatten)]
    book: &'a Book,
}

/// The content of the file for a book.
///
/// # Errors
/// When a time in it is beyond the year 9999.
pub fn encode(book: &Book) -> io::Result<Vec<u8>> {
    let written = Written {
        version: VERSION,
        book,
    };
    let mut bytes = serde_json::to_vec(&written)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The book in a file; none when there is no file.
///
/// # Errors
/// When the file cannot be read, or what is in it makes no sense.
pub fn load(path: &Path) -> Result<Option<Book>, AlertError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(AlertError::ReadState {
                path: path.to_owned(),
                source,
            });
        }
    };
    decode(path, &bytes).map(Some)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Book, AlertError> {
    #[derive(Deserialize)]
    struct Header {
        version: u64,
    }
    let damaged = |e: serde_json::Error| AlertError::DamagedState {
        path: path.to_owned(),
        cause: e.to_string(),
    };
    let header: Header = serde_json::from_slice(bytes).map_err(damaged)?;
    if header.version != VERSION {
        return Err(AlertError::StateVersion {
            path: path.to_owned(),
            found: header.version,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Replaces the file, durably.
///
/// # Errors
/// Whatever the system says; the file is then the old or the new one.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), AlertError> {
    let replaced = write_beside(path, bytes).and_then(|written| put_in_place(&written, path));
    replaced.map_err(|source| AlertError::WriteState {
        path: path.to_owned(),
        source,
    })
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(beside)
}

fn put_in_place(written: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(written, path)?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Rule, RuleDefinition};
    use hesper_model::Timestamp;
    use proptest::prelude::*;

    fn book(minute: i64) -> Book {
        let mut book = Book::default();
        let rule = Rule::new(RuleDefinition::new("r", "1")).expect("valid");
        book.take_rules(&[rule], Timestamp(0));
        book.set_evaluated(Timestamp::from_secs(minute * 60));
        book
    }

    fn saved(path: &Path, book: &Book) {
        save(path, &encode(book).expect("encoded")).expect("saved");
    }

    #[test]
    fn a_book_reads_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("alerts.json");
        assert_eq!(load(&path).expect("nothing there"), None);
        saved(&path, &book(1));
        saved(&path, &book(2));
        assert_eq!(load(&path).expect("readable"), Some(book(2)));
        let names = std::fs::read_dir(directory.path()).expect("readable");
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn an_end_before_the_file_is_in_place_loses_nothing_that_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("alerts.json");
        saved(&path, &book(1));
        let bytes = encode(&book(2)).expect("encoded");
        // The process ends in the middle of writing, or before the rename.
        for written in [&bytes[..7], &bytes] {
            write_beside(&path, written).expect("written");
            assert_eq!(load(&path).expect("readable"), Some(book(1)));
        }
        saved(&path, &book(3));
        assert_eq!(load(&path).expect("readable"), Some(book(3)));
    }

    #[test]
    fn damage_is_told_with_what_to_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("alerts.json");
        let message = |content: &[u8]| {
            std::fs::write(&path, content).expect("written");
            load(&path).expect_err("refused").to_string()
        };
        let bytes = encode(&book(1)).expect("encoded");
        for content in [&bytes[..bytes.len() / 2], b"", b"\0\0\0\0", b"[1]"] {
            let text = message(content);
            assert!(text.contains("alerts.json is damaged: "), "{text}");
            assert!(text.contains("move it away"), "{text}");
        }
        let text = message(br#"{"version":7}"#);
        assert!(
            text.contains("has format version 7, this build reads version 1"),
            "{text}"
        );
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = save(Path::new("/nowhere/alerts.json"), b"{}").expect_err("no directory");
        assert!(
            error.to_string().contains("/nowhere/alerts.json"),
            "{error}"
        );
        let error = load(Path::new("/")).expect_err("a directory").to_string();
        assert!(
            error.starts_with("cannot read the alert state in /"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..200, with in prop::collection::vec(any::<u8>(), 0..4)) {
            let mut bytes = encode(&book(1)).expect("encoded");
            let at = at % bytes.len();
            bytes.splice(at..at + 1, with);
            let _ = decode(Path::new("alerts.json"), &bytes);
        }
    }
}
