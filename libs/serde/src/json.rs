//! One Arrow batch to one JSON object a row, with explicit nulls.
//!
//! arrow-json does the work; only the forms in which it would lose or disguise a value are replaced here.

use crate::encode::byte_rows;
use crate::plain::{conform, plain_schema};
use crate::{guarded, value_error};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_json::writer::{make_encoder, NullableEncoder};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_pyarrow::PyArrowType;
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::Arc;

/// A value that is written as a JSON string and needs no escaping.
struct Quoted<F>(F);

impl<F: FnMut(usize) -> String> Encoder for Quoted<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice((self.0)(row).as_bytes());
        out.push(b'"');
    }
}

/// Numbers as arrow-json writes them, but NaN and the infinities, for which it writes null, as strings.
struct NonFinite<'a, F> {
    value: F,
    finite: NullableEncoder<'a>,
}

impl<F: Fn(usize) -> f64> Encoder for NonFinite<'_, F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = (self.value)(row);
        if value.is_finite() {
            self.finite.encode(row, out);
        } else if value.is_nan() {
            out.extend_from_slice(b"\"NaN\"");
        } else if value > 0.0 {
            out.extend_from_slice(b"\"Infinity\"");
        } else {
            out.extend_from_slice(b"\"-Infinity\"");
        }
    }
}

#[derive(Debug)]
struct LosslessForms;

impl EncoderFactory for LosslessForms {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Binary => {
                let values = array.as_binary::<i32>();
                Box::new(Quoted(move |row| STANDARD.encode(values.value(row))))
            }
            DataType::LargeBinary => {
                let values = array.as_binary::<i64>();
                Box::new(Quoted(move |row| STANDARD.encode(values.value(row))))
            }
            DataType::BinaryView => {
                let values = array.as_binary_view();
                Box::new(Quoted(move |row| STANDARD.encode(values.value(row))))
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary();
                Box::new(Quoted(move |row| STANDARD.encode(values.value(row))))
            }
            DataType::Decimal128(_, _) => {
                let values = array.as_primitive::<Decimal128Type>();
                Box::new(Quoted(move |row| values.value_as_string(row)))
            }
            DataType::Decimal256(_, _) => {
                let values = array.as_primitive::<Decimal256Type>();
                Box::new(Quoted(move |row| values.value_as_string(row)))
            }
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>();
                if values.values().iter().all(|value| value.is_finite()) {
                    return Ok(None);
                }
                let finite = make_encoder(field, array, &FINITE)?;
                Box::new(NonFinite { value: move |row| f64::from(values.value(row)), finite })
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>();
                if values.values().iter().all(|value| value.is_finite()) {
                    return Ok(None);
                }
                let finite = make_encoder(field, array, &FINITE)?;
                Box::new(NonFinite { value: move |row| values.value(row), finite })
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

static FINITE: std::sync::LazyLock<EncoderOptions> = std::sync::LazyLock::new(EncoderOptions::default);

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
pub fn encode_json<'py>(
    py: Python<'py>,
    batch: PyArrowType<RecordBatch>,
) -> PyResult<Bound<'py, PyList>> {
    let (bytes, offsets) = py
        .detach(|| guarded(|| json_rows(&batch.0)))
        .map_err(value_error)?;
    byte_rows(py, &bytes, &offsets)
}
