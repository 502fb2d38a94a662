//! An error as a picture, for those who asked for one and look at nothing else.

use crate::chart::MAX_SIZE;
use crate::color::Color;
use crate::error::ChartError;
use crate::font;
use crate::scene::{Anchor, Element, Scene, Text};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong: black on yellow.
    User,
    /// The answer failed: white on red.
    System,
}

const SIZE: f64 = 13.0;
const LINE: f64 = 17.0;
const MARGIN: f64 = 8.0;

/// The picture of an error, so many pixels wide and high, of which a chart's limits are kept. `message` is `Class: text`.
pub fn scene(fault: Fault, message: &str, (width, height): (u32, u32)) -> Scene {
    let (prefix, ground, ink) = match fault {
        Fault::User => ("USER ERROR:", Color::rgb(0xffcf00), Color::rgb(0x1b1f24)),
        Fault::System => ("SYSTEM ERROR:", Color::rgb(0xc62828), Color::WHITE),
    };
    let width = f64::from(width.clamp(1, MAX_SIZE.0));
    let height = f64::from(height.clamp(1, MAX_SIZE.1));
    let room = (width - 2.0 * MARGIN).max(SIZE);
    let line = |y: f64, bold: bool, content: String| {
        Element::Text(Text {
            x: MARGIN,
            y,
            anchor: Anchor::Start,
            size: SIZE,
            bold,
            color: ink,
            turned: 0.0,
            content,
        })
    };
    let first = MARGIN + SIZE - 2.0;
    let mut elements = vec![line(first, true, font::fitted(prefix, room, SIZE, true))];
    let fits = ((height - first - MARGIN / 2.0) / LINE).max(0.0) as usize;
    let mut lines = font::wrapped(message, room, SIZE);
    if lines.len() > fits {
        lines.truncate(fits);
        if let Some(last) = lines.last_mut() {
            *last = font::fitted(&format!("{last} …"), room, SIZE, false);
        }
    }
    let places = lines.into_iter().enumerate();
    elements.extend(places.map(|(i, text)| line(first + (i + 1) as f64 * LINE, false, text)));
    Scene {
        width,
        height,
        zoom: 1.0,
        background: ground,
        elements,
    }
}

/// The picture of an error as PNG.
///
/// # Errors
/// When the renderer refuses it.
pub fn png(fault: Fault, message: &str, size: (u32, u32)) -> Result<Vec<u8>, ChartError> {
    scene(fault, message, size).to_png(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(scene: &Scene) -> Vec<&Text> {
        let texts = scene.elements.iter().filter_map(|e| match e {
            Element::Text(text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn errors_say_whose_fault_they_are() {
        let user = scene(
            Fault::User,
            "IllegalStateException: unknown word ':x'",
            (300, 100),
        );
        let texts: Vec<&str> = lines(&user).iter().map(|t| t.content.as_str()).collect();
        assert_eq!(
            texts,
            ["USER ERROR:", "IllegalStateException: unknown word ':x'"]
        );
        let system = scene(Fault::System, "x", (300, 100));
        assert_ne!(system.background, user.background);
        assert_eq!(scene(Fault::User, "x", (9999, 9999)).width, 2000.0);
    }

    proptest! {
        #[test]
        fn nothing_is_outside(message in any::<String>(), width in 1u32..600, height in 1u32..300) {
            let scene = scene(Fault::System, &message, (width, height));
            for text in lines(&scene).iter().skip(1) {
                prop_assert!(text.y <= scene.height, "{text:?}");
                let fits = text.extent().right() <= scene.width.max(2.0 * MARGIN + SIZE) + 1.0;
                prop_assert!(fits || text.content.chars().count() <= 2, "{text:?}");
            }
        }
    }
}
