//! What the operands of a word are to it: keys and values of tags, names of variables.

use super::token::{Token, TokenKind};
use crate::word::Word;

/// What a literal is to the word that takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing in particular.
    #[default]
    Plain,
    /// The key of a tag.
    Key,
    /// A value of the tag whose key is the token with this index.
    Value(usize),
    /// The name of a variable.
    Variable,
}

/// The operands of a word as its signature names them: name and kind. `None` when what it takes depends on the stack.
pub(super) fn parameters(signature: &str) -> Option<Vec<(&str, &str)>> {
    let (takes, _) = signature.split_once(" -- ")?;
    takes
        .split_whitespace()
        .map(|parameter| match parameter.split_once(':') {
            Some((name, kind)) => Some((name, kind)),
            None if parameter.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Some(("", parameter))
            }
            // `*`, `...`, `?`, `aN`, `a`.
            None => None,
        })
        .collect()
}

/// The roles that a word gives to its operands, which are tokens; literals and lists get them, or what is in the lists.
pub(super) fn roles(tokens: &[Token], word: &Word, operands: &[usize]) -> Vec<(usize, Role)> {
    let signature = word.signature();
    let is_query = signature.ends_with(" -- Query");
    let names = match word.name() {
        // It takes whatever is on the stack, as far as its signature goes.
        "fcall" => vec![("k", "String")],
        _ => parameters(&signature).unwrap_or_default(),
    };
    if names.len() > operands.len() {
        return Vec::new();
    }
    let operands = &operands[operands.len() - names.len()..];
    let mut roles = Vec::new();
    for (&(name, _), &at) in names.iter().zip(operands) {
        let role = match (word.name(), name) {
            ("get" | "set" | "sset" | "fcall", "k") => Role::Variable,
            (_, "k") if is_query => Role::Key,
            (_, "v" | "vs") if is_query => match operands.first() {
                Some(&key) => Role::Value(key),
                None => continue,
            },
            (_, "keys") | ("as", "original" | "replacement") => Role::Key,
            _ => continue,
        };
        match tokens[at].kind {
            TokenKind::Literal => roles.push((at, role)),
            TokenKind::Open => {
                let items = tokens[at + 1..tokens[at].partner.unwrap_or(at + 1)].iter();
                let literals = items
                    .enumerate()
                    .filter(|(_, t)| t.kind == TokenKind::Literal);
                roles.extend(literals.map(|(i, _)| (at + 1 + i, role)));
            }
            TokenKind::Word | TokenKind::Close => {}
        }
    }
    roles
}

/// The literals and lists that stand right before a token, in the order of the program: by their index, that of a list being its
/// opening parenthesis.
pub(super) fn written_operands(tokens: &[Token], word: usize, most: usize) -> Vec<usize> {
    let mut operands = Vec::new();
    let mut end = word;
    while operands.len() < most && end > 0 {
        let before = end - 1;
        end = match (tokens[before].kind, tokens[before].partner) {
            (TokenKind::Literal, _) => before,
            (TokenKind::Close, Some(open)) => open,
            _ => break,
        };
        operands.push(end);
    }
    operands.reverse();
    operands
}

#[cfg(test)]
mod tests {
    use super::super::token::Tokens;
    use super::*;
    use crate::vocabulary::Vocabulary;

    fn found(program: &str) -> Vec<(String, Role)> {
        let tokens = Tokens::of(program).tokens;
        let at = tokens.len() - 1;
        let name = tokens[at].word().expect("a word");
        let word = &Vocabulary::full().overloads(name).expect("there")[0];
        roles(&tokens, word, &written_operands(&tokens, at, 4))
            .into_iter()
            .map(|(at, role)| (tokens[at].text.to_string(), role))
            .collect()
    }

    #[test]
    fn signatures_tell_the_operands() {
        assert_eq!(
            parameters("k:String v:String -- Query"),
            Some(vec![("k", "String"), ("v", "String")])
        );
        assert_eq!(
            parameters("TimeSeriesExpr keys:List -- TimeSeriesExpr"),
            Some(vec![("", "TimeSeriesExpr"), ("keys", "List")])
        );
        assert_eq!(parameters(" -- Query"), Some(vec![]));
        for open in ["* -- <empty>", "aN ... a0 N -- aN", "? -- ?", "nothing"] {
            assert_eq!(parameters(open), None);
        }
    }

    #[test]
    fn words_give_roles_to_their_operands() {
        let named = |text: &str, role| (text.to_owned(), role);
        assert_eq!(
            found("x,name,sps,:eq"),
            [named("name", Role::Key), named("sps", Role::Value(1))]
        );
        assert_eq!(
            found("name,(,a,b,),:in"),
            [
                named("name", Role::Key),
                named("a", Role::Value(0)),
                named("b", Role::Value(0))
            ]
        );
        assert_eq!(
            found("x,(,a,b,),:by"),
            [named("a", Role::Key), named("b", Role::Key)]
        );
        assert_eq!(found("k,v,:set"), [named("k", Role::Variable)]);
        assert_eq!(found("v,k,:sset"), [named("k", Role::Variable)]);
        assert_eq!(found("k,:fcall"), [named("k", Role::Variable)]);
        assert_eq!(found("x,a,b,:as").len(), 2);
        assert_eq!(found("x,5,:lw"), []);
    }
}
