//! Tag queries as JSON: `true`, `false`, or an array that begins with what it is.
//!
//! ```text
//! query = true | false | ["has", key] | ["equal" | "less" | "less-equal" | "greater" | "greater-equal", key, value]
//!       | ["matches" | "matches-ignoring-case", key, pattern] | ["in", key, [value …]]
//!       | ["and" | "or", query, query] | ["not", query]
//! ```

use std::sync::Arc;

use hesper_model::{TagPattern, TagQuery};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Queries that are nested deeper are refused.
const MAX_DEPTH: usize = 100;

pub fn serialize<S: Serializer>(query: &TagQuery, serializer: S) -> Result<S::Ok, S::Error> {
    to_json(query).serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TagQuery, D::Error> {
    let value = Value::deserialize(deserializer)?;
    of_json(&value, 0).map_err(D::Error::custom)
}

fn to_json(query: &TagQuery) -> Value {
    let pair = |what: &str, k: &Arc<str>, v: &Arc<str>| json!([what, **k, **v]);
    match query {
        TagQuery::True => json!(true),
        TagQuery::False => json!(false),
        TagQuery::Has(k) => json!(["has", **k]),
        TagQuery::Equal(k, v) => pair("equal", k, v),
        TagQuery::LessThan(k, v) => pair("less", k, v),
        TagQuery::LessThanEqual(k, v) => pair("less-equal", k, v),
        TagQuery::GreaterThan(k, v) => pair("greater", k, v),
        TagQuery::GreaterThanEqual(k, v) => pair("greater-equal", k, v),
        TagQuery::Matches(k, p) if p.ignore_case() => {
            json!(["matches-ignoring-case", **k, p.source()])
        }
        TagQuery::Matches(k, p) => json!(["matches", **k, p.source()]),
        TagQuery::In(k, values) => {
            let values: Vec<&str> = values.iter().map(|v| &**v).collect();
            json!(["in", **k, values])
        }
        TagQuery::And(a, b) => json!(["and", to_json(a), to_json(b)]),
        TagQuery::Or(a, b) => json!(["or", to_json(a), to_json(b)]),
        TagQuery::Not(q) => json!(["not", to_json(q)]),
    }
}

fn of_json(value: &Value, depth: usize) -> Result<TagQuery, String> {
    let bad = || format!("no tag query: {value}");
    if depth > MAX_DEPTH {
        return Err("the tag query is nested too deeply".to_owned());
    }
    if let Value::Bool(all) = value {
        return Ok(if *all {
            TagQuery::True
        } else {
            TagQuery::False
        });
    }
    let (what, rest) = value
        .as_array()
        .and_then(|parts| parts.split_first())
        .and_then(|(what, rest)| Some((what.as_str()?, rest)))
        .ok_or_else(bad)?;
    let text = |at: usize| -> Result<Arc<str>, String> {
        let text = rest.get(at).and_then(Value::as_str);
        text.map(Arc::from).ok_or_else(bad)
    };
    let query = |at: usize| -> Result<Box<TagQuery>, String> {
        let inner = rest.get(at).ok_or_else(bad)?;
        of_json(inner, depth + 1).map(Box::new)
    };
    let pattern = |ignore_case: bool| -> Result<TagQuery, String> {
        let pattern = TagPattern::new(&text(1)?, ignore_case).map_err(|e| e.to_string())?;
        Ok(TagQuery::Matches(text(0)?, pattern))
    };
    Ok(match what {
        "has" => TagQuery::Has(text(0)?),
        "equal" => TagQuery::Equal(text(0)?, text(1)?),
        "less" => TagQuery::LessThan(text(0)?, text(1)?),
        "less-equal" => TagQuery::LessThanEqual(text(0)?, text(1)?),
        "greater" => TagQuery::GreaterThan(text(0)?, text(1)?),
        "greater-equal" => TagQuery::GreaterThanEqual(text(0)?, text(1)?),
        "matches" => pattern(false)?,
        "matches-ignoring-case" => pattern(true)?,
        "in" => {
            let values = rest.get(1).and_then(Value::as_array).ok_or_else(bad)?;
            let values = values.iter().map(|v| v.as_str().map(Arc::from));
            let values: Option<Vec<Arc<str>>> = values.collect();
            TagQuery::In(text(0)?, values.ok_or_else(bad)?)
        }
        "and" => TagQuery::And(query(0)?, query(1)?),
        "or" => TagQuery::Or(query(0)?, query(1)?),
        "not" => TagQuery::Not(query(0)?),
        _ => return Err(bad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back() {
        let has = |k: &str| TagQuery::Has(k.into());
        let pattern =
            |p: &str, i| TagQuery::Matches("app".into(), TagPattern::new(p, i).expect("valid"));
        let clauses = [
            TagQuery::True,
            TagQuery::False,
            has("app"),
            TagQuery::Equal("app".into(), "a\"b".into()),
            TagQuery::LessThan("app".into(), "b".into()),
            TagQuery::LessThanEqual("app".into(), "b".into()),
            TagQuery::GreaterThan("app".into(), "b".into()),
            TagQuery::GreaterThanEqual("app".into(), "b".into()),
            pattern("a.*", false),
            pattern("a.*", true),
            TagQuery::In("app".into(), vec!["a".into(), "b".into()]),
            TagQuery::Not(Box::new(has("zone"))),
            TagQuery::And(
                Box::new(has("a")),
                Box::new(TagQuery::Or(Box::new(has("b")), Box::new(has("c")))),
            ),
        ];
        for clause in clauses {
            let text = to_json(&clause).to_string();
            let value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(of_json(&value, 0), Ok(clause), "{text}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in [
            "1",
            "[]",
            "[\"has\"]",
            "[\"xor\", true, true]",
            "[\"matches\", \"a\", \"(\"]",
        ] {
            let value = serde_json::from_str(text).expect("JSON");
            assert!(of_json(&value, 0).is_err(), "{text}");
        }
    }
}
