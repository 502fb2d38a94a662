//! Regular expressions over tag values.
//!
//! A pattern `v` matches a value when the regular expression `^v` is found in it: anchored at the start, open at the end. The
//! dialect is Atlas's (see `dialect`); `fancy_regex`, which knows look-ahead as Atlas does, runs it.

mod dialect;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fancy_regex::Regex;
use regex_syntax::hir::{Hir, Look, literal::Extractor};

/// How many literal prefixes are taken from a pattern before it counts as having none.
const MAX_PREFIXES: usize = 64;

/// A compiled pattern for tag values. Equal when its text and its case rule are.
#[derive(Clone)]
pub struct TagPattern {
    source: Arc<str>,
    ignore_case: bool,
    test: Arc<Test>,
    prefixes: Arc<[Prefix]>,
    shape: PatternShape,
}

/// Tells whether a value matches. What an engine caches behind it is no part of the pattern's identity.
type Test = dyn Fn(&str) -> bool + Send + Sync;

/// What a pattern amounts to, where it is no more than a test for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternShape {
    /// The value begins with the text.
    Prefix(Box<str>),
    /// The value contains the text.
    Contains(Box<str>),
    /// Anything else.
    Other,
}

/// A text that a matching value has to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The text.
    pub text: Box<str>,
    /// True when every value that begins with the text matches: the regular expression need not run.
    pub sufficient: bool,
}

/// A pattern that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("invalid regular expression '{pattern}': {cause}")]
pub struct InvalidPattern {
    pattern: String,
    cause: String,
    fault: PatternFault,
}

/// The kinds of faults in a pattern; Atlas answers each with an exception of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFault {
    /// The text is not of the dialect.
    Malformed,
    /// A count of repetitions is no number.
    NotANumber,
    /// The text ends where something has to follow.
    EndsEarly,
}

impl InvalidPattern {
    /// What is wrong, without the pattern: Atlas's own words, and where they point to.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The kind of the fault.
    pub fn fault(&self) -> PatternFault {
        self.fault
    }
}

impl TagPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When the text is no regular expression of the dialect.
    pub fn new(source: &str, ignore_case: bool) -> Result<Self, InvalidPattern> {
        let invalid = |cause, fault| InvalidPattern {
            pattern: source.to_owned(),
            cause,
            fault,
        };
        let translation = dialect::translate(source).map_err(|e| invalid(e.text, e.kind))?;
        let flags = if ignore_case { "(?i)" } else { "" };
        let anchored = format!("{flags}{}", translation.regex);
        let test: Arc<Test> = match translation.shape.clone() {
            PatternShape::Prefix(text) if !ignore_case => {
                Arc::new(move |value| value.starts_with(&*text))
            }
            PatternShape::Contains(text) if !ignore_case => {
                Arc::new(move |value| value.contains(&*text))
            }
            _ => {
                let regex = Regex::new(&anchored)
                    .map_err(|e| invalid(e.to_string(), PatternFault::Malformed))?;
                // A pattern that runs into the engine's limit on backtracking does not match.
                Arc::new(move |value| regex.is_match(value).unwrap_or(false))
            }
        };
        let prefixes = regex_syntax::parse(&anchored)
            .ok()
            .and_then(|hir| prefixes_of(&hir))
            .unwrap_or_default();
        Ok(Self {
            source: source.into(),
            ignore_case,
            test,
            prefixes: prefixes.into(),
            shape: translation.shape,
        })
    }

    /// The pattern as written, without the anchor.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the pattern amounts to; its text is as it stands in values, without escapes.
    pub fn shape(&self) -> &PatternShape {
        &self.shape
    }

    /// True when upper and lower case are the same.
    pub fn ignore_case(&self) -> bool {
        self.ignore_case
    }

    /// True when the value matches.
    pub fn matches(&self, value: &str) -> bool {
        (self.test)(value)
    }

    /// The texts of which a matching value begins with at least one; empty when nothing is known.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }
}

fn prefixes_of(hir: &Hir) -> Option<Vec<Prefix>> {
    let properties = hir.properties();
    // Without the anchor on every branch (`^a|b`) a match may start anywhere.
    if !properties.look_set_prefix().contains(Look::Start) {
        return None;
    }
    let only_anchor = properties.look_set().len() == 1;
    let mut extractor = Extractor::new();
    extractor.limit_total(MAX_PREFIXES);
    let literals = extractor.extract(hir);
    literals
        .literals()?
        .iter()
        .map(|literal| {
            let text = std::str::from_utf8(literal.as_bytes()).ok()?;
            (!text.is_empty()).then(|| Prefix {
                text: text.into(),
                sufficient: literal.is_exact() && only_anchor,
            })
        })
        .collect()
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignore_case == other.ignore_case
    }
}

impl Eq for TagPattern {}

impl Hash for TagPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.ignore_case.hash(state);
    }
}

impl PartialOrd for TagPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TagPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.source, self.ignore_case).cmp(&(&other.source, other.ignore_case))
    }
}

impl fmt::Debug for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = if self.ignore_case { "i" } else { "" };
        write!(f, "/^{}/{flag}", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(source: &str) -> TagPattern {
        TagPattern::new(source, false).expect("a valid pattern")
    }

    fn prefixes(source: &str) -> Vec<(String, bool)> {
        pattern(source)
            .prefixes()
            .iter()
            .map(|p| (p.text.to_string(), p.sufficient))
            .collect()
    }

    #[test]
    fn the_start_is_anchored_and_the_end_is_open() {
        assert!(pattern("foo").matches("foobar"));
        assert!(!pattern("bar").matches("foobar"));
        assert!(pattern("foo$").matches("foo"));
        assert!(!pattern("foo$").matches("foobar"));
        assert!(pattern("foo(?!bar)").matches("foobaz"));
        assert!(!pattern("foo(?!bar)").matches("foobar"));
    }

    #[test]
    fn only_the_first_branch_of_a_bare_alternation_is_anchored() {
        assert!(pattern("a|b").matches("xb"));
        assert!(prefixes("a|b").is_empty());
    }

    #[test]
    fn prefixes_say_whether_they_suffice() {
        assert_eq!(prefixes("foo"), [("foo".into(), true)]);
        assert_eq!(prefixes("foo.*bar"), [("foo".into(), false)]);
        assert_eq!(prefixes("foo$"), [("foo".into(), false)]);
        assert_eq!(
            prefixes("(foo|bar)"),
            [("foo".into(), true), ("bar".into(), true)]
        );
        assert!(prefixes(".*foo").is_empty());
        assert!(prefixes("foo(?!bar)").is_empty());
    }

    #[test]
    fn case_can_be_ignored() {
        let p = TagPattern::new("FOO", true).expect("valid");
        assert!(p.matches("foobar"));
        assert_ne!(p, pattern("FOO"));
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        let e = TagPattern::new("a(", false).expect_err("unclosed");
        assert!(e.to_string().contains("'a('"), "{e}");
    }

    #[test]
    fn faults_are_told_in_the_words_of_atlas() {
        let cause = |source| {
            let e = TagPattern::new(source, false).expect_err("invalid");
            (e.cause().to_owned(), e.fault())
        };
        assert_eq!(
            cause("[a-"),
            (
                "unclosed character class\n^.*(^[a-).*$\n            ^".to_owned(),
                PatternFault::Malformed
            )
        );
        assert_eq!(
            cause("(?i)A\\.B").0,
            "unsupported: inline flags\n^.*(^(?i)A\\.B).*$\n        ^"
        );
        assert_eq!(
            cause("a{x}"),
            (
                "For input string: \"x\"".to_owned(),
                PatternFault::NotANumber
            )
        );
        assert_eq!(cause("\\p{").1, PatternFault::EndsEarly);
        assert_eq!(cause("(a|*b)").0.lines().next(), Some("dangling modifier"));
        assert_eq!(
            cause("(a)\\1").0.lines().next(),
            Some("unsupported: back references")
        );
        assert_eq!(
            cause("a)").0.lines().next(),
            Some("unmatched closing parenthesis")
        );
        assert_eq!(cause("a***").0, "unknown quantifier: ***");
        assert!(TagPattern::new(&"(".repeat(5000), false).is_err());
    }

    #[test]
    fn the_dialect_is_that_of_atlas() {
        // A repeated anchor holds nothing.
        assert!(pattern("*a").matches("ba"));
        // A backslash before a letter without meaning is nothing.
        assert!(pattern("\\bar").matches("bar"));
        assert!(!pattern("\\bar").matches("ar"));
        assert!(pattern("\\Qa.b\\E$").matches("a.b"));
        assert!(!pattern("\\Qa.b\\E$").matches("axb"));
        assert!(pattern("a\\u002eb").matches("axb"));
        assert!(pattern("[^a-c]x$").matches("dx"));
        assert!(!pattern("[^a-c]x$").matches("bx"));
        assert!(pattern("[a-z&&[^b]]+$").matches("ac"));
        assert!(!pattern("[a-z&&[^b]]+$").matches("abc"));
        assert!(pattern("\\p{Alpha}\\d$").matches("a1"));
        assert!(pattern("[]x-]+$").matches("x]-"));
        assert!(pattern("a{2}$").matches("aa"));
        assert!(!pattern("a{2}$").matches("aaa"));
        assert!(pattern("(?<name>a|b)c$").matches("bc"));
        assert!(pattern("a*+b$").matches("aab"));
        assert!(pattern("").matches("anything"));
    }

    #[test]
    fn simple_patterns_show_their_text() {
        let shape = |source| pattern(source).shape().clone();
        assert_eq!(shape("a\\.b"), PatternShape::Prefix("a.b".into()));
        assert_eq!(shape("(foo).*$"), PatternShape::Prefix("foo".into()));
        assert_eq!(shape(".*a b"), PatternShape::Contains("a b".into()));
        assert_eq!(shape(".*b$"), PatternShape::Other);
        assert_eq!(shape("a|b"), PatternShape::Other);
        assert_eq!(shape("a[bc]"), PatternShape::Other);
        assert_eq!(shape(".*.*[a]b"), PatternShape::Contains("ab".into()));
        assert_eq!(shape(".*"), PatternShape::Other);
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        // Every short text over the characters that mean something.
        let alphabet: Vec<char> = "a\\[](){}|*+?.^$-&Q:!=<>p1,x".chars().collect();
        let mut state = 7u64;
        for _ in 0..10_000 {
            let mut source = String::new();
            for _ in 0..(state % 9) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                source.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            if let Ok(p) = TagPattern::new(&source, false) {
                p.matches("a(b)c");
            }
        }
    }
}
