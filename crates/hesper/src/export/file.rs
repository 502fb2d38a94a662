//! The file of an export: under another name until it is complete.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::CommandError;

/// Rows of a row group of Parquet: what the writer holds in memory.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// Parquet, packed with zstd
    Parquet,
    /// Lines with commas, the names of the columns first
    Csv,
    /// Arrow's IPC file format (Feather 2)
    Arrow,
}

impl ExportFormat {
    /// What the ending of a path says.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "arrow" | "feather" | "ipc" => Some(Self::Arrow),
            _ => None,
        }
    }
}

enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
}

/// A file under way. Dropped before it is finished, it is gone.
pub struct ExportFile {
    path: PathBuf,
    partial: PathBuf,
    writer: Option<Writer>,
    rows: u64,
}

impl ExportFile {
    /// Begins a file for rows of these columns.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(
        path: &Path,
        format: ExportFormat,
        schema: SchemaRef,
    ) -> Result<Self, CommandError> {
        let mut partial = path.to_owned().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(|source| CommandError::File {
            path: partial.clone(),
            source,
        })?;
        let mut created = Self {
            path: path.to_owned(),
            partial,
            writer: None,
            rows: 0,
        };
        let writer = match format {
            ExportFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(file, schema, Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|e| created.failed(&e))?))
            }
            ExportFormat::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .with_header(true)
                    .build(BufWriter::new(file));
                // The names stand there even when there are no rows.
                let none = RecordBatch::new_empty(schema);
                writer.write(&none).map_err(|e| created.failed(&e))?;
                Writer::Csv(Box::new(writer))
            }
            ExportFormat::Arrow => {
                let writer = FileWriter::try_new(BufWriter::new(file), &schema);
                Writer::Arrow(Box::new(writer.map_err(|e| created.failed(&e))?))
            }
        };
        created.writer = Some(writer);
        Ok(created)
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CommandError> {
        let writer = self.writer.as_mut().expect("it is not finished");
        let written = match writer {
            Writer::Parquet(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Writer::Csv(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Writer::Arrow(writer) => writer.write(batch).map_err(|e| e.to_string()),
        };
        written.map_err(|e| self.failed(&e))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the file and gives it its name; gives its bytes.
    ///
    /// # Errors
    /// When it cannot be written to its end or renamed.
    pub fn finish(mut self) -> Result<u64, CommandError> {
        let writer = self.writer.take().expect("it is not finished");
        let file = match writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(|e| self.failed(&e))?,
            Writer::Csv(writer) => self.flushed(writer.into_inner())?,
            Writer::Arrow(writer) => {
                let inner = writer.into_inner().map_err(|e| self.failed(&e))?;
                self.flushed(inner)?
            }
        };
        let done = file.sync_all().and_then(|()| {
            std::fs::rename(&self.partial, &self.path)?;
            Ok(file.metadata()?.len())
        });
        done.map_err(|e| self.failed(&e))
    }

    fn flushed(&self, mut writer: BufWriter<File>) -> Result<File, CommandError> {
        writer.flush().map_err(|e| self.failed(&e))?;
        writer.into_inner().map_err(|e| self.failed(e.error()))
    }

    fn failed(&self, why: &impl ToString) -> CommandError {
        CommandError::Other(format!(
            "{} cannot be written: {}",
            self.partial.display(),
            why.to_string()
        ))
    }
}

impl Drop for ExportFile {
    fn drop(&mut self) {
        // It has its name by now, or nobody is to take it for complete.
        let _ = std::fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use arrow::ipc::reader::FileReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch() -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] = [
            ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
            ("value", Arc::new(Float64Array::from(vec![0.1, -2.0]))),
        ];
        RecordBatch::try_from_iter(columns).expect("of one length")
    }

    fn written(format: ExportFormat, name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        let mut file = ExportFile::create(&path, format, batch().schema()).expect("created");
        file.write(&batch()).expect("written");
        file.write(&batch()).expect("written");
        assert!(!path.exists(), "it is not complete");
        assert_eq!(file.rows(), 4);
        let bytes = file.finish().expect("finished");
        assert_eq!(std::fs::metadata(&path).expect("there").len(), bytes);
        (folder, path)
    }

    #[test]
    fn each_format_is_read_back() {
        let (_folder, path) = written(ExportFormat::Csv, "x.csv");
        let text = std::fs::read_to_string(path).expect("read");
        assert_eq!(text, "name,value\na,0.1\n,-2.0\na,0.1\n,-2.0\n");

        let (_folder, path) = written(ExportFormat::Arrow, "x.arrow");
        let reader = FileReader::try_new(File::open(path).expect("there"), None).expect("Arrow");
        let read: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("batches");
        assert_eq!(read, [batch(), batch()]);

        let (_folder, path) = written(ExportFormat::Parquet, "x.parquet");
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("there"));
        let reader = builder.and_then(|b| b.build()).expect("Parquet");
        let rows: usize = reader.map(|b| b.expect("a batch").num_rows()).sum();
        assert_eq!(rows, 4);
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.parquet");
        let format = ExportFormat::of_path(&path).expect("known");
        drop(ExportFile::create(&path, format, batch().schema()).expect("created"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
        assert_eq!(ExportFormat::of_path(Path::new("x.txt")), None);
    }
}
