//! Values some datapoints later.

use serde::{Deserialize, Serialize};

use super::{Machine, window::Window};
use crate::error::StackError;

/// Gives every value so many datapoints later; NaN before the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delay {
    window: Window,
}

impl Delay {
    /// A delay by so many datapoints.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn new(n: i32) -> Result<Self, StackError> {
        let window = Window::new(n)?;
        Ok(Self { window })
    }
}

impl Machine for Delay {
    fn run(&mut self, values: &mut [f64]) {
        self.window.run(values, |_, gone, _, _| gone);
    }

    fn is_empty(&self) -> bool {
        self.window.present() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_later(n in 1usize..20, values in values(0..60)) {
            let mut delay = Delay::new(n as i32).expect("in range");
            for i in 0..values.len() {
                let want = i.checked_sub(n).map_or(f64::NAN, |i| values[i]);
                prop_assert_eq!(delay.next(values[i]).to_bits(), want.to_bits());
                delay = written_out(&delay);
                let held = values[..=i].iter().rev().take(n);
                prop_assert_eq!(delay.is_empty(), held.into_iter().all(|v| v.is_nan()));
            }
        }
    }
}
