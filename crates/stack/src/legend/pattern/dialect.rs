//! Java's regular expressions, read and rewritten for the engine: ASCII classes, `.` and `$` that know several ends of lines, quotation,
//! possessive repetition, inline flags. Texts of errors, and the places they point to, are Java's.

use std::borrow::Cow;

use super::class;
use crate::error::StackError;

/// How deep groups and classes may nest.
const MAX_DEPTH: usize = 100;

/// The ends of lines that `.` does not match, as the contents of a class.
const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// A pattern in the engine's own syntax.
pub(super) struct Translation {
    pub(super) regex: String,
    /// The names of the groups, the first of which has the number 1. In the engine each goes by its number, see [`group_name`].
    pub(super) names: Vec<Option<String>>,
}

/// What a group is called in the engine, which wants names everywhere once there is one.
fn group_name(number: usize) -> String {
    format!("g{number}")
}

/// Rewrites a pattern.
///
/// # Errors
/// When it is none, in Java's words.
pub(super) fn translate(source: &str) -> Result<Translation, StackError> {
    let mut reader = Reader {
        source,
        text: without_quotations(source),
        at: 0,
        out: String::with_capacity(source.len() * 2),
        flags: Flags::default(),
        names: Vec::new(),
        depth: 0,
    };
    reader.alternatives()?;
    if reader.at < reader.text.len() {
        return reader.error("Unmatched closing ')'");
    }
    Ok(Translation {
        regex: reader.out,
        names: reader.names,
    })
}

/// The end of the text, or the place before the last end of a line; none within `\r\n`.
fn before_last_line_end() -> String {
    format!(r"(?:(?=(?:\r\n|[{LINE_ENDS}])?\z)(?!(?<=\r)\n))")
}

/// `\Q…\E` as escaped characters; without its end the quotation goes on to the end of the pattern.
fn without_quotations(source: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match (quoted, c, chars.peek()) {
            (false, '\\', Some('Q')) => {
                chars.next();
                quoted = true;
            }
            (true, '\\', Some('E')) => {
                chars.next();
                quoted = false;
            }
            (false, '\\', Some(_)) => {
                out.push(c);
                out.extend(chars.next());
            }
            (true, c, _) if c.is_ascii() && !c.is_ascii_alphanumeric() => out.extend(['\\', c]),
            (_, c, _) => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    ignore_case: bool,
    multiline: bool,
    dot_all: bool,
    unix_lines: bool,
    comments: bool,
    unicode: bool,
}

pub(super) struct Reader<'s> {
    source: &'s str,
    text: Vec<char>,
    pub(super) at: usize,
    pub(super) out: String,
    flags: Flags,
    names: Vec<Option<String>>,
    pub(super) depth: usize,
}

/// What an escape sequence stands for.
pub(super) enum Escape {
    /// A character.
    Char(char),
    /// The contents of a class, and whether all others are meant.
    Class(Cow<'static, str>, bool),
    /// Something of its own, in the syntax of the engine.
    Other(String),
}

impl Reader<'_> {
    /// Java's message points to the character before the one that is to be read.
    pub(super) fn error<T>(&self, what: &str) -> Result<T, StackError> {
        let source = self.source;
        let message = match self.at.checked_sub(1) {
            None => format!("{what}\n{source}"),
            Some(index) if index < source.encode_utf16().count() => {
                format!(
                    "{what} near index {index}\n{source}\n{}^",
                    " ".repeat(index)
                )
            }
            Some(index) => format!("{what} near index {index}\n{source}"),
        };
        Err(StackError::PatternSyntax(message))
    }

    /// The next character; NUL at the end.
    pub(super) fn peek(&mut self) -> char {
        if self.flags.comments {
            self.pass_comments();
        }
        self.char_at(self.at)
    }

    pub(super) fn char_at(&self, at: usize) -> char {
        self.text.get(at).copied().unwrap_or('\0')
    }

    /// The next character, which is stepped over, even at the end.
    pub(super) fn read(&mut self) -> char {
        let c = self.peek();
        self.at += 1;
        c
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    fn pass_comments(&mut self) {
        while let Some(c) = self.text.get(self.at) {
            match c {
                '#' => {
                    while !self.at_end() && !matches!(self.char_at(self.at), '\n' | '\r') {
                        self.at += 1;
                    }
                }
                c if c.is_ascii_whitespace() || *c == '\x0B' => self.at += 1,
                _ => break,
            }
        }
    }

    pub(super) fn enter(&mut self) -> Result<(), StackError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("Groups are nested too deep");
        }
        Ok(())
    }

    fn alternatives(&mut self) -> Result<(), StackError> {
        self.enter()?;
        loop {
            self.sequence()?;
            if self.peek() != '|' {
                break;
            }
            self.at += 1;
            self.out.push('|');
        }
        self.depth -= 1;
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), StackError> {
        loop {
            let start = self.out.len();
            match self.peek() {
                '(' => {
                    if !self.group()? {
                        continue;
                    }
                }
                '[' => {
                    let text = class::read(self)?;
                    self.push_folding(&text);
                }
                '\\' => self.escape()?,
                '^' => {
                    self.at += 1;
                    let text = if self.flags.multiline {
                        "(?m:^)"
                    } else {
                        r"(?:\A)"
                    };
                    self.out.push_str(text);
                }
                '$' => {
                    self.at += 1;
                    self.push_end();
                }
                '.' => {
                    self.at += 1;
                    let text = match self.flags {
                        Flags { dot_all: true, .. } => "(?s:.)".to_owned(),
                        Flags {
                            unix_lines: true, ..
                        } => r"[^\n]".to_owned(),
                        _ => format!("[^{LINE_ENDS}]"),
                    };
                    self.out.push_str(&text);
                }
                '|' | ')' => return Ok(()),
                c @ ('?' | '*' | '+') => {
                    self.at += 1;
                    return self.error(&format!("Dangling meta character '{c}'"));
                }
                // A count with nothing before it repeats nothing.
                '{' => {}
                '\0' if self.at_end() => return Ok(()),
                c => {
                    self.at += 1;
                    self.push_literal(c);
                }
            }
            self.repetition(start)?;
        }
    }

    fn push_end(&mut self) {
        let text = match self.flags {
            Flags {
                multiline: true, ..
            } => "(?m:$)".to_owned(),
            Flags {
                unix_lines: true, ..
            } => r"(?:(?=\n?\z))".to_owned(),
            _ => before_last_line_end(),
        };
        self.out.push_str(&text);
    }

    fn push_literal(&mut self, c: char) {
        let text = class::literal(c);
        if self.flags.ignore_case && c.is_alphabetic() {
            self.push_folding(&text);
        } else {
            self.out.push_str(&text);
        }
    }

    fn push_folding(&mut self, text: &str) {
        if self.flags.ignore_case {
            self.out.push_str(&format!("(?i:{text})"));
        } else {
            self.out.push_str(text);
        }
    }

    /// Reads how often what was written since `start` is repeated.
    fn repetition(&mut self, start: usize) -> Result<(), StackError> {
        let count = match self.peek() {
            '?' => "?".to_owned(),
            '*' => "*".to_owned(),
            '+' => "+".to_owned(),
            '{' => self.count()?,
            _ => return Ok(()),
        };
        self.at += 1;
        // The engine refuses to repeat what is repeated, or has no width; a branch that never matches makes it an alternative.
        let repeated = format!("(?:{}|(?!))", &self.out[start..]);
        self.out.truncate(start);
        match self.peek() {
            '?' => {
                self.at += 1;
                self.out.push_str(&format!("{repeated}{count}?"));
            }
            '+' => {
                self.at += 1;
                self.out.push_str(&format!("(?>{repeated}{count})"));
            }
            _ => self.out.push_str(&format!("{repeated}{count}")),
        }
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`, up to the closing brace.
    fn count(&mut self) -> Result<String, StackError> {
        let mut c = self.char_at(self.at + 1);
        self.at += 2;
        if !c.is_ascii_digit() {
            return self.error("Illegal repetition");
        }
        let min = self.number(&mut c)?;
        let mut max = Some(min);
        if c == ',' {
            c = self.read();
            max = match c {
                '}' => None,
                _ if c.is_ascii_digit() => Some(self.number(&mut c)?),
                _ => Some(0),
            };
        }
        if c != '}' {
            return self.error("Unclosed counted closure");
        }
        if max.is_some_and(|max| max < min) {
            return self.error("Illegal repetition range");
        }
        self.at -= 1;
        Ok(match max {
            None => format!("{{{min},}}"),
            Some(max) => format!("{{{min},{max}}}"),
        })
    }

    /// A number whose first digit was read; what comes behind it is read as well.
    fn number(&mut self, c: &mut char) -> Result<u32, StackError> {
        let mut number: i32 = 0;
        while let Some(digit) = c.to_digit(10) {
            let next = number
                .checked_mul(10)
                .and_then(|n| n.checked_add(digit as i32));
            number = match next {
                Some(next) => next,
                None => return self.error("Illegal repetition range"),
            };
            *c = self.read();
        }
        Ok(number.unsigned_abs())
    }

    /// A group; false when it only sets flags.
    fn group(&mut self) -> Result<bool, StackError> {
        self.at += 1;
        let before = self.flags;
        if self.peek() == '?' {
            self.at += 1;
            let c = self.char_at(self.at);
            self.at += 1;
            match c {
                ':' => self.out.push_str("(?:"),
                '=' => self.out.push_str("(?:(?="),
                '!' => self.out.push_str("(?:(?!"),
                '>' => self.out.push_str("(?>"),
                '<' => match self.read() {
                    '=' => self.out.push_str("(?:(?<="),
                    '!' => self.out.push_str("(?:(?<!"),
                    first => {
                        let name = self.group_name(first)?;
                        if self.has_group(&name) {
                            return self.error(&format!(
                                "Named capturing group <{name}> is already defined"
                            ));
                        }
                        self.open_group(Some(name));
                    }
                },
                '$' | '@' => return self.error("Unknown group type"),
                _ => {
                    self.at -= 1;
                    self.set_flags();
                    match self.read() {
                        ')' => return Ok(false),
                        ':' => self.out.push_str("(?:"),
                        _ => return self.error("Unknown inline modifier"),
                    }
                }
            }
        } else {
            self.open_group(None);
        }
        let opened = self.out.len();
        let look = self.out[..opened].ends_with(['=', '!']);
        self.alternatives()?;
        if self.read() != ')' {
            return self.error("Unclosed group");
        }
        self.flags = before;
        self.out.push_str(if look { "))" } else { ")" });
        Ok(true)
    }

    fn has_group(&self, name: &str) -> bool {
        self.names.iter().flatten().any(|known| known == name)
    }

    fn open_group(&mut self, name: Option<String>) {
        self.names.push(name);
        let number = self.names.len();
        self.out.push_str(&format!("(?<{}>", group_name(number)));
    }

    fn group_name(&mut self, first: char) -> Result<String, StackError> {
        if !first.is_ascii_alphabetic() {
            return self.error("capturing group name does not start with a Latin letter");
        }
        let mut name = String::from(first);
        loop {
            match self.read() {
                c if c.is_ascii_alphanumeric() => name.push(c),
                '>' => return Ok(name),
                _ => return self.error("named capturing group is missing trailing '>'"),
            }
        }
    }

    fn set_flags(&mut self) {
        let mut on = true;
        loop {
            match self.peek() {
                'i' => self.flags.ignore_case = on,
                'm' => self.flags.multiline = on,
                's' => self.flags.dot_all = on,
                'd' => self.flags.unix_lines = on,
                'x' => self.flags.comments = on,
                'U' => self.flags.unicode = on,
                // Case is folded as Unicode has it in any case.
                'u' => {}
                '-' if on => on = false,
                _ => return,
            }
            self.at += 1;
        }
    }

    /// An escape sequence outside of a class.
    fn escape(&mut self) -> Result<(), StackError> {
        match self.escaped(false)? {
            Escape::Char(c) => self.push_literal(c),
            Escape::Class(contents, negated) => {
                let not = if negated { "^" } else { "" };
                self.push_folding(&format!("[{not}{contents}]"));
            }
            Escape::Other(text) => self.out.push_str(&text),
        }
        Ok(())
    }

    /// What a backslash and what follows it stand for.
    pub(super) fn escaped(&mut self, in_class: bool) -> Result<Escape, StackError> {
        let c = self.char_at(self.at + 1);
        self.at += 2;
        Ok(match c {
            '\0' if self.at > self.text.len() => {
                return self.error("Unescaped trailing backslash");
            }
            'p' | 'P' => return class::property(self, c == 'P'),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'h' | 'H' | 'v' | 'V' => {
                let unicode = self.flags.unicode;
                Escape::Class(
                    class::predefined(c.to_ascii_lowercase(), unicode).into(),
                    c.is_ascii_uppercase(),
                )
            }
            'a' => Escape::Char('\x07'),
            'e' => Escape::Char('\x1B'),
            'f' => Escape::Char('\x0C'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            '0' => Escape::Char(self.octal()?),
            'x' => Escape::Char(self.hexadecimal()?),
            'u' => Escape::Char(self.unicode()?),
            'c' if self.at < self.text.len() => {
                let control = self.read() as u32 ^ 64;
                Escape::Char(char::from_u32(control).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            'c' => return self.error("Illegal control escape sequence"),
            'N' => return self.error("Illegal character name escape sequence"),
            '1'..='9' if !in_class => Escape::Other(self.reference(c)),
            'k' if !in_class => Escape::Other(self.named_reference()?),
            'A' if !in_class => Escape::Other(r"(?:\A)".to_owned()),
            'z' if !in_class => Escape::Other(r"(?:\z)".to_owned()),
            'G' if !in_class => Escape::Other(r"(?:\G)".to_owned()),
            'Z' if !in_class => Escape::Other(before_last_line_end()),
            'b' if !in_class => Escape::Other(
                "(?:(?<![0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<=[0-9A-Za-z_])(?![0-9A-Za-z_]))"
                    .to_owned(),
            ),
            'B' if !in_class => Escape::Other(
                "(?:(?<![0-9A-Za-z_])(?![0-9A-Za-z_])|(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_]))"
                    .to_owned(),
            ),
            'R' if !in_class => {
                Escape::Other(r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])".to_owned())
            }
            'X' if !in_class => Escape::Other(r"(?:(?s:.)\p{M}*)".to_owned()),
            c if c.is_ascii_alphabetic() || c.is_ascii_digit() => {
                return self.error("Illegal/unsupported escape sequence");
            }
            c => Escape::Char(c),
        })
    }

    fn octal(&mut self) -> Result<char, StackError> {
        let Some(first) = self.read().to_digit(8) else {
            return self.error("Illegal octal escape sequence");
        };
        let mut code = first;
        // Three digits when they stay within a byte.
        let most = if first <= 3 { 2 } else { 1 };
        for _ in 0..most {
            let Some(digit) = self.char_at(self.at).to_digit(8) else {
                break;
            };
            code = code * 8 + digit;
            self.at += 1;
        }
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<char, StackError> {
        let mut code = 0u32;
        let first = self.read();
        if first.is_ascii_hexdigit() {
            if let (Some(a), Some(b)) = (first.to_digit(16), self.read().to_digit(16)) {
                return Ok(char::from_u32(a * 16 + b).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        } else if first == '{' && self.peek().is_ascii_hexdigit() {
            while let Some(digit) = self.peek().to_digit(16) {
                self.at += 1;
                code = code * 16 + digit;
                if code > 0x10_FFFF {
                    return self.error("Hexadecimal codepoint is too big");
                }
            }
            if self.read() != '}' {
                return self.error("Unclosed hexadecimal escape sequence");
            }
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.error("Illegal hexadecimal escape sequence")
    }

    /// A UTF-16 unit in four digits, or two of them that make a character.
    fn unicode(&mut self) -> Result<char, StackError> {
        let high = self.unit()?;
        if (0xD800..0xDC00).contains(&high)
            && self.char_at(self.at) == '\\'
            && self.char_at(self.at + 1) == 'u'
        {
            let before = self.at;
            self.at += 2;
            let low = self.unit()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Result<u32, StackError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.read().to_digit(16) else {
                return self.error("Illegal Unicode escape sequence");
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    /// A group by number: as many digits as make the number of a group that is there. What names no group never matches.
    fn reference(&mut self, first: char) -> String {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.char_at(self.at).to_digit(10) {
            let longer = number * 10 + digit as usize;
            if longer > self.names.len() {
                break;
            }
            number = longer;
            self.at += 1;
        }
        match number <= self.names.len() {
            true => format!(r"(?:\k<{}>)", group_name(number)),
            false => "(?!)".to_owned(),
        }
    }

    fn named_reference(&mut self) -> Result<String, StackError> {
        if self.read() != '<' {
            return self.error("\\k is not followed by '<' for named capturing group");
        }
        let first = self.read();
        let name = self.group_name(first)?;
        let group = self.names.iter().position(|n| n.as_ref() == Some(&name));
        match group {
            Some(at) => Ok(format!(r"(?:\k<{}>)", group_name(at + 1))),
            None => self.error(&format!("named capturing group <{name}> does not exist")),
        }
    }
}
