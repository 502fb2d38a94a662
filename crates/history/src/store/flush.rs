//! What memory has sealed becomes files, window by window.

use std::sync::Arc;

use hesper_hot::HotStore;
use hesper_hot::store::{FlushOrder, FlushRow, FlushRows, PendingFlush};
use hesper_hot::window::FlushId;
use hesper_model::{Step, Window};

use super::History;
use crate::encode::{EncodedFile, FileWriter, WrittenTags};
use crate::{HistoryError, layout};

/// Rows of a data file; a flush with more of a window makes several files.
pub const MAX_FILE_ROWS: usize = 131_072;

/// Tags that take more than this are not kept for the next window.
const MAX_TAG_BYTES: usize = 16 << 20;

/// The files of a flush, encoded, by window.
pub struct EncodedFlush {
    /// The flush.
    pub id: FlushId,
    /// The window of each, and its place among those of the window.
    pub(super) files: Vec<(Window, u32, EncodedFile)>,
}

/// The tags of a window's rows as they were written.
pub(super) struct FlushedTags {
    order: FlushOrder,
    /// By file.
    files: Arc<[Arc<WrittenTags>]>,
}

impl History {
    /// Encodes the windows of a flush. Takes its time: not for an async task.
    ///
    /// # Errors
    /// When Parquet refuses the rows.
    pub fn encode_flush(
        &self,
        hot: &HotStore,
        flush: &PendingFlush,
    ) -> Result<EncodedFlush, HistoryError> {
        let mut files = Vec::new();
        for window in &flush.windows {
            let rows = hot.flush_rows(flush, *window);
            let encoded = self.encode_window(&rows, flush.id)?;
            let parts = encoded.into_iter().zip(0..);
            files.extend(parts.map(|(file, part)| (*window, part, file)));
        }
        Ok(EncodedFlush {
            id: flush.id,
            files,
        })
    }

    fn encode_window(
        &self,
        rows: &FlushRows<'_>,
        id: FlushId,
    ) -> Result<Vec<EncodedFile>, HistoryError> {
        let order = rows.order();
        let known = order.as_ref().and_then(|order| self.known_tags(order));
        let tags = match known {
            Some(known) => TagSource::Known(known),
            None => {
                let keys = rows.keys();
                let (keys, _) = layout::split_keys(keys.iter().map(|k| &**k));
                TagSource::Rows(keys, order.is_some())
            }
        };
        let mut encoding = WindowEncoding {
            step: self.step,
            id,
            tags,
            writer: None,
            files: Vec::new(),
            written: Vec::new(),
        };
        // Row by row: together they would take more memory than anything else.
        rows.each(|row| encoding.push(&row))?;
        encoding.end_file()?;
        if let Some(order) = order
            && matches!(encoding.tags, TagSource::Rows(..))
        {
            self.remember_tags(order, encoding.written);
        }
        Ok(encoding.files)
    }

    /// The tags of rows, when they are those that were written last.
    fn known_tags(&self, order: &FlushOrder) -> Option<Arc<[Arc<WrittenTags>]>> {
        let last = self.flushed_tags.lock();
        let known = last.as_ref().filter(|known| known.order == *order)?;
        Some(known.files.clone())
    }

    fn remember_tags(&self, order: FlushOrder, files: Vec<Arc<WrittenTags>>) {
        let bytes: usize = files.iter().map(|tags| tags.size_bytes()).sum();
        *self.flushed_tags.lock() = (bytes <= MAX_TAG_BYTES).then(|| FlushedTags {
            order,
            files: files.into(),
        });
    }
}

/// Where the tags of a window's rows come from.
enum TagSource {
    /// From the rows; these keys have a column each. With true they are remembered.
    Rows(Vec<String>, bool),
    /// From files with the same rows, of another window.
    Known(Arc<[Arc<WrittenTags>]>),
}

/// A window on its way into files.
struct WindowEncoding {
    step: Step,
    id: FlushId,
    tags: TagSource,
    writer: Option<FileWriter>,
    files: Vec<EncodedFile>,
    /// The tags of the files.
    written: Vec<Arc<WrittenTags>>,
}

impl WindowEncoding {
    fn push(&mut self, row: &FlushRow<'_>) -> Result<(), HistoryError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin_file()?,
        };
        match &self.tags {
            TagSource::Rows(..) => {
                writer.push_encoded(&row.tags(), row.window, &row.block, self.id.0)?;
            }
            TagSource::Known(_) => writer.push_next(row.window, &row.block, self.id.0)?,
        }
        let is_full = writer.rows() == MAX_FILE_ROWS as u64;
        self.writer = Some(writer);
        match is_full {
            true => self.end_file(),
            false => Ok(()),
        }
    }

    fn begin_file(&self) -> Result<FileWriter, HistoryError> {
        match &self.tags {
            TagSource::Rows(keys, false) => FileWriter::new(self.step, keys.clone()),
            TagSource::Rows(keys, true) => FileWriter::remembering(self.step, keys.clone()),
            TagSource::Known(files) => {
                let tags = files.get(self.files.len());
                let tags = tags.expect("the same rows make as many files");
                FileWriter::repeating(self.step, tags.clone())
            }
        }
    }

    fn end_file(&mut self) -> Result<(), HistoryError> {
        if let Some(writer) = self.writer.take() {
            let (file, tags) = writer.finish_with_tags()?;
            self.files.push(file);
            self.written.extend(tags);
        }
        Ok(())
    }
}
