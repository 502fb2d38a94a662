//! Programs without some of what they say: clauses about some keys, words of some vocabularies.

use std::sync::Arc;

use crate::error::StackError;
use crate::expr::rewrite::{ExprRule, QueryRule, Rules, rewrite, rewrite_style};
use crate::expr::{FilterExpr, StyleExpr, TimeSeriesExpr};
use crate::parse::exprs_of;
use crate::query_forms::without_keys;
use crate::vocabulary::Vocabulary;

/// The expressions of a program, the last one first, without the clauses of their queries that are about some keys, and without the words
/// of some vocabularies: `filter` stands for filters, figures and the first so many lines, `style` for all settings.
///
/// # Errors
/// When the program cannot be run, a word with a name is not among those of the vocabulary, or a vocabulary cannot be left out.
pub fn strip(
    program: &str,
    keys: &[&str],
    vocabularies: &[&str],
    vocabulary: &Vocabulary,
) -> Result<Vec<String>, StackError> {
    let exprs = exprs_of(program, vocabulary)?;
    let stripped = exprs.iter().rev().map(|style| {
        let rule: &QueryRule<'_> = &|query| Ok(without_keys(query, &|key| keys.contains(&key)));
        let mut style = rewrite_style(style, &Rules::for_queries(rule), vocabulary)?;
        for name in vocabularies {
            style = match *name {
                "filter" => StyleExpr {
                    expr: Arc::new(without_filters(&style.expr, vocabulary)?),
                    ..style
                },
                "style" => StyleExpr::new(style.expr),
                other => {
                    return Err(StackError::IllegalArgument(format!(
                        "vocabulary '{other}' not supported"
                    )));
                }
            };
        }
        Ok(style.to_string())
    });
    stripped.collect()
}

/// The expression with the lines that its filters choose from in their place. What such a line comes from is left as it is.
fn without_filters(
    expr: &TimeSeriesExpr,
    vocabulary: &Vocabulary,
) -> Result<TimeSeriesExpr, StackError> {
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::Filter(
            FilterExpr::Stat { input, .. }
            | FilterExpr::Matching { input, .. }
            | FilterExpr::Priority { input, .. },
        ) => Some(Ok((**input).clone())),
        _ => None,
    };
    rewrite(expr, &Rules::for_exprs(rule), vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(program: &str, keys: &[&str], vocabularies: &[&str]) -> Vec<String> {
        strip(program, keys, vocabularies, Vocabulary::full()).expect("valid")
    }

    #[test]
    fn clauses_about_keys_are_left_out() {
        let program = "name,sps,:eq,nf.app,nccp,:eq,:and,:sum";
        assert_eq!(stripped(program, &["name"], &[]), ["nf.app,nccp,:eq,:sum"]);
        assert_eq!(stripped(program, &["name", "nf.app"], &[]), [":true,:sum"]);
        assert_eq!(
            stripped(
                "name,a,:eq,b,:has,:and,:avg,(,name,),:by,l,:legend",
                &["name"],
                &[]
            ),
            ["b,:has,:avg,(,name,),:by,l,:legend"]
        );
        assert_eq!(
            stripped("name,a,:eq,name,b,:eq", &["x"], &[]),
            ["name,b,:eq,:sum", "name,a,:eq,:sum"]
        );
    }

    #[test]
    fn vocabularies_are_left_out() {
        let program = "a,:has,(,k,),:by,max,5,:topk,:stat-max,1,:gt,:filter,f00,:color";
        // Of nested filters the outer one goes.
        assert_eq!(
            stripped(program, &[], &["filter"]),
            ["a,:has,:sum,(,k,),:by,max,5,:topk,ffff0000,:color"]
        );
        assert_eq!(
            stripped(
                "a,:has,max,:stat,1,:add,f00,:color",
                &[],
                &["style", "filter"]
            ),
            ["a,:has,:sum,1.0,:const,:add"]
        );
        assert_eq!(
            strip("a,:has", &[], &["math"], Vocabulary::full())
                .expect_err("not that one")
                .to_string(),
            "IllegalArgumentException: vocabulary 'math' not supported"
        );
        assert!(
            strip("a", &[], &["math"], Vocabulary::full())
                .expect("nothing to strip")
                .is_empty()
        );
    }
}
