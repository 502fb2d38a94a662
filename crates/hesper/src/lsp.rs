//! `hesper lsp`: a language server for expressions, or graph URIs, on standard input and output.

use std::io;
use std::sync::Arc;

use hesper_lsp::{Language, NoTags, Server, serve_stdio};

use crate::error::CommandError;

/// The flags of `lsp`.
#[derive(clap::Args)]
pub struct LspArgs {
    /// What the documents are
    #[arg(long, value_enum, default_value_t = Documents::Asl)]
    language: Documents,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Documents {
    /// Expressions
    Asl,
    /// Graph URIs
    Uri,
}

/// Serves until the editor ends it.
///
/// # Errors
/// When standard input breaks off within a message, or the editor leaves without saying so.
pub async fn lsp(args: LspArgs) -> Result<(), CommandError> {
    let language = match args.language {
        Documents::Asl => Language::Asl,
        Documents::Uri => Language::Uri,
    };
    let served = tokio::task::spawn_blocking(move || {
        let mut server = Server::new(language, Arc::new(NoTags));
        serve_stdio(io::stdin().lock(), io::stdout().lock(), &mut server)
    });
    match served.await.expect("a language server does not panic") {
        Ok(0) => Ok(()),
        Ok(status) => Err(CommandError::Other(format!(
            "the editor ended the session without a shutdown (status {status})"
        ))),
        Err(e) => Err(CommandError::Other(e.to_string())),
    }
}
