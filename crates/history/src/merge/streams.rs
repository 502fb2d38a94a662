//! Which files can be read one after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::DataFile;
use crate::manifest::DAY_LEVEL;

/// The files, by stream: the parts that one writer made of the same rows follow one another in the order of their rows.
pub(crate) fn streams(files: &[Arc<DataFile>]) -> Vec<Vec<Arc<DataFile>>> {
    // Files of a flush are told apart by their window; the files of a merge may each cover another part of it.
    let group = |f: &DataFile| {
        let windows = match f.level {
            0 => (f.first_slot, f.last_slot),
            _ => (0, 0),
        };
        (f.cell_slots, f.sequence, f.level, f.commit, windows)
    };
    let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for file in files {
        let of_group = streams.entry(group(file)).or_default();
        of_group.push((part(file), file.clone()));
    }
    let sorted = streams.into_values().map(|mut files| {
        files.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
        files.into_iter().map(|(_, file)| file).collect()
    });
    sorted.collect()
}

/// The place of a file among those made of the same rows. In version 1 of the manifest only its name told.
fn part(file: &DataFile) -> u32 {
    if file.part > 0 || file.level == DAY_LEVEL {
        return file.part;
    }
    let stem = file.path.strip_suffix(".parquet");
    let number = stem.and_then(|stem| stem.rsplit('-').next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, sequence: u64, part: u32, slots: (i64, i64)) -> Arc<DataFile> {
        let entry = serde_json::json!({
            "path": path, "tenant": "default", "step_millis": 60_000, "sequence": sequence, "first_slot": slots.0, "last_slot": slots.1,
            "min_name": "a", "max_name": "b", "rows": 1, "datapoints": 60, "bytes": 1000, "part": part,
        });
        Arc::new(serde_json::from_value(entry).expect("an entry"))
    }

    #[test]
    fn parts_follow_one_another() {
        let files = [
            file("raw/010000-1-10.parquet", 1, 0, (1, 60)),
            file("raw/010000-1-2.parquet", 1, 0, (1, 60)),
            file("raw/010000-2-abc-0001.parquet", 2, 1, (1, 60)),
            file("raw/010000-2-def-0000.parquet", 2, 0, (1, 60)),
            file("raw/020000-2-def-0000.parquet", 2, 0, (61, 120)),
        ];
        let paths: Vec<Vec<String>> = streams(&files)
            .into_iter()
            .map(|files| files.iter().map(|f| f.path[4..].to_owned()).collect())
            .collect();
        assert_eq!(
            paths,
            [
                vec!["010000-1-2.parquet", "010000-1-10.parquet"],
                vec!["010000-2-def-0000.parquet", "010000-2-abc-0001.parquet"],
                vec!["020000-2-def-0000.parquet"],
            ]
        );
    }
}
