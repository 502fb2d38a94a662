//! What the reader should know before trusting the picture.

use super::{Drawing, Frame, MARGIN, NORMAL, text};
use crate::font;
use crate::scene::{Anchor, Element, Rect, Text};

/// The height of a line.
const ROW: f64 = 16.0;

impl Drawing<'_> {
    /// Draws the warnings in a box from a place down; gives where it ends.
    pub(super) fn warnings(&self, frame: &Frame, top: f64, elements: &mut Vec<Element>) -> f64 {
        let inset = 6.0;
        let left = MARGIN + inset;
        let bullet = 12.0;
        let room = frame.width - 2.0 * left - bullet;
        let lines: Vec<(bool, String)> = self
            .notices
            .iter()
            .flat_map(|notice| {
                let lines = font::wrapped(notice, room.max(NORMAL), NORMAL);
                lines.into_iter().enumerate().map(|(i, l)| (i == 0, l))
            })
            .collect();
        let height = 2.0 * inset + (lines.len() + 1) as f64 * ROW;
        let color = self.inks.warning_text;
        let mut parts = vec![
            Element::Rect(
                Rect {
                    x: MARGIN,
                    y: top,
                    width: frame.width - 2.0 * MARGIN,
                    height,
                },
                self.inks.warning,
            ),
            Element::Text(Text {
                x: left,
                y: top + inset + NORMAL,
                anchor: Anchor::Start,
                size: NORMAL,
                bold: true,
                color,
                turned: 0.0,
                content: "Warnings".to_owned(),
            }),
        ];
        for (i, (is_first, line)) in lines.into_iter().enumerate() {
            let baseline = top + inset + NORMAL + (i + 1) as f64 * ROW;
            if is_first {
                let dot = "•".to_owned();
                parts.push(text(left, baseline, Anchor::Start, NORMAL, color, dot));
            }
            parts.push(text(
                left + bullet,
                baseline,
                Anchor::Start,
                NORMAL,
                color,
                line,
            ));
        }
        elements.push(Element::Group {
            name: "warnings",
            clip: None,
            elements: parts,
        });
        top + height
    }
}
