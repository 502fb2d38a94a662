//! Declared back-fill: values that are already normalised, of any age.
//!
//! Values of a time that memory holds go through the log into memory ([`Router::load`]); older ones are only checked here
//! ([`Router::check_load`]), for the caller to write them to history.

use std::sync::atomic::Ordering;

use hesper_hot::HotError;
use hesper_hot::log::Lsn;
use hesper_model::validation::Rule;
use hesper_model::{Slot, Step, Tags, Timestamp};

use crate::place::Unplaced;
use crate::proto;
use crate::router::{ATTEMPTS, IngestError, Router};
use crate::series_limits::Newcomer;
use crate::stats::Reason;

/// The end of the year 9999, in milliseconds. Times beyond it, and before its mirror image, are mistakes, and the last of them no slot has.
const END_OF_TIMES: i64 = 253_402_300_800_000;

/// Consecutive values of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadRow {
    /// The place of the series in the request.
    pub index: u32,
    /// The series.
    pub tags: Tags,
    /// The slot of the first value.
    pub first: Slot,
    /// The values, NaN where there is none.
    pub values: Vec<f64>,
}

/// A request whose rows make sense.
#[derive(Debug, Default)]
pub struct CheckedLoad {
    /// The rows.
    pub rows: Vec<LoadRow>,
    /// Series refused, by their place in the request.
    pub rejects: Vec<proto::DatapointReject>,
}

/// What became of rows.
#[derive(Debug)]
pub struct Loaded {
    /// Datapoints taken.
    pub datapoints: u64,
    /// Series refused, by their place in the request.
    pub rejects: Vec<proto::DatapointReject>,
    /// The datapoints are durable when the log is durable up to here.
    pub lsn: Lsn,
}

impl Router {
    /// Checks declared back-fill; what is refused is counted.
    ///
    /// # Errors
    /// When the tenant is not known.
    pub fn check_load(&self, request: proto::LoadRequest) -> Result<CheckedLoad, IngestError> {
        self.check_tenant(&request.tenant)?;
        let mut checked = CheckedLoad::default();
        for (index, series) in request.series.into_iter().enumerate() {
            let (index, count) = (index as u32, series.values.len() as u64);
            match self.check_row(index, series) {
                Ok(row) => checked.rows.push(row),
                Err((reason, message)) => {
                    self.stats().refuse(reason, count);
                    checked.rejects.push(reject(index, reason, message));
                }
            }
        }
        Ok(checked)
    }

    /// Takes rows into memory. Their values overwrite what their slots hold.
    ///
    /// # Errors
    /// When the store cannot take it; nothing has changed then.
    pub fn load(&self, rows: &[LoadRow], now: Timestamp) -> Result<Loaded, IngestError> {
        for _ in 0..ATTEMPTS {
            let mut placed = Vec::with_capacity(rows.len());
            let mut refused = Vec::new();
            for row in rows {
                match self.find_or_take_in(&row.tags, Newcomer::Loaded, now) {
                    Ok(handle) => placed.push((handle, row.first, row.values.clone())),
                    Err(Unplaced::Store(e)) => return Err(IngestError::Store(e)),
                    Err(Unplaced::Refused(reason, message)) => {
                        refused.push((reason, row.values.len() as u64, row.index, message));
                    }
                }
            }
            match self.store().load(&placed, now) {
                Ok((datapoints, lsn)) => {
                    self.count_loaded(datapoints);
                    let rejects = refused.into_iter().map(|(reason, count, index, message)| {
                        self.stats().refuse(reason, count);
                        reject(index, reason, message)
                    });
                    return Ok(Loaded {
                        datapoints,
                        rejects: rejects.collect(),
                        lsn,
                    });
                }
                Err(HotError::UnknownSeries) => {}
                Err(e) => return Err(IngestError::Store(e)),
            }
        }
        Err(IngestError::Store(HotError::UnknownSeries))
    }

    /// Counts datapoints of declared back-fill that were taken.
    pub fn count_loaded(&self, datapoints: u64) {
        let stats = self.stats();
        stats.accepted.fetch_add(datapoints, Ordering::Relaxed);
        stats.received.fetch_add(datapoints, Ordering::Relaxed);
    }

    fn check_row(
        &self,
        index: u32,
        series: proto::LoadSeries,
    ) -> Result<LoadRow, (Reason, String)> {
        let step = self.store().step();
        if Step::from_millis(series.step_millis) != Some(step) {
            return Err((
                Reason::WrongStep,
                format!(
                    "the values are {} ms apart, the store's step is {} ms",
                    series.step_millis,
                    step.millis()
                ),
            ));
        }
        let start = Timestamp(series.start_millis);
        let length = step.millis().saturating_mul(series.values.len() as i64);
        let end = start.millis().saturating_add(length);
        if start.millis() < -END_OF_TIMES || end > END_OF_TIMES {
            let rule = match start.millis() < 0 {
                true => Rule::DataTooOld,
                false => Rule::DataFromFuture,
            };
            let message = format!(
                "the values are from {} ms to {end} ms, years that have no four digits; are the times in milliseconds?",
                start.millis()
            );
            return Err((Reason::Rule(rule), message));
        }
        if start.floor(step) != start {
            return Err((
                Reason::WrongStep,
                format!("the start {start} is not on a boundary of the step"),
            ));
        }
        let tags: Tags = series
            .tags
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        if let Err(r) = self.limits().check_tags(tags.iter()) {
            return Err((Reason::Rule(r.rule), r.message));
        }
        Ok(LoadRow {
            index,
            tags,
            first: Slot::ending_by(start, step),
            values: series.values,
        })
    }
}

fn reject(index: u32, reason: Reason, message: String) -> proto::DatapointReject {
    proto::DatapointReject {
        index,
        reason: reason.name().to_owned(),
        message,
    }
}
