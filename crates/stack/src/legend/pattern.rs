//! Regular expressions that are searched for in legends: Java's, run by `fancy_regex`.

mod class;
mod dialect;

use std::cell::OnceCell;

use fancy_regex::{Captures, Regex, RegexBuilder};

use crate::error::StackError;

/// How often the engine may go back before a pattern counts as too expensive, for one match. Atlas counts the characters that are read
/// for a legend, up to a million. Where there are many matches or lines the lower limits keep the work as a whole in bounds.
const MAX_BACKTRACKS: [usize; 4] = [1_000_000, 100_000, 10_000, 1_000];

/// How much all legends of an expression may take, in steps back.
const BUDGET: usize = 64_000_000;

/// How much a legend may take, however few or many there are.
const LEGEND_BUDGET: std::ops::RangeInclusive<usize> = 64_000..=16_000_000;

/// A pattern.
pub(super) struct LegendPattern {
    source: String,
    /// The engine's pattern, compiled for each limit once that is needed.
    regex: String,
    compiled: [OnceCell<Regex>; MAX_BACKTRACKS.len()],
    names: Vec<Option<String>>,
    budget: usize,
}

/// Where a pattern was found.
pub(super) struct Match<'t> {
    captures: Captures<'t>,
    names: &'t [Option<String>],
}

impl LegendPattern {
    /// Reads a pattern of Java's dialect, for so many legends.
    ///
    /// # Errors
    /// In Java's words when it is none; in others when the engine cannot run it.
    pub(super) fn new(source: &str, legends: usize) -> Result<Self, StackError> {
        let dialect::Translation { regex, names } = dialect::translate(source)?;
        let pattern = Self {
            source: source.to_owned(),
            // An atomic group keeps the engine from handing the pattern on to one that never goes back, and so never gives up.
            regex: format!("(?:{regex})(?>)"),
            compiled: Default::default(),
            names,
            budget: (BUDGET / legends.max(1)).clamp(*LEGEND_BUDGET.start(), *LEGEND_BUDGET.end()),
        };
        pattern.compiled(0)?;
        Ok(pattern)
    }

    fn compiled(&self, level: usize) -> Result<&Regex, StackError> {
        if let Some(regex) = self.compiled[level].get() {
            return Ok(regex);
        }
        let regex = RegexBuilder::new(&self.regex)
            .backtrack_limit(MAX_BACKTRACKS[level])
            .build()
            .map_err(|e| {
                StackError::PatternSyntax(format!("pattern '{}' cannot be run: {e}", self.source))
            })?;
        Ok(self.compiled[level].get_or_init(|| regex))
    }

    /// The first match that starts at this place or behind it.
    ///
    /// # Errors
    /// When it takes too much work.
    pub(super) fn find<'t>(
        &'t self,
        text: &'t str,
        from: usize,
    ) -> Result<Option<Match<'t>>, StackError> {
        // There may be a match at every place.
        let share = self.budget / (text.len() + 1);
        let level = MAX_BACKTRACKS.iter().position(|limit| *limit <= share);
        let regex = self.compiled(level.unwrap_or(MAX_BACKTRACKS.len() - 1))?;
        let found = regex.captures_from_pos(text, from).map_err(|_| {
            StackError::IllegalArgument(format!(
                "regex is too expensive to evaluate: '{}'",
                self.source
            ))
        })?;
        Ok(found.map(|captures| Match {
            captures,
            names: &self.names,
        }))
    }
}

impl<'t> Match<'t> {
    /// Where it starts and ends.
    pub(super) fn range(&self) -> (usize, usize) {
        self.captures
            .get(0)
            .map_or((0, 0), |m| (m.start(), m.end()))
    }

    /// The text of a group, 0 being the whole; `None` when there is no such group, `Some(None)` when it took no part.
    pub(super) fn group(&self, number: usize) -> Option<Option<&'t str>> {
        let there = number < self.captures.len();
        there.then(|| self.captures.get(number).map(|m| m.as_str()))
    }

    /// The text of the group with this name, likewise.
    pub(super) fn group_named(&self, name: &str) -> Option<Option<&'t str>> {
        let at = self.names.iter().position(|n| n.as_deref() == Some(name))?;
        self.group(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> String {
        match LegendPattern::new(source, 1) {
            Ok(_) => panic!("{source} is accepted"),
            Err(e) => e.message().to_owned(),
        }
    }

    /// The places of all matches, and the groups of the first.
    fn found(source: &str, text: &str) -> String {
        let pattern = LegendPattern::new(source, 1).expect("a pattern");
        let mut out = String::new();
        let mut from = 0;
        while let Some(m) = pattern.find(text, from).expect("cheap") {
            let (start, end) = m.range();
            if out.is_empty() {
                for group in (1..).map_while(|n| m.group(n)) {
                    out.push_str(&format!("<{}>", group.unwrap_or("null")));
                }
            }
            out.push_str(&format!(" {start}-{end}"));
            from = end.max(start + 1);
            if from > text.len() {
                break;
            }
        }
        out
    }

    #[test]
    fn faults_are_told_in_the_words_of_java() {
        let cases = [
            ("(a", "Unclosed group near index 2\n(a"),
            ("[a", "Unclosed character class near index 1\n[a\n ^"),
            ("a**", "Dangling meta character '*' near index 2\na**\n  ^"),
            ("(*a)", "Dangling meta character '*' near index 1\n(*a)\n ^"),
            ("a{", "Illegal repetition near index 2\na{"),
            ("{name}", "Illegal repetition near index 1\n{name}\n ^"),
            ("a{2", "Unclosed counted closure near index 3\na{2"),
            (
                "a{2,1}",
                "Illegal repetition range near index 5\na{2,1}\n     ^",
            ),
            ("a\\", "Unescaped trailing backslash near index 2\na\\"),
            (
                "\\y",
                "Illegal/unsupported escape sequence near index 1\n\\y\n ^",
            ),
            (
                "\\xg",
                "Illegal hexadecimal escape sequence near index 2\n\\xg\n  ^",
            ),
            (
                "\\u12",
                "Illegal Unicode escape sequence near index 4\n\\u12",
            ),
            ("\\0", "Illegal octal escape sequence near index 2\n\\0"),
            ("\\p{", "Unclosed character family near index 3\n\\p{"),
            (
                "\\p{Foo}",
                "Unknown character property name {Foo} near index 6\n\\p{Foo}\n      ^",
            ),
            (
                "\\k<x>",
                "named capturing group <x> does not exist near index 4\n\\k<x>\n    ^",
            ),
            (
                "(?<n",
                "named capturing group is missing trailing '>' near index 4\n(?<n",
            ),
            (
                "(?<1>x)",
                "capturing group name does not start with a Latin letter near index 3\n(?<1>x)\n   ^",
            ),
            (
                "(?<n>a)(?<n>b)",
                "Named capturing group <n> is already defined near index 11\n(?<n>a)(?<n>b)\n           ^",
            ),
            ("(?z)a", "Unknown inline modifier near index 2\n(?z)a\n  ^"),
            ("a)", "Unmatched closing ')' near index 0\na)\n^"),
            ("[b-a]", "Illegal character range near index 3\n[b-a]\n   ^"),
        ];
        for (source, text) in cases {
            assert_eq!(refused(source), text);
        }
        assert!(refused(&"(".repeat(500)).starts_with("Groups are nested too deep"));
    }

    #[test]
    fn the_dialect_is_that_of_java() {
        assert_eq!(found("(?<n>a)(b)?", "xac"), "<a><null> 1-2");
        assert_eq!(found(r"(a)\1(\d)", "aa1"), "<a><1> 0-3");
        assert_eq!(found(r"\d|\w", "٣é1"), " 4-5");
        assert_eq!(found("a$", "a\n"), " 0-1");
        assert_eq!(found(".", "a\r\u{85}b"), " 0-1 4-5");
        assert_eq!(found(r"\Qa.b\E+", "a.bb"), " 0-4");
        assert_eq!(found("[a-c&&[^b]]", "abc"), " 0-1 2-3");
        assert_eq!(found("[]a-]+", "x]a-"), " 1-4");
        assert_eq!(found("a++a", "aaa"), "");
        assert_eq!(found("a{2,}?", "aaaa"), " 0-2 2-4");
        assert_eq!(found("(?i)AB(?-i)c", "abcabC"), " 0-3");
        assert_eq!(found("(?x) a b # and so on", "ab"), " 0-2");
        assert_eq!(found(r"\bfoo\b", "foo foox"), " 0-3");
        assert_eq!(found("(?<=-)[a-z]+(?!-)", "a-bc-d"), " 2-3 5-6");
        assert_eq!(found(r"\p{Upper}\P{Alpha}\h", "A1 é1 "), " 0-3");
        assert_eq!(found(r"(?:^)*a{1,2}{2}", "aaa"), " 0-2 2-3");
        assert_eq!(found("{2}b", "ab"), " 1-2");
    }
}
