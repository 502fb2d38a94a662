//! What there is to say about a document, and how editors are told.

use std::ops::Range;

use gen_lsp_types::{Code, Diagnostic, DiagnosticSeverity, DiagnosticTag, Message};
use hesper_stack::syntax::{DiagnosticCode, MAX_DIAGNOSTICS, Severity};

use crate::document::Document;
use crate::lines::LineIndex;
use crate::program::Program;

/// The name that editors show beside a diagnostic.
pub(crate) const SOURCE: &str = "hesper";

/// Something wrong, or doubtful, about a place in a document.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) span: Range<usize>,
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) fixes: Vec<Change>,
}

/// A change of a document.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) title: String,
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(
        span: Range<usize>,
        severity: Severity,
        code: &'static str,
        message: String,
    ) -> Self {
        Self {
            span,
            severity,
            code,
            message,
            fixes: Vec::new(),
        }
    }

    /// As the protocol has it.
    pub(crate) fn diagnostic(&self, lines: &LineIndex) -> Diagnostic {
        let deprecated = self.code == DiagnosticCode::Deprecated.name();
        Diagnostic {
            range: lines.positions(&self.span),
            severity: Some(match self.severity {
                Severity::Error => DiagnosticSeverity::Error,
                Severity::Warning => DiagnosticSeverity::Warning,
            }),
            code: Some(Code::String(self.code.to_owned())),
            source: Some(SOURCE.to_owned()),
            message: Message::String(self.message.clone()),
            tags: deprecated.then(|| vec![DiagnosticTag::Deprecated]),
            ..Diagnostic::default()
        }
    }
}

/// What there is to say about a document.
pub(crate) fn findings(document: &Document) -> Vec<Finding> {
    let mut findings: Vec<Finding> = document.programs().flat_map(of_program).collect();
    if let Some(uri) = document.uri() {
        findings.extend(uri.findings.iter().cloned());
        findings.sort_by_key(|f| f.span.start);
        findings.truncate(MAX_DIAGNOSTICS);
    }
    findings
}

fn of_program(program: &Program) -> Vec<Finding> {
    let diagnostics = program.tree.diagnostics().iter();
    diagnostics
        .map(|d| Finding {
            span: program.in_document(&d.span),
            severity: d.severity,
            code: d.code.name(),
            message: d.message.clone(),
            fixes: d
                .fixes
                .iter()
                .map(|fix| Change {
                    title: fix.title.clone(),
                    span: program.in_document(&fix.span),
                    text: program.written(&fix.text).into_owned(),
                })
                .collect(),
        })
        .collect()
}
