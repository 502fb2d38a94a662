//! The dialect of regular expressions that Atlas's tag queries are written in, read and rewritten for the engine.
//!
//! It is that of Spectator's pattern matcher: Java-like, without back references, flags, look-behind and boundaries other than
//! `^` and `$`; a backslash before a letter without meaning makes it literal; classes hold ASCII only. Texts of errors, and the
//! pattern they quote (the source in its wrapping, `^.*(^…).*$`), are Atlas's.

use super::{PatternFault, PatternShape};

/// How deep groups and classes may nest.
const MAX_DEPTH: usize = 100;

/// A pattern in the engine's own syntax, anchored at the start.
pub(super) struct Translation {
    pub regex: String,
    pub shape: PatternShape,
}

/// What is wrong with a pattern.
pub(super) struct Fault {
    pub kind: PatternFault,
    pub text: String,
}

type Result<T> = std::result::Result<T, Fault>;

#[derive(Clone)]
enum Node {
    Literal(char),
    Any,
    Class(u128),
    Start,
    End,
    Group(Vec<Vec<Node>>),
    Look {
        negative: bool,
        branches: Vec<Vec<Node>>,
    },
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        possessive: bool,
    },
}

const DIGIT: u128 = range('0', '9');
const LOWER: u128 = range('a', 'z');
const UPPER: u128 = range('A', 'Z');
const WORD: u128 = DIGIT | LOWER | UPPER | one('_');
const SPACE: u128 = range('\t', '\r') | one(' ');
const PUNCTUATION: u128 = range('!', '/') | range(':', '@') | range('[', '`') | range('{', '~');

const fn one(c: char) -> u128 {
    1 << (c as u32)
}

const fn range(first: char, last: char) -> u128 {
    let mut set = 0;
    let mut c = first as u32;
    while c <= last as u32 {
        set |= 1 << c;
        c += 1;
    }
    set
}

fn named_set(name: &str) -> Option<u128> {
    Some(match name {
        "Lower" => LOWER,
        "Upper" => UPPER,
        "ASCII" => u128::MAX,
        "Alpha" => LOWER | UPPER,
        "Digit" => DIGIT,
        "Alnum" => LOWER | UPPER | DIGIT,
        "Punct" => PUNCTUATION,
        "Graph" => PUNCTUATION | LOWER | UPPER | DIGIT,
        "Print" => PUNCTUATION | LOWER | UPPER | DIGIT | one(' '),
        "Blank" => one(' ') | one('\t'),
        "Cntrl" => range('\0', '\x1F') | one('\x7F'),
        "XDigit" => DIGIT | range('a', 'f') | range('A', 'F'),
        "Space" => SPACE,
        _ => return None,
    })
}

/// Reads a pattern and writes it for the engine.
pub(super) fn translate(source: &str) -> Result<Translation> {
    let wrapped: Vec<char> = format!("^.*(^{source}).*$").chars().collect();
    let text = expand_escapes(&wrapped)?;
    let end = text.len();
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let whole = reader.pattern()?;
    // In all but freak patterns (`a)b(c`) the group of the wrapping holds exactly the source.
    let inner = match whole.as_slice() {
        [nodes] => match nodes.as_slice() {
            [Node::Start, _, Node::Group(inner), _, Node::End] if end >= 4 => Some(inner),
            _ => None,
        },
        _ => None,
    };
    let branches = inner.unwrap_or(&whole);
    let mut regex = String::new();
    write_branches(branches, &mut regex);
    Ok(Translation {
        regex,
        shape: shape_of(branches),
    })
}

/// Resolves `\t`, `\x41`, `\u0041` and `\0101` before anything else is read, so that they may stand for operators too.
fn expand_escapes(text: &[char]) -> Result<Vec<char>> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        i += 1;
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(&escaped) = text.get(i) else {
            return Err(malformed("dangling escape", text, i));
        };
        let digits = |name: &str, first: usize, count: usize, radix: u32| {
            text.get(first..first + count)
                .map(|d| d.iter().collect::<String>())
                .and_then(|d| u32::from_str_radix(&d, radix).ok())
                .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                .ok_or_else(|| malformed(&format!("invalid {name} escape sequence"), text, i))
        };
        match escaped {
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            'f' => out.push('\x0C'),
            'a' => out.push('\x07'),
            'e' => out.push('\x1B'),
            '0' => {
                let octal = |c: &&char| ('0'..='7').contains(*c);
                let count = text[i + 1..].iter().take(3).take_while(octal).count();
                if count == 0 {
                    return Err(malformed("invalid octal escape sequence", text, i));
                }
                out.push(digits("octal", i + 1, count, 8)?);
                i += count;
            }
            'x' => {
                out.push(digits("hexadecimal", i + 1, 2, 16)?);
                i += 2;
            }
            'u' => {
                out.push(digits("unicode", i + 1, 4, 16)?);
                i += 4;
            }
            other => out.extend(['\\', other]),
        }
        i += 1;
    }
    Ok(out)
}

fn malformed(what: &str, text: &[char], at: usize) -> Fault {
    let text: String = text.iter().collect();
    Fault {
        kind: PatternFault::Malformed,
        text: format!("{what}\n{text}\n{}^", " ".repeat(at)),
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn error<T>(&self, what: &str) -> Result<T> {
        Err(malformed(what, &self.text, self.at))
    }

    fn unsupported<T>(&self, what: &str) -> Result<T> {
        self.error(&format!("unsupported: {what}"))
    }

    fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    fn peek(&self) -> Result<char> {
        self.text.get(self.at).copied().ok_or_else(|| Fault {
            kind: PatternFault::EndsEarly,
            text: format!("Index {} out of bounds for length {0}", self.text.len()),
        })
    }

    /// Steps over a character and gives it; at the end it gives the last one again.
    fn advance(&mut self) -> char {
        if !self.at_end() {
            self.at += 1;
        }
        self.text[self.at - 1]
    }

    fn advance_past(&mut self, last: char) {
        while !self.at_end() && self.advance() != last {}
    }

    fn pattern(&mut self) -> Result<Vec<Vec<Node>>> {
        let branches = self.branches()?;
        if !self.at_end() {
            return self.error("unmatched closing parenthesis");
        }
        Ok(branches)
    }

    fn branches(&mut self) -> Result<Vec<Vec<Node>>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("groups are nested too deep");
        }
        let mut branches = vec![self.sequence()?];
        while !self.at_end() && self.peek()? == '|' {
            self.at += 1;
            branches.push(self.sequence()?);
        }
        if !self.at_end() && self.peek()? == ')' {
            self.at += 1;
        }
        self.depth -= 1;
        Ok(branches)
    }

    fn sequence(&mut self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        while !self.at_end() && !matches!(self.peek()?, ')' | '|') {
            let node = match self.advance() {
                '\\' => {
                    self.escape(&mut nodes)?;
                    continue;
                }
                '^' => Node::Start,
                '$' => Node::End,
                '.' => Node::Any,
                '[' => Node::Class(self.class()?),
                '(' => self.group()?,
                '{' => {
                    let Some(last) = nodes.pop() else {
                        return Err(Fault {
                            kind: PatternFault::EndsEarly,
                            text: "Index -1 out of bounds for length 0".to_owned(),
                        });
                    };
                    self.counted(last)?
                }
                '?' | '*' | '+' => {
                    let Some(last) = nodes.pop() else {
                        return self.error("dangling modifier");
                    };
                    self.repeated(last, &mut nodes)?;
                    continue;
                }
                c => Node::Literal(c),
            };
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn escape(&mut self, nodes: &mut Vec<Node>) -> Result<()> {
        match self.peek()? {
            'Q' => {
                let start = self.at + 1;
                let rest = &self.text[start..];
                let Some(length) = rest.windows(2).position(|w| w == ['\\', 'E']) else {
                    return self.error("unclosed quotation");
                };
                nodes.extend(rest[..length].iter().copied().map(Node::Literal));
                self.at = start + length + 2;
            }
            'c' => return self.unsupported("control character"),
            'k' | '0'..='9' => return self.unsupported("back references"),
            _ => {
                let node = match self.named_class()? {
                    Some(set) => Node::Class(set),
                    None => Node::Literal(self.advance()),
                };
                nodes.push(node);
            }
        }
        Ok(())
    }

    fn group(&mut self) -> Result<Node> {
        if self.peek()? != '?' {
            return self.closed_group();
        }
        self.at += 1;
        match self.advance() {
            '<' => {
                self.advance_past('>');
                if self.at_end() {
                    return self.error("unclosed name for capturing group");
                }
                self.closed_group()
            }
            ':' => self.closed_group(),
            c @ ('=' | '!') => Ok(Node::Look {
                negative: c == '!',
                branches: self.branches()?,
            }),
            _ => self.unsupported("inline flags"),
        }
    }

    fn closed_group(&mut self) -> Result<Node> {
        let branches = self.branches()?;
        if self.text[self.at - 1] != ')' {
            return self.error("unclosed group");
        }
        Ok(Node::Group(branches))
    }

    fn counted(&mut self, node: Node) -> Result<Node> {
        let start = self.at;
        self.advance_past('}');
        let text: String = self.text[start..(self.at - 1).max(start)].iter().collect();
        let number = |text: &str| {
            text.parse::<i32>().map_err(|_| Fault {
                kind: PatternFault::NotANumber,
                text: format!("For input string: \"{text}\""),
            })
        };
        let mut parts = text.split(',');
        let min = number(parts.next().unwrap_or(""))?;
        let max = match parts.next() {
            // A trailing comma counts for nothing: `{2,}` is `{2}`.
            None | Some("") => min,
            Some(max) => number(max)?,
        };
        if min < 0 {
            return self.error("illegal repetition, min < 0");
        }
        if min > max {
            return self.error("illegal repetition, min > max");
        }
        Ok(Node::Repeat {
            node: Box::new(node),
            min: min.unsigned_abs(),
            max: Some(max.unsigned_abs()),
            possessive: false,
        })
    }

    fn repeated(&mut self, node: Node, nodes: &mut Vec<Node>) -> Result<()> {
        let start = self.at - 1;
        while self.at < self.text.len() && matches!(self.text[self.at], '?' | '*' | '+') {
            self.at += 1;
        }
        let quantifier: String = self.text[start..self.at].iter().collect();
        let repeat = |node: Node, min, max, possessive| Node::Repeat {
            node: Box::new(node),
            min,
            max,
            possessive,
        };
        match quantifier.as_str() {
            "?" if matches!(node, Node::Repeat { .. }) => nodes.push(node),
            "?" | "??" | "?+" => nodes.push(repeat(node, 0, Some(1), false)),
            "*" | "*?" => nodes.push(repeat(node, 0, None, false)),
            "+" | "+?" => nodes.push(repeat(node, 1, None, false)),
            "*+" => nodes.push(repeat(node, 0, None, true)),
            // The matcher asks for one and then for one or more.
            "++" => nodes.extend([node.clone(), repeat(node, 1, None, true)]),
            other => {
                return Err(Fault {
                    kind: PatternFault::Malformed,
                    text: format!("unknown quantifier: {other}"),
                });
            }
        }
        Ok(())
    }

    /// The set of a letter after a backslash; nothing is read when it names none.
    fn named_class(&mut self) -> Result<Option<u128>> {
        let set = match self.advance() {
            'd' => DIGIT,
            'D' => !DIGIT,
            's' => SPACE,
            'S' => !SPACE,
            'w' => WORD,
            'W' => !WORD,
            'h' | 'H' => return self.unsupported("horizontal whitespace class"),
            'v' | 'V' => return self.unsupported("vertical whitespace class"),
            c @ ('p' | 'P') => {
                let name = self.class_name()?;
                let Some(set) = named_set(&name) else {
                    return self.error(&format!("unknown character property name: {name}"));
                };
                if c == 'P' { !set } else { set }
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(set))
    }

    fn class_name(&mut self) -> Result<String> {
        let first = self.advance();
        if first != '{' {
            return Ok(first.to_string());
        }
        let mut name = String::new();
        while self.peek()? != '}' {
            name.push(self.advance());
        }
        self.at += 1;
        Ok(name)
    }

    /// A class after its opening bracket. Unions, intersections and ranges are read as the original does, one character ahead.
    fn class(&mut self) -> Result<u128> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("classes are nested too deep");
        }
        let invert = self.peek()? == '^';
        let mut set = if invert { u128::MAX } else { 0 };
        let update = |set: u128, part: u128| if invert { set & !part } else { set | part };
        if invert {
            self.at += 1;
        }
        if matches!(self.peek()?, ']' | '-') {
            set = update(set, ascii(self.advance())?);
        }
        let mut may_start_range = false;
        while !self.at_end() && self.peek()? != ']' {
            let c = self.advance();
            let mut starts_range = false;
            match c {
                '[' => set |= self.class()?,
                '&' if self.peek()? == '&' => {
                    self.at += 1;
                    if self.peek()? == '[' {
                        self.at += 1;
                        set &= self.class()?;
                    } else if self.peek()? != ']' {
                        set &= self.class()?;
                        self.at -= 1;
                    }
                }
                '&' => set = update(set, one('&')),
                '\\' => match self.named_class()? {
                    Some(named) => set = update(set, named),
                    None => {
                        starts_range = true;
                        set = update(set, ascii(self.advance())?);
                    }
                },
                '-' if may_start_range && self.peek()? != ']' => {
                    let first = self.text[self.at - 2];
                    if self.peek()? == '\\' {
                        self.at += 1;
                        match self.named_class()? {
                            Some(named) => set = update(set, named | one('-')),
                            None => {
                                let last = self.peek()?;
                                set = update(set, ascii_range(first, last)?);
                                if last == '\\' {
                                    self.at += 1;
                                }
                            }
                        }
                    } else {
                        set = update(set, ascii_range(first, self.peek()?)?);
                    }
                }
                c => {
                    starts_range = c != '-';
                    set = update(set, ascii(c)?);
                }
            }
            may_start_range = starts_range;
        }
        if self.advance() != ']' {
            return self.error("unclosed character class");
        }
        self.depth -= 1;
        Ok(set)
    }
}

fn ascii(c: char) -> Result<u128> {
    if c.is_ascii() {
        return Ok(one(c));
    }
    Err(Fault {
        kind: PatternFault::Malformed,
        text: format!("invalid pattern, '{c}' is not ascii"),
    })
}

fn ascii_range(first: char, last: char) -> Result<u128> {
    Ok(ascii(first)? | ascii(last)? | range(first, last))
}

fn write_branches(branches: &[Vec<Node>], out: &mut String) {
    for (i, branch) in branches.iter().enumerate() {
        if i > 0 {
            out.push('|');
        }
        branch.iter().for_each(|node| write_node(node, out));
    }
}

fn write_node(node: &Node, out: &mut String) {
    match node {
        Node::Literal(c) => {
            if c.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(*c);
        }
        Node::Any => out.push_str("(?s:.)"),
        Node::Class(set) => write_class(*set, out),
        Node::Start => out.push('^'),
        Node::End => out.push('$'),
        Node::Group(branches) => {
            out.push_str("(?:");
            write_branches(branches, out);
            out.push(')');
        }
        Node::Look { negative, branches } => {
            out.push_str(if *negative { "(?!" } else { "(?=" });
            write_branches(branches, out);
            out.push(')');
        }
        Node::Repeat {
            node,
            min,
            max,
            possessive,
        } => {
            // The engine refuses to repeat what takes no room.
            if matches!(**node, Node::Start | Node::End | Node::Look { .. }) {
                if *min > 0 {
                    write_node(node, out);
                }
                return;
            }
            out.push_str(if *possessive { "(?>(?:" } else { "(?:" });
            write_node(node, out);
            out.push(')');
            match (min, max) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (min, None) => out.push_str(&format!("{{{min},}}")),
                (min, Some(max)) => out.push_str(&format!("{{{min},{max}}}")),
            }
            if *possessive {
                out.push(')');
            }
        }
    }
}

fn write_class(set: u128, out: &mut String) {
    if set == 0 {
        // A class of nothing matches nothing.
        out.push_str("[^\\s\\S]");
        return;
    }
    out.push('[');
    let mut c = 0u32;
    while c < 128 {
        if set >> c & 1 == 0 {
            c += 1;
            continue;
        }
        let first = c;
        while c < 128 && set >> c & 1 == 1 {
            c += 1;
        }
        out.push_str(&format!("\\x{first:02x}-\\x{:02x}", c - 1));
    }
    out.push(']');
}

fn shape_of(branches: &[Vec<Node>]) -> PatternShape {
    let [branch] = branches else {
        return PatternShape::Other;
    };
    let mut flat = Vec::new();
    flatten(branch, &mut flat);
    let mut nodes = flat.as_slice();
    while let [Node::Start, rest @ ..] = nodes {
        nodes = rest;
    }
    let mut contains = false;
    while let [run, rest @ ..] = nodes
        && is_any_run(run)
    {
        contains = true;
        nodes = rest;
    }
    let literals = nodes
        .iter()
        .map_while(|node| match node {
            Node::Literal(c) => Some(*c),
            // A class of one character is that character.
            Node::Class(set) if set.count_ones() == 1 => char::from_u32(set.trailing_zeros()),
            _ => None,
        })
        .collect::<String>();
    let open_end = match &nodes[literals.chars().count()..] {
        [] => true,
        [run] | [run, Node::End] => is_any_run(run),
        _ => false,
    };
    match (literals.is_empty() || !open_end, contains) {
        (true, _) => PatternShape::Other,
        (false, false) => PatternShape::Prefix(literals.into()),
        (false, true) => PatternShape::Contains(literals.into()),
    }
}

fn is_any_run(node: &Node) -> bool {
    match node {
        Node::Repeat {
            node, min: 0, max, ..
        } => max.is_none() && matches!(**node, Node::Any),
        _ => false,
    }
}

fn flatten<'a>(nodes: &'a [Node], out: &mut Vec<&'a Node>) {
    for node in nodes {
        match node {
            Node::Group(branches) if branches.len() == 1 => flatten(&branches[0], out),
            other => out.push(other),
        }
    }
}
