//! `hesper graph`: draws an expression, in the terminal or to a file. A running node draws it.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};
use crate::range_args::RangeArgs;

/// The flags of `graph`.
#[derive(clap::Args)]
#[command(
    mut_arg("start", |start| start.default_value("e-3h")),
    mut_arg("step", |step| step.help("The least distance between datapoints; chosen by the range and the width when absent"))
)]
pub struct GraphArgs {
    /// An expression in the stack language
    expression: String,
    #[command(flatten)]
    range: RangeArgs,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Ascii)]
    format: Format,
    /// Where to put it, instead of on standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The time zone
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    tz: String,
    /// The width in pixels, or in characters for the terminal
    #[arg(long, value_name = "N")]
    width: Option<u32>,
    /// The height in pixels, or in characters for the terminal
    #[arg(long, value_name = "N")]
    height: Option<u32>,
    /// Light or dark
    #[arg(long, default_value = "light", value_name = "THEME")]
    theme: String,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    /// In characters
    Ascii,
    /// As an SVG document
    Svg,
    /// As a PNG picture
    Png,
    /// As numbers
    Json,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Json => "json",
        }
    }
}

/// Draws.
///
/// # Errors
/// When the node cannot be reached or refuses, the file cannot be written, or a picture would go to a terminal.
pub async fn graph(args: GraphArgs) -> Result<(), CommandError> {
    let to_terminal = args.out.is_none() && stdout().is_terminal();
    if to_terminal && args.format == Format::Png {
        return Err(CommandError::Other(
            "a terminal cannot show PNG; give --out FILE, or --format ascii".to_owned(),
        ));
    }
    let (width, height) = (
        args.width.map(|n| n.to_string()),
        args.height.map(|n| n.to_string()),
    );
    let (width_name, height_name) = match args.format {
        Format::Ascii => ("columns", "rows"),
        _ => ("w", "h"),
    };
    let color = if to_terminal { "1" } else { "0" };
    let mut params = args.range.params();
    params.extend([
        ("q", args.expression.as_str()),
        ("tz", &args.tz),
        ("theme", &args.theme),
        ("format", args.format.name()),
        ("color", color),
    ]);
    let optional = [
        (width_name, width.as_deref()),
        (height_name, height.as_deref()),
    ];
    params.extend(optional.into_iter().filter_map(|(k, v)| Some((k, v?))));
    let target = fetch::target("/api/v1/graph", &params);
    let fetched = fetch::get_ok(&args.server, &target).await?;
    let written = match &args.out {
        Some(path) => std::fs::write(path, &fetched.body).map_err(|source| CommandError::File {
            path: path.clone(),
            source,
        }),
        None => stdout()
            .write_all(&fetched.body)
            .map_err(|e| CommandError::Other(format!("standard output: {e}"))),
    };
    if let Some(missing) = fetched.headers.get("hesper-partial") {
        let missing = String::from_utf8_lossy(missing.as_bytes());
        eprintln!("partial answer, missing: {missing}");
    }
    written
}
