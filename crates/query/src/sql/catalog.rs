//! What there is to be asked in SQL: one catalog, one schema, and in it the tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result;
use hesper_model::TagQuery;

use super::columns::Columns;
use super::keys::TagKeys;
use super::table::SeriesTable;
use crate::engine::QueryEngine;
use crate::notice::resolution;

/// The name of the catalog.
pub const CATALOG: &str = "hesper";

/// The name of its schema.
pub const SCHEMA: &str = "public";

/// The table of datapoints.
const DATAPOINTS: &str = "metrics";

/// The lengths of cells that there are tables of, if the store's step makes them, in milliseconds: those that history rolls up by default.
const CELLS_MILLIS: [i64; 2] = [300_000, 3_600_000];

/// The tables. The columns of each are those of the tag keys as they are known when it is asked for.
#[derive(Clone)]
pub struct Tables {
    engine: Arc<QueryEngine>,
    keys: Arc<TagKeys>,
}

impl Tables {
    /// The tables of an engine.
    pub fn new(engine: Arc<QueryEngine>, keys: Arc<TagKeys>) -> Self {
        Self { engine, keys }
    }

    /// The names of the tables, and the slots in a cell of each.
    fn all(&self) -> Vec<(String, u32)> {
        let step = self.engine.tiers().hot.step().millis();
        let mut cells: Vec<u32> = CELLS_MILLIS
            .iter()
            .filter(|millis| **millis % step == 0 && **millis > step)
            .filter_map(|millis| u32::try_from(millis / step).ok())
            .collect();
        cells.extend(self.engine.tiers().history.manifest().rollups());
        cells.sort_unstable();
        cells.dedup();
        let rolled = cells.into_iter().map(|slots| {
            let name = resolution(slots, step * i64::from(slots));
            (format!("{DATAPOINTS}_{name}"), slots)
        });
        std::iter::once((DATAPOINTS.to_owned(), 1))
            .chain(rolled)
            .collect()
    }

    /// The names of the tables, and their columns.
    pub fn schemas(&self) -> Vec<(String, SchemaRef)> {
        let all = self.all().into_iter();
        all.map(|(name, cell_slots)| (name, self.columns(cell_slots).schema().clone()))
            .collect()
    }

    fn columns(&self, cell_slots: u32) -> Columns {
        let keys = self.keys.known().keys;
        match cell_slots {
            1 => Columns::of_datapoints(&keys),
            _ => Columns::of_cells(&keys),
        }
    }

    fn find(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let (_, cell_slots) = self.all().into_iter().find(|(n, _)| n == name)?;
        Some(self.table_of(TagQuery::True, cell_slots))
    }

    /// The series that a query matches: their datapoints, or their cells of a resolution; `None` when there are no such cells.
    pub fn matching(
        &self,
        query: TagQuery,
        resolution: Option<&str>,
    ) -> Option<Arc<dyn TableProvider>> {
        let name = match resolution {
            None => DATAPOINTS.to_owned(),
            Some(resolution) => format!("{DATAPOINTS}_{resolution}"),
        };
        let (_, cell_slots) = self.all().into_iter().find(|(n, _)| *n == name)?;
        Some(self.table_of(query, cell_slots))
    }

    /// The lengths of cells that there are tables of.
    pub fn resolutions(&self) -> Vec<String> {
        let all = self.all().into_iter().skip(1);
        all.map(|(name, _)| name[DATAPOINTS.len() + 1..].to_owned())
            .collect()
    }

    fn table_of(&self, query: TagQuery, cell_slots: u32) -> Arc<dyn TableProvider> {
        let columns = self.columns(cell_slots);
        let table = SeriesTable::new(self.engine.clone(), columns, query, cell_slots);
        Arc::new(table)
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.all().into_iter().map(|(name, _)| name).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.all().iter().any(|(n, _)| n == name)
    }
}

/// The catalog.
#[derive(Debug)]
pub struct Catalog(pub Tables);

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::new(self.0.clone()) as Arc<dyn SchemaProvider>)
    }
}
