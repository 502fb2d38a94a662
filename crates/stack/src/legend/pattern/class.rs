//! Classes of characters.

use super::dialect::{Escape, Reader};
use crate::error::StackError;

/// A character as the engine writes it, in a class and outside of one.
pub(super) fn literal(c: char) -> String {
    match c {
        c if c.is_ascii_control() || c == '\u{7f}' => format!("\\x{{{:x}}}", c as u32),
        c if c.is_ascii_punctuation() => format!("\\{c}"),
        // White space and a number sign mean nothing without the flag for comments.
        c => c.to_string(),
    }
}

/// The contents of the class that a letter stands for.
pub(super) fn predefined(letter: char, unicode: bool) -> &'static str {
    match (letter, unicode) {
        ('d', true) => r"\d",
        ('s', true) => r"\s",
        ('w', true) => r"\w",
        ('d', _) => "0-9",
        ('s', _) => r"\x{9}-\x{d}\x{20}",
        ('w', _) => r"0-9A-Za-z_",
        ('h', _) => r"\x{9}\x{20}\x{a0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}",
        _ => r"\x{a}-\x{d}\x{85}\x{2028}\x{2029}",
    }
}

/// The classes that go by a name; those of POSIX hold ASCII only.
const PROPERTIES: [(&str, &str); 41] = [
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x{0}-\x{7f}"),
    ("Alpha", "A-Za-z"),
    ("Digit", "0-9"),
    ("Alnum", "0-9A-Za-z"),
    ("Punct", r"!-/:-@\[-`\{-~"),
    ("Graph", "!-~"),
    ("Print", r"\x{20}-~"),
    ("Blank", r"\x{9}\x{20}"),
    ("Cntrl", r"\x{0}-\x{1f}\x{7f}"),
    ("XDigit", "0-9A-Fa-f"),
    ("Space", r"\x{9}-\x{d}\x{20}"),
    ("L1", r"\x{0}-\x{ff}"),
    ("all", r"\x{0}-\x{10ffff}"),
    ("LC", r"\p{Lu}\p{Ll}\p{Lt}"),
    ("LD", r"\p{L}\p{Nd}"),
    ("javaLowerCase", r"\p{Lowercase}"),
    ("javaUpperCase", r"\p{Uppercase}"),
    ("javaAlphabetic", r"\p{Alphabetic}"),
    ("javaTitleCase", r"\p{Lt}"),
    ("javaDigit", r"\p{Nd}"),
    ("javaDefined", r"[^\p{Cn}]"),
    ("javaLetter", r"\p{L}"),
    ("javaLetterOrDigit", r"\p{L}\p{Nd}"),
    ("javaSpaceChar", r"\p{Z}"),
    (
        "javaWhitespace",
        r"\x{9}-\x{d}\x{1c}-\x{20}\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}",
    ),
    ("javaISOControl", r"\x{0}-\x{1f}\x{7f}-\x{9f}"),
    ("IsAlphabetic", r"\p{Alphabetic}"),
    ("IsIdeographic", r"\p{Ideographic}"),
    ("IsLetter", r"\p{L}"),
    ("IsLowercase", r"\p{Lowercase}"),
    ("IsUppercase", r"\p{Uppercase}"),
    ("IsTitlecase", r"\p{Lt}"),
    ("IsPunctuation", r"\p{P}"),
    ("IsControl", r"\p{Cc}"),
    ("IsWhite_Space", r"\p{White_Space}"),
    ("IsDigit", r"\p{Nd}"),
    ("IsHex_Digit", r"\p{Hex_Digit}"),
    ("IsNoncharacter_Code_Point", r"\p{Noncharacter_Code_Point}"),
    ("IsAssigned", r"[^\p{Cn}]"),
];

/// The general categories of Unicode.
const CATEGORIES: [&str; 37] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Me", "Mc", "N", "Nd", "Nl", "No", "Z", "Zs",
    "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn", "P", "Pd", "Ps", "Pe", "Pc", "Po", "Pi", "Pf", "S",
    "Sm", "Sc", "Sk", "So", "Cs",
];

/// `\p{name}` or `\pL`, the backslash and the letter of which are read.
pub(super) fn property(reader: &mut Reader<'_>, negated: bool) -> Result<Escape, StackError> {
    let mut name = String::new();
    if reader.char_at(reader.at) == '{' {
        reader.at += 1;
        loop {
            if reader.at_end() {
                reader.at += 1;
                return reader.error("Unclosed character family");
            }
            let c = reader.char_at(reader.at);
            reader.at += 1;
            if c == '}' {
                break;
            }
            name.push(c);
        }
        if name.is_empty() {
            return reader.error("Empty character family");
        }
    } else {
        name.push(reader.char_at(reader.at));
        reader.at += 1;
    }
    let contents = match PROPERTIES.iter().find(|(known, _)| *known == name) {
        Some((_, contents)) => (*contents).to_owned(),
        None => {
            let category = name.strip_prefix("Is").unwrap_or(&name);
            if CATEGORIES.contains(&category) {
                format!(r"\p{{{category}}}")
            } else {
                script(&name).map_or_else(
                    || reader.error(&format!("Unknown character property name {{{name}}}")),
                    Ok,
                )?
            }
        }
    };
    Ok(Escape::Class(contents.into(), negated))
}

/// The class of a script, `IsGreek` or `script=Greek`, that the engine knows.
fn script(name: &str) -> Option<String> {
    let script = ["Is", "script=", "sc="]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let class = format!(r"\p{{Script={script}}}");
    let plain = script.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    (plain && fancy_regex::Regex::new(&class).is_ok()).then_some(class)
}

/// Reads a class, from its bracket on, and writes it for the engine.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<String, StackError> {
    reader.enter()?;
    reader.at += 1;
    let mut out = String::from("[");
    if reader.peek() == '^' {
        reader.at += 1;
        out.push('^');
    }
    let mut empty = true;
    loop {
        match reader.peek() {
            '[' => out.push_str(&read(reader)?),
            '&' if reader.char_at(reader.at + 1) == '&' => {
                reader.at += 2;
                while reader.peek() == '&' {
                    reader.at += 1;
                }
                // With nothing on one of its sides an intersection is that of the other.
                if !empty && reader.peek() != ']' {
                    out.push_str("&&");
                }
                if empty {
                    continue;
                }
            }
            '\0' if reader.at_end() => return reader.error("Unclosed character class"),
            ']' if !empty => {
                reader.at += 1;
                break;
            }
            _ => member(reader, &mut out)?,
        }
        empty = false;
    }
    out.push(']');
    reader.depth -= 1;
    Ok(out)
}

/// A character, a range of them, or what an escape sequence stands for.
fn member(reader: &mut Reader<'_>, out: &mut String) -> Result<(), StackError> {
    let first = match reader.peek() {
        '\\' => match reader.escaped(true)? {
            Escape::Char(c) => c,
            Escape::Class(contents, false) => {
                out.push_str(&contents);
                return Ok(());
            }
            Escape::Class(contents, true) => {
                out.push_str(&format!("[^{contents}]"));
                return Ok(());
            }
            Escape::Other(class) => {
                out.push_str(&class);
                return Ok(());
            }
        },
        c => {
            reader.at += 1;
            c
        }
    };
    out.push_str(&literal(first));
    let after = reader.char_at(reader.at + 1);
    if reader.peek() != '-' || matches!(after, '[' | ']') {
        return Ok(());
    }
    reader.at += 1;
    let last = match reader.peek() {
        '\\' => match reader.escaped(true)? {
            Escape::Char(c) => Some(c),
            _ => None,
        },
        c => {
            reader.at += 1;
            Some(c)
        }
    };
    match last {
        Some(last) if last >= first => {
            out.push_str(&format!("-{}", literal(last)));
            Ok(())
        }
        _ => reader.error("Illegal character range"),
    }
}
