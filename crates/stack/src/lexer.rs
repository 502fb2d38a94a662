//! From the text of a program to its tokens, and from a text to the token that stands for it.
//!
//! A program is split at commas; blanks around a token do not count, empty tokens vanish, comments (`/* … */`, nested or not) are cut
//! out before. A text may hold what the grammar uses as `\uXXXX`.

use std::fmt::Write;

use crate::error::StackError;

/// Splits a program into its tokens.
///
/// # Errors
/// When a comment is not closed, or closed without being open.
pub fn tokens(program: &str) -> Result<Vec<String>, StackError> {
    let text = strip_comments(program)?;
    Ok(text
        .split(',')
        .map(|part| part.trim_matches(|c| c <= ' '))
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The program without its comments; what stood on either side of one is joined.
fn strip_comments(program: &str) -> Result<String, StackError> {
    let unclosed = || StackError::IllegalState("unclosed comment".to_owned());
    if !program.contains("/*") && !program.contains("*/") {
        return Ok(program.to_owned());
    }
    let mut out = String::with_capacity(program.len());
    let mut depth = 0usize;
    let mut chars = program.chars().peekable();
    let mut opened = false;
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('/', Some('*')) => {
                chars.next();
                depth += 1;
                opened = true;
            }
            ('*', Some('/')) if opened => {
                chars.next();
                depth = depth.checked_sub(1).ok_or_else(unclosed)?;
            }
            // Before the first comment a closing mark passes as text, if there is a comment at all.
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    if depth > 0 || !opened {
        return Err(unclosed());
    }
    Ok(out)
}

/// Replaces every `\uXXXX` by the UTF-16 unit it names; two that form a pair make one character. All other text stays.
/// Half a pair, which no text can hold, becomes U+FFFD.
pub fn unescape(token: &str) -> String {
    if !token.contains("\\u") {
        return token.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(token.len());
    let mut rest = token;
    while let Some(c) = rest.chars().next() {
        match escaped_unit(rest) {
            Some(unit) => {
                units.push(unit);
                rest = &rest[6..];
            }
            None => {
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    String::from_utf16_lossy(&units)
}

/// The unit of an escape sequence at the very start of the text.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Appends a text as a token that stands for it: [`unescape`] gives the text back, and the token is one whatever is around it.
///
/// Escaped are commas, colons, blanks (but plain ones within the text), a lone parenthesis, the marks of comments, and a
/// backslash that would begin an escape.
pub fn escape_into(out: &mut String, text: &str) {
    if text == "(" || text == ")" {
        out.push_str(if text == "(" { "\\u0028" } else { "\\u0029" });
        return;
    }
    let inner = text.trim_matches(is_java_whitespace);
    let inner_start = inner.as_ptr() as usize - text.as_ptr() as usize;
    let inner_range = inner_start..inner_start + inner.len();
    let mut previous = None;
    for (at, c) in text.char_indices() {
        let edge = !inner_range.contains(&at);
        let rest = &text[at..];
        let special = match c {
            ',' | ':' => true,
            ' ' => edge,
            // The second half of a mark that closes a comment; the first half of one that opens it.
            '/' => previous == Some('*') || rest[1..].starts_with('*'),
            '\\' => escaped_unit(rest).is_some(),
            c => c < ' ' || is_java_whitespace(c),
        };
        if special {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
        previous = Some(c);
    }
}

/// A text as the token that stands for it; see [`escape_into`].
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

/// What Java's `Character.isWhitespace` calls a blank.
fn is_java_whitespace(c: char) -> bool {
    matches!(
        c,
        '\t'..='\r'
            | '\x1C'..=' '
            | '\u{1680}'
            | '\u{2000}'..='\u{2006}'
            | '\u{2008}'..='\u{200A}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{205F}'
            | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(program: &str) -> Vec<String> {
        tokens(program).expect("a readable program")
    }

    #[test]
    fn tokens_are_trimmed_and_empty_ones_vanish() {
        assert_eq!(split(",, a ,\n:dup\t,,"), ["a", ":dup"]);
        assert!(split("").is_empty());
        assert_eq!(split("a:b,(a,b)"), ["a:b", "(a", "b)"]);
    }

    #[test]
    fn comments_are_cut_out() {
        assert_eq!(split(":d/*x*/up"), [":dup"]);
        assert_eq!(split("a,/* outer /*,*/ ,x */b"), ["a", "b"]);
        assert_eq!(split("a,/* multi\nline */,b"), ["a", "b"]);
        for unbalanced in ["a,/*", "*/", "/*/*x*/", "/**/*/"] {
            let e = tokens(unbalanced).expect_err("unbalanced");
            assert_eq!(e.to_string(), "IllegalStateException: unclosed comment");
        }
    }

    #[test]
    fn escapes_name_units() {
        assert_eq!(unescape("a\\u002cb"), "a,b");
        assert_eq!(unescape("\\ud83d\\ude00"), "😀");
        assert_eq!(unescape("\\d\\uZZZZ\\u00"), "\\d\\uZZZZ\\u00");
        assert_eq!(unescape("\\ud83d"), "\u{FFFD}");
        assert_eq!(unescape("\\u00é0"), "\\u00é0");
    }

    #[test]
    fn only_what_has_to_be_is_escaped() {
        assert_eq!(escape("a b"), "a b");
        assert_eq!(escape(" a,b:c "), "\\u0020a\\u002cb\\u003ac\\u0020");
        assert_eq!(escape("("), "\\u0028");
        assert_eq!(escape("(a)"), "(a)");
        assert_eq!(escape("a/*b"), "a\\u002f*b");
        assert_eq!(escape("\\d\\u0041"), "\\d\\u005cu0041");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "([\\\\u,:()/* 0-9a-f\t\u{2003}é😀]|\\PC){1,16}") {
            let token = escape(&text);
            prop_assert_eq!(unescape(&token), text.clone());
            prop_assert_eq!(split(&format!("x,{token},y")), ["x".to_owned(), token, "y".to_owned()]);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = tokens(&text);
            unescape(&text);
            escape(&text);
        }
    }
}
