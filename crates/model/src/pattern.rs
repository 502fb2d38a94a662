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

/// A compiled pattern for tag values. Equal when its text, its dialect and its case rule are.
#[derive(Clone)]
pub struct TagPattern {
    source: Arc<str>,
    ignore_case: bool,
    /// True when a match may begin anywhere: see [`TagPattern::search`].
    anywhere: bool,
    test: Arc<Test>,
    prefixes: Arc<[Prefix]>,
    values: Option<Arc<[Box<str>]>>,
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
        let hir = regex_syntax::parse(&anchored).ok();
        let prefixes = hir.as_ref().and_then(prefixes_of).unwrap_or_default();
        let values = hir.as_ref().and_then(values_of).map(|values| {
            // An anchor within a pattern may keep a text from matching.
            values.into_iter().filter(|v| test(v)).collect()
        });
        Ok(Self {
            source: source.into(),
            ignore_case,
            anywhere: false,
            test,
            prefixes: prefixes.into(),
            values,
            shape: translation.shape,
        })
    }

    /// Compiles a pattern as SQL has them: in the dialect of the `regex` crate, found anywhere in a value unless it is anchored.
    ///
    /// # Errors
    /// When the text is no regular expression of the dialect.
    pub fn search(source: &str, ignore_case: bool) -> Result<Self, InvalidPattern> {
        let flags = if ignore_case { "(?i)" } else { "" };
        let flagged = format!("{flags}{source}");
        let regex = Regex::new(&flagged).map_err(|e| InvalidPattern {
            pattern: source.to_owned(),
            cause: e.to_string(),
            fault: PatternFault::Malformed,
        })?;
        // As above: what runs into the limit on backtracking does not match.
        let test: Arc<Test> = Arc::new(move |value| regex.is_match(value).unwrap_or(false));
        let hir = regex_syntax::parse(&flagged).ok();
        let prefixes = hir.as_ref().and_then(prefixes_of).unwrap_or_default();
        let values = hir.as_ref().and_then(values_of);
        Ok(Self {
            source: source.into(),
            ignore_case,
            anywhere: true,
            prefixes: prefixes.into(),
            values: values.map(|values| values.into_iter().filter(|v| test(v)).collect()),
            test,
            shape: PatternShape::Other,
        })
    }

    /// Compiles a pattern of SQL's `LIKE`: `%` stands for any text, `_` for any character, `\\` takes the meaning from what follows.
    ///
    /// # Errors
    /// When it is too long to be compiled.
    pub fn like(pattern: &str, ignore_case: bool) -> Result<Self, InvalidPattern> {
        let mut regex = String::from("(?s)^");
        let mut chars = pattern.chars();
        let literal = |regex: &mut String, c: char| {
            regex.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])));
        };
        while let Some(c) = chars.next() {
            match c {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                '\\' => literal(&mut regex, chars.next().unwrap_or('\\')),
                c => literal(&mut regex, c),
            }
        }
        regex.push('$');
        // With an open end the texts that a value begins with suffice.
        let regex = regex.strip_suffix(".*$").unwrap_or(&regex);
        Self::search(regex, ignore_case)
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

    /// All values that match, sorted, if they are few and follow from the pattern; `None` when that is not known.
    pub fn values(&self) -> Option<&[Box<str>]> {
        self.values.as_deref()
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

/// The texts that a pattern with both of its ends anchored comes to.
fn values_of(hir: &Hir) -> Option<Vec<Box<str>>> {
    let properties = hir.properties();
    let closed = properties.look_set_prefix().contains(Look::Start)
        && properties.look_set_suffix().contains(Look::End);
    if !closed || properties.look_set().len() != 2 {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.limit_total(MAX_PREFIXES);
    let literals = extractor.extract(hir);
    let mut values = literals
        .literals()?
        .iter()
        .map(|literal| {
            let text = std::str::from_utf8(literal.as_bytes()).ok()?;
            literal.is_exact().then(|| text.into())
        })
        .collect::<Option<Vec<Box<str>>>>()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for TagPattern {}

impl Hash for TagPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.ignore_case.hash(state);
        self.anywhere.hash(state);
    }
}

impl PartialOrd for TagPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TagPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let identity = |p: &Self| (p.source.clone(), p.ignore_case, p.anywhere);
        identity(self).cmp(&identity(other))
    }
}

impl fmt::Debug for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = if self.ignore_case { "i" } else { "" };
        let anchor = if self.anywhere { "" } else { "^" };
        write!(f, "/{anchor}{}/{flag}", self.source)
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
    fn like_takes_its_own_signs() {
        let like = |source| TagPattern::like(source, false).expect("a valid pattern");
        assert!(like("a.b%").matches("a.bc") && !like("a.b%").matches("axbc"));
        assert!(like("%b").matches("a\nb") && !like("%b").matches("bc"));
        assert!(like("a_c").matches("aéc") && !like("a_c").matches("ac"));
        assert!(like("100\\%").matches("100%") && !like("100\\%").matches("100x"));
        assert!(like("%\\").matches("a\\"));
        let starts = like("api.%");
        let prefix = &starts.prefixes()[0];
        assert_eq!((&*prefix.text, prefix.sufficient), ("api.", true));
        assert_eq!(like("x").values(), Some(&["x".into()][..]));
        assert!(TagPattern::like("A%", true).expect("valid").matches("ab"));
    }

    #[test]
    fn a_search_is_not_anchored() {
        let search = |source| TagPattern::search(source, false).expect("a valid pattern");
        assert!(search("bar").matches("foobar") && !search("^bar").matches("foobar"));
        assert!(search("^fo+$").matches("foo") && !search("^fo+$").matches("foobar"));
        assert_eq!(search("^foo").prefixes()[0].text, "foo".into());
        assert!(search("foo").prefixes().is_empty());
        let either = search("^(a|b)$");
        let both: Vec<&str> = either.values().expect("few").iter().map(|v| &**v).collect();
        assert_eq!(both, ["a", "b"]);
        assert_ne!(search("foo"), pattern("foo"));
        assert!(
            TagPattern::search("FOO", true)
                .expect("valid")
                .matches("a foo")
        );
        assert!(TagPattern::search("(", false).is_err());
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
    fn a_closed_pattern_of_few_texts_is_a_list_of_them() {
        let values = |source: &str| {
            let values = pattern(source).values().map(<[_]>::to_vec);
            values.map(|v| v.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(values("foo$"), Some(vec!["foo".to_owned()]));
        assert_eq!(
            values("(b|a)[12]$"),
            Some(["a1", "a2", "b1", "b2"].map(str::to_owned).to_vec())
        );
        assert_eq!(
            values("(a|b$)$"),
            Some(["a", "b"].map(str::to_owned).to_vec())
        );
        assert_eq!(
            values("a?b$"),
            Some(["ab", "b"].map(str::to_owned).to_vec())
        );
        assert_eq!(values("(a$b|c)$"), Some(vec!["c".to_owned()]));
        for open in [
            "foo",
            "foo|bar$",
            "a*$",
            ".$",
            "(a|b)",
            "[a-z]{3}$",
            "a(?!b)$",
        ] {
            assert_eq!(values(open), None, "{open}");
        }
        let either_case = TagPattern::new("ab$", true).expect("valid");
        assert_eq!(either_case.values().map(<[_]>::len), Some(4));
    }

    #[test]
    fn a_list_of_texts_is_all_that_matches() {
        // Every short text over a few characters, against every short pattern over the same and some operators.
        let texts = |alphabet: &str, most: usize| -> Vec<String> {
            let mut all = vec![String::new()];
            let mut last = all.clone();
            for _ in 0..most {
                last = last
                    .iter()
                    .flat_map(|t| alphabet.chars().map(move |c| format!("{t}{c}")))
                    .collect();
                all.extend(last.iter().cloned());
            }
            all
        };
        let candidates = texts("ab", 4);
        for source in texts("ab|$?", 4) {
            let Ok(pattern) = TagPattern::new(&source, false) else {
                continue;
            };
            let Some(values) = pattern.values() else {
                continue;
            };
            let listed = |text: &str| values.iter().any(|v| **v == *text);
            for text in &candidates {
                assert_eq!(pattern.matches(text), listed(text), "{source} {text}");
            }
        }
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
