//! `hesper cardinality`: tells which names, apps and tags have the most series and datapoints.

use hesper_ingest::cardinality::{CardinalityReport, Counts};

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};

/// The flags of `cardinality`.
#[derive(clap::Args)]
pub struct CardinalityArgs {
    /// Rows for each name, each app (nf.app) or each tag key
    #[arg(long, default_value = "name", value_name = "name|nf.app|key")]
    by: String,
    /// What the first rows have most of; values only with --by key
    #[arg(
        long,
        default_value = "series",
        value_name = "series|added-series|datapoints|values"
    )]
    order: String,
    /// How many rows
    #[arg(short, long, default_value_t = 20, value_name = "N")]
    k: usize,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

/// Prints the report as a table.
///
/// # Errors
/// When the node cannot be reached or refuses a parameter.
pub async fn cardinality(args: CardinalityArgs) -> Result<(), CommandError> {
    let k = args.k.to_string();
    let params = [("by", &*args.by), ("order", &args.order), ("k", &k)];
    let target = fetch::target("/api/v1/cardinality", &params);
    let fetched = fetch::get_ok(&args.server, &target).await?;
    let report: CardinalityReport = serde_json::from_slice(&fetched.body)
        .map_err(|e| CommandError::Other(format!("the answer cannot be read: {e}")))?;
    let values = args.by == "key";
    let minutes = report.lately_millis / 60_000;
    print!(
        "{:>12} {:>12} {:>16} {:>16}",
        "series", "added", "datapoints", "lately"
    );
    if values {
        print!(" {:>12} {:>12}", "values", "added");
    }
    println!("  {}", args.by);
    let line = |counts: &Counts, of_key: Option<(u64, u64)>, name: &str| {
        print!(
            "{:>12} {:>12} {:>16} {:>16}",
            counts.series, counts.added_series, counts.datapoints, counts.datapoints_lately
        );
        match of_key {
            Some((values, added)) => print!(" {values:>12} {added:>12}"),
            None if values => print!(" {:>12} {:>12}", "", ""),
            None => {}
        }
        println!("  {name}");
    };
    for row in &report.rows {
        let of_key = row.values.zip(row.added_values);
        line(
            &row.counts,
            of_key,
            row.value.as_deref().unwrap_or("(none)"),
        );
    }
    line(&report.total, None, "in all");
    println!(
        "{} of {} rows; added and lately: in the last {minutes} minutes",
        report.rows.len(),
        report.rows_in_all
    );
    Ok(())
}
