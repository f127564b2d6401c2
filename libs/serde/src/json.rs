//! One Arrow batch to one JSON object a row, with explicit nulls.
//!
//! arrow-json does the work; only the forms in which it would lose or disguise a value are replaced here.

use crate::encode::byte_rows;
use crate::plain::{conform, plain_schema};
use crate::{guarded, value_error};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayAccessor, ArrowPrimitiveType, RecordBatch, StructArray};
use arrow_json::writer::{make_encoder, NullableEncoder};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_pyarrow::PyArrowType;
use arrow_schema::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::{Arc, LazyLock};

/// A value that is written as a JSON string and needs no escaping.
struct Quoted<F>(F);

impl<F: FnMut(usize) -> String> Encoder for Quoted<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice((self.0)(row).as_bytes());
        out.push(b'"');
    }
}

/// arrow-json's own encoder but for the rows where `exception` has another text.
struct Exceptions<'a, F> {
    usual: NullableEncoder<'a>,
    exception: F,
}

impl<F: Fn(usize) -> Option<String>> Encoder for Exceptions<'_, F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        match (self.exception)(row) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => self.usual.encode(row, out),
        }
    }
}

/// Replaces the forms in which arrow-json loses or disguises a value:
/// - bytes as base64 instead of hexadecimal digits,
/// - decimals as strings, because most JSON readers make binary fractions of numbers,
/// - NaN and the infinities as strings instead of null,
/// - times outside the calendar (years 0 to 9999, a day's 24 hours) as the number that was in the column, instead of
///   a string with an error message.
#[derive(Debug)]
struct LosslessForms;

impl EncoderFactory for LosslessForms {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        match array.data_type() {
            DataType::Binary => Ok(base64_values(array, array.as_binary::<i32>())),
            DataType::LargeBinary => Ok(base64_values(array, array.as_binary::<i64>())),
            DataType::BinaryView => Ok(base64_values(array, array.as_binary_view())),
            DataType::FixedSizeBinary(_) => Ok(base64_values(array, array.as_fixed_size_binary())),
            DataType::Decimal128(_, _) => Ok(decimals::<Decimal128Type>(array)),
            DataType::Decimal256(_, _) => Ok(decimals::<Decimal256Type>(array)),
            DataType::Float32 => {
                exceptions::<Float32Type>(field, array, |value| value.is_finite(), |v| non_finite(v.into()))
            }
            DataType::Float64 => {
                exceptions::<Float64Type>(field, array, |value| value.is_finite(), non_finite)
            }
            DataType::Date32 => times::<Date32Type>(field, array, YEAR_0 / DAY, YEAR_10000 / DAY),
            DataType::Time32(Second) => times::<Time32SecondType>(field, array, 0, DAY),
            DataType::Time32(Millisecond) => times::<Time32MillisecondType>(field, array, 0, DAY * 1_000),
            DataType::Time64(Microsecond) => times::<Time64MicrosecondType>(field, array, 0, DAY * 1_000_000),
            DataType::Time64(Nanosecond) => {
                times::<Time64NanosecondType>(field, array, 0, DAY * 1_000_000_000)
            }
            DataType::Timestamp(Second, _) => times::<TimestampSecondType>(field, array, YEAR_0, YEAR_10000),
            DataType::Timestamp(Millisecond, _) => {
                times::<TimestampMillisecondType>(field, array, YEAR_0 * 1_000, YEAR_10000 * 1_000)
            }
            DataType::Timestamp(Microsecond, _) => {
                times::<TimestampMicrosecondType>(field, array, YEAR_0 * 1_000_000, YEAR_10000 * 1_000_000)
            }
            _ => Ok(None),
        }
    }
}

/// Seconds; proleptic Gregorian, as RFC 3339 has it. Nanoseconds in 64 bits never leave these years.
const DAY: i64 = 86_400;
const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;

fn base64_values<'a, A>(array: &'a dyn Array, values: A) -> Option<NullableEncoder<'a>>
where
    A: ArrayAccessor<Item = &'a [u8]> + 'a,
{
    let encoder = Quoted(move |row| STANDARD.encode(values.value(row)));
    Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned()))
}

fn decimals<T: DecimalType>(array: &dyn Array) -> Option<NullableEncoder<'_>> {
    let values = array.as_primitive::<T>();
    let encoder = Quoted(|row| values.value_as_string(row));
    Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned()))
}

/// None, for arrow-json's own encoder, unless a value is not `usual`.
fn exceptions<'a, T: ArrowPrimitiveType>(
    field: &'a FieldRef,
    array: &'a dyn Array,
    usual: impl Fn(T::Native) -> bool + 'a,
    text: impl Fn(T::Native) -> String + 'a,
) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
    let values = array.as_primitive::<T>();
    if values.values().iter().all(|value| usual(*value)) {
        return Ok(None);
    }
    let exception = move |row| {
        let value = values.value(row);
        (!usual(value)).then(|| text(value))
    };
    let encoder = Exceptions {
        usual: make_encoder(field, array, &USUAL)?,
        exception,
    };
    Ok(Some(NullableEncoder::new(
        Box::new(encoder),
        array.nulls().cloned(),
    )))
}

fn times<'a, T>(
    field: &'a FieldRef,
    array: &'a dyn Array,
    from: i64,
    before: i64,
) -> Result<Option<NullableEncoder<'a>>, ArrowError>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    let representable = move |value: T::Native| (from..before).contains(&value.into());
    exceptions::<T>(field, array, representable, |value| value.into().to_string())
}

fn non_finite(value: f64) -> String {
    let text = match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    format!("\"{text}\"")
}

static USUAL: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

fn json_rows(batch: &RecordBatch) -> Result<(Vec<u8>, Vec<usize>), String> {
    let batch = conform(batch, &plain_schema(&batch.schema()))?;
    let field = Arc::new(Field::new_struct("", batch.schema().fields().clone(), false));
    let row_count = batch.num_rows();
    let rows = StructArray::from(batch);
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(LosslessForms));
    let mut encoder = make_encoder(&field, &rows, &options).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut offsets = Vec::with_capacity(row_count + 1);
    offsets.push(0);
    for row in 0..row_count {
        encoder.encode(row, &mut bytes);
        offsets.push(bytes.len());
    }
    Ok((bytes, offsets))
}

#[pyfunction]
pub fn encode_json<'py>(py: Python<'py>, batch: PyArrowType<RecordBatch>) -> PyResult<Bound<'py, PyList>> {
    let (bytes, offsets) = py
        .detach(|| guarded(|| json_rows(&batch.0)))
        .map_err(value_error)?;
    byte_rows(py, &bytes, &offsets)
}
