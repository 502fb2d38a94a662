//! Segments: the files of the log.
//!
//! ```text
//! file    = header record …
//! header  = "HESPLOG" version u8, base u64, crc32c u32        base: the place in the log of the first record; the crc is over the 16 bytes before
//! record  = length u32, crc32c u32, kind u8, payload          length and crc are over kind and payload
//! ```
//! All numbers are little-endian. A file is named after its base: twenty digits and `.log`. Replay stops at the first bad record of the last
//! segment, which is where a write was torn; a bad record anywhere else is damage.

use super::Lsn;

/// The version of the format.
pub const VERSION: u8 = 1;

/// Bytes of the header.
pub const HEADER_LEN: usize = 20;

/// Bytes of a record besides its payload.
pub const FRAME_LEN: usize = 9;

/// A longer record is taken for damage.
pub const MAX_RECORD_LEN: usize = 256 << 20;

const MAGIC: &[u8; 7] = b"HESPLOG";

/// The name of the segment that begins at `base`.
pub fn file_name(base: Lsn) -> String {
    format!("{:020}.log", base.0)
}

/// The base in a segment's name; `None` for other files.
pub fn base_of(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 {
        return None;
    }
    digits.parse().ok().map(Lsn)
}

/// The header of the segment that begins at `base`.
pub fn header(base: Lsn) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..7].copy_from_slice(MAGIC);
    header[7] = VERSION;
    header[8..16].copy_from_slice(&base.0.to_le_bytes());
    let crc = crc32c::crc32c(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is not whole.
    #[error("the header is torn or not that of a log segment")]
    Torn,
    /// Another version wrote it.
    #[error("the segment has format version {0}, this version reads {VERSION}")]
    Version(u8),
}

/// Checks the header of the segment that begins at `base`.
///
/// # Errors
/// When it is not the header of this segment.
pub fn check_header(bytes: &[u8], base: Lsn) -> Result<(), HeaderError> {
    let found = bytes.first_chunk::<HEADER_LEN>().ok_or(HeaderError::Torn)?;
    if found[..7] == *MAGIC && found[7] != VERSION {
        return Err(HeaderError::Version(found[7]));
    }
    if *found == header(base) {
        Ok(())
    } else {
        Err(HeaderError::Torn)
    }
}

/// Appends a record.
pub fn put_record(out: &mut Vec<u8>, kind: u8, put_payload: impl FnOnce(&mut Vec<u8>)) {
    put_record_of(out, |out| {
        put_payload(out);
        kind
    });
}

/// Appends a record of the kind that `put_payload` gives.
pub fn put_record_of(out: &mut Vec<u8>, put_payload: impl FnOnce(&mut Vec<u8>) -> u8) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_LEN]);
    out[start + 8] = put_payload(out);
    let body = &out[start + 8..];
    let length = u32::try_from(body.len()).expect("a record is below MAX_RECORD_LEN");
    let crc = crc32c::crc32c(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The records in the bytes after a header. Ends after the first bad one.
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    bad: bool,
}

/// A record that is not whole: where, counted from the first record, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Where it begins.
    pub at: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl<'a> Records<'a> {
    /// Reads the bytes that follow a header.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            bad: false,
        }
    }

    /// Where the next record begins.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    /// Kind and payload.
    type Item = Result<(u8, &'a [u8]), BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() || self.bad {
            return None;
        }
        // Until the record is known to be whole.
        self.bad = true;
        let bad = |what| Some(Err(BadRecord { at: self.at, what }));
        let Some(([l0, l1, l2, l3, c0, c1, c2, c3], body)) = rest.split_first_chunk::<8>() else {
            return bad("its frame is cut off");
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        let crc = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        if length == 0 || length > MAX_RECORD_LEN {
            return bad("its length is impossible");
        }
        let Some(body) = body.get(..length) else {
            return bad("it is cut off");
        };
        if crc32c::crc32c(body) != crc {
            return bad("its checksum is wrong");
        }
        self.bad = false;
        self.at += 8 + length;
        Some(Ok((body[0], &body[1..])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_records() -> Vec<u8> {
        let mut bytes = Vec::new();
        put_record(&mut bytes, 2, |out| out.extend_from_slice(b"first"));
        put_record(&mut bytes, 4, |_| {});
        bytes
    }

    #[test]
    fn records_come_back_in_order() {
        let bytes = two_records();
        let mut records = Records::new(&bytes);
        assert_eq!(records.next(), Some(Ok((2, &b"first"[..]))));
        assert_eq!(records.next(), Some(Ok((4, &b""[..]))));
        assert_eq!(records.position(), bytes.len());
        assert_eq!(records.next(), None);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let bytes = two_records();
        let first = FRAME_LEN + 5;
        for cut in 1..bytes.len() {
            let whole = Records::new(&bytes[..cut]).filter(Result::is_ok).count();
            assert_eq!(whole, usize::from(cut >= first), "cut at {cut}");
        }
        for bit in 0..first * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = Records::new(&flipped).next().expect("something is there");
            assert!(found.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_belongs_to_its_base() {
        let bytes = header(Lsn(77));
        assert_eq!(check_header(&bytes, Lsn(77)), Ok(()));
        assert_eq!(check_header(&bytes, Lsn(78)), Err(HeaderError::Torn));
        assert_eq!(check_header(&bytes[..19], Lsn(77)), Err(HeaderError::Torn));
        let mut newer = bytes;
        newer[7] = 9;
        assert_eq!(check_header(&newer, Lsn(77)), Err(HeaderError::Version(9)));
        assert_eq!(base_of(&file_name(Lsn(77))), Some(Lsn(77)));
        assert_eq!(base_of("STORE"), None);
    }
}
