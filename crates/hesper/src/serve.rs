//! `hesper serve`: runs a node until it is told to stop.

use std::path::PathBuf;

use hesper_server::{Config, Node, Settings};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;

/// The flags of `serve`.
#[derive(clap::Args)]
pub struct ServeArgs {
    /// A file of settings, in TOML; its keys are the flags below without their dashes
    #[arg(long, env = "HESPER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs a node.
///
/// # Errors
/// When it cannot be started, or its last flush fails.
pub async fn serve(args: ServeArgs) -> Result<(), CommandError> {
    let file = match &args.config {
        Some(path) => Settings::from_file(path)?,
        None => Settings::default(),
    };
    let config = Config::resolve(args.settings.or(file))?;
    let data_dir = config.data_dir.display().to_string();
    let node = Node::start(config).await?;
    let recovery = &node.state().recovery;
    println!(
        "ready: http://{} (gRPC {}), data in {data_dir}, {} series and {} log records read back in {} ms",
        node.http(),
        node.grpc(),
        recovery.series,
        recovery.replayed.records,
        recovery.elapsed.as_millis()
    );
    stop_signal().await?;
    node.stop().await?;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When the system does not deliver signals.
pub async fn stop_signal() -> Result<(), CommandError> {
    let failed = |e: std::io::Error| CommandError::Other(format!("signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
