//! How words take operands off the stack and put results on it.
//!
//! A word runs only when the stack fits its signature. The errors here are for definitions whose signature and body disagree, and for
//! results that are too large.

use std::sync::Arc;

use hesper_model::{Consolidation, TagQuery};

use super::Machine;
use crate::error::StackError;
use crate::expr::{DataExpr, StyleExpr, TimeSeriesExpr, query_size};
use crate::kind;
use crate::span::Span;
use crate::value::{List, Value};

/// The longest text that a word may make.
const MAX_TEXT_BYTES: usize = 64 * 1024;

impl Machine<'_> {
    pub(crate) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    pub(crate) fn push_text(&mut self, text: String) -> Result<(), StackError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(StackError::IllegalState(format!(
                "text is too long: the limit is {MAX_TEXT_BYTES} bytes"
            )));
        }
        self.push(Value::text(text));
        Ok(())
    }

    pub(crate) fn push_list(&mut self, items: Vec<Value>) -> Result<(), StackError> {
        self.push(Value::List(Arc::new(List::new(items)?)));
        Ok(())
    }

    pub(crate) fn push_query(&mut self, query: TagQuery) -> Result<(), StackError> {
        self.spend_on(query_size(&query))?;
        self.push(Value::Query(Arc::new(query)));
        Ok(())
    }

    pub(crate) fn push_expr(&mut self, expr: TimeSeriesExpr) -> Result<(), StackError> {
        self.spend_on(expr.size())?;
        self.push(Value::Expr(Arc::new(expr)));
        Ok(())
    }

    pub(crate) fn push_style(&mut self, style: StyleExpr) -> Result<(), StackError> {
        if style.settings_weight() > MAX_TEXT_BYTES {
            return Err(StackError::IllegalState(format!(
                "settings of an expression are too long: the limit is {MAX_TEXT_BYTES} bytes"
            )));
        }
        self.spend_on(style.expr.size())?;
        self.push(Value::Style(Arc::new(style)));
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Result<Value, StackError> {
        self.stack
            .pop()
            .ok_or_else(|| StackError::IllegalState("the stack is empty".to_owned()))
    }

    fn pop_as<T>(&mut self, read: fn(&Value) -> Option<T>) -> Result<T, StackError> {
        let value = self.pop()?;
        read(&value).ok_or_else(|| {
            StackError::IllegalState(format!(
                "an operand of type {} is not what the word's signature says",
                value.type_name()
            ))
        })
    }

    pub(crate) fn pop_text(&mut self) -> Result<Arc<str>, StackError> {
        self.pop_as(kind::text)
    }

    pub(crate) fn pop_int(&mut self) -> Result<i32, StackError> {
        self.pop_as(kind::int)
    }

    pub(crate) fn pop_double(&mut self) -> Result<f64, StackError> {
        self.pop_as(kind::double)
    }

    pub(crate) fn pop_list(&mut self) -> Result<Arc<List>, StackError> {
        self.pop_as(kind::list)
    }

    pub(crate) fn pop_texts(&mut self) -> Result<Vec<Arc<str>>, StackError> {
        self.pop_as(kind::texts)
    }

    pub(crate) fn pop_doubles(&mut self) -> Result<Vec<f64>, StackError> {
        self.pop_as(kind::doubles)
    }

    pub(crate) fn pop_duration(&mut self) -> Result<Span, StackError> {
        self.pop_as(kind::duration)
    }

    pub(crate) fn pop_consolidation(&mut self) -> Result<Consolidation, StackError> {
        self.pop_as(kind::consolidation)
    }

    pub(crate) fn pop_query(&mut self) -> Result<TagQuery, StackError> {
        self.pop_as(kind::query).map(Arc::unwrap_or_clone)
    }

    pub(crate) fn pop_data(&mut self) -> Result<DataExpr, StackError> {
        self.pop_as(kind::data)
    }

    pub(crate) fn pop_series(&mut self) -> Result<Arc<TimeSeriesExpr>, StackError> {
        self.pop_as(kind::series)
    }

    pub(crate) fn pop_style(&mut self) -> Result<StyleExpr, StackError> {
        self.pop_as(kind::style)
    }
}
