//! Positions as the protocol has them, a line and UTF-16 units within it, and bytes of a text.

use std::ops::Range;

use gen_lsp_types::{Position, Range as Positions};

use crate::error::LspError;

/// Where the lines of a text begin, and where a byte is not a unit.
#[derive(Debug, PartialEq)]
pub(crate) struct LineIndex {
    starts: Vec<usize>,
    /// Where lines end, without what ends them.
    ends: Vec<usize>,
    wide: Vec<WideChar>,
}

/// A character that is not one byte.
#[derive(Debug, PartialEq)]
struct WideChar {
    /// Its bytes.
    bytes: Range<usize>,
    /// The units up to its end.
    units: usize,
}

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let mut index = Self {
            starts: vec![0],
            ends: Vec::new(),
            wide: Vec::new(),
        };
        let mut units = 0;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            units += c.len_utf16();
            match c {
                '\r' if matches!(chars.peek(), Some((_, '\n'))) => {
                    chars.next();
                    units += 1;
                    index.ends.push(at);
                    index.starts.push(at + 2);
                }
                '\r' | '\n' => {
                    index.ends.push(at);
                    index.starts.push(at + 1);
                }
                c if !c.is_ascii() => index.wide.push(WideChar {
                    bytes: at..at + c.len_utf8(),
                    units,
                }),
                _ => {}
            }
        }
        index.ends.push(text.len());
        index
    }

    /// The position of a byte that begins a character, or of the end of the text.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        // Between the two characters that end a line there is no position.
        let offset = offset.min(self.ends[line].max(self.starts[line]));
        let units = self.units(offset) - self.units(self.starts[line]);
        Position {
            line: line as u32,
            character: units as u32,
        }
    }

    pub(crate) fn positions(&self, span: &Range<usize>) -> Positions {
        Positions {
            start: self.position(span.start),
            end: self.position(span.end),
        }
    }

    /// The byte at a position. Beyond the end of a line it is that end, as the protocol says; right behind the last line it is the end of
    /// the text, as some editors ask for.
    pub(crate) fn offset(&self, position: Position) -> Result<usize, LspError> {
        let out_of_range = |reason| LspError::OutOfRange { position, reason };
        let line = position.line as usize;
        if line == self.starts.len() && position.character == 0 {
            return Ok(self.ends[line - 1]);
        }
        let (Some(&start), Some(&end)) = (self.starts.get(line), self.ends.get(line)) else {
            return Err(out_of_range("the document has fewer lines"));
        };
        let unit = self.units(start) + position.character as usize;
        if unit >= self.units(end) {
            return Ok(end);
        }
        let behind = self.wide.partition_point(|w| w.units <= unit);
        let offset = match behind.checked_sub(1).map(|before| &self.wide[before]) {
            Some(before) => before.bytes.end + unit - before.units,
            None => unit,
        };
        match self.wide.get(behind) {
            Some(next) if next.bytes.start < offset => {
                Err(out_of_range("it is in the middle of a character"))
            }
            _ => Ok(offset),
        }
    }

    /// The bytes between two positions.
    pub(crate) fn span(&self, range: &Positions) -> Result<Range<usize>, LspError> {
        let (start, end) = (self.offset(range.start)?, self.offset(range.end)?);
        if start > end {
            return Err(LspError::OutOfRange {
                position: range.start,
                reason: "the range ends before it starts",
            });
        }
        Ok(start..end)
    }

    /// The units before a byte that begins a character.
    fn units(&self, offset: usize) -> usize {
        let behind = self.wide.partition_point(|w| w.bytes.end <= offset);
        match behind.checked_sub(1).map(|before| &self.wide[before]) {
            Some(before) => before.units + offset - before.bytes.end,
            None => offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn units_are_those_of_utf16() {
        let text = "é😀x\r\n€y\rz\n";
        let lines = LineIndex::new(text);
        let place = |found: &str| text.find(found).expect("there");
        assert_eq!(lines.position(place("x")), at(0, 3));
        assert_eq!(lines.position(place("y")), at(1, 1));
        assert_eq!(lines.position(place("z")), at(2, 0));
        assert_eq!(lines.position(text.len()), at(3, 0));
        for found in ["é", "😀", "x", "€", "y", "z"] {
            let offset = place(found);
            assert_eq!(lines.offset(lines.position(offset)).expect("valid"), offset);
        }
    }

    #[test]
    fn positions_out_of_range_are_refused_or_cut_off() {
        let lines = LineIndex::new("a😀b\ncd");
        assert_eq!(lines.offset(at(0, 99)).expect("the end of the line"), 6);
        assert_eq!(lines.offset(at(1, 99)).expect("the end of the line"), 9);
        assert_eq!(lines.offset(at(2, 0)).expect("the end of the text"), 9);
        for (position, reason) in [
            (at(2, 1), "fewer lines"),
            (at(7, 0), "fewer lines"),
            (at(0, 2), "middle of a character"),
        ] {
            let error = lines.offset(position).expect_err("refused").to_string();
            assert!(error.contains(reason), "{error}");
        }
        let backwards = Positions {
            start: at(1, 0),
            end: at(0, 0),
        };
        assert!(lines.span(&backwards).is_err());
    }

    proptest! {
        #[test]
        fn every_place_has_a_position(text in "[a\n\ré😀€]{0,40}", line in 0..9u32, character in 0..20u32) {
            let lines = LineIndex::new(&text);
            for (offset, c) in text.char_indices().chain([(text.len(), 'x')]) {
                let position = lines.position(offset);
                let within_end = c == '\n' && text[..offset].ends_with('\r');
                if !within_end {
                    prop_assert_eq!(lines.offset(position).expect("valid"), offset);
                }
                let before = &text[..offset];
                let start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
                if !within_end {
                    prop_assert_eq!(position.character as usize, before[start..].encode_utf16().count());
                }
            }
            if let Ok(offset) = lines.offset(at(line, character)) {
                prop_assert!(text.is_char_boundary(offset));
            }
        }
    }
}
