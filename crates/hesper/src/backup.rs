//! `hesper backup` and `hesper restore`: copies of history on another place.
//!
//! They work on the object stores alone, beside a running node or without one. What is only in memory and in the log is not in a backup: a node
//! that is stopped takes what is over to history first.

use hesper_history::backup::{self as copying, Copied, Damaged};
use hesper_history::place::open_place;
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::CommandError;

/// The flags of `backup`.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// The history: its directory (history in the data directory), or its URL
    from: String,
    /// Where the backup goes: a directory or a URL such as s3://bucket/folder; what is there of an earlier one is not copied again
    to: String,
    /// Leave damaged files out instead of failing
    #[arg(long)]
    leave_out_damaged: bool,
    /// Afterwards keep only so many of the newest backups
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
}

/// The flags of `restore`.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The backup: a directory or a URL
    from: String,
    /// Where the history goes; an empty place
    to: String,
    /// The backup of this commit instead of the newest; backup says which there are
    #[arg(long, value_name = "N")]
    commit: Option<u64>,
    /// Leave damaged files out instead of failing
    #[arg(long)]
    leave_out_damaged: bool,
}

/// Copies history.
///
/// # Errors
/// When a place cannot be used or a file is damaged.
pub async fn backup(args: BackupArgs) -> Result<(), CommandError> {
    let (from, to) = (open_place(&args.from, &[])?, open_place(&args.to, &[])?);
    let bar = bar();
    let damaged = damaged(args.leave_out_damaged);
    let copied = copying::backup(&from, &to, damaged, |c| show(&bar, c)).await?;
    bar.finish_and_clear();
    tell("backed up", &copied);
    if let Some(keep) = args.keep {
        let deleted = copying::prune_backups(&to, keep).await?;
        println!("deleted {deleted} objects of older backups");
    }
    let commits = copying::backups(&to).await?;
    let commits: Vec<_> = commits.iter().map(u64::to_string).collect();
    println!("backups there are of commits {}", commits.join(", "));
    Ok(())
}

/// Copies a backup.
///
/// # Errors
/// When a place cannot be used, the target is not empty, or a file is damaged.
pub async fn restore(args: RestoreArgs) -> Result<(), CommandError> {
    let (from, to) = (open_place(&args.from, &[])?, open_place(&args.to, &[])?);
    let bar = bar();
    let damaged = damaged(args.leave_out_damaged);
    let copied = copying::restore(&from, &to, args.commit, damaged, |c| show(&bar, c)).await?;
    bar.finish_and_clear();
    tell("restored", &copied);
    Ok(())
}

fn damaged(leave_out: bool) -> Damaged {
    match leave_out {
        true => Damaged::LeaveOut,
        false => Damaged::Fail,
    }
}

fn bar() -> ProgressBar {
    let style = "{spinner} {msg} {elapsed}";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::new_spinner().with_style(style)
}

fn show(bar: &ProgressBar, copied: &Copied) {
    bar.set_message(format!(
        "{} files, {:.1} MB copied",
        copied.files,
        copied.bytes_copied as f64 / 1e6
    ));
    bar.tick();
}

fn tell(what: &str, copied: &Copied) {
    println!(
        "{what} commit {}: {} files of {:.1} MB, of them {} copied, {:.1} MB",
        copied.number,
        copied.files,
        copied.bytes as f64 / 1e6,
        copied.files_copied,
        copied.bytes_copied as f64 / 1e6
    );
    for path in &copied.left_out {
        eprintln!("left out, damaged: {path}");
    }
}
