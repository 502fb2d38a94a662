//! Declared back-fill: values that are already normalised, of any age.

use std::sync::atomic::Ordering;

use hesper_hot::HotError;
use hesper_hot::log::Lsn;
use hesper_model::{Slot, Step, Tags, Timestamp};

use crate::place::Unplaced;
use crate::proto;
use crate::router::{ATTEMPTS, IngestError, Router};
use crate::series_limits::Newcomer;
use crate::stats::Reason;

/// What became of a request.
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
    /// Takes declared back-fill. Its values overwrite what their slots hold.
    ///
    /// # Errors
    /// When the store cannot take it; nothing has changed then.
    pub fn load(
        &self,
        request: &proto::LoadRequest,
        now: Timestamp,
    ) -> Result<Loaded, IngestError> {
        self.check_tenant(&request.tenant)?;
        for _ in 0..ATTEMPTS {
            let mut rows = Vec::with_capacity(request.series.len());
            let mut rejects = Vec::new();
            for (index, series) in request.series.iter().enumerate() {
                match self.load_row(series, now) {
                    Ok(row) => rows.push(row),
                    Err(Unplaced::Store(e)) => return Err(IngestError::Store(e)),
                    Err(Unplaced::Refused(reason, message)) => {
                        rejects.push((
                            reason,
                            series.values.len() as u64,
                            proto::DatapointReject {
                                index: index as u32,
                                reason: reason.name().to_owned(),
                                message,
                            },
                        ));
                    }
                }
            }
            match self.store().load(&rows, now) {
                Ok((datapoints, lsn)) => {
                    let stats = self.stats();
                    stats.accepted.fetch_add(datapoints, Ordering::Relaxed);
                    stats.received.fetch_add(datapoints, Ordering::Relaxed);
                    for (reason, count, _) in &rejects {
                        stats.refuse(*reason, *count);
                    }
                    return Ok(Loaded {
                        datapoints,
                        rejects: rejects.into_iter().map(|(_, _, r)| r).collect(),
                        lsn,
                    });
                }
                Err(HotError::UnknownSeries) => {}
                Err(e) => return Err(IngestError::Store(e)),
            }
        }
        Err(IngestError::Store(HotError::UnknownSeries))
    }

    fn load_row(
        &self,
        series: &proto::LoadSeries,
        now: Timestamp,
    ) -> Result<(hesper_hot::SeriesHandle, Slot, Vec<f64>), Unplaced> {
        let step = self.store().step();
        let refused = |reason, message: String| Err(Unplaced::Refused(reason, message));
        if Step::from_millis(series.step_millis) != Some(step) {
            return refused(
                Reason::WrongStep,
                format!(
                    "the values are {} ms apart, the store's step is {} ms",
                    series.step_millis,
                    step.millis()
                ),
            );
        }
        let start = Timestamp(series.start_millis);
        if start.floor(step) != start {
            return refused(
                Reason::WrongStep,
                format!("the start {start} is not on a boundary of the step"),
            );
        }
        let tags: Tags = series
            .tags
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        if let Err(r) = self.limits().check_tags(tags.iter()) {
            return refused(Reason::Rule(r.rule), r.message);
        }
        let handle = self.find_or_take_in(&tags, Newcomer::Loaded, now)?;
        Ok((handle, Slot::ending_by(start, step), series.values.clone()))
    }
}
