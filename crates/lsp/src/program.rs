//! A program within a document: all of it, or the value of a parameter in a URI, where it is encoded.

use std::borrow::Cow;
use std::ops::Range;

use hesper_stack::syntax::{SyntaxOptions, SyntaxTree};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What has to be encoded in the value of a parameter: what would end it or mean something else, and what no URI may hold.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A text as the value of a parameter.
pub(crate) fn encoded(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, ENCODED).into()
}

/// The value of a parameter, decoded, with the way back.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// For each byte of the text, and for its end, where in the document it comes from.
    sources: Vec<usize>,
}

impl Decoded {
    /// Decodes a part of a document: `+` is a blank, `%XX` a byte; what is no UTF-8 becomes U+FFFD. Source: the URL standard's
    /// `application/x-www-form-urlencoded` parser.
    pub(crate) fn new(document: &str, span: Range<usize>) -> Self {
        let raw = document.as_bytes();
        let mut bytes = Vec::with_capacity(span.len());
        let mut sources = Vec::with_capacity(span.len() + 1);
        let mut at = span.start;
        while at < span.end {
            sources.push(at);
            let hex = |i: usize| (i < span.end).then(|| (raw[i] as char).to_digit(16))?;
            match (raw[at], hex(at + 1), hex(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    bytes.push((high << 4 | low) as u8);
                    at += 3;
                }
                (byte, ..) => {
                    bytes.push(if byte == b'+' { b' ' } else { byte });
                    at += 1;
                }
            }
        }
        let mut decoded = Self::default();
        let mut from = 0;
        for chunk in bytes.utf8_chunks() {
            let valid = chunk.valid();
            decoded.text.push_str(valid);
            decoded
                .sources
                .extend_from_slice(&sources[from..from + valid.len()]);
            from += valid.len();
            if !chunk.invalid().is_empty() {
                let replacement = char::REPLACEMENT_CHARACTER;
                decoded.text.push(replacement);
                let source = sources[from];
                let sources = std::iter::repeat_n(source, replacement.len_utf8());
                decoded.sources.extend(sources);
                from += chunk.invalid().len();
            }
        }
        decoded.sources.push(span.end);
        decoded
    }

    fn source(&self, offset: usize) -> usize {
        self.sources[offset.min(self.text.len())]
    }

    /// The character of the text that a byte of the document belongs to.
    fn offset(&self, source: usize) -> usize {
        let mut at = self.sources.partition_point(|s| *s < source);
        if self.sources.get(at) != Some(&source) {
            at = at.saturating_sub(1);
        }
        at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// A program, and where it stands.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) tree: SyntaxTree<'static>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// It is the whole document.
    Document(String),
    Value(Decoded),
}

impl Program {
    pub(crate) fn of_document(text: String, options: &SyntaxOptions<'_, 'static>) -> Self {
        Self {
            tree: SyntaxTree::new(&text, options),
            place: Place::Document(text),
        }
    }

    pub(crate) fn of_value(value: Decoded, options: &SyntaxOptions<'_, 'static>) -> Self {
        Self {
            tree: SyntaxTree::new(&value.text, options),
            place: Place::Value(value),
        }
    }

    /// The program, decoded.
    pub(crate) fn text(&self) -> &str {
        match &self.place {
            Place::Document(text) => text,
            Place::Value(value) => &value.text,
        }
    }

    /// True when it is the value of a parameter.
    pub(crate) fn is_value(&self) -> bool {
        matches!(self.place, Place::Value(_))
    }

    /// Where a part of the program is in the document.
    pub(crate) fn in_document(&self, span: &Range<usize>) -> Range<usize> {
        match &self.place {
            Place::Document(_) => span.clone(),
            Place::Value(value) => value.source(span.start)..value.source(span.end),
        }
    }

    /// Where a byte of the document is in the program.
    pub(crate) fn in_program(&self, offset: usize) -> usize {
        match &self.place {
            Place::Document(_) => offset,
            Place::Value(value) => value.offset(offset),
        }
    }

    /// A part of a program as it is written in the document.
    pub(crate) fn written<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.place {
            Place::Document(_) => Cow::Borrowed(text),
            Place::Value(_) => encoded(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_decoded_with_the_way_back() {
        let document = "q=a%2Cb+%C3%A9%zz%ff,x&";
        let value = Decoded::new(document, 2..document.len() - 1);
        assert_eq!(value.text, "a,b é%zz\u{FFFD},x");
        let place = |text: &str| value.text.find(text).expect("there");
        let source = |offset: usize| &document[value.source(offset)..];
        assert_eq!(source(place(",b")), &document[3..]);
        assert_eq!(source(place("é")), "%C3%A9%zz%ff,x&");
        assert_eq!(source(place(",x")), ",x&");
        assert_eq!(source(value.text.len()), "&");
        // The middle of what is encoded belongs to it.
        assert_eq!(value.offset(5), 1);
        assert_eq!(value.offset(10), place("é"));
        assert_eq!(value.offset(document.len()), value.text.len());
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(text in "\\PC{0,20}") {
            let encoded = encoded(&text);
            let value = Decoded::new(&encoded, 0..encoded.len());
            prop_assert_eq!(&value.text, &text);
            for (offset, _) in text.char_indices() {
                prop_assert_eq!(value.offset(value.source(offset)), offset);
            }
        }

        #[test]
        fn no_value_panics(text in "([%+a2fFcC3]|é|%C3|%A9|%F0%9F|😀){0,12}", at in 0..60usize) {
            let value = Decoded::new(&text, 0..text.len());
            prop_assert_eq!(value.sources.len(), value.text.len() + 1);
            prop_assert!(value.text.is_char_boundary(value.offset(at)));
            for (offset, _) in value.text.char_indices() {
                prop_assert!(text.is_char_boundary(value.source(offset)));
            }
        }
    }
}
