//! How the columns of data files are written: encodings, compression, statistics.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::layout;

/// Rows of a row group: what a reader, and each stream of a merge, holds compressed at a time.
pub(super) const ROW_GROUP_ROWS: usize = 32_768;

/// Level of zstd. On the fleet of the benchmarks higher levels gain less than a hundredth and take twice the time.
const ZSTD_LEVEL: i32 = 3;

/// Columns with a bloom filter, beside the page index.
const BLOOM_COLUMNS: [&str; 3] = ["name", "tag.nf.app", "tag.nf.cluster"];

/// The properties of a file with these list columns and these columns of doubles.
pub(crate) fn properties(lists: &[&str], doubles: &[&str]) -> WriterProperties {
    // Rows of a name lie in the order of their tags as pairs, which is no order by columns: only the name is declared.
    let sorting = SortingColumn {
        column_idx: 0,
        descending: false,
        nulls_first: false,
    };
    let format = KeyValue::new(layout::FORMAT_KEY.to_owned(), layout::FORMAT.to_owned());
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("hesper {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![format]))
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(ZSTD_LEVEL).expect("a level of zstd"),
        ))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(Some(vec![sorting]))
        // The lowest and highest of a page are of use where rows are sorted, or where a range is asked for.
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in [layout::NAME, layout::START] {
        let path = ColumnPath::new(vec![column.to_owned()]);
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    let lists = lists.iter().map(|list| {
        ColumnPath::new(vec![
            (*list).to_owned(),
            "list".to_owned(),
            "element".to_owned(),
        ])
    });
    for path in lists.clone() {
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    let doubles = doubles
        .iter()
        .map(|c| ColumnPath::new(vec![(*c).to_owned()]));
    for path in lists.chain(doubles) {
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT);
    }
    for column in BLOOM_COLUMNS {
        let path = ColumnPath::new(vec![column.to_owned()]);
        properties = properties.set_column_bloom_filter_enabled(path, true);
    }
    properties.build()
}
