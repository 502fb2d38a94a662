//! Trees as programs that yield them, and queries as people read them.

use std::fmt;
use std::sync::Arc;

use hesper_model::TagQuery;

use super::data::{DataAggregate, DataExpr};
use super::named::{Displayed, NamedRewrite};
use super::percentiles::Percentiles;
use super::{Bound, Generated, StyleExpr, TimeSeriesExpr};
use crate::lexer::{escape, escape_into};
use crate::number::JavaDouble;
use crate::span::ShortSpan;

/// A query as a program: `name,x,:eq,app,y,:eq,:and`.
pub struct PrintQuery<'a>(pub &'a TagQuery);

impl fmt::Display for PrintQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        append_query(&mut text, self.0);
        f.write_str(&text)
    }
}

fn append_query(out: &mut String, query: &TagQuery) {
    let mut clause = |key: &str, value: Option<&str>, word: &str| {
        escape_into(out, key);
        if let Some(value) = value {
            out.push(',');
            escape_into(out, value);
        }
        out.push(',');
        out.push_str(word);
    };
    match query {
        TagQuery::True => out.push_str(":true"),
        TagQuery::False => out.push_str(":false"),
        TagQuery::Has(k) => clause(k, None, ":has"),
        TagQuery::Equal(k, v) => clause(k, Some(v), ":eq"),
        TagQuery::LessThan(k, v) => clause(k, Some(v), ":lt"),
        TagQuery::LessThanEqual(k, v) => clause(k, Some(v), ":le"),
        TagQuery::GreaterThan(k, v) => clause(k, Some(v), ":gt"),
        TagQuery::GreaterThanEqual(k, v) => clause(k, Some(v), ":ge"),
        TagQuery::Matches(k, p) => {
            let word = if p.ignore_case() { ":reic" } else { ":re" };
            clause(k, Some(p.source()), word);
        }
        TagQuery::In(k, vs) => {
            escape_into(out, k);
            out.push(',');
            append_list(out, vs);
            out.push_str(",:in");
        }
        TagQuery::And(a, b) => append_pair(out, a, b, ",:and"),
        TagQuery::Or(a, b) => append_pair(out, a, b, ",:or"),
        TagQuery::Not(q) => {
            append_query(out, q);
            out.push_str(",:not");
        }
    }
}

fn append_pair(out: &mut String, a: &TagQuery, b: &TagQuery, word: &str) {
    append_query(out, a);
    out.push(',');
    append_query(out, b);
    out.push_str(word);
}

/// `(,a,b,)`; an empty list is `(,)`.
pub(super) fn append_list(out: &mut String, items: &[Arc<str>]) {
    out.push('(');
    for item in items {
        out.push(',');
        escape_into(out, item);
    }
    out.push_str(",)");
}

/// `,(,a,b,),:by`, as Atlas writes it after an aggregate: no keys are `(,,)`.
fn append_group_keys(out: &mut String, keys: &[Arc<str>]) {
    let keys: Vec<String> = keys.iter().map(|k| escape(k)).collect();
    out.push_str(&format!(",(,{},),:by", keys.join(",")));
}

fn append_offset(out: &mut String, offset_millis: i64) {
    if offset_millis != 0 {
        out.push_str(&format!(",{},:offset", ShortSpan(offset_millis)));
    }
}

/// A query in words, as labels show it: `(name=x) and (app=y)`.
pub fn query_label(query: &TagQuery) -> String {
    match query {
        TagQuery::True => "true".to_owned(),
        TagQuery::False => "false".to_owned(),
        TagQuery::Has(k) => format!("has({k})"),
        TagQuery::Equal(k, v) => format!("{k}={v}"),
        TagQuery::LessThan(k, v) => format!("{k}<{v}"),
        TagQuery::LessThanEqual(k, v) => format!("{k}<={v}"),
        TagQuery::GreaterThan(k, v) => format!("{k}>{v}"),
        TagQuery::GreaterThanEqual(k, v) => format!("{k}>={v}"),
        TagQuery::Matches(k, p) => {
            let flag = if p.ignore_case() { "i" } else { "" };
            format!("{k}~/^{}/{flag}", p.source())
        }
        TagQuery::In(k, vs) => format!("{k} in ({})", vs.join(",")),
        TagQuery::And(a, b) => format!("({}) and ({})", query_label(a), query_label(b)),
        TagQuery::Or(a, b) => format!("({}) or ({})", query_label(a), query_label(b)),
        TagQuery::Not(q) => format!("not({})", query_label(q)),
    }
}

impl DataExpr {
    /// The expression without an offset of its own, as Atlas shows a data expression on the stack.
    fn append_without_offset(&self, out: &mut String) {
        if let Some(keys) = &self.group_by {
            let ungrouped = DataExpr {
                group_by: None,
                ..self.clone()
            };
            ungrouped.append(out);
            append_group_keys(out, keys);
            return;
        }
        append_query(out, &self.query);
        out.push_str(",:");
        out.push_str(self.aggregate.name());
        if self.consolidates_otherwise() {
            // Atlas wraps the aggregate, offset and all.
            append_offset(out, self.offset_millis);
        }
        let by_itself = self.aggregate.default_consolidation();
        if self.consolidation != by_itself && self.aggregate != DataAggregate::All {
            out.push_str(",:cf-");
            out.push_str(self.consolidation.name());
        }
    }

    fn append(&self, out: &mut String) {
        self.append_without_offset(out);
        append_offset(out, self.offset_millis);
    }
}

impl fmt::Display for DataExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.append(&mut text);
        f.write_str(&text)
    }
}

impl Percentiles {
    fn append(&self, out: &mut String) {
        append_query(out, self.query());
        let keys = self.group_keys();
        if !keys.is_empty() {
            out.push(',');
            append_list(out, &keys);
            out.push_str(",:by");
        }
        let numbers: Vec<String> = self
            .percentiles()
            .iter()
            .map(|p| JavaDouble(*p).to_string())
            .collect();
        out.push_str(&format!(",(,{},),:percentiles", numbers.join(",")));
        let data = self.data();
        if data.consolidation != data.aggregate.default_consolidation() {
            // Atlas drops it here, and with it a part of the meaning.
            out.push_str(",:cf-");
            out.push_str(data.consolidation.name());
        }
        append_offset(out, data.offset_millis);
    }
}

impl NamedRewrite {
    fn append(&self, out: &mut String, display: &Displayed) {
        let grouping = self.eval.final_grouping();
        let append_name = |out: &mut String| {
            for p in &self.parameters {
                out.push_str(&format!(",{}", JavaDouble(*p)));
            }
            out.push_str(",:");
            out.push_str(&self.name);
        };
        let append_grouping = |out: &mut String| {
            if !grouping.is_empty() {
                append_group_keys(out, &grouping);
            }
        };
        // Whether the grouping shows in what is displayed is told from the rewrite's own, whatever is to be shown now.
        let shows_grouping = match &self.display {
            Displayed::Expr(own) => own.final_grouping() == grouping,
            Displayed::Query(_) => false,
        };
        match display {
            Displayed::Query(query) => {
                append_query(out, query);
                append_name(out);
                append_offset(out, self.eval.common_offset_millis().unwrap_or(0));
                append_grouping(out);
            }
            Displayed::Expr(expr) if shows_grouping => {
                match self.eval.common_offset_millis() {
                    Some(offset) if expr.common_offset_millis() != Some(offset) => {
                        expr.with_offset(offset).append(out);
                    }
                    _ => expr.append(out),
                }
                append_name(out);
            }
            Displayed::Expr(expr) => {
                expr.append(out);
                append_name(out);
                // Atlas forgets the offset here, and with it a part of the meaning.
                match self.eval.common_offset_millis() {
                    Some(offset) if expr.common_offset_millis() != Some(offset) => {
                        append_offset(out, offset);
                    }
                    _ => {}
                }
                append_grouping(out);
            }
        }
    }

    /// How it prints with another thing displayed.
    pub(super) fn text_with(&self, display: &Displayed) -> String {
        let mut text = String::new();
        self.append(&mut text, display);
        text
    }
}

impl Generated {
    fn append(&self, out: &mut String) {
        match self {
            Self::Random => out.push_str(":random"),
            Self::SeededRandom(seed) => out.push_str(&format!("{seed},:srandom")),
            Self::Time(reading) => {
                escape_into(out, reading.mode());
                out.push_str(",:time");
            }
            Self::TimeSpan(span) => {
                escape_into(out, &span.start);
                out.push(',');
                escape_into(out, &span.end);
                out.push_str(",:time-span");
            }
        }
    }
}

impl TimeSeriesExpr {
    pub(super) fn append(&self, out: &mut String) {
        match self {
            Self::Data(data) => data.append(out),
            Self::Constant(v) => out.push_str(&format!("{},:const", JavaDouble(*v))),
            Self::Generated(generated) => generated.append(out),
            Self::Unary { op, input } => append_operator(out, input, &[], op.name),
            Self::Clamp {
                bound,
                limit,
                input,
            } => {
                let word = match bound {
                    Bound::Min => "clamp-min",
                    Bound::Max => "clamp-max",
                };
                append_operator(out, input, &[JavaDouble(*limit).to_string()], word);
            }
            Self::Binary { op, left, right } => {
                left.append(out);
                out.push(',');
                append_operator(out, right, &[], op.name);
            }
            Self::Aggregate { op, input } => append_operator(out, input, &[], op.name()),
            Self::GroupBy { op, input, keys } => {
                append_operator(out, input, &[], op.name());
                out.push(',');
                append_list(out, keys);
                out.push_str(",:by");
            }
            Self::Rename { input, from, to } => {
                append_operator(out, input, &[escape(from), escape(to)], "as");
            }
            Self::NamedRewrite(named) => named.append(out, &named.display),
            Self::Percentiles(p) => p.append(out),
            Self::ApproxDistinct(d) => append_operator(out, &d.input, &[], "approx-distinct"),
            Self::Stateful { op, input } => {
                append_operator(out, input, &op.parameters(), op.name())
            }
            Self::Filter(filter) => filter.append(out),
        }
    }

    /// How Atlas shows it when it lists a stack: a data expression without its offset, one type by what it is to Scala, and one with a
    /// word that is escaped like a text.
    pub(crate) fn stack_text(&self) -> String {
        match self {
            Self::Data(data) => {
                let mut text = String::new();
                data.append_without_offset(&mut text);
                text
            }
            Self::Clamp {
                bound: Bound::Min, ..
            } => "<function1>".to_owned(),
            Self::Clamp {
                bound: Bound::Max,
                limit,
                input,
            } => format!("{input},{},\\u003aclamp-max", JavaDouble(*limit)),
            _ => self.to_string(),
        }
    }
}

fn append_operator(out: &mut String, input: &TimeSeriesExpr, parameters: &[String], word: &str) {
    input.append(out);
    for parameter in parameters {
        out.push(',');
        out.push_str(parameter);
    }
    out.push_str(",:");
    out.push_str(word);
}

impl fmt::Display for TimeSeriesExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.append(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Display for StyleExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expr)?;
        // Backwards, so that an alpha is read after the palette it applies to.
        for (key, value) in self.settings.iter().rev() {
            match key.as_str() {
                "sed" => write!(f, ",{value}")?,
                "ls" => write!(f, ",:{value}")?,
                "offset" => write!(f, ",{value},:offset")?,
                _ => write!(f, ",{},:{key}", escape(value))?,
            }
        }
        Ok(())
    }
}
