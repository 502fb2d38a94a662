//! The columns of tables: the time, a column a tag key, and the values.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use hesper_hot::fold::FoldOp;
use hesper_model::tags::NAME;

/// The column of times.
pub const TIME: &str = "time";

/// The column of values of tables that have one.
pub const VALUE: &str = "value";

/// The column of what stands beside a line of a graph.
pub const LEGEND: &str = "legend";

/// The columns of the cells of a roll-up.
const CELLS: [(&str, FoldOp); 4] = [
    ("count", FoldOp::Count),
    ("sum", FoldOp::Sum),
    ("min", FoldOp::Min),
    ("max", FoldOp::Max),
];

/// What stands before the name of a tag key that is called like another column, as in the files of history.
const TAG_PREFIX: &str = "tag.";

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// The end of the interval of a datapoint or cell.
    Time,
    /// The value of a tag key; null for a series that lacks it.
    Tag(Arc<str>),
    /// The value of a datapoint.
    Value,
    /// What the datapoints of a cell come to.
    Cell(FoldOp),
    /// What stands beside a line of a graph.
    Legend,
}

/// The columns of a table.
#[derive(Debug)]
pub struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
}

impl Columns {
    /// Of the table of datapoints: `time`, `name`, `value`, and the tag keys.
    pub fn of_datapoints(keys: &[Arc<str>]) -> Self {
        Self::new(vec![Column::Value], keys)
    }

    /// Of a table of cells: `time`, `name`, `count`, `sum`, `min`, `max`, and the tag keys.
    pub fn of_cells(keys: &[Arc<str>]) -> Self {
        let cells = CELLS.iter().map(|(_, op)| Column::Cell(*op));
        Self::new(cells.collect(), keys)
    }

    /// Of the lines of a graph: `time`, `value`, `legend`, and the tag keys.
    pub fn of_lines(keys: &[Arc<str>]) -> Self {
        let mut columns = vec![Column::Time, Column::Value, Column::Legend];
        columns.extend(keys.iter().cloned().map(Column::Tag));
        Self::from(columns)
    }

    fn new(values: Vec<Column>, keys: &[Arc<str>]) -> Self {
        let mut columns = vec![Column::Time, Column::Tag(NAME.into())];
        columns.extend(values);
        let keys = keys.iter().filter(|key| ***key != *NAME);
        columns.extend(keys.cloned().map(Column::Tag));
        Self::from(columns)
    }

    fn from(columns: Vec<Column>) -> Self {
        let fields: Vec<FieldRef> = columns.iter().map(|c| Arc::new(c.field())).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            columns,
        }
    }

    /// The schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns, in the order of the schema.
    pub fn all(&self) -> &[Column] {
        &self.columns
    }

    /// The column of a name.
    pub fn named(&self, name: &str) -> Option<&Column> {
        let at = self.schema.index_of(name).ok()?;
        self.columns.get(at)
    }

    /// Some of the columns.
    pub fn project(&self, projection: Option<&Vec<usize>>) -> Self {
        match projection {
            None => Self::from(self.columns.clone()),
            Some(chosen) => Self::from(chosen.iter().map(|i| self.columns[*i].clone()).collect()),
        }
    }
}

/// The type of times: milliseconds, in UTC.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

impl Column {
    fn field(&self) -> Field {
        match self {
            Self::Time => Field::new(TIME, time_type(), false),
            Self::Tag(key) => Field::new(tag_column(key), DataType::Utf8View, true),
            Self::Value => Field::new(VALUE, DataType::Float64, false),
            Self::Cell(op) => Field::new(cell_column(*op), cell_type(*op), false),
            Self::Legend => Field::new(LEGEND, DataType::Utf8View, false),
        }
    }
}

fn cell_column(op: FoldOp) -> &'static str {
    let of_op = CELLS.iter().find(|(_, o)| *o == op);
    of_op.expect("every operation has a column").0
}

fn cell_type(op: FoldOp) -> DataType {
    match op {
        FoldOp::Count => DataType::Int64,
        FoldOp::Sum | FoldOp::Min | FoldOp::Max => DataType::Float64,
    }
}

/// The name of a tag key's column.
fn tag_column(key: &str) -> Cow<'_, str> {
    let bare = key.trim_start_matches(TAG_PREFIX);
    let is_cell = CELLS.iter().any(|(name, _)| *name == bare);
    // A key that begins with the prefix already gets it once more, so that no two keys share a name.
    match is_cell || [TIME, VALUE, LEGEND].contains(&bare) {
        true => format!("{TAG_PREFIX}{key}").into(),
        false => key.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_called_like_a_column_have_another_name() {
        let keys = ["a", "name", "tag.time", "time", "count"].map(Arc::from);
        let names = |columns: Columns| -> Vec<String> {
            let fields = columns.schema().fields().iter();
            fields.map(|f| f.name().clone()).collect()
        };
        let others = ["a", "tag.tag.time", "tag.time", "tag.count"];
        let datapoints = names(Columns::of_datapoints(&keys));
        assert_eq!(datapoints[..3], ["time", "name", "value"]);
        assert_eq!(datapoints[3..], others);
        let cells = names(Columns::of_cells(&keys));
        assert_eq!(cells[..6], ["time", "name", "count", "sum", "min", "max"]);
        assert_eq!(cells[6..], others);
        let lines = names(Columns::of_lines(&keys[..2]));
        assert_eq!(lines, ["time", "value", "legend", "a", "name"]);
    }
}
