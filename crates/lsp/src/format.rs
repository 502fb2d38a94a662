//! The same program written so that it can be read: a word with its literals on a line, operands indented under what they belong to.
//!
//! Tokens and comments stay as they are and in their order; only blanks and line ends between them change. How far a line is indented
//! follows from the stack: by as many levels as there are items below that a later word will use.

use std::fmt::Write;
use std::ops::Range;

use hesper_stack::syntax::{SyntaxTree, TokenKind};

/// The longest list that stays on one line, in characters.
const MAX_LIST_CHARS: usize = 60;

/// The most levels that a line is indented by.
const MAX_LEVEL: usize = 8;

/// Lists that are nested deeper stay as they are, on one line.
const MAX_DEPTH: usize = 12;

/// What is put between tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spaces<'a> {
    /// Before a line, for each level.
    pub(crate) indent: &'a str,
    pub(crate) line_end: &'a str,
}

/// A program over several lines. `None` when its comments are not closed: nobody knows what is one.
pub(crate) fn format(text: &str, tree: &SyntaxTree<'_>, spaces: &Spaces<'_>) -> Option<String> {
    if !tree.is_readable() {
        return None;
    }
    let mut layout = Layout {
        text,
        tree,
        spaces,
        levels: levels(tree),
        out: String::new(),
        line: Line::default(),
        last_end: 0,
    };
    let elements = elements(tree);
    layout.elements(&elements, 0, 0);
    layout.end_line();
    Some(layout.out)
}

/// A program on one line, with its comments. `None` when they are not closed.
pub(crate) fn on_one_line(text: &str, tree: &SyntaxTree<'_>) -> Option<String> {
    if !tree.is_readable() {
        return None;
    }
    let mut out = String::new();
    let last = tree.tokens().len().saturating_sub(1);
    for element in elements(tree) {
        match element {
            Element::Token(at) => {
                out.push_str(written(text, tree, at));
                if at < last {
                    out.push(',');
                }
            }
            Element::Comment(span) => {
                // A blank, so that it makes no mark together with what stands before it.
                if !out.is_empty() && !out.ends_with(',') {
                    out.push(' ');
                }
                out.push_str(&text[span]);
            }
        }
    }
    Some(out)
}

/// A token, or a comment that stands between tokens.
#[derive(Clone, Debug)]
enum Element {
    Token(usize),
    Comment(Range<usize>),
}

/// All that a program holds, in its order. Comments within a token are part of it.
fn elements(tree: &SyntaxTree<'_>) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut comments = tree.comments().iter().peekable();
    for (at, token) in tree.tokens().iter().enumerate() {
        while let Some(comment) = comments.next_if(|c| c.start < token.span.end) {
            if comment.end <= token.span.start {
                elements.push(Element::Comment(comment.clone()));
            }
        }
        elements.push(Element::Token(at));
    }
    elements.extend(comments.map(|c| Element::Comment(c.clone())));
    elements
}

/// A token as it stands in the text.
fn written<'t>(text: &'t str, tree: &SyntaxTree<'_>, at: usize) -> &'t str {
    &text[tree.tokens()[at].span.clone()]
}

/// For each token outside of lists, how many levels its line is indented by: that of the word which ends the line.
fn levels(tree: &SyntaxTree<'_>) -> Vec<usize> {
    let tokens = tree.tokens();
    let mut levels = vec![0; tokens.len()];
    // Items that no later word touches have nothing to do with what comes above them.
    let mut settled = usize::MAX;
    let mut of_word = None;
    for at in (0..tokens.len()).rev() {
        let own = match tree.untouched(at) {
            Some(untouched) => {
                settled = settled.min(untouched);
                (untouched - settled).min(MAX_LEVEL)
            }
            None => {
                if tokens[at].word() == Some("freeze") {
                    settled = usize::MAX;
                }
                0
            }
        };
        if tokens[at].depth == 0 && tokens[at].kind == TokenKind::Word {
            of_word = Some(own);
        }
        levels[at] = of_word.unwrap_or(own);
    }
    levels
}

/// The line that is being written.
#[derive(Debug, Default)]
struct Line {
    text: String,
    level: usize,
    /// Whether a word has ended it: only comments may follow.
    is_complete: bool,
}

struct Layout<'a, 'v> {
    text: &'a str,
    tree: &'a SyntaxTree<'v>,
    spaces: &'a Spaces<'a>,
    levels: Vec<usize>,
    out: String,
    line: Line,
    /// Where the element before ends in the text.
    last_end: usize,
}

impl Layout<'_, '_> {
    /// Writes the elements of a program, or of a list, in groups that end with a word.
    fn elements(&mut self, elements: &[Element], depth: usize, base: usize) {
        let has_words = elements
            .iter()
            .any(|element| matches!(element, Element::Token(at) if self.is_word(*at, depth)));
        let mut i = 0;
        while i < elements.len() {
            match &elements[i] {
                Element::Comment(span) => {
                    self.comment(span, base);
                    i += 1;
                }
                Element::Token(at) => {
                    let end = self.end_of_item(elements, i);
                    if self.line.is_complete || self.line.text.is_empty() {
                        self.start_group(&elements[i..], depth, base);
                    }
                    if end > i + 1 {
                        self.list(&elements[i..end], depth, base);
                    } else {
                        self.token(*at);
                    }
                    self.line.is_complete = self.is_word(*at, depth) || (depth > 0 && !has_words);
                    i = end;
                }
            }
        }
    }

    fn is_word(&self, at: usize, depth: usize) -> bool {
        let token = &self.tree.tokens()[at];
        token.kind == TokenKind::Word && token.depth == depth
    }

    /// Behind the list that an element begins, or behind the element.
    fn end_of_item(&self, elements: &[Element], i: usize) -> usize {
        let Element::Token(open) = &elements[i] else {
            return i + 1;
        };
        let Some(close) = self.tree.tokens()[*open]
            .partner
            .filter(|close| close > open)
        else {
            return i + 1;
        };
        let is_close = |element: &Element| matches!(element, Element::Token(at) if *at == close);
        let distance = elements[i..].iter().position(is_close);
        distance.map_or(i + 1, |distance| i + distance + 1)
    }

    /// Begins a line for a group: its level is that of the word that ends it.
    fn start_group(&mut self, rest: &[Element], depth: usize, base: usize) {
        self.end_line();
        self.keep_blank_line(rest);
        self.line.level = match rest.first() {
            Some(Element::Token(at)) if depth == 0 => base + self.levels[*at],
            _ => base,
        };
    }

    /// One blank line between groups stays.
    fn keep_blank_line(&mut self, rest: &[Element]) {
        let start = match rest.first() {
            Some(Element::Token(at)) => self.tree.tokens()[*at].span.start,
            Some(Element::Comment(span)) => span.start,
            None => return,
        };
        let line_ends = self.text[self.last_end..start].matches('\n').count();
        if line_ends > 1 && !self.out.is_empty() {
            self.out.push_str(self.spaces.line_end);
        }
    }

    fn token(&mut self, at: usize) {
        if self.line.text.ends_with("*/") {
            self.line.text.push(' ');
        }
        self.line.text.push_str(written(self.text, self.tree, at));
        if at + 1 < self.tree.tokens().len() {
            self.line.text.push(',');
        }
        self.last_end = self.tree.tokens()[at].span.end;
    }

    /// A list on one line if it is short and has no comments, else an item or a group on a line.
    fn list(&mut self, elements: &[Element], depth: usize, base: usize) {
        let is_token = |element: &Element| matches!(element, Element::Token(_));
        if elements.iter().all(is_token) {
            let tokens = elements.iter().filter_map(|element| match element {
                Element::Token(at) => Some(*at),
                Element::Comment(_) => None,
            });
            let chars: usize = tokens
                .clone()
                .map(|at| written(self.text, self.tree, at).chars().count() + 1)
                .sum();
            if chars <= MAX_LIST_CHARS {
                tokens.for_each(|at| self.token(at));
                return;
            }
        }
        if depth >= MAX_DEPTH {
            return self.flat(elements);
        }
        let [first, within @ .., last] = elements else {
            return;
        };
        let level = self.line.level;
        self.parenthesis(first);
        self.end_line();
        self.elements(within, depth + 1, level.max(base) + 1);
        self.end_line();
        self.line.level = level;
        self.parenthesis(last);
    }

    fn flat(&mut self, elements: &[Element]) {
        for element in elements {
            match element {
                Element::Token(at) => self.token(*at),
                Element::Comment(span) => {
                    self.line.text.push(' ');
                    self.line.text.push_str(&self.text[span.clone()]);
                    self.last_end = span.end;
                }
            }
        }
    }

    fn parenthesis(&mut self, element: &Element) {
        if let Element::Token(at) = element {
            self.token(*at);
        }
    }

    /// A comment on a line of its own if it was on one, else behind what it stood behind.
    fn comment(&mut self, span: &Range<usize>, base: usize) {
        let before = &self.text[self.last_end..span.start];
        let begins_line = before.contains('\n') || self.last_end == 0;
        let rest = &self.text[span.end..];
        let rest = rest.trim_start_matches([' ', '\t', '\r', ',']);
        let ends_line = rest.starts_with('\n') || rest.is_empty();
        if begins_line && !self.line.text.is_empty() {
            self.end_line();
        }
        if self.line.text.is_empty() {
            self.keep_blank_line(&[Element::Comment(span.clone())]);
            self.line.level = base;
        } else {
            self.line.text.push(' ');
        }
        self.line.text.push_str(&self.text[span.clone()]);
        self.last_end = span.end;
        if ends_line {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.text.is_empty() {
            return;
        }
        if !self.out.is_empty() {
            self.out.push_str(self.spaces.line_end);
        }
        let _ = write!(
            self.out,
            "{}{}",
            self.spaces.indent.repeat(line.level),
            line.text
        );
    }
}

#[cfg(test)]
mod tests;
