//! Storage at its plainest: all series in a list, every data expression answered by a loop over all of them.
//!
//! Written to be read, not to be fast: it is what real storage is compared with.

use std::collections::BTreeMap;

use hesper_model::aggregate::{add_nan, max_nan, min_nan};
use hesper_model::{Aggregate, Consolidation, DataSource, ItemId, Step, Tags, Timestamp};
use hesper_stack::{DataAggregate, DataExpr, DataGroup, EvalContext};

/// A stored series: a value for each base step from `first` on, NaN where there is no data.
pub struct Series {
    pub tags: Tags,
    pub first: Timestamp,
    pub values: Vec<f64>,
}

impl Series {
    fn source(&self) -> DataSource {
        DataSource::of_tag(self.tags.get("atlas.dstype"))
    }
}

/// All series, by item id.
pub struct Store {
    series: Vec<Series>,
    base: Step,
}

impl Store {
    pub fn new(mut series: Vec<Series>, base: Step) -> Self {
        series.sort_by_key(|s| ItemId::of(&s.tags));
        Self { series, base }
    }

    /// What a data expression finds for a context, as `data_result` takes it.
    pub fn find(&self, expr: &DataExpr, ctx: &EvalContext) -> Vec<DataGroup> {
        let range = ctx.shifted(expr.offset_millis);
        let mut groups: BTreeMap<Vec<String>, Vec<&Series>> = BTreeMap::new();
        for (i, series) in self.series.iter().enumerate() {
            if !expr.query.matches(&series.tags) {
                continue;
            }
            let key: Option<Vec<String>> = match (&expr.group_by, expr.aggregate) {
                (Some(keys), _) => keys
                    .iter()
                    .map(|k| series.tags.get(k).map(str::to_owned))
                    .collect(),
                (None, DataAggregate::All) => Some(vec![format!("{i:06}")]),
                (None, DataAggregate::Of(_)) => Some(Vec::new()),
            };
            if let Some(key) = key {
                groups.entry(key).or_default().push(series);
            }
        }
        groups
            .into_values()
            .map(|members| DataGroup {
                tags: match (&expr.group_by, expr.aggregate) {
                    (Some(keys), _) => members[0]
                        .tags
                        .filtered(|k| keys.iter().any(|key| **key == *k)),
                    (None, DataAggregate::All) => members[0].tags.clone(),
                    (None, DataAggregate::Of(_)) => Tags::empty(),
                },
                source: members[0].source(),
                values: range
                    .times()
                    .map(|time| self.cell(expr, &members, time, ctx.step))
                    .collect(),
            })
            .collect()
    }

    /// One cell of a group: the slots in (time − step, time] of all its series made one.
    fn cell(&self, expr: &DataExpr, members: &[&Series], time: Timestamp, step: Step) -> f64 {
        let slots = step
            .multiple_of(self.base)
            .expect("steps are multiples of the base") as i64;
        let aggregate = match expr.aggregate {
            DataAggregate::All => Aggregate::Sum,
            DataAggregate::Of(aggregate) => aggregate,
        };
        let times: Vec<Timestamp> = (0..slots)
            .map(|i| time.plus_millis((i + 1 - slots) * self.base.millis()))
            .collect();
        let averages = expr.consolidation == Consolidation::Avg && slots > 1;
        let mut total = f64::NAN;
        for series in members {
            let mut own = f64::NAN;
            for &time in &times {
                let v = self.value(series, time);
                let v = match aggregate {
                    Aggregate::Count if !v.is_nan() => 1.0,
                    _ => v,
                };
                own = match expr.consolidation {
                    // The sum of all comes first, the division last.
                    Consolidation::Avg | Consolidation::Sum => add_nan(own, v),
                    Consolidation::Min => min_nan(own, v),
                    Consolidation::Max => max_nan(own, v),
                };
            }
            total = match aggregate {
                Aggregate::Sum | Aggregate::Count => add_nan(total, own),
                Aggregate::Min => min_nan(total, own),
                Aggregate::Max => max_nan(total, own),
            };
        }
        match (averages, members[0].source().is_rate()) {
            (false, _) => total,
            // A rate is nothing where there is no data.
            (true, true) => total / slots as f64,
            // A gauge is averaged over the slots in which any series has data.
            (true, false) => {
                let with_data = times
                    .iter()
                    .filter(|time| members.iter().any(|s| !self.value(s, **time).is_nan()));
                total / with_data.count() as f64
            }
        }
    }

    fn value(&self, series: &Series, time: Timestamp) -> f64 {
        let slot = (time.millis() - series.first.millis()) / self.base.millis();
        match usize::try_from(slot) {
            Ok(slot) if time >= series.first => {
                series.values.get(slot).copied().unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        }
    }
}
