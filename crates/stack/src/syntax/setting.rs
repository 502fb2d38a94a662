//! What is wrong with the settings of expressions. They are read only when a graph is drawn, but it can be told before.

use crate::error::StackError;
use crate::expr::StyleExpr;
use crate::graph::MAX_AXES;
use crate::legend::Legend;

/// A setting, and how it is read.
type Check = (&'static str, fn(&StyleExpr) -> Result<(), StackError>);

const CHECKS: [Check; 7] = [
    ("alpha", |style| style.alpha().map(|_| ())),
    ("axis", axis),
    ("limit", |style| style.limit().map(|_| ())),
    ("ls", |style| style.line_style().map(|_| ())),
    ("lw", |style| style.line_width().map(|_| ())),
    ("offset", offsets),
    ("sed", |style| Legend::new(style, 1).map(|_| ())),
];

/// The setting that a word changes, if it can make no sense.
pub(super) fn changed_by(word: &str) -> Option<&'static str> {
    let name = match word {
        "decode" | "s" => "sed",
        "head" => "limit",
        name => name,
    };
    let mut checks = CHECKS.iter();
    checks
        .find(|(setting, _)| *setting == name)
        .map(|(setting, _)| *setting)
}

/// The settings of an expression that make no sense, and why.
pub(super) fn faults(style: &StyleExpr) -> impl Iterator<Item = (&'static str, StackError)> {
    let given = CHECKS
        .iter()
        .filter(|(name, _)| style.settings.contains_key(*name));
    given.filter_map(|(name, check)| Some((*name, check(style).err()?)))
}

fn axis(style: &StyleExpr) -> Result<(), StackError> {
    let axis = style.axis()?;
    match usize::try_from(axis) {
        Ok(known) if known < MAX_AXES => Ok(()),
        _ => Err(StackError::IllegalArgument(format!("invalid axis: {axis}"))),
    }
}

fn offsets(style: &StyleExpr) -> Result<(), StackError> {
    let mut offsets = style.offsets()?.into_iter();
    offsets.try_for_each(|offset| offset.millis().map(|_| ()))
}
