//! `hesper tags`: lists tag keys, or the values of a key.

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};

/// The flags of `tags`.
#[derive(clap::Args)]
pub struct TagsArgs {
    /// A key, for its values; without it the keys are listed
    key: Option<String>,
    /// Only of series that match this query
    #[arg(long, value_name = "EXPR")]
    query: Option<String>,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

/// Values fetched at once.
const PAGE: &str = "1000";

/// Lists all pages.
///
/// # Errors
/// When the node cannot be reached or refuses the query.
pub async fn tags(args: TagsArgs) -> Result<(), CommandError> {
    let path = match &args.key {
        Some(key) => {
            let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            format!("/api/v1/tags/{key}")
        }
        None => "/api/v1/tags".to_owned(),
    };
    let mut offset = String::new();
    loop {
        let mut params = vec![("format", "txt"), ("limit", PAGE)];
        if let Some(query) = &args.query {
            params.push(("q", query));
        }
        if !offset.is_empty() {
            params.push(("offset", &offset));
        }
        let target = fetch::target(&path, &params);
        let fetched = fetch::get_ok(&args.server, &target).await?;
        if !fetched.body.is_empty() {
            println!("{}", String::from_utf8_lossy(&fetched.body));
        }
        if let Some(missing) = fetched.headers.get("hesper-partial") {
            let missing = String::from_utf8_lossy(missing.as_bytes());
            eprintln!("partial answer, missing: {missing}");
        }
        match fetched.headers.get("x-nflx-atlas-next-offset") {
            Some(next) => offset = String::from_utf8_lossy(next.as_bytes()).into_owned(),
            None => return Ok(()),
        }
    }
}
