//! What the server can do, as it tells editors.

use gen_lsp_types::{
    CodeActionOptions, CodeActionProvider, CompletionOptions, DefinitionProvider,
    DocumentFormattingProvider, Full, HoverProvider, InitializeResult, PositionEncodingKind,
    SemanticTokensOptions, SemanticTokensProvider, ServerCapabilities, ServerInfo,
    SignatureHelpOptions, TextDocumentSync, TextDocumentSyncKind, TextDocumentSyncOptions,
};

use crate::{action, semantic_token};

/// The characters after which editors ask what may come.
const TRIGGERS: [&str; 7] = [":", ",", "(", ";", "?", "&", "="];

pub(super) fn initialize_result() -> InitializeResult {
    InitializeResult {
        capabilities: ServerCapabilities {
            position_encoding: Some(PositionEncodingKind::UTF16),
            text_document_sync: Some(TextDocumentSync::Options(TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::Incremental),
                ..TextDocumentSyncOptions::default()
            })),
            completion_provider: Some(CompletionOptions {
                trigger_characters: Some(TRIGGERS.map(str::to_owned).to_vec()),
                ..CompletionOptions::default()
            }),
            hover_provider: Some(HoverProvider::Bool(true)),
            signature_help_provider: Some(SignatureHelpOptions {
                trigger_characters: Some(vec![",".to_owned()]),
                ..SignatureHelpOptions::default()
            }),
            definition_provider: Some(DefinitionProvider::Bool(true)),
            code_action_provider: Some(CodeActionProvider::CodeActionOptions(CodeActionOptions {
                code_action_kinds: Some(action::KINDS.to_vec()),
                ..CodeActionOptions::default()
            })),
            document_formatting_provider: Some(DocumentFormattingProvider::Bool(true)),
            semantic_tokens_provider: Some(SemanticTokensProvider::SemanticTokensOptions(
                SemanticTokensOptions {
                    legend: semantic_token::legend(),
                    full: Some(Full::Bool(true)),
                    ..SemanticTokensOptions::default()
                },
            )),
            ..ServerCapabilities::default()
        },
        server_info: Some(ServerInfo {
            name: "hesper".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }),
    }
}
