//! Cuts the measurements of a step into batches that the store takes.

use std::collections::HashSet;
use std::sync::Arc;

use crate::measurements::Measurements;
use crate::series::Series;

/// The limit until the store has told its own.
const INITIAL_MAX_DATAPOINTS: usize = 10_000;

/// Servers take messages of up to 4 MiB unless they are told otherwise. The first batch on a connection also carries the tags of
/// its series, and counts with them, since it can't be cut anew when it is sent again.
const MAX_BYTES: usize = 3 << 20;

/// Remembers where to cut for as long as the same series report, so that batches share their columns of series too.
#[derive(Debug)]
pub(super) struct Cutter {
    max_datapoints: usize,
    max_bytes: usize,
    series: Arc<[Arc<Series>]>,
    pieces: Vec<Arc<[Arc<Series>]>>,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            max_datapoints: INITIAL_MAX_DATAPOINTS,
            max_bytes: MAX_BYTES,
            series: Arc::new([]),
            pieces: Vec::new(),
        }
    }
}

impl Cutter {
    /// The most datapoints that the store takes in one batch.
    pub(super) fn set_max_datapoints(&mut self, max_datapoints: usize) {
        let max_datapoints = max_datapoints.max(1);
        if self.max_datapoints != max_datapoints {
            self.max_datapoints = max_datapoints;
            self.series = Arc::new([]);
            self.pieces.clear();
        }
    }

    /// Hands the pieces to `sink`, in order.
    pub(super) fn cut(
        &mut self,
        measurements: Measurements,
        mut sink: impl FnMut(Arc<[Arc<Series>]>, Vec<f64>),
    ) {
        if !Arc::ptr_eq(&self.series, measurements.series()) {
            self.series = measurements.series().clone();
            self.pieces = pieces(&self.series, self.max_datapoints, self.max_bytes);
        }
        let mut values = measurements.into_values();
        if let [whole] = &self.pieces[..] {
            sink(whole.clone(), values);
            return;
        }
        for piece in &self.pieces {
            let rest = values.split_off(piece.len());
            sink(piece.clone(), values);
            values = rest;
        }
    }
}

fn pieces(
    series: &Arc<[Arc<Series>]>,
    max_datapoints: usize,
    max_bytes: usize,
) -> Vec<Arc<[Arc<Series>]>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    let mut symbols: HashSet<&str> = HashSet::new();
    for (place, one) in series.iter().enumerate() {
        let mut own = encoded_bytes(one, &mut symbols);
        let full = place - start >= max_datapoints || bytes + own > max_bytes;
        if full && place > start {
            pieces.push(series[start..place].into());
            start = place;
            bytes = 0;
            symbols.clear();
            own = encoded_bytes(one, &mut symbols);
        }
        bytes += own;
    }
    if start == 0 {
        if !series.is_empty() {
            pieces.push(series.clone());
        }
    } else {
        pieces.push(series[start..].into());
    }
    pieces
}

/// About how many bytes a series adds to a batch, rather more than fewer: its value, its number, the numbers of its tags, and strings
/// that are new to the batch.
fn encoded_bytes<'a>(series: &'a Series, symbols: &mut HashSet<&'a str>) -> usize {
    const VALUE: usize = 8;
    // Variable in length: three bytes reach to two millions.
    const NUMBER: usize = 3;
    // What stands before a string or a list.
    const HEAD: usize = 3;

    let mut bytes = VALUE + NUMBER + 2 * HEAD;
    for (key, value) in series.tags() {
        for text in [key, value] {
            bytes += NUMBER;
            if symbols.insert(text) {
                bytes += HEAD + text.len();
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::clock::ManualClock;
    use crate::registry::Registry;

    type Piece = (Arc<[Arc<Series>]>, Vec<f64>);

    fn measurements(gauges: usize) -> Measurements {
        let registry = Registry::builder()
            .clock(Arc::new(ManualClock::new(0)))
            .build()
            .expect("a minute is a step");
        for i in 0..gauges {
            let text = i.to_string();
            registry.gauge(("g", [("i", &*text)])).set(i as f64);
        }
        registry.measurer().partial().expect("nothing was measured")
    }

    fn cut(cutter: &mut Cutter, measurements: &Measurements) -> Vec<Piece> {
        let mut all = Vec::new();
        cutter.cut(measurements.clone(), |series, values| {
            all.push((series, values))
        });
        all
    }

    #[test]
    fn pieces_are_together_what_was_measured() {
        let whole = measurements(1000);
        let mut cutter = Cutter::default();
        let pieces = cut(&mut cutter, &whole);
        assert_eq!(pieces.len(), 1);
        assert!(Arc::ptr_eq(&pieces[0].0, whole.series()));

        cutter.set_max_datapoints(300);
        let pieces = cut(&mut cutter, &whole);
        let lengths: Vec<usize> = pieces.iter().map(|(series, _)| series.len()).collect();
        assert_eq!(lengths, [300, 300, 300, 100]);
        let values: Vec<f64> = pieces
            .iter()
            .flat_map(|(_, values)| values.clone())
            .collect();
        assert_eq!(values, whole.values());
        let series: Vec<u64> = pieces
            .iter()
            .flat_map(|(series, _)| series.iter().map(|series| series.index()))
            .collect();
        let expected: Vec<u64> = whole.series().iter().map(|series| series.index()).collect();
        assert_eq!(series, expected);

        let again = cut(&mut cutter, &whole);
        assert!(
            pieces
                .iter()
                .zip(&again)
                .all(|(a, b)| Arc::ptr_eq(&a.0, &b.0))
        );
        assert!(cut(&mut cutter, &measurements(0)).is_empty());
    }

    #[test]
    fn pieces_with_all_their_tags_stay_below_the_limit_of_bytes() {
        let whole = measurements(2000);
        let mut cutter = Cutter {
            max_bytes: 20_000,
            ..Cutter::default()
        };
        let pieces = cut(&mut cutter, &whole);
        assert!(pieces.len() > 2);
        let full = pieces.len() - 1;
        for (place, (series, values)) in pieces.into_iter().enumerate() {
            let mut symbols: Vec<String> = Vec::new();
            let definitions = series
                .iter()
                .map(|series| {
                    let texts = series.tags().flat_map(|(key, value)| [key, value]);
                    let mut number = |text: &str| {
                        let known = symbols.iter().position(|symbol| symbol == text);
                        known.unwrap_or_else(|| {
                            symbols.push(text.to_owned());
                            symbols.len() - 1
                        }) as u32
                    };
                    crate::proto::Series {
                        tags: texts.map(&mut number).collect(),
                    }
                })
                .collect();
            let batch = crate::proto::Batch {
                sequence: u64::MAX,
                time_millis: i64::MAX,
                refs: (0..values.len() as u32).collect(),
                series: definitions,
                symbols,
                values: crate::pack_values(&values),
            };
            let bytes = batch.encoded_len();
            assert!(bytes <= 20_000, "{bytes}");
            assert!(bytes > 10_000 || place == full, "{bytes}");
        }
    }
}
