//! The words for streams of events.

use std::sync::Arc;

use crate::expr::EventExpr;
use crate::kind::Kind;
use crate::value::Value;
use crate::word::{Word, named};

pub(super) fn words() -> Vec<Word> {
    vec![
        Word::typed(
            "sample",
            &[
                named("q", Kind::Query),
                named("sampleBy", Kind::TextList),
                named("projectionKeys", Kind::TextList),
            ],
            &[Kind::Event],
            |m| {
                let projection = m.pop_texts()?;
                let sample_by = m.pop_texts()?;
                let query = m.pop_query()?;
                let expr = EventExpr::sample(query, sample_by, projection)?;
                m.spend_on(expr.size())?;
                m.push(Value::Event(Arc::new(expr)));
                Ok(())
            },
        )
        .summary(
            "How many events the query finds in each step, by the first keys, and the values of the other keys of one event of each \
             group.",
        )
        .examples(&["level,ERROR,:eq,(,fingerprint,),(,message,)"]),
        Word::typed(
            "table",
            &[named("q", Kind::Query), named("columns", Kind::TextList)],
            &[Kind::Event],
            |m| {
                let columns = m.pop_texts()?;
                let query = m.pop_query()?;
                let expr = EventExpr::table(query, columns)?;
                m.spend_on(expr.size())?;
                m.push(Value::Event(Arc::new(expr)));
                Ok(())
            },
        )
        .summary("The values of some keys of each event that the query finds.")
        .examples(&["level,ERROR,:eq,(,message,)"]),
    ]
}
