//! The wire format of a write request, read in place: nothing is copied and nothing is allocated.
//!
//! ```text
//! WriteRequest = timeseries 1*, metadata 3*
//! TimeSeries   = label 1*, sample 2*, exemplar 3*, native histogram 4*
//! Label        = key 1, value 2                  texts
//! Sample       = value 1 (double), time 2 (varint, ms)
//! ```
//! Protobuf allows any order of fields, fields nobody knows, and more than one of a kind; all of it is read. Source: the remote-write 1.0
//! specification and protobuf's description of its encoding.

/// Bytes that are no write request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end within a field.
    #[error("a field is cut short")]
    Truncated,
    /// A number is longer than 64 bits.
    #[error("a number is longer than 64 bits")]
    LongNumber,
    /// A field of a type that no version of protobuf knows any more, or of number 0.
    #[error("a field has no known type")]
    UnknownType,
    /// A known field of another type.
    #[error("field {0} of a {1} is of the wrong type")]
    WrongType(u32, &'static str),
    /// A label is not UTF-8.
    #[error("a label is not UTF-8")]
    NotText,
}

/// The first byte of a label within its series: field 1, length-delimited.
pub(super) const LABEL: u8 = 1 << 3 | 2;

const SAMPLE: u8 = 2 << 3 | 2;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Reads a varint.
#[inline]
fn varint(at: &mut &[u8]) -> Result<u64, WireError> {
    let mut number = 0;
    for i in 0..10 {
        let (byte, rest) = at.split_first().ok_or(WireError::Truncated)?;
        *at = rest;
        number |= u64::from(byte & 0x7F) << (7 * i);
        if *byte < 0x80 {
            return match i == 9 && *byte > 1 {
                true => Err(WireError::LongNumber),
                false => Ok(number),
            };
        }
    }
    Err(WireError::LongNumber)
}

#[inline]
fn take<'a>(at: &mut &'a [u8], length: u64) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
    let (taken, rest) = at.split_at_checked(length).ok_or(WireError::Truncated)?;
    *at = rest;
    Ok(taken)
}

/// Reads a field; `None` at the end.
#[inline]
pub(super) fn field<'a>(at: &mut &'a [u8]) -> Result<Option<(u32, Value<'a>)>, WireError> {
    if at.is_empty() {
        return Ok(None);
    }
    let key = varint(at)?;
    let number = u32::try_from(key >> 3).map_err(|_| WireError::UnknownType)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(at)?),
        1 => Value::Fixed64(*take(at, 8)?.first_chunk().expect("8 bytes were taken")),
        2 => {
            let length = varint(at)?;
            Value::Bytes(take(at, length)?)
        }
        5 => {
            take(at, 4)?;
            Value::Fixed32
        }
        _ => return Err(WireError::UnknownType),
    };
    match number {
        0 => Err(WireError::UnknownType),
        _ => Ok(Some((number, value))),
    }
}

fn bytes<'a>(value: Value<'a>, number: u32, of: &'static str) -> Result<&'a [u8], WireError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(WireError::WrongType(number, of)),
    }
}

/// The series of a request, one after another.
pub(super) struct SeriesReader<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for SeriesReader<'a> {
    type Item = Result<&'a [u8], WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match field(&mut self.0) {
                Ok(Some((1, value))) => return Some(bytes(value, 1, "request")),
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(e) => {
                    self.0 = &[];
                    return Some(Err(e));
                }
            }
        }
    }
}

/// Splits a series into the labels that it begins with and what comes after them.
#[inline]
pub(super) fn split_labels(series: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut at = series;
    while at.first() == Some(&LABEL) {
        at = &at[1..];
        let length = varint(&mut at)?;
        take(&mut at, length)?;
    }
    Ok(series.split_at(series.len() - at.len()))
}

/// The length of a label as it lies, its key and length included; 0 when there is none.
#[inline]
pub(super) fn label_length(labels: &[u8]) -> Result<usize, WireError> {
    let mut at = labels;
    if at.first() != Some(&LABEL) {
        return Ok(0);
    }
    at = &at[1..];
    let length = varint(&mut at)?;
    take(&mut at, length)?;
    Ok(labels.len() - at.len())
}

/// True when a label comes after other fields; `rest` is what [`split_labels`] gives.
#[inline]
pub(super) fn has_labels(rest: &[u8]) -> Result<bool, WireError> {
    // As every sender writes it: nothing but one sample of less than 128 bytes.
    if let [SAMPLE, length @ ..0x80, sample @ ..] = rest
        && sample.len() == usize::from(*length)
    {
        return Ok(false);
    }
    let mut at = rest;
    while let Some((number, _)) = field(&mut at)? {
        if number == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Hands the samples of a series to `sample` (time in ms, value), and gives the number of its native histograms.
#[inline]
pub(super) fn samples(mut at: &[u8], mut sample: impl FnMut(i64, f64)) -> Result<u32, WireError> {
    let mut histograms = 0;
    // As every sender writes it: the value, then the time, in less than 128 bytes.
    while let [SAMPLE, length @ 11..0x80, 0x09, tail @ ..] = at {
        let length = usize::from(*length);
        let Some((inner, next)) = tail.split_at_checked(length - 1) else {
            return Err(WireError::Truncated);
        };
        let [a, b, c, d, e, f, g, h, 0x10, time @ ..] = inner else {
            break;
        };
        let mut time = time;
        let millis = varint(&mut time)?;
        if !time.is_empty() {
            break;
        }
        let value = f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
        sample(millis as i64, value);
        at = next;
    }
    while let Some((number, value)) = field(&mut at)? {
        match number {
            2 => {
                let (time, value) = one_sample(bytes(value, 2, "series")?)?;
                sample(time, value);
            }
            4 => {
                bytes(value, 4, "series")?;
                histograms += 1;
            }
            _ => {}
        }
    }
    Ok(histograms)
}

/// A sample with its fields in any order; what is left out is 0.
fn one_sample(mut at: &[u8]) -> Result<(i64, f64), WireError> {
    let (mut time, mut sample) = (0, 0.0);
    while let Some((number, value)) = field(&mut at)? {
        match (number, value) {
            (1, Value::Fixed64(bits)) => sample = f64::from_le_bytes(bits),
            (2, Value::Varint(millis)) => time = millis as i64,
            (1 | 2, _) => return Err(WireError::WrongType(number, "sample")),
            _ => {}
        }
    }
    Ok((time, sample))
}

/// Hands the labels of a series to `label`, wherever they lie: key, value.
pub(super) fn labels<'a>(
    mut series: &'a [u8],
    mut label: impl FnMut(&'a str, &'a str),
) -> Result<(), WireError> {
    while let Some((number, value)) = field(&mut series)? {
        if number != 1 {
            continue;
        }
        let (mut key, mut text) = ("", "");
        let mut at = bytes(value, 1, "series")?;
        while let Some((number, value)) = field(&mut at)? {
            match number {
                1 => key = utf8(bytes(value, 1, "label")?)?,
                2 => text = utf8(bytes(value, 2, "label")?)?,
                _ => {}
            }
        }
        label(key, text);
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::NotText)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    /// The messages as another implementation of protobuf reads and writes them.
    #[derive(Clone, PartialEq, prost::Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        timeseries: Vec<TimeSeries>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        metadata: Vec<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        exemplars: Vec<Vec<u8>>,
        #[prost(bytes = "vec", repeated, tag = "4")]
        histograms: Vec<Vec<u8>>,
        #[prost(fixed32, tag = "9")]
        unknown: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Label {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Sample {
        #[prost(double, tag = "1")]
        value: f64,
        #[prost(int64, tag = "2")]
        timestamp: i64,
    }

    fn request() -> impl Strategy<Value = WriteRequest> {
        let label = ("[a-zé_]{0,20}", ".{0,9}").prop_map(|(name, value)| Label { name, value });
        let value = any::<f64>().prop_filter("a number", |v| !v.is_nan());
        let sample =
            (value, any::<i64>()).prop_map(|(value, timestamp)| Sample { value, timestamp });
        let opaque = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..2);
        let series = (
            prop::collection::vec(label, 0..6),
            prop::collection::vec(sample, 0..4),
            opaque(),
            opaque(),
            0u32..2,
        );
        let series =
            series.prop_map(
                |(labels, samples, exemplars, histograms, unknown)| TimeSeries {
                    labels,
                    samples,
                    exemplars,
                    histograms,
                    unknown,
                },
            );
        (prop::collection::vec(series, 0..5), opaque()).prop_map(|(timeseries, metadata)| {
            WriteRequest {
                timeseries,
                metadata,
            }
        })
    }

    type Read = (Vec<(String, String)>, Vec<(i64, f64)>, u32);

    /// All of a request, read as the way in does.
    fn read(bytes: &[u8]) -> Result<Vec<Read>, WireError> {
        let one = |series: Result<&[u8], WireError>| {
            let series = series?;
            let (_, rest) = split_labels(series)?;
            let (mut pairs, mut points) = (Vec::new(), Vec::new());
            labels(series, |k, v| pairs.push((k.to_owned(), v.to_owned())))?;
            has_labels(rest)?;
            let histograms = samples(rest, |time, value| points.push((time, value)))?;
            Ok((pairs, points, histograms))
        };
        SeriesReader(bytes).map(one).collect()
    }

    proptest! {
        #[test]
        fn what_others_write_is_read(request in request()) {
            let want: Vec<Read> = request.timeseries.iter().map(|s| {
                let pairs = s.labels.iter().map(|l| (l.name.clone(), l.value.clone()));
                let points = s.samples.iter().map(|p| (p.timestamp, p.value));
                (pairs.collect(), points.collect(), s.histograms.len() as u32)
            }).collect();
            prop_assert_eq!(read(&request.encode_to_vec()), Ok(want));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }

        /// What was changed or cut off is read as others read it, or refused; nothing is made up.
        #[test]
        fn damaged_requests_are_read_as_others_read_them(
            request in request(),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = request.encode_to_vec();
            if bytes.is_empty() {
                return Ok(());
            }
            let at = at.index(bytes.len());
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] = to,
            }
            if let (Ok(got), Ok(theirs)) = (read(&bytes), WriteRequest::decode(&*bytes)) {
                let samples = |read: &[Read]| read.iter().map(|r| r.1.len()).sum::<usize>();
                let want: usize = theirs.timeseries.iter().map(|s| s.samples.len()).sum();
                prop_assert_eq!(samples(&got), want);
                prop_assert_eq!(got.len(), theirs.timeseries.len());
            }
        }
    }

    #[test]
    fn fields_come_in_any_order() {
        // A sample whose time comes first, one without a value, and one of two parts.
        let samples_of = |bytes: &[u8]| {
            let mut points = Vec::new();
            samples(bytes, |time, value| points.push((time, value))).map(|_| points)
        };
        let two = 2.0f64.to_le_bytes();
        let mut swapped = vec![0x12, 11, 0x10, 5, 0x09];
        swapped.extend_from_slice(&two);
        assert_eq!(samples_of(&swapped), Ok(vec![(5, 2.0)]));
        assert_eq!(samples_of(&[0x12, 2, 0x10, 7]), Ok(vec![(7, 0.0)]));
        let mut longer = vec![0x12, 13, 0x09];
        longer.extend_from_slice(&two);
        longer.extend_from_slice(&[0x10, 5, 0x18, 1]);
        assert_eq!(samples_of(&longer), Ok(vec![(5, 2.0)]));
        assert_eq!(has_labels(&[0x12, 2, 0x10, 7, 0x0A, 0]), Ok(true));
        assert_eq!(has_labels(&swapped), Ok(false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let first = |bytes: &[u8]| SeriesReader(bytes).next().expect("something").err();
        assert_eq!(first(&[0x08, 1]), Some(WireError::WrongType(1, "request")));
        assert_eq!(first(&[0x0A, 5, 1]), Some(WireError::Truncated));
        assert_eq!(first(&[0x0B]), Some(WireError::UnknownType));
        assert_eq!(first(&[0x02, 0]), Some(WireError::UnknownType));
        let long = [&[0xFF; 9][..], &[0x7F]].concat();
        assert_eq!(first(&long), Some(WireError::LongNumber));
        let text = labels(&[0x0A, 3, 0x0A, 1, 0xFF], |_, _| {});
        assert_eq!(text, Err(WireError::NotText));
        let sample = samples(&[0x12, 2, 0x08, 1], |_, _| {});
        assert_eq!(sample, Err(WireError::WrongType(1, "sample")));
    }
}
