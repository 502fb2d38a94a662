//! The pages of a column, one after another, unpacked with a decompressor that the thread keeps.
//!
//! Parquet's reader makes a compressor and a decompressor for each column of each row group, which takes longer than to unpack its pages. It is given to
//! understand that they are not packed, and hands them out as they are stored.

use std::cell::RefCell;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe;

use super::chunk::Chunk;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Reads the pages of a column in a row group.
pub(super) struct Pages {
    stored: SerializedPageReader<Chunk>,
    packed: bool,
    /// Bytes of all its pages, unpacked, as the footer of the file says: no page has more.
    bytes: usize,
}

impl Pages {
    /// The pages of a column with so many rows.
    ///
    /// # Errors
    /// When they are packed in a way that is not known.
    pub fn new(
        chunk: &Arc<Chunk>,
        column: &ColumnChunkMetaData,
        rows: usize,
        locations: Option<Vec<PageLocation>>,
    ) -> Result<Self, ParquetError> {
        let packed = matches!(column.compression(), Compression::ZSTD(_));
        let bytes = usize::try_from(column.uncompressed_size()).unwrap_or_default();
        let as_stored = column.clone().into_builder();
        let as_stored = match packed {
            true => as_stored.set_compression(Compression::UNCOMPRESSED),
            false => as_stored,
        };
        let as_stored = as_stored.build()?;
        Ok(Self {
            stored: SerializedPageReader::new(chunk.clone(), &as_stored, rows, locations)?,
            packed,
            bytes,
        })
    }

    fn unpacked(&self, mut page: Page) -> Result<Page, ParquetError> {
        if !self.packed {
            return Ok(page);
        }
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = unpack(buf, 0, self.bytes)?;
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                if std::mem::take(is_compressed) {
                    let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                    *buf = unpack(buf, levels, self.bytes)?;
                }
            }
        }
        Ok(page)
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.stored.get_next_page()?;
        page.map(|page| self.unpacked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.stored.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.stored.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool, ParquetError> {
        self.stored.at_record_boundary()
    }
}

/// The bytes of a page of which the first `plain` are not packed; at most `most` in all.
fn unpack(stored: &Bytes, plain: usize, most: usize) -> Result<Bytes, ParquetError> {
    let cut_off = || ParquetError::EOF("a page is cut off".to_owned());
    let (levels, packed) = stored.split_at_checked(plain).ok_or_else(cut_off)?;
    // A page of nothing but nulls has no values to pack.
    if packed.is_empty() {
        return Ok(stored.clone());
    }
    let too_long = || ParquetError::General("a page is longer than its column".to_owned());
    let room = most.checked_sub(plain).ok_or_else(too_long)?;
    let mut bytes = Vec::new();
    let told = zstd_safe::get_frame_content_size(packed).unwrap_or_default();
    let Some(told) = told else {
        bytes.extend_from_slice(levels);
        let mut stream = zstd::Decoder::with_buffer(packed)?.take(room as u64 + 1);
        return match stream.read_to_end(&mut bytes)? > room {
            true => Err(too_long()),
            false => Ok(bytes.into()),
        };
    };
    let told = usize::try_from(told).ok().filter(|told| *told <= room);
    let told = told.ok_or_else(too_long)?;
    bytes.reserve_exact(plain + told);
    bytes.extend_from_slice(levels);
    let mut bytes = std::io::Cursor::new(bytes);
    bytes.set_position(plain as u64);
    let unpacked = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            None => decompressor.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(packed, &mut bytes)
    });
    match unpacked? == told {
        true => Ok(bytes.into_inner().into()),
        false => Err(cut_off()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 3).expect("it can be packed")
    }

    #[test]
    fn pages_are_unpacked_behind_what_is_plain() {
        let values: Vec<u8> = (0..9000u32).map(|i| (i / 7) as u8).collect();
        let mut page = b"levels".to_vec();
        page.extend(packed(&values));
        let whole = [&b"levels"[..], &values].concat();
        for _ in 0..2 {
            let found = unpack(&page.clone().into(), 6, whole.len());
            assert_eq!(found.expect("sound"), whole);
        }
        let found = unpack(&packed(&values).into(), 0, 1 << 20);
        assert_eq!(found.expect("sound"), values);
        let nulls = Bytes::from_static(b"levels");
        assert_eq!(unpack(&nulls, 6, 6).expect("sound"), nulls);
    }

    #[test]
    fn pages_that_do_not_say_their_length_are_unpacked_too() {
        let values = vec![7; 100_000];
        let stream = zstd::encode_all(&values[..], 3).expect("it can be packed");
        let told = zstd_safe::get_frame_content_size(&stream);
        assert!(matches!(told, Ok(None)), "the frame tells its length");
        let stream = Bytes::from(stream);
        assert_eq!(unpack(&stream, 0, 100_000).expect("sound"), values);
        let error = unpack(&stream, 0, 99_999).expect_err("too long");
        assert!(error.to_string().contains("longer"), "{error}");
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let values: Vec<u8> = (0..9000u32).map(|i| (i * i) as u8).collect();
        let whole = packed(&values);
        let error = unpack(&whole.clone().into(), 0, 8999).expect_err("too long");
        assert!(error.to_string().contains("longer"), "{error}");
        unpack(&whole.clone().into(), whole.len() + 1, 1 << 20).expect_err("cut off");
        for end in 1..whole.len() {
            unpack(&whole[..end].to_vec().into(), 0, 1 << 20).expect_err("cut off");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            // Some changes cannot be told; none does harm.
            if let Ok(bytes) = unpack(&broken.into(), 0, 1 << 20) {
                assert!(bytes.len() <= 1 << 20);
            }
        }
    }
}
