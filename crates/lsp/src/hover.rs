//! What there is to know about the place under the pointer.

use std::ops::Range;

use gen_lsp_types::{Contents, Hover, MarkupKind};
use hesper_stack::lexer::unescape;
use hesper_stack::number::parse_double;
use hesper_stack::span::Span;
use hesper_stack::syntax::{Role, SyntaxTree, TokenKind};
use hesper_stack::value::Value;

use crate::document::Document;
use crate::graph_uri::{PATHS, Parameter};
use crate::markup::{Markup, inline, shortened};
use crate::program::Program;
use crate::word_help;

/// The most items of a stack that are shown.
const MAX_ITEMS: usize = 6;

/// The most characters of an item that are shown.
const MAX_ITEM_CHARS: usize = 120;

pub(crate) fn hover(document: &Document, offset: usize, markup: &MarkupKind) -> Option<Hover> {
    let mut text = Markup::new(markup);
    let in_program = document
        .program_at(offset)
        .and_then(|(program, offset)| of_token(program, offset, &mut text));
    let span = match in_program {
        Some(span) => span,
        None => of_uri(document, offset, &mut text)?,
    };
    Some(Hover {
        contents: Contents::MarkupContent(text.finish()),
        range: Some(document.lines.positions(&span)),
    })
}

fn of_token(program: &Program, offset: usize, text: &mut Markup) -> Option<Range<usize>> {
    let tree = &program.tree;
    if tree.is_in_comment(offset) {
        return None;
    }
    let at = tree.token_at(offset)?;
    match tree.tokens()[at].kind {
        TokenKind::Word => of_word(tree, at, text),
        TokenKind::Literal => of_literal(tree, at, text),
        TokenKind::Open | TokenKind::Close => of_list(tree, at, text),
    }
    Some(program.in_document(&tree.tokens()[at].span))
}

fn of_word(tree: &SyntaxTree<'_>, at: usize, text: &mut Markup) {
    let token = &tree.tokens()[at];
    let overloads = token
        .word()
        .and_then(|name| tree.vocabulary().overloads(name));
    let Some(overloads) = overloads else {
        text.paragraph(&format!("{} is no word", inline(&token.text)));
        return;
    };
    let chosen = tree.call(at).map(|call| call.word);
    let Some(shown) = chosen.or(overloads.first().map(|word| &**word)) else {
        return;
    };
    text.code(&word_help::title(shown));
    word_help::explain(text, shown);
    let others: Vec<String> = overloads
        .iter()
        .filter(|word| word.signature() != shown.signature())
        .map(|word| word_help::title(word))
        .collect();
    if !others.is_empty() {
        text.paragraph("Other definitions").code(&others.join("\n"));
    }
    if token.depth > 0 {
        return;
    }
    if chosen.is_none() {
        text.paragraph("No definition fits the stack.");
    }
    let before = tree.state_before(at);
    text.paragraph("Stack before, the top first")
        .code(&stack_text(before.stack()));
    if chosen.is_some() {
        let after = tree.state_before(at + 1);
        text.paragraph("Stack after")
            .code(&stack_text(after.stack()));
    }
}

/// The items of a stack, a line each, the top first.
fn stack_text(stack: &[Value]) -> String {
    if stack.is_empty() {
        return "(empty)".to_owned();
    }
    let mut lines: Vec<String> = stack
        .iter()
        .rev()
        .take(MAX_ITEMS)
        .map(|item| format!("{}: {}", item.type_name(), shortened(item, MAX_ITEM_CHARS)))
        .collect();
    if stack.len() > MAX_ITEMS {
        lines.push(format!("… and {} more", stack.len() - MAX_ITEMS));
    }
    lines.join("\n")
}

fn of_literal(tree: &SyntaxTree<'_>, at: usize, text: &mut Markup) {
    let token = &tree.tokens()[at];
    let value = unescape(&token.text);
    let what = match tree.role(at) {
        Role::Key => "a tag key".to_owned(),
        Role::Value(key) => {
            let key = unescape(&tree.tokens()[key].text);
            format!("a value of the tag {}", inline(&key))
        }
        Role::Variable => "the name of a variable".to_owned(),
        Role::Plain => kind_of(&value).to_owned(),
    };
    text.paragraph(&format!("{}: {what}", inline(&value)));
    if let Ok(span) = Span::parse(&value)
        && what == DURATION
    {
        text.paragraph(&format!("As ISO 8601: {}", inline(&span.to_string())));
    }
    if value != *token.text {
        text.paragraph(&format!("Written with escapes: {}", inline(&token.text)));
    }
}

const DURATION: &str = "a length of time, or a text";

/// What a text may be taken for.
fn kind_of(value: &str) -> &'static str {
    if parse_double(value).is_some() {
        "a number, or a text"
    } else if Span::parse(value).is_ok() {
        DURATION
    } else {
        "a text"
    }
}

fn of_list(tree: &SyntaxTree<'_>, at: usize, text: &mut Markup) {
    let tokens = tree.tokens();
    let Some(partner) = tokens[at].partner else {
        text.paragraph("A parenthesis without a partner.");
        return;
    };
    let items = at.abs_diff(partner) - 1;
    let plural = if items == 1 { "" } else { "s" };
    text.paragraph(&format!("A list of {items} token{plural}."));
}

fn of_uri(document: &Document, offset: usize, text: &mut Markup) -> Option<Range<usize>> {
    let uri = document.uri()?;
    let parameter = uri
        .parameters
        .iter()
        .find(|p| (p.span().start..=p.span().end).contains(&offset));
    if let Some(parameter) = parameter {
        return of_parameter(parameter, offset, text);
    }
    if !uri.path.contains(&offset) {
        return None;
    }
    let path = &document.text[uri.path.clone()];
    text.code(path);
    let known = PATHS.iter().find(|(known, _)| *known == path);
    text.paragraph(known.map_or("A path that takes no graph.", |(_, summary)| summary));
    Some(uri.path.clone())
}

fn of_parameter(parameter: &Parameter, offset: usize, text: &mut Markup) -> Option<Range<usize>> {
    let kind = parameter.kind?;
    text.code(&parameter.name_text).paragraph(kind.summary);
    if !kind.default.is_empty() {
        text.paragraph(&format!("Default: {}", inline(kind.default)));
    }
    Some(match offset {
        offset if offset <= parameter.name.end => parameter.name.clone(),
        _ => parameter.value.clone(),
    })
}
