//! The page that shows the gallery.

use std::fmt::Write;

use hesper_chart::scene::Scene;

use crate::charts::{self, Picture};

/// What tells a scene from others: a picture of the gallery carries that of the scene it was drawn from.
pub fn fingerprint(scene: &Scene) -> String {
    format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(scene.describe().as_bytes())
    )
}

/// The page.
pub fn markdown(sections: &[(&str, Vec<Picture>)]) -> String {
    let mut page = String::from(
        "# Charts\n\n\
         What `format=png` and `format=svg` draw. The data are made up; every picture is drawn by\n\
         `cargo run -p hesper-chart --example gallery`, and a test says when one is out of date.\n",
    );
    for (title, pictures) in sections {
        // Writing to a string does not fail.
        let _ = write!(page, "\n## {title}\n");
        let is_small = pictures.iter().all(|p| p.scene.width <= 420.0);
        if is_small && pictures.len() > 2 {
            page.push('\n');
            for picture in pictures {
                let _ = writeln!(page, "![{}]({}.png)", picture.about, picture.name);
            }
            continue;
        }
        for picture in pictures {
            let _ = write!(
                page,
                "\n{}\n\n![{}]({}.png)\n",
                picture.about,
                picture.about.replace('`', ""),
                picture.name
            );
        }
    }
    page.push_str("\n## In a terminal\n\nIn dots, and where there are only letters; a terminal with colours also shows those.\n");
    for text in charts::texts() {
        let _ = write!(page, "\n```text\n{text}```\n");
    }
    page
}
