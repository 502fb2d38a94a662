//! Programs without outdated words.

use crate::error::StackError;
use crate::expr::StyleExpr;
use crate::parse::exprs_of;
use crate::span::ShortSpan;
use crate::vocabulary::Vocabulary;

/// The expressions of a program, the last one first, as programs that mean the same without a list of offsets: the expression is kept in a
/// variable, and shown once with each offset.
///
/// # Errors
/// When the program cannot be run, or an offset is no duration.
pub fn replace_outdated(program: &str, vocabulary: &Vocabulary) -> Result<Vec<String>, StackError> {
    let exprs = exprs_of(program, vocabulary)?;
    let exprs = exprs.into_iter().rev().enumerate();
    exprs.map(|(i, style)| without_list(style, i)).collect()
}

fn without_list(style: StyleExpr, number: usize) -> Result<String, StackError> {
    let offsets = style
        .offsets()?
        .into_iter()
        .map(|offset| offset.millis())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match offsets.as_slice() {
        [] => style.to_string(),
        [0] => style.without_offsets().to_string(),
        [offset] => format!("{},{},:offset", style.without_offsets(), ShortSpan(*offset)),
        offsets => {
            let variable = format!("Query{number}");
            let mut program = format!("{variable},{},:set", style.without_offsets());
            for offset in offsets {
                program.push_str(&format!(",{variable},:get"));
                if *offset != 0 {
                    program.push_str(&format!(",{},:offset", ShortSpan(*offset)));
                }
            }
            program
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(program: &str) -> Vec<String> {
        replace_outdated(program, Vocabulary::full()).expect("valid")
    }

    #[test]
    fn lists_of_offsets_become_copies() {
        assert_eq!(
            replaced("a,:has,(,0h,1d,PT90S,),:offset,l,:legend"),
            [
                "Query0,a,:has,:sum,l,:legend,:set,Query0,:get,Query0,:get,1d,:offset,Query0,:get,90s,:offset"
            ]
        );
        assert_eq!(
            replaced("a,:has,b,:has,(,1d,),:offset,c,:has,(,0h,),:offset"),
            ["c,:has,:sum", "b,:has,:sum,1d,:offset", "a,:has,:sum"]
        );
        assert_eq!(
            replaced("1,2,(,1h,2h,),:offset,3")[1],
            "Query1,2.0,:const,:set,Query1,:get,1h,:offset,Query1,:get,2h,:offset"
        );
        let e =
            replace_outdated("a,:has,(,x,),:offset", Vocabulary::full()).expect_err("no duration");
        assert_eq!(e.to_string(), "IllegalArgumentException: invalid period x");
    }

    #[test]
    fn what_is_replaced_means_the_same() {
        use crate::parse::{GraphOptions, parse_graph};
        let program = "a,:has,:avg,(,0h,1d,1w,),:offset,l,:legend";
        let texts = |program: &str| -> Vec<String> {
            let exprs = parse_graph(program, &GraphOptions::default()).expect("valid");
            exprs.iter().map(StyleExpr::to_string).collect()
        };
        assert_eq!(texts(&replaced(program).join(",")), texts(program));
    }
}
