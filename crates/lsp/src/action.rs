//! What can be done about a place: take a suggestion, write the expression in another way.

use std::collections::HashMap;
use std::ops::Range;

use gen_lsp_types::{CodeAction, CodeActionKind, TextEdit, Uri, WorkspaceEdit};
use hesper_stack::normalize;

use crate::diagnostic::{Change, findings};
use crate::document::Document;
use crate::format::on_one_line;

/// The kinds of actions there are.
pub(crate) const KINDS: [CodeActionKind; 2] =
    [CodeActionKind::QuickFix, CodeActionKind::RefactorRewrite];

/// The actions for a part of a document, of the kinds asked for.
pub(crate) fn actions(
    document: &Document,
    uri: &Uri,
    span: &Range<usize>,
    only: Option<&[CodeActionKind]>,
) -> Vec<CodeAction> {
    let wanted = |kind: &CodeActionKind| {
        only.is_none_or(|only| only.iter().any(|asked| includes(asked, kind)))
    };
    let mut actions = Vec::new();
    if wanted(&CodeActionKind::QuickFix) {
        actions.extend(quick_fixes(document, uri, span));
    }
    if wanted(&CodeActionKind::RefactorRewrite) {
        let changes = [normalized(document), one_line(document)];
        actions.extend(changes.into_iter().flatten().map(|change| CodeAction {
            kind: Some(CodeActionKind::RefactorRewrite),
            ..action(document, uri, &change)
        }));
    }
    actions
}

/// True when a kind is another one, or a kind of it: `refactor` includes `refactor.rewrite`.
fn includes(asked: &CodeActionKind, kind: &CodeActionKind) -> bool {
    let (asked, kind) = (String::from(asked.clone()), String::from(kind.clone()));
    asked.is_empty()
        || kind
            .strip_prefix(&asked)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn quick_fixes(document: &Document, uri: &Uri, span: &Range<usize>) -> Vec<CodeAction> {
    let mut actions = Vec::new();
    for finding in findings(document) {
        if finding.span.start > span.end || span.start > finding.span.end {
            continue;
        }
        for (i, fix) in finding.fixes.iter().enumerate() {
            actions.push(CodeAction {
                kind: Some(CodeActionKind::QuickFix),
                diagnostics: Some(vec![finding.diagnostic(&document.lines)]),
                is_preferred: Some(i == 0),
                ..action(document, uri, fix)
            });
        }
    }
    actions
}

fn action(document: &Document, uri: &Uri, change: &Change) -> CodeAction {
    let edit = TextEdit {
        range: document.lines.positions(&change.span),
        new_text: change.text.clone(),
    };
    CodeAction {
        title: change.title.clone(),
        edit: Some(WorkspaceEdit {
            changes: Some(HashMap::from([(uri.clone(), vec![edit])])),
            ..WorkspaceEdit::default()
        }),
        ..CodeAction::default()
    }
}

/// The expression in normal form, if it can be run and is not.
fn normalized(document: &Document) -> Option<Change> {
    let (program, span) = document.expression()?;
    if !program.tree.is_valid() || program.tree.tokens().is_empty() {
        return None;
    }
    let normal = normalize(program.text(), program.tree.vocabulary()).ok()?;
    let title = match program.tree.comments().is_empty() {
        true => "Normalize",
        false => "Normalize (without the comments)",
    };
    changed(document, span, title, &program.written(&normal.join(",")))
}

/// The expression on one line, if it is not.
fn one_line(document: &Document) -> Option<Change> {
    let (program, span) = document.expression()?;
    let line = on_one_line(program.text(), &program.tree)?;
    changed(document, span, "Put on one line", &program.written(&line))
}

fn changed(document: &Document, span: Range<usize>, title: &str, text: &str) -> Option<Change> {
    let before = &document.text[span.clone()];
    // What ends the document stays.
    let kept = before.trim_end().len();
    (before[..kept] != *text).then(|| Change {
        title: title.to_owned(),
        span: span.start..span.start + kept,
        text: text.to_owned(),
    })
}
