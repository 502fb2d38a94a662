//! The tables: the datapoints of all series, and their cells at coarser resolutions.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use hesper_hot::fold::FoldOp;
use hesper_model::TagQuery;

use super::chunks::SeriesRequest;
use super::columns::{Column, Columns};
use super::filter::Condition;
use super::scan::SeriesScanExec;
use crate::engine::QueryEngine;

/// A table with a row for each datapoint, or each cell with data.
pub struct SeriesTable {
    engine: Arc<QueryEngine>,
    columns: Columns,
    /// The series that it has rows of.
    query: TagQuery,
    /// Slots in a cell, 1 for datapoints.
    cell_slots: u32,
}

impl SeriesTable {
    /// A table of those of an engine's series that a query matches, with these columns.
    pub fn new(
        engine: Arc<QueryEngine>,
        columns: Columns,
        query: TagQuery,
        cell_slots: u32,
    ) -> Self {
        Self {
            engine,
            columns,
            query,
            cell_slots,
        }
    }
}

impl fmt::Debug for SeriesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = f.debug_struct("SeriesTable");
        table.field("cell_slots", &self.cell_slots).finish()
    }
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        self.columns.schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let known = |filter: &&Expr| match Condition::of(filter, &self.columns) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(known).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let conditions = filters.iter();
        let conditions = conditions.filter_map(|f| Condition::of(f, &self.columns));
        let of_table = Condition {
            query: self.query.clone(),
            ..Condition::ALL
        };
        let condition = conditions.fold(of_table, Condition::and);
        let columns = self.columns.project(projection);
        let mut ops: Vec<FoldOp> = columns.all().iter().filter_map(op).collect();
        if ops.is_empty() {
            // Which slots have data is known from any.
            ops.push(FoldOp::Max);
        }
        let request = SeriesRequest {
            query: condition.query,
            cell_slots: self.cell_slots,
            ops,
        };
        let engine = self.engine.clone();
        let scan = SeriesScanExec::new(engine, columns, request, condition.time, limit);
        Ok(Arc::new(scan))
    }
}

/// What is made of the datapoints of a cell for a column.
fn op(column: &Column) -> Option<FoldOp> {
    match column {
        Column::Cell(op) => Some(*op),
        // The highest of one datapoint is the datapoint, to the bit.
        Column::Value => Some(FoldOp::Max),
        Column::Time | Column::Tag(_) | Column::Legend => None,
    }
}
