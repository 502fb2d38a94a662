//! The words that build queries.

use std::sync::Arc;

use hesper_model::{TagPattern, TagQuery};

use crate::error::StackError;
use crate::expr::rewrite::{QueryRule, Rules, rewrite, rewrite_style};
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use crate::word::{Parameter, Word, named};

const KEY: Parameter = named("k", Kind::Text);
const VALUE: Parameter = named("v", Kind::Text);
const PAIR: [Parameter; 2] = [named("q1", Kind::Query), named("q2", Kind::Query)];
const PAIR_EXAMPLES: [&str; 4] = [
    ":false,:false",
    ":false,:true",
    ":true,:false",
    ":true,:true",
];

pub(super) fn words() -> Vec<Word> {
    vec![
        Word::typed("true", &[], &[Kind::Query], |m| m.push_query(TagQuery::True))
            .summary("Every series.")
            .examples(&[""])
            .not_suggested(),
        Word::typed("false", &[], &[Kind::Query], |m| m.push_query(TagQuery::False))
            .summary("No series.")
            .examples(&[""])
            .not_suggested(),
        Word::typed("has", &[KEY], &[Kind::Query], |m| {
            let key = m.pop_text()?;
            m.push_query(TagQuery::Has(key))
        })
        .summary("Series that have the key, whatever its value.")
        .examples(&["a", "name", "ERROR:"]),
        clause("eq", "Series whose value of the key is exactly this one.", |k, v| {
            Ok(TagQuery::Equal(k, v))
        }),
        clause(
            "lt",
            "Series that have the key with a value below this one; values are compared as text, so that 100 is below 2.",
            |k, v| Ok(TagQuery::LessThan(k, v)),
        ),
        clause(
            "le",
            "Series that have the key with this value or one below; values are compared as text.",
            |k, v| Ok(TagQuery::LessThanEqual(k, v)),
        ),
        clause(
            "gt",
            "Series that have the key with a value above this one; values are compared as text, so that 2 is above 100.",
            |k, v| Ok(TagQuery::GreaterThan(k, v)),
        ),
        clause(
            "ge",
            "Series that have the key with this value or one above; values are compared as text.",
            |k, v| Ok(TagQuery::GreaterThanEqual(k, v)),
        ),
        clause(
            "re",
            "Series whose value of the key begins with a match of the regular expression. With a fixed text at its start only the \
             values with that prefix are looked at.",
            |k, v| pattern(k, &v, false),
        )
        .examples(&["name,DiscoveryStatus_(UP|DOWN)", "name,discoverystatus_(Up|Down)", "ERROR:name"]),
        clause(
            "reic",
            "Series whose value of the key begins with a match of the regular expression, in upper or lower case. Every value of the \
             key is looked at.",
            |k, v| pattern(k, &v, true),
        )
        .examples(&["name,DiscoveryStatus_(UP|DOWN)", "name,discoverystatus_(Up|Down)", "ERROR:name"])
        .not_suggested(),
        clause("contains", "Series whose value of the key contains the text.", |k, v| {
            pattern(k, &format!(".*{}", literal(&v)), false)
        })
        .examples(&["name,request", "result,error"]),
        clause("starts", "Series whose value of the key begins with the text.", |k, v| {
            pattern(k, &literal(&v), false)
        })
        .examples(&["name,req", "result,err"]),
        clause("ends", "Series whose value of the key ends with the text.", |k, v| {
            pattern(k, &format!(".*{}$", literal(&v)), false)
        })
        .examples(&["name,error", "result,failed"]),
        Word::typed("in", &[KEY, named("vs", Kind::TextList)], &[Kind::Query], |m| {
            let mut values = m.pop_texts()?;
            let key = m.pop_text()?;
            m.push_query(match values.len() {
                0 => TagQuery::False,
                1 => TagQuery::Equal(key, values.remove(0)),
                _ => TagQuery::In(key, values),
            })
        })
        .summary("Series whose value of the key is one of the list.")
        .examples(&["name,(,sps,)", "name,(,requestsPerSecond,sps,)", "name,(,)", "ERROR:name,sps"]),
        Word::typed("and", &PAIR, &[Kind::Query], |m| {
            let (a, b) = pair(m)?;
            m.push_query(a.and(b))
        })
        .summary("Series that both queries find.")
        .examples(&PAIR_EXAMPLES),
        Word::typed("or", &PAIR, &[Kind::Query], |m| {
            let (a, b) = pair(m)?;
            m.push_query(a.or(b))
        })
        .summary("Series that at least one of the queries finds. For several values of one key `:in` is the better word.")
        .examples(&PAIR_EXAMPLES),
        Word::typed("not", &[named("q", Kind::Query)], &[Kind::Query], |m| {
            let query = m.pop_query()?;
            m.push_query(query.negated())
        })
        .summary("Series that the query does not find; those without the key are among them.")
        .examples(&[":false", ":true"])
        .not_suggested(),
        Word::typed(
            "cq",
            &[named("expr", Kind::Any), named("q", Kind::Query)],
            &[Kind::Any],
            |m| {
                let common = m.pop_query()?;
                let value = m.pop()?;
                m.spend_on_rewriting(&value)?;
                let value = with_common_query(&value, &common, m.vocabulary())?;
                m.push(value);
                Ok(())
            },
        )
        .summary("Narrows every query within an expression by another one. What is no expression stays as it is.")
        .examples(&[
            "name,ssCpuUser,:eq,name,DiscoveryStatus_UP,:eq,:or,nf.app,alerttest,:eq",
            "42,nf.app,alerttest,:eq",
        ]),
    ]
}

fn clause(
    name: &'static str,
    summary: &'static str,
    build: fn(Arc<str>, Arc<str>) -> Result<TagQuery, StackError>,
) -> Word {
    Word::typed(name, &[KEY, VALUE], &[Kind::Query], move |m| {
        let value = m.pop_text()?;
        let key = m.pop_text()?;
        m.push_query(build(key, value)?)
    })
    .summary(summary)
    .examples(&["a,b", "nf.node,silverlight-003e", "ERROR:name"])
}

fn pair(m: &mut Machine<'_>) -> Result<(TagQuery, TagQuery), StackError> {
    let b = m.pop_query()?;
    let a = m.pop_query()?;
    Ok((a, b))
}

fn pattern(key: Arc<str>, source: &str, ignore_case: bool) -> Result<TagQuery, StackError> {
    Ok(TagQuery::Matches(
        key,
        TagPattern::new(source, ignore_case)?,
    ))
}

/// A text as a regular expression that matches it; what is outside of ASCII, and control characters, by their number.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0C' => out.push_str("\\f"),
            '\\' | '^' | '$' | '.' | '?' | '*' | '+' | '[' | ']' | '(' | ')' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// A value with every query in it narrowed by another one.
///
/// # Errors
/// When the result would be too large, or a word with a name cannot be run again.
pub(crate) fn with_common_query(
    value: &Value,
    common: &TagQuery,
    vocabulary: &Vocabulary,
) -> Result<Value, StackError> {
    let rule: &QueryRule<'_> = &|query| Ok(query.clone().and(common.clone()));
    let rules = Rules::for_queries(rule);
    Ok(match value {
        Value::Query(query) => {
            let query = rule(query)?;
            crate::expr::query_size(&query).check()?;
            Value::Query(Arc::new(query))
        }
        Value::Expr(expr) => Value::Expr(Arc::new(rewrite(expr, &rules, vocabulary)?)),
        Value::Event(event) => {
            let event = event.with_query(rule(event.query())?);
            event.size().check()?;
            Value::Event(Arc::new(event))
        }
        Value::Style(style) => Value::Style(Arc::new(rewrite_style(style, &rules, vocabulary)?)),
        other => other.clone(),
    })
}
