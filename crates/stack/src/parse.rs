//! From the text of a request to what it asks for.

use std::sync::Arc;

use hesper_model::TagQuery;

use crate::error::StackError;
use crate::expr::{EventExpr, PrintQuery, StyleExpr};
use crate::interpreter::{Machine, Variables, run, run_with};
use crate::kind::{self, Kind};
use crate::legend::simple_legends;
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use crate::word::Word;

/// The largest weight of all expressions of a graph together: about the number of characters that they print with.
const MAX_GRAPH_WEIGHT: usize = 1024 * 1024;

/// What a graph's program is read with.
#[derive(Clone, Debug)]
pub struct GraphOptions<'a> {
    /// The primary time zone, as the variable `tz`.
    pub time_zone: &'a str,
    /// A query that narrows every query of the program, frozen ones included.
    pub common_query: Option<&'a str>,
    /// Whether expressions without a legend get a short one.
    pub simple_legends: bool,
    /// The words of the program.
    pub vocabulary: &'a Vocabulary,
}

impl Default for GraphOptions<'_> {
    fn default() -> Self {
        Self {
            time_zone: "UTC",
            common_query: None,
            simple_legends: true,
            vocabulary: Vocabulary::full(),
        }
    }
}

/// The expressions of a graph, in the order in which they are shown.
///
/// # Errors
/// When the program cannot be run, or leaves something on the stack that is no expression.
pub fn parse_graph(
    program: &str,
    options: &GraphOptions<'_>,
) -> Result<Vec<StyleExpr>, StackError> {
    let common_query = options
        .common_query
        .map(
            |text| match run(text, Vocabulary::named("query")?)?.as_slice() {
                [Value::Query(query)] => Ok(query.clone()),
                _ => Err(StackError::IllegalState(format!(
                    "invalid cq parameter: {text}"
                ))),
            },
        )
        .transpose()?;
    let variables = Variables::from([("tz".to_owned(), Value::Zone(options.time_zone.into()))]);
    let stack = run_with(program, options.vocabulary, variables)?;
    check_weight(&stack)?;
    let mut exprs = Vec::with_capacity(stack.len());
    for value in stack {
        let value = match &common_query {
            Some(query) => crate::vocabulary::with_common_query(&value, query, options.vocabulary)?,
            None => value,
        };
        let style = kind::style(&value).ok_or_else(|| {
            StackError::IllegalArgument(format!(
                "expecting time series expr, found {} '{value}'",
                value.class_name()
            ))
        })?;
        exprs.extend(style.per_offset()?);
    }
    Ok(match options.simple_legends {
        true => simple_legends(exprs),
        false => exprs,
    })
}

/// Refuses what is too large to be a graph.
pub(crate) fn check_weight<'a>(
    stack: impl IntoIterator<Item = &'a Value>,
) -> Result<(), StackError> {
    // A list of offsets makes as many copies.
    let mut weight = 0usize;
    for value in stack {
        let copies = match value {
            Value::Style(style) => style.offsets().map_or(1, |offsets| offsets.len().max(1)),
            _ => 1,
        };
        weight = weight.saturating_add(value.weight().saturating_mul(copies));
    }
    if weight > MAX_GRAPH_WEIGHT {
        return Err(StackError::IllegalState(format!(
            "expressions are too large: the limit for all of a graph is about {MAX_GRAPH_WEIGHT} characters when written out"
        )));
    }
    Ok(())
}

/// The query of a request about tags: a program of the query vocabulary that leaves a single query.
///
/// # Errors
/// When the program cannot be run, or leaves anything else.
pub fn parse_query(program: &str) -> Result<TagQuery, StackError> {
    parse_query_with(program, Vocabulary::named("query")?)
}

pub(crate) fn parse_query_with(
    program: &str,
    vocabulary: &Vocabulary,
) -> Result<TagQuery, StackError> {
    let mut stack = run(program, vocabulary)?;
    match (stack.pop(), stack.is_empty()) {
        (Some(Value::Query(query)), true) => Ok(Arc::unwrap_or_clone(query)),
        _ => Err(StackError::IllegalState(
            "expected a single query on the stack".to_owned(),
        )),
    }
}

/// The requests for events that a program leaves, bottom first.
///
/// # Errors
/// When the program cannot be run, or leaves anything else.
pub fn parse_events(program: &str) -> Result<Vec<EventExpr>, StackError> {
    let stack = run(program, Vocabulary::events())?;
    if let Some(other) = stack.iter().rev().find(|v| !Kind::Event.accepts(v)) {
        return Err(StackError::IllegalArgument(format!(
            "invalid value on stack: {other}"
        )));
    }
    Ok(stack.iter().filter_map(kind::event).collect())
}

/// The expressions that a program leaves; other things on the stack do not count.
pub(crate) fn exprs_of(
    program: &str,
    vocabulary: &Vocabulary,
) -> Result<Vec<StyleExpr>, StackError> {
    let stack = run(program, vocabulary)?;
    Ok(stack.iter().filter_map(kind::style).collect())
}

/// The queries that the expressions of a program use, each once, sorted.
///
/// # Errors
/// When the program cannot be run.
pub fn queries_of(program: &str, vocabulary: &Vocabulary) -> Result<Vec<String>, StackError> {
    let mut queries = Vec::new();
    for style in exprs_of(program, vocabulary)? {
        style
            .expr
            .visit_data(&mut |data| queries.push(PrintQuery(&data.query).to_string()));
    }
    queries.sort();
    queries.dedup();
    Ok(queries)
}

/// The words worth suggesting after a program: those that fit its stack, and then run.
///
/// # Errors
/// When the program so far cannot be run.
pub fn suggestions<'v>(
    program: &str,
    vocabulary: &'v Vocabulary,
) -> Result<Vec<&'v Word>, StackError> {
    let machine = Machine::after(program, vocabulary)?;
    let suggested = |word: &&Word| word.is_suggested() && machine.could_run(word);
    Ok(vocabulary.words().filter(suggested).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(program: &str) -> Result<Vec<String>, String> {
        let options = GraphOptions {
            simple_legends: false,
            ..GraphOptions::default()
        };
        parse_graph(program, &options)
            .map(|exprs| exprs.iter().map(StyleExpr::to_string).collect())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn everything_left_on_the_stack_is_shown() {
        assert_eq!(
            graph("name,a,:eq,42").expect("valid"),
            ["name,a,:eq,:sum", "42.0,:const"]
        );
        assert_eq!(
            graph("name,a,:eq,foo").expect_err("a text"),
            "IllegalArgumentException: expecting time series expr, found String 'foo'"
        );
        assert_eq!(
            graph("(,a,(,b,),)").expect_err("a list"),
            "IllegalArgumentException: expecting time series expr, found $colon$colon 'List(a, (, b, ))'"
        );
    }

    #[test]
    fn a_common_query_reaches_frozen_expressions() {
        let options = GraphOptions {
            common_query: Some("app,x,:eq"),
            simple_legends: false,
            ..GraphOptions::default()
        };
        let exprs = parse_graph("name,a,:eq,:freeze,name,b,:eq,:avg", &options).expect("valid");
        let texts: Vec<_> = exprs.iter().map(StyleExpr::to_string).collect();
        assert_eq!(
            texts,
            [
                "name,a,:eq,app,x,:eq,:and,:sum",
                "name,b,:eq,app,x,:eq,:and,:avg"
            ]
        );
        let options = GraphOptions {
            common_query: Some("app,x"),
            ..GraphOptions::default()
        };
        assert_eq!(
            parse_graph("1", &options)
                .expect_err("no query")
                .to_string(),
            "IllegalStateException: invalid cq parameter: app,x"
        );
    }

    #[test]
    fn a_request_about_tags_holds_one_query() {
        assert!(parse_query("name,a,:eq,app,b,:eq,:and").is_ok());
        for program in ["", "a", "name,a,:eq,b,:has", "(,a,)"] {
            assert_eq!(
                parse_query(program).expect_err("no single query").message(),
                "expected a single query on the stack"
            );
        }
    }

    #[test]
    fn events_are_asked_for_by_a_vocabulary_of_their_own() {
        let parsed = |program: &str| {
            let events = parse_events(program).map_err(|e| e.to_string())?;
            Ok::<_, String>(events.iter().map(EventExpr::to_string).collect::<Vec<_>>())
        };
        let error = |program| parsed(program).expect_err("refused");
        assert_eq!(
            parsed("level,ERROR,:eq,a,:has,(,b,c\\u002cd,),:table").expect("valid"),
            ["level,ERROR,:eq", "a,:has,(,b,c\\u002cd,),:table"]
        );
        assert_eq!(
            parsed("a,:has,(,b,),(,c,),:sample,d,:has,:cq").expect("valid"),
            ["a,:has,d,:has,:and,(,b,),(,c,),:sample"]
        );
        let sample = parse_events("a,:has,(,b,),(,),:sample")
            .expect("valid")
            .remove(0);
        let data = sample.data().expect("a time series");
        assert_eq!(data.to_string(), "a,:has,:sum,(,b,),:by");
        assert_eq!(
            error("a,:has,(,),:table"),
            "IllegalArgumentException: requirement failed: set of columns cannot be empty"
        );
        assert_eq!(
            error("a,:has,(,),(,b,),:sample"),
            "IllegalArgumentException: requirement failed: sampleBy cannot be empty"
        );
        assert_eq!(
            error("a,(,b,),:table"),
            "IllegalStateException: no matches for word ':table' with stack [String,List], candidates: [q:Query columns:StringList -- \
             EventExpr]"
        );
        assert_eq!(
            error("a,:has,(,b,),:table,c"),
            "IllegalArgumentException: invalid value on stack: c"
        );
        assert_eq!(
            error("a,:has,:sum"),
            "IllegalStateException: unknown word ':sum'"
        );
        assert_eq!(
            error("a,:has,(,b,),:table,:eq")
                .split(" with stack ")
                .last(),
            Some("[Table], candidates: [k:String v:String -- Query]")
        );
        let graph = parse_graph("a,:has,(,b,),:table", &GraphOptions::default());
        assert_eq!(
            graph.expect_err("no graph").to_string(),
            "IllegalStateException: unknown word ':table'"
        );
    }

    #[test]
    fn queries_are_listed_once() {
        let program = "name,b,:eq,:avg,name,a,:eq,:add,name,b,:eq";
        assert_eq!(
            queries_of(program, Vocabulary::full()).expect("valid"),
            ["name,a,:eq", "name,b,:eq"]
        );
    }

    #[test]
    fn suggestions_fit_the_stack() {
        let words = suggestions("name,a,:eq", Vocabulary::full()).expect("valid");
        let names: Vec<_> = words.iter().map(|w| w.name()).collect();
        assert!(names.contains(&"dist-max"), "{names:?}");
        assert!(
            !names.contains(&"dup") && !names.contains(&"add"),
            "{names:?}"
        );
    }
}
