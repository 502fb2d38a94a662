//! Charts: from a definition to pictures (SVG, PNG), to text for terminals and to the JSON from which others draw.
//!
//! [`from_stack::chart`] makes a [`Chart`] of evaluated expressions as the parameters of a request want it, which gives colours to the
//! lines. A chart becomes a [`scene::Scene`], shapes and texts at places, which is written as SVG or rendered to PNG
//! with a bundled font; so it looks the same on every machine, and tests compare scenes. [`v2_json`] writes the definition itself.
//!
//! Floor 3 of the house: it knows no storage and no network.

pub mod bounds;
pub mod chart;
pub mod color;
mod draw;
pub mod error;
pub mod error_image;
pub(crate) mod font;
pub mod from_stack;
pub mod heatmap;
pub mod palette;
mod raster;
#[cfg(test)]
mod samples;
pub(crate) mod scale;
pub mod scene;
mod terminal;
pub mod theme;
pub mod ticks;
mod v2_json;
pub mod vision;

pub use chart::Chart;
pub use color::Color;
pub use error::ChartError;
pub use terminal::TextOptions;
pub use v2_json::{graph_metadata, plot_metadata, v2_json};
