//! An open document: its text, and what is known about it.

use std::ops::Range;

use gen_lsp_types::Range as Positions;
use hesper_stack::Vocabulary;
use hesper_stack::syntax::SyntaxOptions;

use crate::error::LspError;
use crate::graph_uri::{GraphUri, Parameter};
use crate::lines::LineIndex;
use crate::program::Program;

/// The largest document that is looked at.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// An expression of the stack language.
    Asl,
    /// A graph URI.
    Uri,
}

impl Language {
    /// The language with this identifier, as editors give it.
    pub fn named(id: &str) -> Option<Self> {
        match id {
            "asl" | "atlas" | "atlas-asl" | "hesper" => Some(Self::Asl),
            "uri" | "atlas-uri" | "asl-uri" | "hesper-uri" => Some(Self::Uri),
            _ => None,
        }
    }
}

/// An open document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) language: Language,
    pub(crate) text: String,
    pub(crate) lines: LineIndex,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Asl(Box<Program>),
    Uri(GraphUri),
}

impl Document {
    /// Looks at a text.
    ///
    /// # Errors
    /// When it is too large.
    pub(crate) fn new(
        text: String,
        language: Language,
        vocabulary: &'static Vocabulary,
    ) -> Result<Self, LspError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(LspError::DocumentTooLarge(text.len()));
        }
        let options = SyntaxOptions {
            vocabulary,
            ..SyntaxOptions::default()
        };
        Ok(Self {
            language,
            lines: LineIndex::new(&text),
            content: match language {
                Language::Asl => {
                    Content::Asl(Box::new(Program::of_document(text.clone(), &options)))
                }
                Language::Uri => Content::Uri(GraphUri::new(&text, vocabulary)),
            },
            text,
        })
    }

    /// The parts of a URI.
    pub(crate) fn uri(&self) -> Option<&GraphUri> {
        match &self.content {
            Content::Asl(_) => None,
            Content::Uri(uri) => Some(uri),
        }
    }

    /// The programs in it, in the order of the document.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        let (one, several) = match &self.content {
            Content::Asl(program) => (Some(&**program), &[][..]),
            Content::Uri(uri) => (None, uri.parameters.as_slice()),
        };
        one.into_iter()
            .chain(several.iter().filter_map(|p| p.program.as_ref()))
    }

    /// The program at a place, and the place within it.
    pub(crate) fn program_at(&self, offset: usize) -> Option<(&Program, usize)> {
        let program = match &self.content {
            Content::Asl(program) => Some(&**program),
            Content::Uri(_) => self.value_at(offset).and_then(|p| p.program.as_ref()),
        }?;
        Some((program, program.in_program(offset)))
    }

    /// The parameter whose value is at a place.
    pub(crate) fn value_at(&self, offset: usize) -> Option<&Parameter> {
        let parameters = &self.uri()?.parameters;
        parameters
            .iter()
            .find(|p| p.equals.is_some() && (p.value.start..=p.value.end).contains(&offset))
    }

    /// The program of a whole document, or the expression of a URI, with its place.
    pub(crate) fn expression(&self) -> Option<(&Program, Range<usize>)> {
        match &self.content {
            Content::Asl(program) => Some((program, 0..self.text.len())),
            Content::Uri(uri) => {
                let parameter = uri.value("q")?;
                Some((parameter.program.as_ref()?, parameter.value.clone()))
            }
        }
    }
}

/// A text with a part of it replaced, or all of it.
///
/// # Errors
/// When there is no such part, or the text would be too large.
pub(crate) fn changed(
    text: &str,
    range: Option<&Positions>,
    replacement: &str,
) -> Result<String, LspError> {
    let changed = match range {
        None => replacement.to_owned(),
        Some(range) => {
            let span = LineIndex::new(text).span(range)?;
            [&text[..span.start], replacement, &text[span.end..]].concat()
        }
    };
    if changed.len() > MAX_DOCUMENT_BYTES {
        return Err(LspError::DocumentTooLarge(changed.len()));
    }
    Ok(changed)
}
