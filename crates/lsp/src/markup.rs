//! Explanations, in Markdown or as plain text.

use std::fmt::{self, Write};

use gen_lsp_types::{MarkupContent, MarkupKind};

/// An explanation as it grows.
#[derive(Debug)]
pub(crate) struct Markup {
    kind: MarkupKind,
    text: String,
}

impl Markup {
    pub(crate) fn new(kind: &MarkupKind) -> Self {
        Self {
            kind: kind.clone(),
            text: String::new(),
        }
    }

    fn is_plain(&self) -> bool {
        self.kind == MarkupKind::PlainText
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
    }

    /// A paragraph. In texts of ours backquotes mark code, and nothing else means anything.
    pub(crate) fn paragraph(&mut self, text: &str) -> &mut Self {
        self.separate();
        if self.is_plain() {
            self.text.extend(text.chars().filter(|c| *c != '`'));
        } else {
            self.text.push_str(text);
        }
        self
    }

    /// Lines of a program, or of whatever is shown as it is.
    pub(crate) fn code(&mut self, text: &str) -> &mut Self {
        self.separate();
        if self.is_plain() {
            self.text.push_str(text);
            return self;
        }
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ = write!(self.text, "{fence}asl\n{text}\n{fence}");
        self
    }

    pub(crate) fn finish(self) -> MarkupContent {
        MarkupContent {
            kind: self.kind,
            value: self.text,
        }
    }
}

/// A text of someone else within a paragraph, as code on one line.
pub(crate) fn inline(text: &str) -> String {
    let shown: String = shortened(&text, 80)
        .chars()
        .map(|c| match c {
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    format!("`{shown}`")
}

/// The first characters of what something prints: it may be very long.
pub(crate) fn shortened(value: &impl fmt::Display, chars: usize) -> String {
    struct Limited {
        text: String,
        left: usize,
    }
    impl Write for Limited {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            for c in s.chars() {
                if self.left == 0 {
                    return Err(fmt::Error);
                }
                self.left -= 1;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut limited = Limited {
        text: String::new(),
        left: chars,
    };
    if write!(limited, "{value}").is_err() {
        limited.text.push('…');
    }
    limited.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_fenced_by_more_than_it_holds() {
        let mut markup = Markup::new(&MarkupKind::Markdown);
        markup.paragraph("Says `a`.").code("x```y");
        assert_eq!(markup.finish().value, "Says `a`.\n\n````asl\nx```y\n````");
        let mut markup = Markup::new(&MarkupKind::PlainText);
        markup.paragraph("Says `a`.").code("x");
        assert_eq!(markup.finish().value, "Says a.\n\nx");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shortened(&"abc", 3), "abc");
        assert_eq!(shortened(&"abcd", 3), "abc…");
        assert_eq!(inline("a`b\nc"), "`a'b c`");
    }
}
