//! Which core takes which rows of history.

use std::ops::Range;
use std::sync::Arc;

use hesper_history::DataFile;
use hesper_hot::scan::PartialScan;
use hesper_model::cores::in_parts;

use super::{HistoryOutcome, HistoryScan, ScanRefused};

/// Rows of files that are worth a further core.
const WORTH_A_CORE: usize = 4096;

/// Rows of a file, by their places.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub file: Arc<DataFile>,
    pub rows: Range<u32>,
}

impl Piece {
    /// All rows of each of these files.
    pub fn whole(files: &[Arc<DataFile>]) -> Vec<Self> {
        let whole = |file: &Arc<DataFile>| Self {
            file: file.clone(),
            rows: 0..u32::MAX,
        };
        files.iter().map(whole).collect()
    }
}

/// The pieces that a range of the rows of all files, counted one file after another, is made of.
fn pieces(files: &[Arc<DataFile>], range: Range<usize>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut first = 0;
    for file in files {
        let end = first + file.rows as usize;
        let (from, to) = (range.start.max(first), range.end.min(end));
        if from < to {
            // The file itself says where it ends.
            let last = if to == end {
                u32::MAX
            } else {
                (to - first) as u32
            };
            pieces.push(Piece {
                file: file.clone(),
                rows: (from - first) as u32..last,
            });
        }
        first = end;
    }
    pieces
}

impl HistoryScan<'_> {
    /// Scans rows over which nothing lies, each core a share of them, and adds up what the cores found. Which core takes which row does not
    /// depend on how fast they are: a sum is added in the same order every time.
    pub(super) fn in_shares(
        &self,
        files: &[Arc<DataFile>],
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
        scan: impl Fn(&[Piece], &mut PartialScan, &mut HistoryOutcome) -> Result<(), ScanRefused> + Sync,
    ) -> Result<(), ScanRefused> {
        let rows = files.iter().map(|f| f.rows as usize).sum();
        if rows < 2 * WORTH_A_CORE {
            return scan(&Piece::whole(files), found, outcome);
        }
        let shares = in_parts(rows, WORTH_A_CORE, |part| {
            let mut own = PartialScan::new(self.request);
            let mut of_own = HistoryOutcome::default();
            scan(&pieces(files, part), &mut own, &mut of_own)?;
            self.budget.hold(own.size_bytes() as u64)?;
            Ok::<_, ScanRefused>((own, of_own))
        });
        for share in shares {
            let (own, of_own) = share?;
            found.absorb_groups(own)?;
            outcome.absorb(of_own);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, rows: u64) -> Arc<DataFile> {
        Arc::new(DataFile {
            path: path.to_owned(),
            tenant: "default".to_owned(),
            step_millis: 60_000,
            cell_slots: 1,
            sequence: 1,
            first_slot: 1,
            last_slot: 60,
            min_name: "a".to_owned(),
            max_name: "b".to_owned(),
            rows,
            datapoints: rows,
            bytes: 1,
            crc32c: None,
            part: 0,
            level: 0,
            rolled: Vec::new(),
            pruned_millis: 0,
            pruned_by: 0,
            commit: 0,
            added_millis: 0,
        })
    }

    #[test]
    fn shares_are_all_rows_each_once() {
        let files = [file("a", 5), file("b", 0), file("c", 7), file("d", 1)];
        let of = |range: Range<usize>| -> Vec<(String, Range<u32>)> {
            let pieces = pieces(&files, range).into_iter();
            pieces.map(|p| (p.file.path.clone(), p.rows)).collect()
        };
        let piece = |path: &str, rows| (path.to_owned(), rows);
        assert_eq!(of(0..4), [piece("a", 0..4)]);
        assert_eq!(of(4..8), [piece("a", 4..u32::MAX), piece("c", 0..3)]);
        assert_eq!(
            of(8..13),
            [piece("c", 3..u32::MAX), piece("d", 0..u32::MAX)]
        );
    }
}
