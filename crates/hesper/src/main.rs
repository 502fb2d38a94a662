//! The binary `hesper`: one command a module. Everything it does is done by the crates below.

mod allocator;
mod backup;
mod bench;
mod cardinality;
mod delete;
mod demo;
mod duration;
mod error;
mod explain;
mod export;
mod fetch;
mod fsck;
mod graph;
mod load;
mod lsp;
mod query;
mod range_args;
mod serve;
mod tags;
mod tracing_output;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_output::TracingOutput;

/// A thread for blocking work that has had none for so long ends, and what its heap kept goes back. Work that comes every second goes from one
/// idle thread to the next: much longer, and none of them would ever end.
const IDLE_THREAD: Duration = Duration::from_secs(1);

/// The stack of a thread. Plans of SQL are walked by recursion; what is not used of it costs nothing.
const STACK_BYTES: usize = 16 << 20;

/// A distributed, dimensional time-series telemetry store
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the product: a simulated fleet publishes into a node
    Demo(demo::DemoArgs),
    /// Run a node
    Serve(Box<serve::ServeArgs>),
    /// Back-fill JSON lines into a running node
    Load(load::LoadArgs),
    /// Ask a running node an expression
    Query(query::QueryArgs),
    /// Write datapoints to a file of Parquet, CSV or Arrow
    Export(export::ExportArgs),
    /// Tell what a running node does to answer an expression, and how long each stage takes
    Explain(explain::ExplainArgs),
    /// Draw an expression, in the terminal or to a file
    Graph(graph::GraphArgs),
    /// List tag keys, or the values of a key
    Tags(tags::TagsArgs),
    /// Tell which names, apps and tags have the most series
    Cardinality(cardinality::CardinalityArgs),
    /// Delete from history what the series of a query have in a range
    Delete(delete::DeleteArgs),
    /// Copy history to another place, all or what has changed
    Backup(backup::BackupArgs),
    /// Copy a backup of history to an empty place
    Restore(backup::RestoreArgs),
    /// Check the files of history and the log
    Fsck(fsck::FsckArgs),
    /// Help an editor with expressions, by the Language Server Protocol
    Lsp(lsp::LspArgs),
    /// Measure a node in a process of its own
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    allocator::use_small_pages();
    let cli = Cli::parse();
    let unless_given = match cli.command {
        // It tells of alerts by itself.
        Command::Demo(_) => "warn,hesper_alert=error",
        _ => "warn",
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .on_thread_park(allocator::give_back_at_times)
        .thread_keep_alive(IDLE_THREAD)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        let _output = TracingOutput::start(unless_given)?;
        match cli.command {
            Command::Demo(args) => demo::demo(args).await,
            Command::Serve(args) => serve::serve(*args).await,
            Command::Load(args) => load::load(args).await,
            Command::Query(args) => query::query(args).await,
            Command::Export(args) => export::export(args).await,
            Command::Explain(args) => explain::explain(args).await,
            Command::Graph(args) => graph::graph(args).await,
            Command::Lsp(args) => lsp::lsp(args).await,
            Command::Tags(args) => tags::tags(args).await,
            Command::Cardinality(args) => cardinality::cardinality(args).await,
            Command::Delete(args) => delete::delete(args).await,
            Command::Backup(args) => backup::backup(args).await,
            Command::Restore(args) => backup::restore(args).await,
            Command::Fsck(args) => fsck::fsck(args).await,
            Command::Bench(args) => bench::bench(args).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
