//! A list column of numbers in two forms: whole numbers over a divisor, or doubles as they are. A row is in one of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, ListBuilder};
use arrow::datatypes::DataType;
use hesper_hot::codec::nearest_integer;
use hesper_hot::fold::{Work, run_widest};

use crate::layout::element_field;

/// What turns whole elements into values: `(base + element) / divisor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Every value times this is a whole number.
    pub divisor: f64,
    /// Taken from every element.
    pub base: i64,
}

/// Values that become elements: whole numbers, by all that their divisor was tried on.
struct Scaling<'a> {
    values: &'a [f64],
    scale: Scale,
    whole: &'a mut Vec<i64>,
}

impl Work for Scaling<'_> {
    #[inline(always)]
    fn run(self) {
        let Scale { divisor, base } = self.scale;
        let values = self.values.iter();
        // NaN becomes some number, and is marked as missing.
        let whole = values.map(|v| nearest_integer(v * divisor).wrapping_sub(base));
        self.whole.extend(whole);
    }
}

/// Builders of the two forms.
pub struct Elements {
    scaled: ListBuilder<Int64Builder>,
    plain: ListBuilder<Float64Builder>,
    whole: Vec<i64>,
    valid: Vec<bool>,
}

impl Default for Elements {
    fn default() -> Self {
        let int = element_field(DataType::Int64);
        let double = element_field(DataType::Float64);
        Self {
            scaled: ListBuilder::new(Int64Builder::new()).with_field(int),
            plain: ListBuilder::new(Float64Builder::new()).with_field(double),
            whole: Vec::new(),
            valid: Vec::new(),
        }
    }
}

impl Elements {
    /// Adds a row. NaN is no data. Without a scale the values are stored as they are.
    pub fn push(&mut self, values: &[f64], scale: Option<Scale>) {
        self.whole.clear();
        if let Some(Scale { divisor, base }) = scale {
            // NaN becomes some number, and is marked as missing.
            let whole = values
                .iter()
                .map(|v| ((v * divisor).round() as i64).wrapping_sub(base));
            self.whole.extend(whole);
        }
        let gaps = values.iter().any(|v| v.is_nan());
        self.append(values, gaps, scale.is_some());
    }

    /// Adds a row as [`Self::push`] does, of which the divisor gives every value back to the bit; `is_full` when none of them is NaN.
    pub fn push_exact(&mut self, values: &[f64], is_full: bool, scale: Option<Scale>) {
        self.whole.clear();
        if let Some(scale) = scale {
            run_widest(Scaling {
                values,
                scale,
                whole: &mut self.whole,
            });
        }
        self.append(values, !is_full, scale.is_some());
    }

    /// Adds a row of which `whole` holds the elements if it is `scaled`.
    fn append(&mut self, values: &[f64], gaps: bool, scaled: bool) {
        if gaps {
            self.valid.clear();
            self.valid.extend(values.iter().map(|v| !v.is_nan()));
        }
        if scaled {
            if gaps {
                self.scaled.values().append_values(&self.whole, &self.valid);
            } else {
                self.scaled.values().append_slice(&self.whole);
            }
        } else if gaps {
            self.plain.values().append_values(values, &self.valid);
        } else {
            self.plain.values().append_slice(values);
        }
        self.scaled.append(scaled);
        self.plain.append(!scaled);
    }

    /// The two columns of the rows added since the last call.
    pub fn finish(&mut self) -> [ArrayRef; 2] {
        [
            Arc::new(self.scaled.finish()),
            Arc::new(self.plain.finish()),
        ]
    }
}
