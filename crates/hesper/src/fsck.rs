//! `hesper fsck`: checks the files of history and the log, and repairs a log that no longer opens.

use std::path::PathBuf;

use hesper_history::place::open_place;
use hesper_history::verify::{Depth, verify};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::repair::{self, Repaired};
use hesper_server::data_directory::{DataDirectory, DataPaths};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::CommandError;

/// The flags of `fsck`.
#[derive(clap::Args)]
pub struct FsckArgs {
    /// The data directory of a node that is stopped, or, without --repair, of a running one
    #[arg(long, default_value = "./hesper-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where history lies, if not in the data directory: a directory or a URL
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
    /// How closely to look at history: that files are there, their checksums, or every row
    #[arg(long, value_enum, default_value_t = Look::Checksums)]
    depth: Look,
    /// Give up records of the log that cannot be read, so that the node starts again; copies of the files stay beside them
    #[arg(long)]
    repair: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Look {
    Listing,
    Checksums,
    Rows,
}

/// Checks.
///
/// # Errors
/// When something is damaged, or cannot be read at all.
pub async fn fsck(args: FsckArgs) -> Result<(), CommandError> {
    let paths = DataPaths::read(&args.data_dir)?;
    let damaged_log = match args.repair {
        true => {
            // Held meanwhile, so that no node starts.
            let _directory = DataDirectory::open(&args.data_dir, paths.step, paths.shards)?;
            check_log(paths.log, repair::repair, "repaired")?;
            0
        }
        false => check_log(paths.log, repair::inspect, "damaged")?,
    };
    let place = args
        .history
        .unwrap_or_else(|| paths.history.display().to_string());
    let store = open_place(&place, &[])?;
    let bar = ProgressBar::new(1);
    let style = "{wide_bar} {percent}% {msg} {elapsed}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let depth = match args.depth {
        Look::Listing => Depth::Listing,
        Look::Checksums => Depth::Checksums,
        Look::Rows => Depth::Rows,
    };
    let found = verify(&store, paths.step, depth, |v| {
        bar.set_length(v.files.max(1));
        bar.set_position(v.files_done);
        bar.set_message(format!("{:.1} MB", v.bytes_done as f64 / 1e6));
    });
    let found = found.await?;
    bar.finish_and_clear();
    for finding in &found.findings {
        println!("{finding}");
    }
    println!(
        "history: commit {}, {} of {} files looked at, {:.1} MB, {} rows",
        found.commit,
        found.files_done,
        found.files,
        found.bytes_done as f64 / 1e6,
        found.rows
    );
    match (damaged_log, found.is_sound()) {
        (0, true) => Ok(()),
        (0, false) => Err(CommandError::Other("history is damaged".to_owned())),
        (n, _) => Err(CommandError::Other(format!(
            "{n} files of the log are damaged; with --repair what cannot be read is given up"
        ))),
    }
}

fn check_log(
    path: PathBuf,
    look: fn(&dyn hesper_hot::directory::Directory) -> Result<Vec<Repaired>, hesper_hot::HotError>,
    what: &str,
) -> Result<usize, CommandError> {
    let disk = DiskDirectory::open(&path).map_err(|source| CommandError::File { path, source })?;
    let found = look(&disk)?;
    for file in &found {
        println!(
            "{what}: {}: {}; {} bytes of records are lost",
            file.name, file.what, file.lost_bytes
        );
    }
    if found.is_empty() {
        println!("log: nothing is damaged");
    }
    Ok(found.len())
}
