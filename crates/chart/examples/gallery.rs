//! Draws the gallery: `cargo run -p hesper-chart --example gallery`.

#[path = "../tests/gallery/charts.rs"]
mod charts;
#[path = "../tests/gallery/page.rs"]
mod page;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../../docs/gallery");
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "png") {
            std::fs::remove_file(path)?;
        }
    }
    let sections = charts::pictures();
    let mut bytes = 0;
    for picture in sections.iter().flat_map(|(_, pictures)| pictures) {
        let png = picture
            .scene
            .to_png(&[("Scene", &page::fingerprint(&picture.scene))])?;
        bytes += png.len();
        std::fs::write(folder.join(format!("{}.png", picture.name)), png)?;
    }
    std::fs::write(folder.join("README.md"), page::markdown(&sections))?;
    println!("{bytes} bytes of pictures in {}", folder.display());
    Ok(())
}
