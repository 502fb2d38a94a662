//! One editor's connection: what it has opened, and how its messages are answered.

use std::collections::HashMap;
use std::sync::Arc;

use gen_lsp_types::{
    ClientCapabilities, CodeActionRequest, CodeActionResponse, CompletionRequest,
    CompletionResponse, Definition, DefinitionRequest, DefinitionResponse,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, DocumentFormattingRequest,
    FormattingOptions, HoverRequest, Location, MarkupKind, PublishDiagnosticsParams, Range,
    Request, SemanticTokensRequest, SignatureHelpRequest, TextDocumentPositionParams, TextEdit,
    Uri, VersionedTextDocumentIdentifier,
};
use hesper_stack::Vocabulary;
use hesper_stack::syntax::Severity;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::diagnostic::{Finding, findings};
use crate::document::{Document, Language, changed};
use crate::error::LspError;
use crate::lines::LineIndex;
use crate::message::{Incoming, MAX_MESSAGE_BYTES, failure, notification, reply};
use crate::tags::Tags;
use crate::{action, completion, definition, format, hover, semantic_token, signature};

mod capabilities;

/// The most documents that may be open at a time.
pub const MAX_DOCUMENTS: usize = 200;

/// The most changes that one message may hold.
pub const MAX_CHANGES: usize = 1_000;

/// Answers the messages of one editor.
pub struct Server {
    language: Language,
    vocabulary: &'static Vocabulary,
    tags: Arc<dyn Tags>,
    documents: HashMap<Uri, Document>,
    phase: Phase,
    hover_markup: MarkupKind,
    completion_markup: MarkupKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `initialize`.
    Fresh,
    Running,
    /// After `shutdown`.
    ShutDown,
    /// After `exit`, with the status of the process.
    Exited(i32),
}

/// `textDocument/didChange`; of the two forms of a change the one without a range is the whole text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DidChange {
    text_document: VersionedTextDocumentIdentifier,
    content_changes: Vec<ContentChange>,
}

#[derive(Deserialize)]
struct ContentChange {
    #[serde(default)]
    range: Option<Range>,
    text: String,
}

impl Server {
    /// A server for documents of a language; an editor may name another one for a document.
    pub fn new(language: Language, tags: Arc<dyn Tags>) -> Self {
        Self {
            language,
            vocabulary: Vocabulary::full(),
            tags,
            documents: HashMap::new(),
            phase: Phase::Fresh,
            hover_markup: MarkupKind::Markdown,
            completion_markup: MarkupKind::Markdown,
        }
    }

    /// The same with the words of a vocabulary.
    #[must_use]
    pub fn with_vocabulary(mut self, vocabulary: &'static Vocabulary) -> Self {
        self.vocabulary = vocabulary;
        self
    }

    /// The status that the process shall end with, once the editor has sent `exit`. Nothing is answered any more.
    pub fn exit_status(&self) -> Option<i32> {
        match self.phase {
            Phase::Exited(status) => Some(status),
            Phase::Fresh | Phase::Running | Phase::ShutDown => None,
        }
    }

    /// The status to end with when the connection ends now.
    pub(crate) fn status_at_end(&self) -> i32 {
        match self.phase {
            Phase::Exited(status) => status,
            Phase::ShutDown => 0,
            Phase::Fresh | Phase::Running => 1,
        }
    }

    /// Takes the text of a message, and gives those of the messages to send back, in order.
    pub fn handle_text(&mut self, message: &str) -> Vec<String> {
        let replies = if message.len() > MAX_MESSAGE_BYTES {
            let error = LspError::MessageTooLarge(message.len() as u64);
            vec![failure(Value::Null, &error)]
        } else {
            match serde_json::from_str(message) {
                Ok(message) => self.handle(message),
                Err(error) => vec![failure(Value::Null, &LspError::NotJson(error))],
            }
        };
        replies.iter().map(Value::to_string).collect()
    }

    /// Takes a message, and gives those to send back, in order.
    ///
    /// An error about a message that is no request has a null id.
    pub fn handle(&mut self, message: Value) -> Vec<Value> {
        if self.exit_status().is_some() {
            return Vec::new();
        }
        match Incoming::read(message) {
            Ok(Incoming::Request { id, method, params }) => {
                let answer = match self.request(&method, params) {
                    Ok(result) => reply(id, result),
                    Err(error) => failure(id, &error),
                };
                vec![answer]
            }
            Ok(Incoming::Notification { method, params }) => self
                .notification(&method, params)
                .unwrap_or_else(|error| vec![failure(Value::Null, &error)]),
            Ok(Incoming::Response) => Vec::new(),
            Err((id, error)) => vec![failure(id, &error)],
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Result<Value, LspError> {
        match (self.phase, method) {
            (Phase::Fresh, "initialize") => return self.initialize(params),
            (Phase::Fresh, _) => return Err(LspError::NotInitialized),
            (Phase::Running, "initialize") => return Err(LspError::InitializedTwice),
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                self.documents.clear();
                return Ok(Value::Null);
            }
            (Phase::Running, _) => {}
            (Phase::ShutDown | Phase::Exited(_), _) => return Err(LspError::ShutDown),
        }
        match method {
            "textDocument/completion" => answer::<CompletionRequest>(method, params, |p| {
                let (document, offset) = self.place(&p.text_document_position_params)?;
                let markup = &self.completion_markup;
                let list = completion::completion(document, offset, &*self.tags, markup);
                Ok(Some(CompletionResponse::CompletionList(list)))
            }),
            "textDocument/hover" => answer::<HoverRequest>(method, params, |p| {
                let (document, offset) = self.place(&p.text_document_position_params)?;
                Ok(hover::hover(document, offset, &self.hover_markup))
            }),
            "textDocument/signatureHelp" => answer::<SignatureHelpRequest>(method, params, |p| {
                let (document, offset) = self.place(&p.text_document_position_params)?;
                Ok(signature::signature(document, offset, &self.hover_markup))
            }),
            "textDocument/definition" => answer::<DefinitionRequest>(method, params, |p| {
                let place = p.text_document_position_params;
                let (document, offset) = self.place(&place)?;
                let location = definition::definition(document, offset).map(|span| Location {
                    uri: place.text_document.uri,
                    range: document.lines.positions(&span),
                });
                Ok(location.map(|at| DefinitionResponse::Definition(Definition::Location(at))))
            }),
            "textDocument/codeAction" => answer::<CodeActionRequest>(method, params, |p| {
                let uri = p.text_document.uri;
                let document = self.document(&uri)?;
                let span = document.lines.span(&p.range)?;
                let actions = action::actions(document, &uri, &span, p.context.only.as_deref());
                Ok(Some(
                    actions
                        .into_iter()
                        .map(CodeActionResponse::CodeAction)
                        .collect(),
                ))
            }),
            "textDocument/formatting" => answer::<DocumentFormattingRequest>(method, params, |p| {
                let document = self.document(&p.text_document.uri)?;
                Ok(formatting(document, &p.options))
            }),
            "textDocument/semanticTokens/full" => {
                answer::<SemanticTokensRequest>(method, params, |p| {
                    let document = self.document(&p.text_document.uri)?;
                    Ok(Some(semantic_token::semantic_tokens(document)))
                })
            }
            _ => Err(LspError::UnknownMethod(method.to_owned())),
        }
    }

    fn initialize(&mut self, params: Value) -> Result<Value, LspError> {
        if !params.is_object() {
            let error = serde::de::Error::custom("they have to be an object");
            return Err(invalid_params("initialize", error));
        }
        // Of what the editor can do only little matters here, so that nothing strange in the rest shall keep it out.
        let capabilities = params.get("capabilities").cloned().unwrap_or_default();
        let capabilities: ClientCapabilities =
            serde_json::from_value(capabilities).unwrap_or_default();
        let text_document = capabilities.text_document.unwrap_or_default();
        let hover = text_document.hover.and_then(|hover| hover.content_format);
        let item = text_document.completion.and_then(|c| c.completion_item);
        self.hover_markup = markup(hover);
        self.completion_markup = markup(item.and_then(|item| item.documentation_format));
        self.phase = Phase::Running;
        Ok(json!(capabilities::initialize_result()))
    }

    fn notification(&mut self, method: &str, params: Value) -> Result<Vec<Value>, LspError> {
        if method == "exit" {
            let status = self.status_at_end();
            self.phase = Phase::Exited(status);
            return Ok(Vec::new());
        }
        // What comes before `initialize` or after `shutdown` is dropped, as the protocol says.
        if self.phase != Phase::Running {
            return Ok(Vec::new());
        }
        match method {
            "textDocument/didOpen" => self.open(from_params(method, params)?),
            "textDocument/didChange" => self.change(from_params(method, params)?),
            "textDocument/didClose" => self.close(&from_params(method, params)?),
            // `initialized`, `$/cancelRequest` and so on change nothing here; others may be ignored.
            _ => Ok(Vec::new()),
        }
    }

    fn open(&mut self, params: DidOpenTextDocumentParams) -> Result<Vec<Value>, LspError> {
        let item = params.text_document;
        if self.documents.len() >= MAX_DOCUMENTS && !self.documents.contains_key(&item.uri) {
            return Err(LspError::TooManyDocuments);
        }
        let language = Language::named(&String::from(item.language_id)).unwrap_or(self.language);
        Ok(self.look_at(item.uri, item.version, item.text, language))
    }

    fn change(&mut self, params: DidChange) -> Result<Vec<Value>, LspError> {
        let VersionedTextDocumentIdentifier {
            version,
            text_document_identifier: identifier,
        } = params.text_document;
        let document = self.document(&identifier.uri)?;
        if params.content_changes.len() > MAX_CHANGES {
            return Err(LspError::TooManyChanges(params.content_changes.len()));
        }
        let language = document.language;
        let mut text = document.text.clone();
        for change in params.content_changes {
            match changed(&text, change.range.as_ref(), &change.text) {
                Ok(changed) => text = changed,
                Err(LspError::DocumentTooLarge(bytes)) => {
                    return Ok(self.too_large(identifier.uri, version, bytes));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.look_at(identifier.uri, version, text, language))
    }

    /// Keeps a document, and tells what there is to say about it.
    fn look_at(&mut self, uri: Uri, version: i32, text: String, language: Language) -> Vec<Value> {
        let document = match Document::new(text, language, self.vocabulary) {
            Ok(document) => document,
            Err(LspError::DocumentTooLarge(bytes)) => return self.too_large(uri, version, bytes),
            Err(error) => return vec![failure(Value::Null, &error)],
        };
        let published = publish(&uri, Some(version), &document.lines, &findings(&document));
        self.documents.insert(uri, document);
        vec![published]
    }

    /// Lets go of a document that is too large, and says so where it is seen.
    fn too_large(&mut self, uri: Uri, version: i32, bytes: usize) -> Vec<Value> {
        let error = LspError::DocumentTooLarge(bytes);
        self.documents.remove(&uri);
        let finding = Finding::new(0..0, Severity::Error, "limit", error.to_string());
        let published = publish(&uri, Some(version), &LineIndex::new(""), &[finding]);
        vec![failure(Value::Null, &error), published]
    }

    fn close(&mut self, params: &DidCloseTextDocumentParams) -> Result<Vec<Value>, LspError> {
        let uri = &params.text_document.uri;
        let document = self.documents.remove(uri);
        let document = document.ok_or_else(|| LspError::NotOpen(uri.to_string()))?;
        Ok(vec![publish(uri, None, &document.lines, &[])])
    }

    fn document(&self, uri: &Uri) -> Result<&Document, LspError> {
        self.documents
            .get(uri)
            .ok_or_else(|| LspError::NotOpen(uri.to_string()))
    }

    fn place(&self, params: &TextDocumentPositionParams) -> Result<(&Document, usize), LspError> {
        let document = self.document(&params.text_document.uri)?;
        let offset = document.lines.offset(params.position)?;
        Ok((document, offset))
    }
}

/// Answers a request by its type.
fn answer<R: Request>(
    method: &str,
    params: Value,
    handle: impl FnOnce(R::Params) -> Result<R::Result, LspError>,
) -> Result<Value, LspError> {
    let result = handle(from_params(method, params)?)?;
    Ok(serde_json::to_value(result).expect("texts and numbers"))
}

fn from_params<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, LspError> {
    serde_json::from_value(params).map_err(|error| invalid_params(method, error))
}

fn invalid_params(method: &str, source: serde_json::Error) -> LspError {
    LspError::InvalidParams {
        method: method.to_owned(),
        source,
    }
}

/// The first kind of text that an editor names, of those there are.
fn markup(formats: Option<Vec<MarkupKind>>) -> MarkupKind {
    let known = |kind: &MarkupKind| matches!(kind, MarkupKind::Markdown | MarkupKind::PlainText);
    formats
        .and_then(|formats| formats.into_iter().find(known))
        .unwrap_or(MarkupKind::Markdown)
}

fn publish(uri: &Uri, version: Option<i32>, lines: &LineIndex, findings: &[Finding]) -> Value {
    let diagnostics = findings.iter().map(|f| f.diagnostic(lines)).collect();
    notification(
        "textDocument/publishDiagnostics",
        PublishDiagnosticsParams {
            uri: uri.clone(),
            version,
            diagnostics,
        },
    )
}

/// The changes that make a document readable; none when it is, or when it cannot be told what it holds.
fn formatting(document: &Document, options: &FormattingOptions) -> Option<Vec<TextEdit>> {
    /// Nobody wants more.
    const MAX_INDENT: u32 = 16;
    let (program, span) = document.expression()?;
    let formatted = if program.is_value() {
        let line = format::on_one_line(program.text(), &program.tree)?;
        program.written(&line).into_owned()
    } else {
        let indent = match options.insert_spaces {
            true => " ".repeat(options.tab_size.min(MAX_INDENT) as usize),
            false => "\t".to_owned(),
        };
        let line_end = match document.text.contains("\r\n") {
            true => "\r\n",
            false => "\n",
        };
        let spaces = format::Spaces {
            indent: &indent,
            line_end,
        };
        let mut formatted = format::format(program.text(), &program.tree, &spaces)?;
        let ends = document.text.ends_with('\n') || options.insert_final_newline == Some(true);
        if ends && !formatted.is_empty() {
            formatted.push_str(line_end);
        }
        formatted
    };
    if document.text[span.clone()] == formatted {
        return Some(Vec::new());
    }
    Some(vec![TextEdit {
        range: document.lines.positions(&span),
        new_text: formatted,
    }])
}

#[cfg(test)]
mod tests;
