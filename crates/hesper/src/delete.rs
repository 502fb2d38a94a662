//! `hesper delete`: deletes from history what the series of a query have in a range.

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};

/// The flags of `delete`.
#[derive(clap::Args)]
pub struct DeleteArgs {
    /// Which series, such as name,http.requests,:eq,nf.app,old,:eq,:and
    query: String,
    /// From when on, as in a graph: 2026-11-01T00:00, e-7d
    #[arg(long, value_name = "TIME")]
    start: String,
    /// Until when; memory must not hold anything of the range
    #[arg(long, value_name = "TIME")]
    end: String,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

/// Deletes.
///
/// # Errors
/// When the node cannot be reached or refuses.
pub async fn delete(args: DeleteArgs) -> Result<(), CommandError> {
    let params = [("q", &*args.query), ("s", &args.start), ("e", &args.end)];
    let target = fetch::target("/api/v1/data", &params);
    fetch::delete_ok(&args.server, &target).await?;
    println!(
        "deleted: answers leave it out from now on, files follow with the next merge of each day"
    );
    Ok(())
}
