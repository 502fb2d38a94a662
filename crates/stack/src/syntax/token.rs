//! The tokens of a text that may be no program yet: where each stands, what is wrong with comments and parentheses.
//!
//! Of a text that [`lexer::tokens`](crate::lexer::tokens) can read the tokens are the same.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, DiagnosticCode, Fix, MAX_DIAGNOSTICS, Severity};

/// A token, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What the machine reads: without comments and the blanks around it.
    pub text: Arc<str>,
    /// From its first byte in the program to behind its last one.
    pub span: Range<usize>,
    /// The parts of the program that make up the text: several where comments stand within the token.
    pub fragments: Vec<Range<usize>>,
    /// What the machine does with it.
    pub kind: TokenKind,
    /// How many lists it is in.
    pub depth: usize,
    /// The parenthesis on the other side of the list.
    pub partner: Option<usize>,
}

/// What the machine does with a token, unless it is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// It is put on the stack.
    Literal,
    /// It is a word that runs.
    Word,
    /// It begins a list.
    Open,
    /// It ends a list.
    Close,
}

impl Token {
    fn new(program: &str, fragments: Vec<Range<usize>>) -> Self {
        let text: String = fragments.iter().map(|f| &program[f.clone()]).collect();
        let kind = match text.as_str() {
            "(" => TokenKind::Open,
            ")" => TokenKind::Close,
            text if text.starts_with(':') => TokenKind::Word,
            _ => TokenKind::Literal,
        };
        let first = fragments.first().map_or(0, |f| f.start);
        let last = fragments.last().map_or(0, |f| f.end);
        Self {
            text: text.into(),
            span: first..last,
            fragments,
            kind,
            depth: 0,
            partner: None,
        }
    }

    /// The name of a word.
    pub fn word(&self) -> Option<&str> {
        self.text.strip_prefix(':')
    }
}

/// A text split up.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    /// Where the comments are.
    pub(super) comments: Vec<Range<usize>>,
    /// For each parenthesis that opens a list, the index behind the last item.
    pub(super) list_ends: Vec<(usize, usize)>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Tokens {
    pub(super) fn of(program: &str) -> Self {
        let mut tokens = Self::default();
        tokens.split(program);
        tokens.pair_parentheses(program.len());
        tokens
    }

    /// The index behind the last item of the list that a token begins.
    pub(super) fn list_end(&self, open: usize) -> usize {
        self.list_ends
            .binary_search_by_key(&open, |(at, _)| *at)
            .map_or(open + 1, |found| self.list_ends[found].1)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    fn split(&mut self, program: &str) {
        let bytes = program.as_bytes();
        let any_comment = program.contains("/*");
        let mut opened = false;
        let mut fragments = Vec::new();
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            match (bytes[at], bytes.get(at + 1)) {
                (b'/', Some(b'*')) => {
                    fragments.push(from..at);
                    at = self.comment(program, at);
                    from = at;
                    opened = true;
                }
                // Before the first comment it passes as text, if there is a comment at all.
                (b'*', Some(b'/')) if opened || !any_comment => {
                    fragments.push(from..at);
                    self.closed_without_opening(at);
                    at += 2;
                    from = at;
                }
                (b',', _) => {
                    fragments.push(from..at);
                    self.finish_token(program, &mut fragments);
                    at += 1;
                    from = at;
                }
                _ => at += 1,
            }
        }
        fragments.push(from..at);
        self.finish_token(program, &mut fragments);
    }

    /// Passes over a comment and those within it.
    fn comment(&mut self, program: &str, start: usize) -> usize {
        let bytes = program.as_bytes();
        let mut depth = 0;
        let mut at = start;
        loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                (Some(_), _) => at += 1,
                (None, _) => {
                    let end = program.len();
                    self.report(Diagnostic {
                        span: start..start + 2,
                        severity: Severity::Error,
                        code: DiagnosticCode::UnclosedComment,
                        message: "unclosed comment".to_owned(),
                        fixes: vec![Fix::new(
                            "Close the comment at the end",
                            end..end,
                            "*/".repeat(depth),
                        )],
                    });
                    break;
                }
            }
        }
        self.comments.push(start..at);
        at
    }

    fn closed_without_opening(&mut self, at: usize) {
        self.report(Diagnostic {
            span: at..at + 2,
            severity: Severity::Error,
            code: DiagnosticCode::UnclosedComment,
            message: "unclosed comment: '*/' closes none".to_owned(),
            fixes: vec![
                Fix::new("Remove '*/'", at..at + 2, ""),
                Fix::new("Write it as text: '*\\u002f'", at..at + 2, "*\\u002f"),
            ],
        });
    }

    /// Makes a token of what stood between two commas, unless it is blank.
    fn finish_token(&mut self, program: &str, fragments: &mut Vec<Range<usize>>) {
        let blank = |c: char| c <= ' ';
        let text = |f: &Range<usize>| &program[f.clone()];
        let is_text = |f: &Range<usize>| !text(f).chars().all(blank);
        let first = fragments.iter().position(is_text);
        let last = fragments.iter().rposition(is_text);
        if let (Some(first), Some(last)) = (first, last) {
            fragments[first].start =
                fragments[first].end - text(&fragments[first]).trim_start_matches(blank).len();
            fragments[last].end =
                fragments[last].start + text(&fragments[last]).trim_end_matches(blank).len();
            let within = fragments[first..=last].iter().filter(|f| !f.is_empty());
            self.tokens
                .push(Token::new(program, within.cloned().collect()));
        }
        fragments.clear();
    }

    fn pair_parentheses(&mut self, program_end: usize) {
        let mut open = Vec::new();
        let mut unmatched = Vec::new();
        for at in 0..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Open => open.push(at),
                TokenKind::Close => match open.pop() {
                    Some(partner) => {
                        self.tokens[partner].partner = Some(at);
                        self.tokens[at].partner = Some(partner);
                    }
                    None => unmatched.push(at),
                },
                TokenKind::Literal | TokenKind::Word => {}
            }
        }
        self.find_lists();
        for at in unmatched {
            let span = self.tokens[at].span.clone();
            self.report(Diagnostic {
                fixes: vec![Fix::new("Remove ')'", span.clone(), "")],
                ..Diagnostic::parenthesis(span, "unmatched closing parenthesis")
            });
        }
        for at in open {
            let end = self.list_end(at);
            let fix = match self.tokens.get(end) {
                Some(word) => Fix::new(
                    "Close the list before the next word",
                    word.span.start..word.span.start,
                    "),",
                ),
                None => Fix::new("Close the list at the end", program_end..program_end, ",)"),
            };
            self.report(Diagnostic {
                fixes: vec![fix],
                ..Diagnostic::parenthesis(
                    self.tokens[at].span.clone(),
                    "unmatched opening parenthesis",
                )
            });
        }
    }

    /// Where lists end. One that nothing closes is taken to end before the first word in it, if anything comes before that word.
    fn find_lists(&mut self) {
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Word => {
                    while let Some(&list) = open.last()
                        && self.tokens[list].partner.is_none()
                        && at > list + 1
                    {
                        open.pop();
                        self.list_ends.push((list, at));
                    }
                }
                TokenKind::Close if self.tokens[at].partner.is_some() => {
                    self.list_ends.extend(open.pop().map(|list| (list, at)));
                }
                TokenKind::Open | TokenKind::Close | TokenKind::Literal => {}
            }
            self.tokens[at].depth = open.len();
            if self.tokens[at].kind == TokenKind::Open {
                open.push(at);
            }
        }
        let end = self.tokens.len();
        self.list_ends.extend(open.into_iter().map(|at| (at, end)));
        self.list_ends.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer;
    use proptest::prelude::*;

    fn texts(tokens: &Tokens) -> Vec<&str> {
        tokens.tokens.iter().map(|t| &*t.text).collect()
    }

    fn messages(tokens: &Tokens) -> Vec<&str> {
        tokens.diagnostics.iter().map(|d| &*d.message).collect()
    }

    #[test]
    fn tokens_know_their_place() {
        let program = " a , :d/*x*/up ,\n(,é,)";
        let found = Tokens::of(program);
        assert_eq!(texts(&found), ["a", ":dup", "(", "é", ")"]);
        let spans: Vec<&str> = found
            .tokens
            .iter()
            .map(|t| &program[t.span.clone()])
            .collect();
        assert_eq!(spans, ["a", ":d/*x*/up", "(", "é", ")"]);
        assert_eq!(found.tokens[1].fragments.len(), 2);
        assert_eq!(&program[found.comments[0].clone()], "/*x*/");
        assert_eq!(found.tokens[2].partner, Some(4));
        assert_eq!((found.tokens[3].depth, found.tokens[4].depth), (1, 0));
    }

    #[test]
    fn comments_are_passed_over_wherever_they_stand() {
        let found = Tokens::of("/* a */ x /* , */ , /*b*/,y/* /* , */ */");
        assert_eq!(texts(&found), ["x", "y"]);
        assert_eq!(found.tokens[0].fragments.len(), 1);
        assert_eq!(found.comments.len(), 4);
        let found = Tokens::of("a,/* b /* */ c,:sum");
        assert_eq!(texts(&found), ["a"]);
        assert_eq!(messages(&found), ["unclosed comment"]);
        assert_eq!(found.diagnostics[0].fixes[0].text, "*/");
        let found = Tokens::of("a*/b,c");
        assert_eq!(texts(&found), ["ab", "c"]);
        assert_eq!(messages(&found), ["unclosed comment: '*/' closes none"]);
        assert!(Tokens::of("a*/b,/**/").diagnostics.is_empty());
    }

    #[test]
    fn an_open_list_ends_before_the_first_word() {
        let found = Tokens::of("k,(,a,(,b,),c,:in,:sum");
        assert_eq!(found.list_end(1), 7);
        assert_eq!(found.list_end(3), 5);
        let depths: Vec<_> = found.tokens.iter().map(|t| t.depth).collect();
        assert_eq!(depths, [0, 0, 1, 1, 2, 1, 1, 0, 0]);
        assert_eq!(messages(&found), ["unmatched opening parenthesis"]);
        let fix = &found.diagnostics[0].fixes[0];
        assert_eq!((fix.span.clone(), &*fix.text), (14..14, "),"));
        let found = Tokens::of("a,),(");
        assert_eq!(
            messages(&found),
            [
                "unmatched closing parenthesis",
                "unmatched opening parenthesis"
            ]
        );
        assert_eq!(found.list_end(2), 3);
    }

    proptest! {
        #[test]
        fn the_tokens_are_those_of_the_lexer(text in "([,:()/* a\n]|/\\*|\\*/|é){0,24}") {
            let found = Tokens::of(&text);
            let comments = found.diagnostics.iter().any(|d| d.code == DiagnosticCode::UnclosedComment);
            match lexer::tokens(&text) {
                Ok(tokens) => {
                    prop_assert!(!comments);
                    prop_assert_eq!(texts(&found), tokens);
                }
                Err(_) => prop_assert!(comments),
            }
            for token in &found.tokens {
                let text: String = token.fragments.iter().map(|f| &text[f.clone()]).collect();
                prop_assert_eq!(&*token.text, text);
            }
        }
    }
}
