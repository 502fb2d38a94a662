//! What each token is, for its colour.

use std::ops::Range;

use gen_lsp_types::{SemanticToken, SemanticTokens, SemanticTokensLegend};
use hesper_stack::lexer::unescape;
use hesper_stack::number::parse_double;
use hesper_stack::span::Span;
use hesper_stack::syntax::{Role, SyntaxTree, TokenKind, deprecation};

use crate::document::Document;
use crate::program::Program;

/// What a token is. The names are those of the protocol, which themes know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Text,
    Number,
    /// The key of a tag.
    Key,
    Variable,
    Comment,
    /// Parentheses, and `?`, `&` and `=` in a URI.
    Operator,
    /// The name of a parameter in a URI.
    Parameter,
    Path,
}

const TYPES: [&str; 9] = [
    "function",
    "string",
    "number",
    "property",
    "variable",
    "comment",
    "operator",
    "parameter",
    "namespace",
];

const DEPRECATED: u32 = 1;

/// A word that does not exist.
const UNKNOWN: u32 = 1 << 1;

const MODIFIERS: [&str; 2] = ["deprecated", "unknown"];

/// The names of the types and modifiers, which tokens mention by number.
pub(crate) fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend {
        token_types: TYPES.map(str::to_owned).to_vec(),
        token_modifiers: MODIFIERS.map(str::to_owned).to_vec(),
    }
}

/// A part of the document, and what it is.
#[derive(Debug)]
struct Part {
    span: Range<usize>,
    kind: Kind,
    modifiers: u32,
}

pub(crate) fn semantic_tokens(document: &Document) -> SemanticTokens {
    let mut parts = Vec::new();
    if let Some(uri) = document.uri() {
        parts.push(Part::new(uri.path.clone(), Kind::Path));
        if let Some(query) = uri.query {
            parts.push(Part::new(query - 1..query, Kind::Operator));
        }
        let query = uri.query.unwrap_or_default();
        for parameter in &uri.parameters {
            let ampersand = document.text[query..parameter.name.start].rfind('&');
            let between = query..parameter.name.start;
            if let Some(at) = ampersand
                && document.text[between.start + at + 1..between.end]
                    .trim()
                    .is_empty()
            {
                parts.push(Part::new(query + at..query + at + 1, Kind::Operator));
            }
            parts.push(Part::new(parameter.name.clone(), Kind::Parameter));
            if let Some(equals) = parameter.equals {
                parts.push(Part::new(equals..equals + 1, Kind::Operator));
            }
            if parameter.program.is_none() {
                let kind = literal_kind(&parameter.value_text);
                parts.push(Part::new(parameter.value.clone(), kind));
            }
        }
    }
    for program in document.programs() {
        of_program(program, &mut parts);
    }
    parts.sort_by_key(|part| part.span.start);
    encode(document, &parts)
}

impl Part {
    fn new(span: Range<usize>, kind: Kind) -> Self {
        Self {
            span,
            kind,
            modifiers: 0,
        }
    }
}

fn of_program(program: &Program, parts: &mut Vec<Part>) {
    let tree = &program.tree;
    for comment in tree.comments() {
        parts.push(Part::new(program.in_document(comment), Kind::Comment));
    }
    for (at, token) in tree.tokens().iter().enumerate() {
        let (kind, modifiers) = match token.kind {
            TokenKind::Open | TokenKind::Close => (Kind::Operator, 0),
            TokenKind::Word => (Kind::Word, word_modifiers(tree, at)),
            TokenKind::Literal => (
                match tree.role(at) {
                    Role::Key => Kind::Key,
                    Role::Value(_) => Kind::Text,
                    Role::Variable => Kind::Variable,
                    Role::Plain => literal_kind(&unescape(&token.text)),
                },
                0,
            ),
        };
        for fragment in &token.fragments {
            parts.push(Part {
                span: program.in_document(fragment),
                kind,
                modifiers,
            });
        }
    }
}

fn word_modifiers(tree: &SyntaxTree<'_>, at: usize) -> u32 {
    let name = tree.tokens()[at].word().unwrap_or_default();
    if tree.vocabulary().overloads(name).is_none() {
        return UNKNOWN;
    }
    match tree.call(at).and_then(|call| deprecation(call.word)) {
        Some(_) => DEPRECATED,
        None => 0,
    }
}

fn literal_kind(text: &str) -> Kind {
    if parse_double(text).is_some() || Span::parse(text).is_ok() {
        Kind::Number
    } else {
        Kind::Text
    }
}

/// The parts as differences, each on one line, as the protocol has them.
fn encode(document: &Document, parts: &[Part]) -> SemanticTokens {
    let mut data = Vec::with_capacity(parts.len());
    let (mut line, mut character) = (0, 0);
    for part in parts {
        for piece in lines(&document.text, &part.span) {
            let range = document.lines.positions(&piece);
            let length = range.end.character.saturating_sub(range.start.character);
            if length == 0 {
                continue;
            }
            let delta_line = range.start.line - line;
            data.push(SemanticToken {
                delta_line,
                delta_start: match delta_line {
                    0 => range.start.character - character,
                    _ => range.start.character,
                },
                length,
                token_type: part.kind as u32,
                token_modifiers_bitset: part.modifiers,
            });
            (line, character) = (range.start.line, range.start.character);
        }
    }
    SemanticTokens {
        result_id: None,
        data,
    }
}

/// A part of a text line by line, without what ends the lines.
fn lines(text: &str, span: &Range<usize>) -> Vec<Range<usize>> {
    let mut start = span.start;
    text[span.clone()]
        .split_inclusive(['\n', '\r'])
        .map(|line| {
            let piece = start..start + line.trim_end_matches(['\n', '\r']).len();
            start += line.len();
            piece
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Language;
    use hesper_stack::Vocabulary;

    /// Each token: its text and type.
    fn tokens(text: &str, language: Language) -> Vec<(String, &'static str)> {
        let document = Document::new(text.to_owned(), language, Vocabulary::full()).expect("small");
        let lines: Vec<Vec<u16>> = text
            .split('\n')
            .map(|line| line.encode_utf16().collect())
            .collect();
        let (mut line, mut start) = (0, 0);
        let mut found = Vec::new();
        for token in semantic_tokens(&document).data {
            if token.delta_line > 0 {
                (line, start) = (line + token.delta_line, 0);
            }
            start += token.delta_start;
            let units = &lines[line as usize][start as usize..(start + token.length) as usize];
            let mut kind = TYPES[token.token_type as usize];
            if token.token_modifiers_bitset & UNKNOWN != 0 {
                kind = "unknown";
            }
            found.push((String::from_utf16_lossy(units), kind));
        }
        found
    }

    #[test]
    fn tokens_show_what_they_are() {
        let pair = |text: &str, kind| (text.to_owned(), kind);
        assert_eq!(
            tokens(
                "😀,é,:eq,/* a\nb */(,k,),:by,\n:n/**/ope,2,5m,v,1,:set",
                Language::Asl
            ),
            [
                pair("😀", "property"),
                pair("é", "string"),
                pair(":eq", "function"),
                pair("/* a", "comment"),
                pair("b */", "comment"),
                pair("(", "operator"),
                pair("k", "property"),
                pair(")", "operator"),
                pair(":by", "function"),
                pair(":n", "unknown"),
                pair("/**/", "comment"),
                pair("ope", "unknown"),
                pair("2", "number"),
                pair("5m", "number"),
                pair("v", "variable"),
                pair("1", "number"),
                pair(":set", "function"),
            ]
        );
    }

    #[test]
    fn a_uri_has_tokens_of_its_own() {
        let pair = |text: &str, kind| (text.to_owned(), kind);
        assert_eq!(
            tokens("/api/v1/graph?q=a%2C%C3%A9,:eq&s=e-3h&w=700", Language::Uri),
            [
                pair("/api/v1/graph", "namespace"),
                pair("?", "operator"),
                pair("q", "parameter"),
                pair("=", "operator"),
                pair("a", "property"),
                pair("%C3%A9", "string"),
                pair(":eq", "function"),
                pair("&", "operator"),
                pair("s", "parameter"),
                pair("=", "operator"),
                pair("e-3h", "string"),
                pair("&", "operator"),
                pair("w", "parameter"),
                pair("=", "operator"),
                pair("700", "number"),
            ]
        );
    }
}
