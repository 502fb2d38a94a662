//! From partial aggregates to the values of a data expression: regrouping, division, and NaN where there is no data.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use hesper_hot::fold::{Accumulator, CellLayout, slots_with_data, slots_without_data};
use hesper_hot::groups::{GroupTable, Grouping, TooManyGroups};
use hesper_model::cores::in_parts;
use hesper_model::{DataSource, Tags};
use hesper_stack::DataGroup;

use crate::cells::{Columns, neutral};
use crate::plan::{DataPlan, Divide, Regroup};

/// Values that are worth a core of their own.
const PARALLEL_VALUES: usize = 100_000;

/// The groups of a data expression, from the batches that its plan gave, in which each is in one row.
///
/// # Errors
/// When a batch is not of the schema, or there are more groups than `max_groups`, as `too_many` words it.
pub fn data_groups(
    plan: &DataPlan,
    batches: &[RecordBatch],
    max_groups: usize,
    too_many: impl Fn(TooManyGroups) -> DataFusionError,
) -> Result<Vec<DataGroup>> {
    let layout = &plan.scan.layout;
    let columns = batches.iter().map(Columns::of);
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let Some(regroup) = &plan.regroup else {
        let of_batch = |columns: &Columns<'_>| {
            all_groups(columns.rows(), layout, |row| {
                let gauge = columns.lowest(row).is_gauge();
                let (values, presence) = (columns.values(row), columns.presence(row));
                DataGroup {
                    tags: group_tags(&plan.scan.grouping, &columns.key(row)),
                    source: source(gauge),
                    values: finish(layout, plan.divide, gauge, values, presence),
                }
            })
        };
        return Ok(columns.iter().flat_map(of_batch).collect());
    };
    let limit = match regroup.grouping {
        Grouping::One => 1,
        _ => max_groups,
    };
    let (groups, acc) = regrouped(regroup, layout, &columns, limit).map_err(too_many)?;
    Ok(all_groups(groups.len(), layout, |group| {
        let gauge = groups.lowest(group as u32).is_gauge();
        let (values, presence) = (acc.values(group), acc.presence(group));
        DataGroup {
            tags: group_tags(&regroup.grouping, groups.key(group as u32)),
            source: source(gauge),
            values: finish(layout, plan.divide, gauge, values, presence),
        }
    }))
}

/// Makes all groups, on all cores when they are many.
fn all_groups(
    groups: usize,
    layout: &CellLayout,
    group: impl Fn(usize) -> DataGroup + Sync,
) -> Vec<DataGroup> {
    let parts = in_parts(groups, PARALLEL_VALUES / layout.cells.max(1), |part| {
        part.map(&group).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

fn source(gauge: bool) -> DataSource {
    if gauge {
        DataSource::Gauge
    } else {
        DataSource::Rate
    }
}

/// Aggregates series that were consolidated one by one.
fn regrouped(
    regroup: &Regroup,
    layout: &CellLayout,
    batches: &[Columns<'_>],
    limit: usize,
) -> std::result::Result<(GroupTable, Accumulator), TooManyGroups> {
    let mut groups = GroupTable::new(limit);
    let mut acc = Accumulator::new(regroup.op, *layout);
    let neutral = neutral(regroup.op);
    let rows = batches
        .iter()
        .flat_map(|b| (0..b.rows()).map(move |row| (b, row)));
    for (columns, row) in rows {
        let series = columns.key(row);
        let value = |key: &str| {
            let mut pairs = series.chunks_exact(2);
            pairs
                .find(|pair| *pair[0] == *key)
                .map(|pair| pair[1].clone())
        };
        let key: Option<Vec<Arc<str>>> = match &regroup.grouping {
            Grouping::One => Some(Vec::new()),
            Grouping::Keys(keys) => keys.iter().map(|k| value(k)).collect(),
            Grouping::Series => Some(series.clone()),
        };
        let Some(key) = key else { continue };
        let group = groups.number(&key)?;
        groups.lowest_mut(group).merge(&columns.lowest(row));
        acc.grow(groups.len());
        let presence = columns.presence(row);
        let values: Vec<f64> = columns
            .values(row)
            .iter()
            .enumerate()
            .map(|(cell, v)| match slots_with_data(layout, presence, cell) {
                0 => neutral,
                _ if regroup.count => 1.0,
                _ => *v,
            })
            .collect();
        acc.merge_group(group, &values, presence);
    }
    Ok((groups, acc))
}

fn group_tags(grouping: &Grouping, key: &[Arc<str>]) -> Tags {
    match grouping {
        Grouping::One => Tags::empty(),
        Grouping::Keys(keys) => keys.iter().cloned().zip(key.iter().cloned()).collect(),
        Grouping::Series => {
            let pairs = key.chunks_exact(2);
            pairs.map(|p| (p[0].clone(), p[1].clone())).collect()
        }
    }
}

/// Divides the cells that are averages and marks those without data.
///
/// A rate is averaged over all slots of a cell: one without data counts as zero. A gauge is averaged over the slots in which any series of
/// the group had data.
fn finish(
    layout: &CellLayout,
    divide: Divide,
    gauge: bool,
    values: &[f64],
    presence: &[u64],
) -> Vec<f64> {
    if layout.slots_per_cell == 1 {
        let mut finished = values.to_vec();
        slots_without_data(layout, presence, |cell| finished[cell] = f64::NAN);
        return finished;
    }
    let m = layout.slots_per_cell as f64;
    let cells = values.iter().enumerate();
    cells
        .map(|(cell, v)| match slots_with_data(layout, presence, cell) {
            0 => f64::NAN,
            with_data => match divide {
                Divide::No => *v,
                Divide::BySlots if gauge => v / with_data as f64,
                Divide::BySlots => v / m,
            },
        })
        .collect()
}
