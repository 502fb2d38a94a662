//! What may come next: words that can run, tags, variables; in a URI also parameters and their values.

mod in_uri;

use std::ops::Range;

use gen_lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemTag, CompletionItemTextEdit, CompletionList,
    Documentation, MarkupKind, TextEdit,
};
use hesper_stack::lexer::{escape, unescape};
use hesper_stack::syntax::{Role, State, SyntaxTree, Token, TokenKind, deprecation};
use hesper_stack::value::Value;
use hesper_stack::word::Word;

use crate::document::Document;
use crate::markup::Markup;
use crate::program::Program;
use crate::tags::Tags;
use crate::word_help;

/// The most keys, or values, of tags that are offered at a time.
const MAX_TAGS: usize = 200;

/// Offers, in the order in which they are to be shown.
pub(crate) struct Offers<'a> {
    document: &'a Document,
    tags: &'a dyn Tags,
    markup: &'a MarkupKind,
    items: Vec<CompletionItem>,
    is_incomplete: bool,
}

/// What may come at a place of a document.
pub(crate) fn completion(
    document: &Document,
    offset: usize,
    tags: &dyn Tags,
    markup: &MarkupKind,
) -> CompletionList {
    let mut offers = Offers {
        document,
        tags,
        markup,
        items: Vec::new(),
        is_incomplete: false,
    };
    match document.program_at(offset) {
        Some((program, offset)) => offers.in_program(program, offset),
        None => offers.in_uri(offset),
    }
    CompletionList {
        is_incomplete: offers.is_incomplete,
        items: offers.items,
        ..CompletionList::default()
    }
}

/// The token that the cursor is at, or where one may begin.
struct Place {
    /// The token, or the one that would come next.
    token: usize,
    /// What is replaced, in bytes of the program.
    span: Range<usize>,
    /// What stands between the start of that and the cursor.
    typed: String,
    depth: usize,
}

impl Place {
    fn find(tree: &SyntaxTree<'_>, text: &str, offset: usize) -> Option<Self> {
        if tree.is_in_comment(offset) {
            return None;
        }
        let tokens = tree.tokens();
        if let Some(at) = tree.token_at(offset) {
            let token = &tokens[at];
            let fragment = token.fragments.first()?;
            // Within comments within a token nothing can be replaced at once.
            if token.fragments.len() > 1 {
                return None;
            }
            let is_item = matches!(token.kind, TokenKind::Literal | TokenKind::Word);
            return is_item.then(|| Self {
                token: at,
                span: fragment.clone(),
                typed: text[fragment.start..offset].to_owned(),
                depth: token.depth,
            });
        }
        // Between commas, with nothing but blanks there.
        let token = tokens.partition_point(|t| t.span.end <= offset);
        let before = token.checked_sub(1).map(|at| &tokens[at]);
        let start = before.map_or(0, |t| t.span.end);
        let end = tokens.get(token).map_or(text.len(), |t| t.span.start);
        let comma = |part: Range<usize>| {
            part.clone()
                .any(|at| text.as_bytes()[at] == b',' && !tree.is_in_comment(at))
        };
        let opens = before.is_none() || comma(start..offset);
        let closes = token == tokens.len() || comma(offset..end);
        (opens && closes).then(|| Self {
            token,
            span: offset..offset,
            typed: String::new(),
            depth: depth_behind(before),
        })
    }
}

/// How many lists are open behind a token.
fn depth_behind(token: Option<&Token>) -> usize {
    token.map_or(0, |t| t.depth + usize::from(t.kind == TokenKind::Open))
}

impl Offers<'_> {
    fn in_program(&mut self, program: &Program, offset: usize) {
        let tree = &program.tree;
        let Some(place) = Place::find(tree, program.text(), offset) else {
            return;
        };
        let list = (place.depth > 0)
            .then(|| enclosing_list(tree.tokens(), place.token))
            .flatten();
        let state = tree.state_before(list.unwrap_or(place.token));
        if !place.typed.starts_with([':', ';']) {
            self.tags(program, &place, list, &state);
        }
        match list {
            // What is on the stack when the list runs, if it is a program at all, nobody knows.
            Some(_) => {
                let mut known = std::collections::HashSet::new();
                let all = tree.vocabulary().words().filter(|w| known.insert(w.name()));
                self.words(program, &place, all.collect());
            }
            None => self.words(program, &place, state.words()),
        }
        if !place.typed.starts_with([':', ';']) {
            self.variables(program, &place, &state);
        }
    }

    fn tags(&mut self, program: &Program, place: &Place, list: Option<usize>, state: &State<'_>) {
        let tokens = program.tree.tokens();
        let role = match tokens.get(place.token) {
            Some(token) if !place.span.is_empty() && token.span.start == place.span.start => {
                program.tree.role(place.token)
            }
            _ => sibling_role(&program.tree, place.token, list),
        };
        let key = match role {
            Role::Key => None,
            Role::Value(key) => Some(unescape(&tokens[key].text)),
            Role::Variable => return,
            Role::Plain => match state.stack().last() {
                Some(Value::Text(key)) => Some(key.to_string()),
                _ => None,
            },
        };
        let typed = unescape(&place.typed);
        let mut found = Vec::new();
        if let Some(key) = &key {
            found = self.tags.values(key, &typed, MAX_TAGS);
            self.tag_items(program, place, &found, &format!("value of {key}"));
        }
        // A text on the stack need not be a key.
        if found.is_empty() && !matches!(role, Role::Value(_)) {
            let found = self.tags.keys(&typed, MAX_TAGS);
            self.tag_items(program, place, &found, "tag key");
        }
    }

    fn tag_items(&mut self, program: &Program, place: &Place, found: &[String], detail: &str) {
        self.is_incomplete |= found.len() >= MAX_TAGS;
        for text in found {
            let token = escape(text);
            self.add(program, place, &token, |item| {
                item.label = text.clone();
                item.kind = Some(CompletionItemKind::Value);
                item.detail = Some(detail.to_owned());
            });
        }
    }

    fn words(&mut self, program: &Program, place: &Place, mut words: Vec<&Word>) {
        // Those of little use last, else in the order of the vocabulary.
        words.sort_by_key(|word| !word.is_suggested());
        for word in words {
            let token = format!(":{}", word.name());
            let mut markup = Markup::new(self.markup);
            word_help::explain(&mut markup, word);
            self.add(program, place, &token, |item| {
                item.kind = Some(CompletionItemKind::Function);
                item.detail = Some(word.signature());
                item.documentation = Some(Documentation::MarkupContent(markup.finish()));
                item.tags = deprecation(word).map(|_| vec![CompletionItemTag::Deprecated]);
                if place.typed.starts_with(';') {
                    // Else editors would not take it for a match.
                    item.filter_text = Some(format!(";{}", word.name()));
                }
            });
        }
    }

    fn variables(&mut self, program: &Program, place: &Place, state: &State<'_>) {
        for name in state.variables().keys() {
            self.add(program, place, &escape(name), |item| {
                item.label.clone_from(name);
                item.kind = Some(CompletionItemKind::Variable);
                item.detail = Some("variable".to_owned());
            });
        }
    }

    /// Offers a token.
    fn add(
        &mut self,
        program: &Program,
        place: &Place,
        token: &str,
        describe: impl FnOnce(&mut CompletionItem),
    ) {
        let span = program.in_document(&place.span);
        let text = program.written(token);
        let mut item = self.item(token, &span, &text);
        if program.is_value() && text != token {
            // What is typed so far is encoded too.
            item.filter_text = Some(text.into_owned());
        }
        describe(&mut item);
        self.items.push(item);
    }

    /// An offer to replace a part of the document.
    fn item(&self, label: &str, span: &Range<usize>, text: &str) -> CompletionItem {
        CompletionItem {
            label: label.to_owned(),
            sort_text: Some(format!("{:05}", self.items.len())),
            text_edit: Some(CompletionItemTextEdit::TextEdit(TextEdit {
                range: self.document.lines.positions(span),
                new_text: text.to_owned(),
            })),
            ..CompletionItem::default()
        }
    }
}

/// The parenthesis that opens the outermost list that a token is in, or would be in.
fn enclosing_list(tokens: &[Token], token: usize) -> Option<usize> {
    tokens[..token]
        .iter()
        .rposition(|t| t.kind == TokenKind::Open && t.depth == 0)
}

/// The role of another item of the list that a new one would stand in: it has the same.
fn sibling_role(tree: &SyntaxTree<'_>, token: usize, list: Option<usize>) -> Role {
    let Some(open) = list else {
        return Role::Plain;
    };
    let tokens = tree.tokens();
    let is_item = |at: &usize| tokens[*at].kind == TokenKind::Literal && tokens[*at].depth == 1;
    let end = tokens[open].partner.unwrap_or(token);
    (open + 1..end.max(open + 1))
        .find(is_item)
        .map_or(Role::Plain, |at| tree.role(at))
}

#[cfg(test)]
mod tests;
