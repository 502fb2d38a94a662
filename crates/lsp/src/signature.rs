//! Which operand of which word the cursor is at.

use gen_lsp_types::{
    ActiveParameter, Documentation, MarkupKind, ParameterInformation, ParameterInformationLabel,
    SignatureHelp, SignatureInformation,
};
use hesper_stack::syntax::{SyntaxTree, TokenKind};
use hesper_stack::word::Word;

use crate::document::Document;
use crate::markup::Markup;
use crate::word_help;

pub(crate) fn signature(
    document: &Document,
    offset: usize,
    markup: &MarkupKind,
) -> Option<SignatureHelp> {
    let (program, offset) = document.program_at(offset)?;
    let tree = &program.tree;
    let at = tree.token_at(offset)?;
    let (word, operand) = word_of(tree, at)?;
    let name = tree.tokens()[word].word()?;
    let overloads = tree.vocabulary().overloads(name)?;
    let chosen = tree.call(word)?.word.signature();
    let active = overloads
        .iter()
        .position(|word| word.signature() == chosen)?;
    let signatures = overloads
        .iter()
        .map(|word| information(word, markup))
        .collect();
    let operand = operand.and_then(|operand| u32::try_from(operand).ok());
    Some(SignatureHelp {
        signatures,
        active_signature: u32::try_from(active).ok(),
        active_parameter: operand.map(ActiveParameter::Int),
    })
}

/// The word that a token is, or that takes it, and which of its operands it is.
fn word_of(tree: &SyntaxTree<'_>, at: usize) -> Option<(usize, Option<usize>)> {
    /// How far a word may be behind its operand.
    const MAX_DISTANCE: usize = 200;
    let tokens = tree.tokens();
    let token = &tokens[at];
    if token.kind == TokenKind::Word && token.depth == 0 {
        return Some((at, None));
    }
    // Of a list in which the token is the parenthesis is the operand.
    let operand = match token.depth {
        0 if token.kind == TokenKind::Close => token.partner?,
        0 => at,
        _ => tokens[..at]
            .iter()
            .rposition(|t| t.kind == TokenKind::Open && t.depth == 0)?,
    };
    let words = operand + 1..tokens.len().min(operand + MAX_DISTANCE);
    let mut words = words;
    words.find_map(|word| {
        let operands = &tree.call(word)?.operands;
        let place = operands.iter().position(|o| *o == operand)?;
        Some((word, Some(place)))
    })
}

fn information(word: &Word, markup: &MarkupKind) -> SignatureInformation {
    let signature = word.signature();
    let takes = signature.split(" -- ").next().unwrap_or_default();
    let mut help = Markup::new(markup);
    word_help::explain(&mut help, word);
    let parameters = takes
        .split_whitespace()
        .map(|parameter| ParameterInformation {
            label: ParameterInformationLabel::String(parameter.to_owned()),
            documentation: None,
        });
    SignatureInformation {
        label: word_help::title(word),
        documentation: Some(Documentation::MarkupContent(help.finish())),
        parameters: Some(parameters.collect()),
        active_parameter: None,
    }
}
