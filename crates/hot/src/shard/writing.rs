//! Samples through the normaliser to the open columns.
//!
//! Nearly all samples are of one time, on the boundary after that of the sample before. For those the normaliser's rules come down to a
//! comparison; what they write goes to one row of neighbouring series, which is found once for all of them.

use std::collections::BTreeMap;

use hesper_model::aggregate::{add_nan, max_nan};
use hesper_model::{DataSource, Slot, Timestamp, Window};

use super::{Applied, Shard, ShardRules};
use crate::by_number::ByNumber;
use crate::feed::Feeds;
use crate::log::record::{self, Samples};
use crate::normaliser::{Moment, Normalised, NormaliserState};
use crate::series_table::{SeriesRef, SeriesTable};
use crate::window::ShardWindow;
use crate::window::open::{LANES, OpenColumns};

/// Runs whose memory is fetched at once.
const RUNS: usize = 32;

/// Neighbours in a batch whose series share a chunk of the open columns.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    chunk: u32,
    length: usize,
}

/// Values of a row of a chunk.
#[derive(Default)]
struct Row {
    values: [f64; LANES],
    /// The lanes that have one.
    lanes: u16,
}

/// Writes to a shard what was received at a time.
pub struct Writing<'a> {
    table: &'a SeriesTable,
    normaliser: &'a mut ByNumber<NormaliserState>,
    feeds: &'a mut Feeds,
    /// True when any series gathers.
    gathering: bool,
    rules: &'a ShardRules<'a>,
    target: Target<'a>,
}

impl<'a> Writing<'a> {
    /// Begins to write.
    pub fn new(shard: &'a mut Shard, rules: &'a ShardRules<'a>, received: Timestamp) -> Self {
        Self {
            table: &shard.table,
            normaliser: &mut shard.normaliser,
            gathering: !shard.feeds.is_empty(),
            feeds: &mut shard.feeds,
            rules,
            target: Target {
                windows: &mut shard.windows,
                regathered: &mut shard.regathered,
                grown: &mut shard.grown,
                rules,
                received,
                held: None,
                bytes: 0,
            },
        }
    }

    /// Normalises and writes samples. Those of series that are not known are passed over.
    pub fn apply(&mut self, samples: &Samples, applied: &mut Applied) {
        let normaliser = self.rules.normaliser;
        if let [time] = samples.times[..] {
            return self.apply_one_time(samples, &normaliser.moment(time), applied);
        }
        let timed = samples.series.iter().zip(&samples.times);
        for ((series, time), value) in timed.zip(&samples.values) {
            self.sample(*series, &normaliser.moment(*time), *value, applied);
        }
    }

    fn apply_one_time(&mut self, samples: &Samples, moment: &Moment, applied: &mut Applied) {
        let (mut series, mut values) = (&samples.series[..], &samples.values[..]);
        let mut runs = [Run::default(); RUNS];
        while !series.is_empty() {
            let found = self.find_runs(series, moment, &mut runs);
            for run in &runs[..found] {
                let (these, rest) = series.split_at(run.length);
                if moment.is_boundary() {
                    self.run(run.chunk, these, values, moment, applied);
                } else {
                    for (series, value) in these.iter().zip(values) {
                        self.sample(*series, moment, *value, applied);
                    }
                }
                (series, values) = (rest, &values[run.length..]);
            }
        }
    }

    /// Finds the next runs of series that share a chunk, and fetches what they will most likely write to, all at once: one after another,
    /// each would wait for the memory.
    #[inline]
    fn find_runs(
        &self,
        mut series: &[SeriesRef],
        moment: &Moment,
        runs: &mut [Run; RUNS],
    ) -> usize {
        let columns = self.target.existing(moment.slot.window());
        let position = moment.slot.position();
        let (mut found, mut fetched) = (0, 0);
        while let (Some(first), Some(run)) = (series.first(), runs.get_mut(found)) {
            let chunk = first.0 / LANES as u32;
            let same = series.iter().take_while(|s| s.0 / LANES as u32 == chunk);
            let length = same.count();
            *run = Run { chunk, length };
            if let Some(columns) = columns {
                fetched ^= columns.fetch(chunk, position);
            }
            series = &series[length..];
            found += 1;
        }
        std::hint::black_box(fetched);
        found
    }

    /// Samples on a boundary, of series that share a chunk.
    #[inline(always)]
    fn run(
        &mut self,
        chunk: u32,
        mut series: &[SeriesRef],
        mut values: &[f64],
        moment: &Moment,
        applied: &mut Applied,
    ) {
        while !series.is_empty() {
            let mut row = Row::default();
            let followed = self.follow(chunk, series, values, moment, &mut row);
            applied.taken += followed as u64;
            // Before a sample that does not follow: it may be of the same slot.
            self.target.write_row(chunk, moment.slot, &row);
            (series, values) = (&series[followed..], &values[followed..]);
            if let (Some((odd, rest)), Some(value)) = (series.split_first(), values.first()) {
                self.sample(*odd, moment, *value, applied);
                (series, values) = (rest, &values[1..]);
            }
        }
    }

    /// Takes samples on a boundary, of series that share a chunk, up to the first that does not follow the one before it or is gathered; gives
    /// their number.
    #[inline(always)]
    fn follow(
        &mut self,
        chunk: u32,
        series: &[SeriesRef],
        values: &[f64],
        moment: &Moment,
        row: &mut Row,
    ) -> usize {
        let first = SeriesRef(chunk * LANES as u32);
        let Some(sources) = self.table.sources_of::<LANES>(first) else {
            return 0;
        };
        let Some(states) = self.normaliser.neighbours_mut::<LANES>(first.0) else {
            return 0;
        };
        for (at, (series, value)) in series.iter().zip(values).enumerate() {
            if self.gathering && self.feeds.gathers(*series) {
                return at;
            }
            let lane = series.index() % LANES;
            let state = &mut states[lane];
            let source = sources(lane);
            let follow = |source| self.rules.normaliser.follow(state, source, moment, *value);
            let Some(value) = source.and_then(follow) else {
                return at;
            };
            row.values[lane] = value;
            row.lanes |= 1 << lane;
        }
        series.len()
    }

    /// A sample, by all the rules.
    fn sample(&mut self, series: SeriesRef, moment: &Moment, value: f64, applied: &mut Applied) {
        if self.gathers(series) {
            return self.gather(series, moment, value, applied);
        }
        let Some(source) = self.table.source_of(series) else {
            return;
        };
        let state = self.normaliser.get_mut(series.0);
        let normaliser = self.rules.normaliser;
        let normalised = normaliser.apply(state, source, moment, value, |slot, value| {
            self.target.write(series, slot, value);
        });
        applied.count(normalised);
    }

    /// True for feeds, and for series that gather.
    #[inline(always)]
    fn gathers(&self, series: SeriesRef) -> bool {
        self.gathering && (series.is_feed() || self.feeds.gathers(series))
    }

    /// Brings a sample into the series that gathers: that of a feed, or the series itself. Passed over when it is not known.
    fn gather(&mut self, series: SeriesRef, moment: &Moment, value: f64, applied: &mut Applied) {
        let mut feed = match series.is_feed() {
            true => match self.feeds.get_mut(series) {
                Some(feed) => Some(feed),
                None => return,
            },
            false => None,
        };
        let target = feed.as_ref().map_or(series, |f| f.way.target);
        let Some(source) = self.table.source_of(target) else {
            return;
        };
        let combine = match source {
            DataSource::Gauge => max_nan,
            _ => add_nan,
        };
        let normaliser = self.rules.normaliser;
        let mut known = true;
        let windows = &mut self.target;
        let mut gather = |slot, value| known &= windows.gather(target, slot, value, combine);
        let normalised = match &mut feed {
            Some(feed) if feed.way.is_of_one() => {
                normaliser.apply(&mut feed.state, feed.way.source, moment, value, gather)
            }
            _ => {
                gather(moment.rounded_up(), value);
                Normalised::Taken
            }
        };
        applied.count(match known {
            true => normalised,
            false => Normalised::Late,
        });
    }

    /// A value of a slot, past the normaliser. That of a series that is not known is passed over.
    pub fn load(&mut self, series: SeriesRef, slot: Slot, value: f64) {
        if self.table.is_live(series) {
            self.target.write(series, slot, value);
        }
    }
}

/// The windows of a shard, and the open columns of the one that was written last: neighbours in a batch are neighbours in time.
struct Target<'a> {
    windows: &'a mut BTreeMap<Window, ShardWindow>,
    /// As that of the shard.
    regathered: &'a mut Vec<record::Run>,
    grown: &'a mut usize,
    rules: &'a ShardRules<'a>,
    received: Timestamp,
    held: Option<(Window, OpenColumns)>,
    /// Bytes of `held` before it was written.
    bytes: usize,
}

impl Target<'_> {
    #[inline]
    fn write(&mut self, series: SeriesRef, slot: Slot, value: f64) {
        if !value.is_nan() {
            let columns = self.columns(slot.window());
            columns.write(series, slot.position(), value);
        }
    }

    /// Writes values of a slot, of series that share a chunk.
    #[inline(always)]
    fn write_row(&mut self, chunk: u32, slot: Slot, row: &Row) {
        if row.lanes == 0 {
            return;
        }
        let position = slot.position();
        let columns = self.columns(slot.window());
        if let Some(place) = columns.row(chunk, position) {
            columns.set_lanes(place, row.lanes, &row.values);
            return columns.note(chunk, position, row.lanes);
        }
        for (lane, value) in row.values.iter().enumerate() {
            if row.lanes >> lane & 1 == 1 {
                let series = SeriesRef(chunk * LANES as u32 + lane as u32);
                columns.write(series, position, *value);
            }
        }
    }

    /// Combines a value with what the slot of a series holds. False, with nothing changed, when that is not known: what history holds of the
    /// window, memory does not.
    fn gather(
        &mut self,
        series: SeriesRef,
        slot: Slot,
        value: f64,
        combine: fn(f64, f64) -> f64,
    ) -> bool {
        if value.is_nan() {
            return true;
        }
        let (window, position) = (slot.window(), slot.position());
        let open = self.existing(window);
        let mut held = open.map_or(f64::NAN, |o| o.value(series, position));
        if held.is_nan() {
            let part = self.windows.get(&window);
            let sealed = part.and_then(|p| p.sealed.as_ref());
            let block = sealed.and_then(|s| s.block(series, self.rules.codec));
            held = block.map_or(f64::NAN, |b| b.0[position]);
            let complete =
                part.map_or_else(|| !(self.rules.in_history)(window), |part| part.complete);
            if held.is_nan() && !complete {
                return false;
            }
            if sealed.is_some() {
                self.regathered.push(record::Run {
                    series,
                    first: slot,
                    values: Vec::new(),
                });
            }
        }
        self.write(series, slot, combine(held, value));
        true
    }

    /// The open columns of a window, if it has any.
    fn existing(&self, window: Window) -> Option<&OpenColumns> {
        match &self.held {
            Some((held, columns)) if *held == window => Some(columns),
            _ => self.windows.get(&window)?.open.as_ref(),
        }
    }

    /// The open columns of a window, to be written.
    #[inline(always)]
    fn columns(&mut self, window: Window) -> &mut OpenColumns {
        if !matches!(&self.held, Some((held, _)) if *held == window) {
            self.switch(window);
        }
        let (_, columns) = self.held.as_mut().expect("switched to");
        columns
    }

    #[cold]
    fn switch(&mut self, window: Window) {
        self.put_back();
        let part = self
            .windows
            .entry(window)
            .or_insert_with(|| ShardWindow::new(!(self.rules.in_history)(window)));
        part.last_write = part.last_write.max(self.received);
        let columns = part.open.take();
        let columns = columns.unwrap_or_else(|| part.new_columns(self.rules.replaying));
        self.bytes = columns.size_bytes();
        self.held = Some((window, columns));
    }

    fn put_back(&mut self) {
        if let Some((window, columns)) = self.held.take() {
            *self.grown += columns.size_bytes().saturating_sub(self.bytes);
            let part = self.windows.get_mut(&window);
            part.expect("made when its columns were taken").open = Some(columns);
        }
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        self.put_back();
    }
}
