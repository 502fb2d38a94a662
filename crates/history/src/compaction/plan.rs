//! What maintenance has to do next.

use std::collections::HashSet;
use std::sync::Arc;

use hesper_model::{Step, Timestamp, Window};

use crate::DataFile;
use crate::Manifest;
use crate::day::Day;
use crate::manifest::{DAY_LEVEL, LOADED_LEVEL};
use crate::merge::{MergeJob, streams};
use crate::policy::Rules;

/// The levels of a merge of a part of a day.
const MIN_PART_LEVEL: u8 = LOADED_LEVEL + 1;
const MAX_PART_LEVEL: u8 = DAY_LEVEL - 1;

/// A piece of work.
pub(super) enum Plan {
    /// Files whose time is over.
    Expire(Vec<Arc<DataFile>>),
    /// Files to merge.
    Merge(Merge),
}

/// A merge, and why.
pub(super) struct Merge {
    pub job: MergeJob,
    /// True when nothing but deletions and retention ask for it: when no row is affected, the files can stay as they are.
    pub only_to_prune: bool,
}

/// Finds the next piece of work, the oldest day first. Days for which `skip` is true are left alone.
pub(super) fn plan(
    manifest: &Manifest,
    rules: &Rules,
    step: Step,
    now: Timestamp,
    skip: impl Fn(Day) -> bool,
) -> Option<Plan> {
    let expired = expired(manifest, rules, step, now);
    if !expired.is_empty() {
        return Some(Plan::Expire(expired));
    }
    let mut from = Window(i64::MIN);
    while let Some(window) = manifest.first_window(from) {
        let day = Day::of(window, step);
        if !skip(day)
            && let Some(merge) = plan_day(manifest, rules, step, now, day)
        {
            return Some(Plan::Merge(merge));
        }
        from = Window(day.windows(step).end);
    }
    None
}

/// How long ago a day was over, in milliseconds.
pub(super) fn age(day: Day, now: Timestamp) -> i64 {
    now.0.saturating_sub(day.end().0)
}

/// The roll-ups to make of a day: those of the policy, and those that there are already, which must not be left behind.
fn to_make(rules: &Rules, rollups: &[Arc<DataFile>]) -> Vec<u32> {
    let mut make = rules.rollups.clone();
    make.extend(rollups.iter().map(|f| f.cell_slots));
    make.sort_unstable();
    make.dedup();
    make
}

/// Files of which no row is kept any longer. Raw data goes after its roll-ups were made.
fn expired(manifest: &Manifest, rules: &Rules, step: Step, now: Timestamp) -> Vec<Arc<DataFile>> {
    let is_over = |cell_slots: u32, age: i64| {
        let longest = rules.longest(cell_slots);
        longest.is_some_and(|keep| keep <= age)
    };
    let files = manifest.files().filter(|file| {
        let age = age(Day::of(file.range().last.window(), step), now);
        let mut wanted = rules.rollups.iter().filter(|r| !is_over(**r, age));
        is_over(file.cell_slots, age)
            && (!file.is_raw() || wanted.all(|rollup| file.rolled.contains(rollup)))
    });
    files.cloned().collect()
}

fn plan_day(
    manifest: &Manifest,
    rules: &Rules,
    step: Step,
    now: Timestamp,
    day: Day,
) -> Option<Merge> {
    let range = day.range(step);
    // What other programs may have put across days stays as it is.
    let within = |f: &Arc<DataFile>| range.first <= f.range().first && f.range().last <= range.last;
    let mut raw = manifest.files_in(range);
    raw.retain(within);
    let rollups: Vec<_> = manifest
        .rollups()
        .flat_map(|cell_slots| manifest.files_of(cell_slots, range))
        .filter(within)
        .collect();
    let loose = raw.iter().any(|f| f.level != DAY_LEVEL);
    let came = raw.iter().filter(|f| f.level <= LOADED_LEVEL);
    let newest = came.map(|f| f.added_millis).max().unwrap_or(0);
    let rested = newest <= now.0.saturating_sub(rules.settle_millis);
    let closed = age(day, now) >= rules.settle_millis;
    let in_parts = streams(&raw);
    let crowded = in_parts.len() > rules.crowd;
    let make = to_make(rules, &rollups);
    let rolled = |f: &Arc<DataFile>| make.iter().all(|r| f.rolled.contains(r));
    let unmerged = loose || !raw.iter().all(rolled);
    let all = || raw.iter().chain(&rollups);
    let deletions: Vec<_> = manifest
        .deletions()
        .iter()
        .filter(|d| all().any(|f| d.affects(f)))
        .cloned()
        .collect();
    let prune = all().any(|f| prune_due(rules, f, day, now));
    let due = (closed && unmerged && (rested || crowded))
        || (closed && (prune || !deletions.is_empty()))
        || crowded;
    if !due {
        return None;
    }
    // Roll-ups are made, and rows expire, when all of a day is looked at.
    let whole = closed && in_parts.len() <= rules.max_streams;
    let (raw, level) = match whole {
        true => (raw, DAY_LEVEL),
        false => {
            let part = part_of_day(in_parts, rules.max_streams);
            let lowest = part.iter().map(|f| f.level).min().unwrap_or(0);
            (part, (lowest + 1).clamp(MIN_PART_LEVEL, MAX_PART_LEVEL))
        }
    };
    Some(Merge {
        only_to_prune: whole && !unmerged,
        job: MergeJob {
            day,
            raw,
            rollups: if whole { rollups } else { Vec::new() },
            level,
            make: if whole { make } else { Vec::new() },
            deletions,
        },
    })
}

/// True when rows of the file may have expired since it was last looked at.
fn prune_due(rules: &Rules, file: &DataFile, day: Day, now: Timestamp) -> bool {
    let looked_at = match file.pruned_by == rules.fingerprint {
        true => Timestamp(file.pruned_millis),
        false => Timestamp(i64::MIN),
    };
    let (before, age) = (age(day, looked_at), age(day, now));
    let mut ages = rules.ages(file.cell_slots).into_iter();
    ages.any(|limit| limit <= age && limit > before)
}

/// A part of a day that can be merged by itself: of the files that lie next to one another those that were merged least, or, where more lie over one
/// another than can be read at a time, the lowest of them. A merge must not take rows past files that lie between them.
fn part_of_day(mut all: Vec<Vec<Arc<DataFile>>>, max_streams: usize) -> Vec<Arc<DataFile>> {
    all.sort_by_key(|s| (s.iter().map(|f| f.first_slot).min(), s[0].sequence));
    // Streams that share windows, directly or by others.
    let mut heaps: Vec<(i64, Vec<Vec<Arc<DataFile>>>)> = Vec::new();
    for stream in all {
        let first = stream.iter().map(|f| f.first_slot).min().expect("a file");
        let last = stream.iter().map(|f| f.last_slot).max().expect("a file");
        match heaps.last_mut() {
            Some((end, heap)) if first <= *end => {
                *end = last.max(*end);
                heap.push(stream);
            }
            _ => heaps.push((last, vec![stream])),
        }
    }
    let level = |heap: &[Vec<Arc<DataFile>>]| heap.iter().map(|s| s[0].level).min().unwrap_or(0);
    let lowest = heaps.iter().map(|(_, heap)| level(heap)).min().unwrap_or(0);
    // The longest run of heaps that fits, among those that begin with the lowest level.
    let mut best: std::ops::Range<usize> = 0..0;
    let mut best_streams = 0;
    for from in 0..heaps.len() {
        if level(&heaps[from].1) != lowest {
            continue;
        }
        let mut streams = 0;
        let mut to = from;
        while to < heaps.len() && streams + heaps[to].1.len() <= max_streams {
            streams += heaps[to].1.len();
            to += 1;
        }
        if streams > best_streams {
            (best, best_streams) = (from..to, streams);
        }
    }
    if best_streams >= 2 {
        let streams = heaps.drain(best).flat_map(|(_, heap)| heap);
        return streams.flatten().collect();
    }
    let heap = heaps.into_iter().map(|(_, heap)| heap).max_by_key(Vec::len);
    lowest_of(heap.unwrap_or_default(), max_streams)
}

/// The lowest streams of a heap: all of a sequence or none, so that no row is taken past another that lies over it; or some of one sequence, which
/// never lie over one another.
fn lowest_of(mut heap: Vec<Vec<Arc<DataFile>>>, max_streams: usize) -> Vec<Arc<DataFile>> {
    heap.sort_by_key(|s| s[0].sequence);
    let mut taken = 0;
    for of_sequence in heap.chunk_by(|a, b| a[0].sequence == b[0].sequence) {
        if taken + of_sequence.len() > max_streams {
            if taken < 2 {
                let some = of_sequence.iter().take(max_streams);
                return some.flatten().cloned().collect();
            }
            break;
        }
        taken += of_sequence.len();
    }
    heap.truncate(taken);
    heap.into_iter().flatten().collect()
}

/// The paths of the raw files of a day that a merge was planned with.
pub(super) fn known(manifest: &Manifest, day: Day, step: Step) -> HashSet<String> {
    let files = manifest.files_in(day.range(step));
    files.iter().map(|f| f.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(sequence: u64, level: u8, windows: (i64, i64)) -> Vec<Arc<DataFile>> {
        let entry = serde_json::json!({
            "path": format!("{sequence}-{}", windows.0), "tenant": "default", "step_millis": 60_000, "sequence": sequence,
            "first_slot": windows.0 * 60 + 1, "last_slot": windows.1 * 60 + 60, "level": level,
            "min_name": "a", "max_name": "b", "rows": 1, "datapoints": 60, "bytes": 1000,
        });
        vec![Arc::new(serde_json::from_value(entry).expect("an entry"))]
    }

    fn part(streams: Vec<Vec<Arc<DataFile>>>, max_streams: usize) -> Vec<String> {
        let part = part_of_day(streams, max_streams);
        part.iter().map(|f| f.path.clone()).collect()
    }

    #[test]
    fn neighbours_that_were_merged_least_go_first() {
        let streams = vec![
            stream(4, 1, (0, 3)),
            stream(5, 0, (4, 4)),
            stream(6, 0, (5, 5)),
            stream(7, 0, (6, 6)),
            stream(8, 0, (7, 7)),
        ];
        assert_eq!(part(streams, 3), ["5-4", "6-5", "7-6"]);
    }

    #[test]
    fn files_over_one_another_stay_together() {
        let streams = vec![
            stream(1, 0, (0, 0)),
            stream(9, 0, (0, 1)),
            stream(2, 0, (1, 1)),
            stream(3, 0, (2, 2)),
        ];
        assert_eq!(part(streams, 3), ["1-0", "9-0", "2-1"]);
    }

    #[test]
    fn of_too_many_over_one_another_the_lowest_are_merged() {
        let over = |sequence| stream(sequence, 0, (0, 0));
        assert_eq!(
            part(vec![over(4), over(2), over(9), over(3)], 3),
            ["2-0", "3-0", "4-0"]
        );
        // A sequence is never split where something lies below it.
        let wide = stream(1, 0, (0, 3));
        let flush = |window| stream(5, 0, (window, window));
        let streams = vec![
            wide.clone(),
            flush(0),
            flush(1),
            flush(2),
            stream(6, 0, (0, 3)),
        ];
        assert_eq!(part(streams, 3), ["5-0", "5-1", "5-2"]);
        let streams = vec![wide, flush(0), stream(6, 0, (0, 3)), stream(7, 0, (0, 0))];
        assert_eq!(part(streams, 3), ["1-0", "5-0", "6-0"]);
    }
}
