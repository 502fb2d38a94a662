//! The words that make one value of two. A new one is one entry in [`BINARY_OPS`].

use std::fmt;

use hesper_model::aggregate::add_nan;

/// What makes one value of two. Equal when the name is.
pub struct BinaryOp {
    /// The word of the language, without its colon.
    pub name: &'static str,
    /// The name of Atlas's type for it.
    pub type_name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The result for two values.
    pub one: fn(f64, f64) -> f64,
    /// The result for two series, by itself.
    pub both: fn(&[f64], &[f64]) -> Vec<f64>,
    /// The result for two series, in place of the left one.
    pub into_left: fn(&mut [f64], &[f64]),
    /// The result for two series, in place of the right one.
    pub into_right: fn(&[f64], &mut [f64]),
}

/// Values below this count as zero where a truth value is expected.
const NEARLY_ZERO: f64 = 1e-12;

/// True for what counts as true: everything but NaN and what is nearly zero.
pub fn is_true(v: f64) -> bool {
    v.abs() >= NEARLY_ZERO
}

fn truth(v: bool) -> f64 {
    f64::from(u8::from(v))
}

macro_rules! op {
    ($name:literal, $type_name:literal, $f:expr, $summary:literal) => {
        BinaryOp {
            name: $name,
            type_name: $type_name,
            summary: $summary,
            one: $f,
            // The function is known here, so that the loops are compiled for it.
            both: |left, right| {
                let pairs = left.iter().zip(right);
                pairs.map(|(l, r)| ($f)(*l, *r)).collect()
            },
            into_left: |left, right| {
                for (l, r) in left.iter_mut().zip(right) {
                    *l = ($f)(*l, *r);
                }
            },
            into_right: |left, right| {
                for (l, r) in left.iter().zip(right) {
                    *r = ($f)(*l, *r);
                }
            },
        }
    };
}

/// All of them.
pub static BINARY_OPS: [BinaryOp; 15] = [
    op!(
        "add",
        "Add",
        add_nan,
        "Left plus right, where NaN counts as nothing unless both are NaN."
    ),
    op!(
        "sub",
        "Subtract",
        |a, b: f64| add_nan(a, -b),
        "Left minus right, where NaN counts as nothing unless both are NaN."
    ),
    op!(
        "mul",
        "Multiply",
        |a: f64, b: f64| a * b,
        "Left times right."
    ),
    op!(
        "div",
        "Divide",
        |a: f64, b: f64| {
            let by_zero = if a == 0.0 { 0.0 } else { f64::NAN };
            if b == 0.0 { by_zero } else { a / b }
        },
        "Left divided by right; zero by zero is zero, anything else by zero is NaN."
    ),
    op!("pow", "Power", power, "Left to the power of right."),
    op!(
        "gt",
        "GreaterThan",
        |a: f64, b: f64| truth(a > b),
        "1 where left is greater than right, else 0."
    ),
    op!(
        "ge",
        "GreaterThanEqual",
        |a: f64, b: f64| truth(a >= b),
        "1 where left is greater than right or equal, else 0."
    ),
    op!(
        "lt",
        "LessThan",
        |a: f64, b: f64| truth(a < b),
        "1 where left is less than right, else 0."
    ),
    op!(
        "le",
        "LessThanEqual",
        |a: f64, b: f64| truth(a <= b),
        "1 where left is less than right or equal, else 0."
    ),
    op!(
        "fadd",
        "FAdd",
        |a: f64, b: f64| a + b,
        "Left plus right; NaN if either is."
    ),
    op!(
        "fsub",
        "FSubtract",
        |a: f64, b: f64| a - b,
        "Left minus right; NaN if either is."
    ),
    op!(
        "fmul",
        "FMultiply",
        |a: f64, b: f64| a * b,
        "Left times right; NaN if either is."
    ),
    op!(
        "fdiv",
        "FDivide",
        |a: f64, b: f64| a / b,
        "Left divided by right, as IEEE 754 has it: by zero is an infinity."
    ),
    op!(
        "and",
        "And",
        |a: f64, b: f64| truth(is_true(a) & is_true(b)),
        "1 where both are true, else 0. True is what is neither NaN nor zero."
    ),
    op!(
        "or",
        "Or",
        |a: f64, b: f64| truth(is_true(a) | is_true(b)),
        "1 where at least one is true, else 0. True is what is neither NaN nor zero."
    ),
];

/// Java's power: NaN where one to the power of NaN, or of an infinity, is asked for.
fn power(a: f64, b: f64) -> f64 {
    if a.abs() == 1.0 && !b.is_finite() || b.is_nan() {
        f64::NAN
    } else {
        a.powf(b)
    }
}

/// The operator with this name.
///
/// # Panics
/// When there is none; for names in the code.
pub fn binary_op(name: &str) -> &'static BinaryOp {
    BINARY_OPS
        .iter()
        .find(|op| op.name == name)
        .expect("a name from the table")
}

impl PartialEq for BinaryOp {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, a: f64, b: f64) -> f64 {
        let op = binary_op(name);
        let (mut left, mut right) = ([a], [b]);
        (op.into_left)(&mut left, &[b]);
        (op.into_right)(&[a], &mut right);
        let one = (op.one)(a, b);
        let both = (op.both)(&[a], &[b]);
        let all = [left[0], right[0], both[0]].map(f64::to_bits);
        assert_eq!(all, [one.to_bits(); 3]);
        one
    }

    #[test]
    fn nan_counts_as_nothing_in_sums_only() {
        let nan = f64::NAN;
        assert_eq!(result("add", 1.0, nan), 1.0);
        assert_eq!(result("sub", nan, 2.0), -2.0);
        assert!(result("add", nan, nan).is_nan());
        assert!(result("fadd", 1.0, nan).is_nan());
        assert!(result("mul", 1.0, nan).is_nan());
    }

    #[test]
    fn division_by_zero_is_never_infinite() {
        assert_eq!(result("div", 0.0, 0.0), 0.0);
        assert!(result("div", 1.0, 0.0).is_nan());
        assert!(result("div", f64::NAN, 0.0).is_nan());
        assert_eq!(result("fdiv", 1.0, 0.0), f64::INFINITY);
    }

    #[test]
    fn truth_is_neither_nan_nor_nearly_zero() {
        assert_eq!(result("and", 1.0, 1e-13), 0.0);
        assert_eq!(result("or", f64::NAN, -2.0), 1.0);
        assert_eq!(result("gt", f64::NAN, 1.0), 0.0);
        assert_eq!(result("le", 2.0, 2.0), 1.0);
    }

    #[test]
    fn powers_are_those_of_java() {
        assert_eq!(result("pow", f64::INFINITY, 0.0), 1.0);
        assert_eq!(result("pow", f64::NAN, 0.0), 1.0);
        assert!(result("pow", 1.0, f64::NAN).is_nan());
        assert!(result("pow", -1.0, f64::INFINITY).is_nan());
        assert_eq!(result("pow", 2.0, 10.0), 1024.0);
    }
}
