//! A batch of published datapoints on its way into the shards.

use hesper_model::Timestamp;

use crate::log::record::{ClientId, Samples};
use crate::series_table::SeriesRef;

/// Where a series lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesHandle {
    /// The shard.
    pub shard: u32,
    /// The number in the shard.
    pub series: SeriesRef,
}

/// Datapoints, sorted by shard. Made once and used again and again, so that the steady state does not allocate.
///
/// A publisher sends the same series again and again: what [`Self::push_from`] and [`Self::settle`] have laid out once, [`Self::refill`]
/// fills with the values of another time.
pub struct Batch {
    columns: Vec<Samples>,
    /// By shard: where the values come from, of datapoints of [`Self::push_from`].
    sources: Vec<Vec<u32>>,
    /// Shards with datapoints, in the order they came.
    touched: Vec<u32>,
    one_time: Option<Timestamp>,
    datapoints: usize,
}

impl Batch {
    /// An empty batch for a store of so many shards.
    pub fn new(shards: u32) -> Self {
        Self {
            columns: (0..shards).map(|_| Samples::default()).collect(),
            sources: (0..shards).map(|_| Vec::new()).collect(),
            touched: Vec::new(),
            one_time: None,
            datapoints: 0,
        }
    }

    /// Empties the batch. With a time, all datapoints to come are of that time.
    pub fn begin(&mut self, one_time: Option<Timestamp>) {
        for shard in self.touched.drain(..) {
            self.columns[shard as usize].clear();
            self.sources[shard as usize].clear();
        }
        self.one_time = one_time;
        self.datapoints = 0;
    }

    /// Adds a datapoint; `time` counts only when the batch was begun without one.
    #[inline]
    pub fn push(&mut self, handle: SeriesHandle, time: Timestamp, value: f64) {
        let column = &mut self.columns[handle.shard as usize];
        if column.series.is_empty() {
            self.touched.push(handle.shard);
            if let Some(time) = self.one_time {
                column.times.push(time);
            }
        }
        if self.one_time.is_none() {
            column.times.push(time);
        }
        column.series.push(handle.series);
        column.values.push(value);
        self.datapoints += 1;
    }

    /// Adds a datapoint of a batch of one time whose value [`Self::refill`] takes from place `source` of those it is given.
    pub fn push_from(&mut self, handle: SeriesHandle, source: u32) {
        self.push(handle, Timestamp(0), f64::NAN);
        self.sources[handle.shard as usize].push(source);
    }

    /// Brings the datapoints of each shard, all of [`Self::push_from`], into the order of the series, in which they are written and logged
    /// best. Those of one series stay in their order.
    pub fn settle(&mut self) {
        for shard in &self.touched {
            let series = &mut self.columns[*shard as usize].series;
            if series.is_sorted() {
                continue;
            }
            let sources = &mut self.sources[*shard as usize];
            let mut both: Vec<_> = series
                .iter()
                .copied()
                .zip(sources.iter().copied())
                .collect();
            both.sort_by_key(|(series, _)| *series);
            (*series, *sources) = both.into_iter().unzip();
        }
    }

    /// Gives all datapoints, which are of [`Self::push_from`], another time and other values: little-endian doubles.
    ///
    /// # Panics
    /// When there are fewer values than a datapoint was told.
    pub fn refill(&mut self, time: Timestamp, values: &[[u8; 8]]) {
        for shard in &self.touched {
            let column = &mut self.columns[*shard as usize];
            column.times.clear();
            column.times.push(time);
            let sources = &self.sources[*shard as usize];
            for (value, source) in column.values.iter_mut().zip(sources) {
                *value = f64::from_le_bytes(values[*source as usize]);
            }
        }
    }

    /// Gives back the room for more datapoints than there are.
    pub fn shrink_to_fit(&mut self) {
        for column in &mut self.columns {
            column.times.shrink_to_fit();
            column.series.shrink_to_fit();
            column.values.shrink_to_fit();
        }
        self.sources.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Number of datapoints.
    pub fn len(&self) -> usize {
        self.datapoints
    }

    /// True when there is no datapoint.
    pub fn is_empty(&self) -> bool {
        self.datapoints == 0
    }

    /// Says who published the batch, and when it was received.
    pub fn set_origin(&mut self, client: ClientId, sequence: u64, received: Timestamp) {
        for shard in &self.touched {
            let column = &mut self.columns[*shard as usize];
            column.client = client;
            column.sequence = sequence;
            column.received = received;
        }
    }

    /// The datapoints of each shard that has any.
    pub fn shards(&self) -> impl Iterator<Item = (u32, &Samples)> {
        let touched = self.touched.iter();
        touched.map(|shard| (*shard, &self.columns[*shard as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(shard: u32, series: u32) -> SeriesHandle {
        SeriesHandle {
            shard,
            series: SeriesRef(series),
        }
    }

    #[test]
    fn datapoints_are_sorted_by_shard_and_the_room_is_used_again() {
        let mut batch = Batch::new(4);
        batch.begin(Some(Timestamp(60)));
        batch.push(handle(3, 1), Timestamp(0), 1.0);
        batch.push(handle(0, 2), Timestamp(0), 2.0);
        batch.push(handle(3, 5), Timestamp(0), 3.0);
        let of = |batch: &Batch| -> Vec<_> {
            let shards = batch.shards();
            shards
                .map(|(shard, s)| (shard, s.times.len(), s.values.clone()))
                .collect()
        };
        assert_eq!(of(&batch), [(3, 1, vec![1.0, 3.0]), (0, 1, vec![2.0])]);
        batch.begin(None);
        assert!(batch.is_empty() && of(&batch).is_empty());
        batch.push(handle(3, 1), Timestamp(7), 1.0);
        batch.push(handle(3, 1), Timestamp(8), 2.0);
        assert_eq!(of(&batch), [(3, 2, vec![1.0, 2.0])]);
    }

    #[test]
    fn what_is_laid_out_once_is_filled_again() {
        let mut batch = Batch::new(4);
        batch.begin(Some(Timestamp(60)));
        for (source, (shard, series)) in [(3, 9), (0, 2), (3, 5), (3, 9)].into_iter().enumerate() {
            batch.push_from(handle(shard, series), source as u32);
        }
        batch.settle();
        for time in [120, 180] {
            batch.shrink_to_fit();
            let values = [1.0, 2.0, 3.0, 4.0].map(|v| (v + time as f64).to_le_bytes());
            batch.refill(Timestamp(time), &values);
            let of = |shard| {
                let (_, s) = batch.shards().find(|(n, _)| *n == shard).expect("filled");
                let values: Vec<f64> = s.values.iter().map(|v| v - time as f64).collect();
                let series: Vec<u32> = s.series.iter().map(|s| s.0).collect();
                (s.times.clone(), series, values)
            };
            let times = vec![Timestamp(time)];
            assert_eq!(of(3), (times.clone(), vec![5, 9, 9], vec![3.0, 1.0, 4.0]));
            assert_eq!(of(0), (times, vec![2], vec![2.0]));
        }
        batch.begin(None);
        batch.push(handle(3, 1), Timestamp(7), 1.0);
        assert_eq!(
            batch.shards().map(|(_, s)| s.values.len()).sum::<usize>(),
            1
        );
    }
}
