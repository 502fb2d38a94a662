//! What is done to a legend after it was filled in: decoding, and searching and replacing.
//!
//! The steps come as one text, as the setting `sed` holds them: `hex,:decode,^a,b,:s`. As in Atlas a comma within a pattern splits it.

use hesper_model::Tags;

use super::pattern::LegendPattern;
use super::substitute;
use crate::error::StackError;

/// The longest text that a step may make.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The steps, in the order in which they are done.
pub(super) struct Transform(Vec<Step>);

enum Step {
    Decode,
    Replace {
        pattern: Box<LegendPattern>,
        replacement: String,
    },
}

impl Transform {
    /// Reads the steps for so many legends; what is none is passed over.
    ///
    /// # Errors
    /// When an encoding is unknown, or a pattern cannot be read.
    pub(super) fn read(text: &str, legends: usize) -> Result<Self, StackError> {
        let parts: Vec<&str> = text.split(',').collect();
        let trailing = parts
            .iter()
            .rev()
            .take_while(|part| part.is_empty())
            .count();
        let mut rest = &parts[..parts.len() - trailing];
        let mut steps = Vec::new();
        loop {
            rest = match rest {
                [] => return Ok(Self(steps)),
                ["hex", ":decode", rest @ ..] => {
                    steps.push(Step::Decode);
                    rest
                }
                ["none", ":decode", rest @ ..] => rest,
                [mode, ":decode", ..] => {
                    return Err(StackError::IllegalArgument(format!(
                        "unknown encoding '{mode}'"
                    )));
                }
                [search, replacement, ":s", rest @ ..] => {
                    steps.push(Step::Replace {
                        pattern: Box::new(LegendPattern::new(search, legends)?),
                        replacement: (*replacement).to_owned(),
                    });
                    rest
                }
                [_, rest @ ..] => rest,
            };
        }
    }

    /// The text after all steps. `tags` are for the variables of replacements that are no groups of the pattern.
    ///
    /// # Errors
    /// When a pattern takes too much work, or a replacement names a group by a number that is none.
    pub(super) fn apply(&self, mut text: String, tags: &Tags) -> Result<String, StackError> {
        for step in &self.0 {
            text = match step {
                Step::Decode => decode_hex(&text),
                Step::Replace {
                    pattern,
                    replacement,
                } => replace(&text, pattern, replacement, tags)?,
            };
        }
        Ok(text)
    }
}

/// Replaces `_` and two hexadecimal digits by the character with that number; any other `_` stays.
fn decode_hex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let code = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match code {
            Some(code) => {
                out.push(char::from(code));
                &after[2..]
            }
            None => {
                out.push('_');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// Replaces every match. Unlike elsewhere in Rust, and as in Java, an empty match right behind a match counts.
fn replace(
    text: &str,
    pattern: &LegendPattern,
    replacement: &str,
    tags: &Tags,
) -> Result<String, StackError> {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = pattern.find(text, from)? {
        let (start, end) = found.range();
        out.push_str(&text[copied..start]);
        let mut fault = None;
        let replaced = substitute(replacement, |key| {
            group_or_tag(key, &found, tags).unwrap_or_else(|e| {
                fault = Some(e);
                String::new()
            })
        });
        if let Some(e) = fault {
            return Err(e);
        }
        out.push_str(&replaced);
        if out.len() > MAX_TEXT_BYTES {
            return Err(StackError::IllegalArgument(format!(
                "legend is too long: the limit is {MAX_TEXT_BYTES} bytes"
            )));
        }
        copied = end;
        from = match text[end..].chars().next() {
            _ if end > start => end,
            Some(c) => end + c.len_utf8(),
            None => break,
        };
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// What a variable of a replacement stands for: a group by number or name, else a tag, else its own name. A group that took no part in
/// the match is `null`.
fn group_or_tag(
    key: &str,
    found: &super::pattern::Match<'_>,
    tags: &Tags,
) -> Result<String, StackError> {
    let group = if key.bytes().all(|b| b.is_ascii_digit()) {
        let number: i32 = key.parse().map_err(|_| StackError::not_a_number(key))?;
        usize::try_from(number).ok().and_then(|n| found.group(n))
    } else {
        found.group_named(key)
    };
    Ok(match group {
        Some(text) => text.unwrap_or("null").to_owned(),
        None => tags.get(key).unwrap_or(key).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(steps: &str, text: &str) -> Result<String, String> {
        let tags = Tags::from_pairs([("name", "n"), ("nf.app", "www"), ("1", "one")]);
        Transform::read(steps, 1)
            .and_then(|t| t.apply(text.to_owned(), &tags))
            .map_err(|e| e.to_string())
    }

    fn to(steps: &str, text: &str) -> String {
        changed(steps, text).expect("valid steps")
    }

    #[test]
    fn encoded_characters_are_decoded() {
        assert_eq!(to("hex,:decode", "one_21_25_26_3F"), "one!%&?");
        assert_eq!(to("hex,:decode", "caf_C3_A9"), "caf\u{C3}\u{A9}");
        assert_eq!(to("hex,:decode", "_4_41_zz_"), "_4A_zz_");
        assert_eq!(to("hex,:decode", "__é_é"), "__é_é");
        assert_eq!(to("hex,:decode,hex,:decode", "a_5F41"), "aA");
        assert_eq!(to("none,:decode", "_41"), "_41");
        assert_eq!(
            changed("HEX,:decode", "a").expect_err("unknown"),
            "IllegalArgumentException: unknown encoding 'HEX'"
        );
    }

    #[test]
    fn variables_are_groups_before_they_are_tags() {
        assert_eq!(to("^nccp-(.*)$,$1,:s", "nccp-wii"), "wii");
        assert_eq!(to("(?<name>i+),<$name>,:s", "wii"), "w<ii>");
        assert_eq!(
            to("i+,<$name $(nf.app) $0 $none>,:s", "wii"),
            "w<n www ii none>"
        );
        assert_eq!(to("saw,$2,:s", "saw"), "2");
        assert_eq!(to("(a)|(b),[$1$2],:s", "ab"), "[anull][nullb]");
        assert_eq!(to("a,$ \\$,:s", "a"), "$ \\$");
        assert_eq!(
            changed("a,$99999999999,:s", "a").expect_err("no number"),
            "NumberFormatException: For input string: \"99999999999\""
        );
        assert_eq!(to("b,$99999999999,:s", "a"), "a");
    }

    #[test]
    fn every_match_is_replaced() {
        assert_eq!(to("([a-z]),_$1,:s", "ab1"), "_a_b1");
        assert_eq!(to(".*,X,:s", "abc"), "XX");
        assert_eq!(to("x*,-,:s", "ab"), "-a-b-");
        assert_eq!(to("x*,-,:s", "é"), "-é-");
        assert_eq!(to("^a,b,:s", "aaa"), "baa");
    }

    #[test]
    fn steps_follow_each_other() {
        assert_eq!(to("hex,:decode,^c,X,:s,X,Y,:s", "c_41"), "YA");
        // A comma in a pattern splits it.
        assert_eq!(to("a,b,c,:s", "b"), "c");
        assert_eq!(to("a,:s", "a"), "a");
        assert_eq!(to("", "a"), "a");
    }

    #[test]
    fn work_is_limited() {
        assert_eq!(
            changed("(.*a){25},X,:s", &"a".repeat(40)).expect_err("too much"),
            "IllegalArgumentException: regex is too expensive to evaluate: '(.*a){25}'"
        );
        let doubled = ["(.+),$1$1,:s"; 60].join(",");
        assert_eq!(
            changed(&doubled, "ab").expect_err("too long"),
            "IllegalArgumentException: legend is too long: the limit is 65536 bytes"
        );
        // Long texts and many lines leave what is simple possible.
        let many = Transform::read("^.*-(b+)$,$1,:s", 100_000).expect("a pattern");
        let text = format!("{}-bbb", "a".repeat(200));
        assert_eq!(many.apply(text, &Tags::empty()).expect("cheap"), "bbb");
        assert_eq!(to("a,b,:s", &"a".repeat(50_000)).len(), 50_000);
    }

    proptest! {
        #[test]
        fn no_text_panics(steps in "[a-c$(),:s_.*?+\\\\|\\[\\]{}1é]{0,24}", text in "[a-c_é1]{0,12}") {
            let _ = changed(&steps, &text);
            let _ = changed(&format!("{steps},{text},:s"), &text);
        }
    }
}
