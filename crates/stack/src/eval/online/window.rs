//! The last values of a series.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use crate::error::StackError;

/// The longest window of any operator, in datapoints.
pub const MAX_WINDOW: i32 = 86_400;

/// The size of a window that a program asks for.
///
/// # Errors
/// When it is not between 1 and [`MAX_WINDOW`].
pub(super) fn window_size(n: i32) -> Result<usize, StackError> {
    if !(1..=MAX_WINDOW).contains(&n) {
        return Err(StackError::requirement(format!(
            "window size must be between 1 and {MAX_WINDOW}: {n}"
        )));
    }
    Ok(n as usize)
}

/// A ring of the last so many values. It takes memory for those that were there, not for its size.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedWindow", into = "SavedWindow")]
pub(super) struct Window {
    size: usize,
    /// Where the next value goes, and the oldest one lies if the ring is full.
    at: usize,
    values: Vec<f64>,
    /// How many of the values are not NaN.
    present: usize,
}

impl Window {
    /// A window that has seen nothing.
    ///
    /// # Errors
    /// See [`window_size`].
    pub(super) fn new(n: i32) -> Result<Self, StackError> {
        Ok(Self {
            size: window_size(n)?,
            at: 0,
            values: Vec::new(),
            present: 0,
        })
    }

    /// How many values it spans.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many of its values are not NaN.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// Takes the next values. For each, `f` is given the ring with it, the value that left for it (NaN as long as none does), the
    /// value, and how many in the ring are not NaN; what it gives is put in the place of the value.
    #[inline]
    pub(super) fn run(
        &mut self,
        values: &mut [f64],
        mut f: impl FnMut(&[Cell<f64>], f64, f64, usize) -> f64,
    ) {
        // The ring grows before the loop, so that nothing but values changes within.
        let size = self.size;
        let grown = size.min(self.at + values.len());
        if self.values.len() < grown {
            self.values.resize(grown, f64::NAN);
        }
        let ring = Cell::from_mut(&mut self.values[..]).as_slice_of_cells();
        let mut present = self.present;
        let mut rest = values;
        while !rest.is_empty() {
            // As far as the ring goes before it begins again.
            let (now, later) = rest.split_at_mut(rest.len().min(size - self.at));
            for (v, place) in now.iter_mut().zip(&ring[self.at..]) {
                let gone = place.replace(*v);
                present = present + usize::from(!v.is_nan()) - usize::from(!gone.is_nan());
                *v = f(ring, gone, *v, present);
            }
            self.at = (self.at + now.len()) % size;
            rest = later;
        }
        self.present = present;
    }

    /// Lets so many gaps pass that a window sees which has seen nothing.
    pub(super) fn pass(&mut self, gaps: u64) {
        let size = self.size as u64;
        self.values = vec![f64::NAN; gaps.min(size) as usize];
        self.at = (gaps % size) as usize;
        self.present = 0;
    }
}

/// The sum of the values that are there, in the order in which they lie in the ring; NaN if none is.
pub(super) fn sum(ring: &[Cell<f64>]) -> f64 {
    let there = ring.iter().map(Cell::get).filter(|v| !v.is_nan());
    there.reduce(|a, b| a + b).unwrap_or(f64::NAN)
}

/// A window as it is written out.
#[derive(Serialize, Deserialize)]
struct SavedWindow {
    size: usize,
    at: usize,
    /// The bits of the values.
    values: Vec<u64>,
}

impl From<Window> for SavedWindow {
    fn from(window: Window) -> Self {
        Self {
            size: window.size,
            at: window.at,
            values: window.values.into_iter().map(f64::to_bits).collect(),
        }
    }
}

impl TryFrom<SavedWindow> for Window {
    type Error = String;

    fn try_from(saved: SavedWindow) -> Result<Self, String> {
        let SavedWindow { size, at, values } = saved;
        let in_place = at < size && (values.len() == size || values.len() == at);
        if size > MAX_WINDOW as usize || !in_place {
            return Err(format!(
                "a window of {size} cannot hold {} values and go on at {at}",
                values.len()
            ));
        }
        let values: Vec<f64> = values.into_iter().map(f64::from_bits).collect();
        Ok(Self {
            size,
            at,
            present: values.iter().filter(|v| !v.is_nan()).count(),
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What left for each of the values.
    fn pushed(window: &mut Window, values: &[f64]) -> Vec<String> {
        let mut values = values.to_vec();
        window.run(&mut values, |_, gone, _, _| gone);
        values.iter().map(f64::to_string).collect()
    }

    #[test]
    fn values_leave_in_order() {
        let mut window = Window::new(2).expect("in range");
        assert_eq!(pushed(&mut window, &[1.0]), ["NaN"]);
        assert_eq!(pushed(&mut window, &[f64::NAN, 3.0]), ["NaN", "1"]);
        assert_eq!(pushed(&mut window, &[4.0, 5.0]), ["NaN", "3"]);
        let ring = Cell::from_mut(&mut window.values[..]).as_slice_of_cells();
        assert_eq!((window.present, sum(ring)), (2, 9.0));
    }

    #[test]
    fn sizes_are_limited() {
        assert!(Window::new(MAX_WINDOW).is_ok());
        for n in [0, -5, MAX_WINDOW + 1] {
            assert_eq!(
                Window::new(n).expect_err("out of range").message(),
                format!("requirement failed: window size must be between 1 and 86400: {n}")
            );
        }
    }

    #[test]
    fn gaps_pass_as_if_they_were_seen() {
        for gaps in [0, 1, 2, 3, 7] {
            let (mut seen, mut passed) = (
                Window::new(3).expect("in range"),
                Window::new(3).expect("in range"),
            );
            (0..gaps).for_each(|_| {
                pushed(&mut seen, &[f64::NAN]);
            });
            passed.pass(gaps);
            assert_eq!(format!("{seen:?}"), format!("{passed:?}"));
        }
    }

    #[test]
    fn only_what_can_be_is_read_back() {
        for text in [
            r#"{"size":2,"at":2,"values":[0,0]}"#,
            r#"{"size":0,"at":0,"values":[]}"#,
            r#"{"size":3,"at":2,"values":[0]}"#,
            r#"{"size":90000,"at":0,"values":[]}"#,
        ] {
            assert!(serde_json::from_str::<Window>(text).is_err(), "{text}");
        }
    }
}
