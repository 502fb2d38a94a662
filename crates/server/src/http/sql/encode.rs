//! Batches of rows as the bytes of an answer.

use arrow::array::{Array, Float64Array, RecordBatch};
use arrow::csv;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::StructMode;
use arrow::json::writer::{
    Encoder as ValueEncoder, EncoderFactory, EncoderOptions, JsonArray, NullableEncoder,
    WriterBuilder,
};
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::json;

use crate::http::error::ApiError;
use crate::http::json::Number;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// An object: `columns`, `rows` as lists, `notices`.
    Json,
    /// A line of names, then a line a row.
    Csv,
    /// A stream of Arrow's IPC format.
    Arrow,
}

impl Format {
    /// The format of a name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn read(name: Option<&str>) -> Result<Self, ApiError> {
        match name.unwrap_or("json") {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::Arrow),
            other => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "IllegalArgumentException: the format '{other}' is not known; use json, csv or arrow"
                ),
            )),
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Writes an answer part by part.
pub enum Encoder {
    /// As an object.
    Json {
        /// The columns.
        schema: SchemaRef,
        /// True when no row was written yet.
        is_first: bool,
    },
    /// As lines.
    Csv {
        /// The columns.
        schema: SchemaRef,
    },
    /// As a stream.
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Encoder {
    /// For rows of these columns.
    ///
    /// # Errors
    /// When Arrow cannot write them.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, ApiError> {
        let schema = schema.clone();
        Ok(match format {
            Format::Json => Self::Json {
                schema,
                is_first: true,
            },
            Format::Csv => Self::Csv { schema },
            Format::Arrow => {
                let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
                Self::Arrow(Box::new(writer))
            }
        })
    }

    /// What stands before the rows.
    ///
    /// # Errors
    /// When Arrow cannot write it.
    pub fn begin(&mut self) -> Result<Bytes, ApiError> {
        match self {
            Self::Json { schema, .. } => {
                let fields = schema.fields().iter();
                let columns: Vec<_> = fields
                    .map(|f| json!({"name": f.name(), "type": f.data_type().to_string()}))
                    .collect();
                let columns = serde_json::Value::from(columns);
                Ok(format!("{{\"columns\":{columns},\"rows\":[").into())
            }
            Self::Csv { schema } => {
                let none = RecordBatch::new_empty(schema.clone());
                csv_lines(&none, true)
            }
            Self::Arrow(writer) => Ok(std::mem::take(writer.get_mut()).into()),
        }
    }

    /// Some rows.
    ///
    /// # Errors
    /// When Arrow cannot write a type of theirs.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Bytes, ApiError> {
        match self {
            Self::Json { is_first, .. } => {
                if batch.num_rows() == 0 {
                    return Ok(Bytes::new());
                }
                let mut lists = json_lists(batch).map_err(failed)?;
                // The brackets around all of them are there already.
                lists.pop();
                lists[0] = if *is_first { b' ' } else { b',' };
                *is_first = false;
                Ok(lists.into())
            }
            Self::Csv { .. } => csv_lines(batch, false),
            Self::Arrow(writer) => {
                writer.write(batch).map_err(failed)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
        }
    }

    /// What stands behind the rows.
    ///
    /// # Errors
    /// When Arrow cannot write it.
    pub fn end(&mut self, notices: &[String]) -> Result<Bytes, ApiError> {
        match self {
            Self::Json { .. } => {
                let notices = serde_json::Value::from(notices.to_vec());
                Ok(format!("],\"notices\":{notices}}}").into())
            }
            Self::Csv { .. } => Ok(Bytes::new()),
            Self::Arrow(writer) => {
                writer.finish().map_err(failed)?;
                Ok(std::mem::take(writer.get_mut()).into())
            }
        }
    }

    /// Why there are no more rows, if the format has a place for it.
    pub fn reason(&self, message: &str) -> Option<Bytes> {
        match self {
            Self::Json { .. } => {
                let message = serde_json::Value::from(message);
                Some(format!("],\"error\":{message}}}").into())
            }
            Self::Csv { .. } | Self::Arrow(_) => None,
        }
    }
}

fn failed(error: ArrowError) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        format!("SqlException: the answer cannot be written in this format: {error}"),
    )
}

fn csv_lines(batch: &RecordBatch, with_names: bool) -> Result<Bytes, ApiError> {
    let mut writer = csv::WriterBuilder::new()
        .with_header(with_names)
        .build(Vec::new());
    writer.write(batch).map_err(failed)?;
    Ok(writer.into_inner().into())
}

/// The rows as a list of lists.
fn json_lists(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_struct_mode(StructMode::ListOnly)
        .with_encoder_factory(std::sync::Arc::new(Words))
        .build::<_, JsonArray>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// Writes numbers that JSON does not have as the other answers do.
#[derive(Debug)]
struct Words;

struct Numbers(Float64Array);

impl EncoderFactory for Words {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let numbers = array.as_any().downcast_ref::<Float64Array>();
        Ok(numbers.map(|numbers| {
            NullableEncoder::new(Box::new(Numbers(numbers.clone())), numbers.nulls().cloned())
        }))
    }
}

impl ValueEncoder for Numbers {
    fn encode(&mut self, at: usize, out: &mut Vec<u8>) {
        let number = Number(self.0.value(at));
        serde_json::to_writer(out, &number).expect("a number or a word");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};

    use super::*;

    fn batch() -> RecordBatch {
        let times =
            TimestampMillisecondArray::from(vec![1_767_578_400_000, 0]).with_timezone("UTC");
        let names = StringArray::from(vec![Some("a,\"b\""), None]);
        let values = Float64Array::from(vec![1.5, f64::INFINITY]);
        let columns: [(&str, ArrayRef); 3] = [
            ("time", Arc::new(times)),
            ("name", Arc::new(names)),
            ("value", Arc::new(values)),
        ];
        RecordBatch::try_from_iter(columns).expect("of one length")
    }

    fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = Encoder::new(format, &batch().schema()).expect("known types");
        let mut bytes = encoder.begin().expect("written").to_vec();
        for batch in batches {
            bytes.extend(encoder.rows(batch).expect("written"));
        }
        bytes.extend(encoder.end(&["coarse".to_owned()]).expect("written"));
        bytes
    }

    #[test]
    fn json_has_a_list_a_row() {
        for count in [0, 1, 3] {
            let bytes = written(Format::Json, &vec![batch(); count]);
            let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(json["columns"][1], json!({"name": "name", "type": "Utf8"}));
            assert_eq!(json["rows"].as_array().map(Vec::len), Some(2 * count));
            assert_eq!(json["notices"], json!(["coarse"]));
            if count > 0 {
                assert_eq!(
                    json["rows"][0],
                    json!(["2026-01-05T02:00:00Z", "a,\"b\"", 1.5])
                );
                assert_eq!(
                    json["rows"][1],
                    json!(["1970-01-01T00:00:00Z", null, "Infinity"])
                );
            }
        }
    }

    #[test]
    fn an_answer_that_breaks_off_says_why_in_json() {
        let mut encoder = Encoder::new(Format::Json, &batch().schema()).expect("known types");
        let mut bytes = encoder.begin().expect("written").to_vec();
        bytes.extend(encoder.rows(&batch()).expect("written"));
        bytes.extend(encoder.reason("no \"more\"").expect("there is a place"));
        let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(json["error"], "no \"more\"");
        let csv = Encoder::new(Format::Csv, &batch().schema()).expect("known types");
        assert!(csv.reason("no more").is_none());
    }

    #[test]
    fn csv_has_one_line_of_names() {
        let text = String::from_utf8(written(Format::Csv, &[batch(), batch()])).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "time,name,value");
        assert_eq!(lines[1], "2026-01-05T02:00:00Z,\"a,\"\"b\"\"\",1.5");
    }

    #[test]
    fn arrow_is_read_back() {
        let bytes = written(Format::Arrow, &[batch(), batch()]);
        let reader = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).expect("a stream");
        let read: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("batches");
        assert_eq!(read, [batch(), batch()]);
    }
}
