//! The words that change every value by itself. A new one is one entry in [`UNARY_OPS`].

use std::fmt;

use hesper_model::Step;

/// What is done to every value of a series. Equal when the name is.
pub struct UnaryOp {
    /// The word of the language, without its colon.
    pub name: &'static str,
    /// The name of Atlas's type for it.
    pub type_name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// True when the result of a constant is a constant: it does not depend on the step.
    pub folds: bool,
    /// Changes the values of a series with this step.
    pub apply: fn(&mut [f64], Step),
}

/// All of them.
pub static UNARY_OPS: [UnaryOp; 5] = [
    UnaryOp {
        name: "abs",
        type_name: "Abs",
        summary: "The absolute value of every datapoint.",
        folds: true,
        apply: |values, _| each(values, f64::abs),
    },
    UnaryOp {
        name: "neg",
        type_name: "Negate",
        summary: "Every datapoint with its sign changed.",
        folds: true,
        apply: |values, _| each(values, |v| -v),
    },
    UnaryOp {
        name: "sin",
        type_name: "Sine",
        summary: "The sine of every datapoint, taken as an angle in radians.",
        folds: true,
        apply: |values, _| each(values, f64::sin),
    },
    UnaryOp {
        name: "sqrt",
        type_name: "Sqrt",
        summary: "The square root of every datapoint; NaN below zero.",
        folds: true,
        apply: |values, _| each(values, f64::sqrt),
    },
    UnaryOp {
        name: "per-step",
        type_name: "PerStep",
        summary: "A rate per second made an amount per step: every datapoint times the seconds of the step shown.",
        folds: false,
        apply: |values, step| {
            let seconds = step.seconds();
            each(values, |v| v * seconds);
        },
    },
];

fn each(values: &mut [f64], f: impl Fn(f64) -> f64) {
    for v in values {
        *v = f(*v);
    }
}

impl PartialEq for UnaryOp {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for UnaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
