//! One Arrow batch to one bare Avro datum a row.

use crate::decode::decoded_schema;
use crate::plain::conform;
use crate::{guarded, value_error};
use arrow_array::RecordBatch;
use arrow_avro::schema::SCHEMA_METADATA_KEY;
use arrow_avro::writer::format::AvroBinaryFormat;
use arrow_avro::writer::{EncodedRows, Encoder, WriterBuilder};
use arrow_pyarrow::PyArrowType;
use arrow_schema::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::collections::HashMap;

#[pyclass(module = "sluice_serde")]
pub struct AvroEncoder {
    /// What the Avro schema's own decoder would yield: the columns that fit it.
    schema: SchemaRef,
    avro_schema: String,
    ready: Option<Encoder>,
}

#[pymethods]
impl AvroEncoder {
    #[new]
    fn new(avro_schema: String) -> PyResult<Self> {
        let schema = decoded_schema(&avro_schema).map_err(value_error)?;
        let encoder = avro_encoder(&schema, &avro_schema).map_err(value_error)?;
        Ok(Self {
            schema,
            avro_schema,
            ready: Some(encoder),
        })
    }

    fn encode<'py>(
        &mut self,
        py: Python<'py>,
        batch: PyArrowType<RecordBatch>,
    ) -> PyResult<Bound<'py, PyList>> {
        let rows = py.detach(|| self.encode_rows(&batch.0)).map_err(value_error)?;
        byte_rows(py, rows.bytes(), rows.offsets())
    }
}

impl AvroEncoder {
    fn encode_rows(&mut self, batch: &RecordBatch) -> Result<EncodedRows, String> {
        // arrow-avro does not compare columns with the schema: it would write a null as 0, a string as an int.
        let batch = conform(batch, &self.schema)?;
        // Taken out while in use: an encoder that failed half-way holds part of a row and is not put back.
        let mut encoder = match self.ready.take() {
            Some(encoder) => encoder,
            None => avro_encoder(&self.schema, &self.avro_schema)?,
        };
        guarded(|| {
            encoder.encode(&batch).map_err(|error| error.to_string())?;
            let rows = encoder.flush();
            self.ready = Some(encoder);
            Ok(rows)
        })
    }
}

fn avro_encoder(schema: &SchemaRef, avro_schema: &str) -> Result<Encoder, String> {
    let metadata = HashMap::from([(SCHEMA_METADATA_KEY.to_owned(), avro_schema.to_owned())]);
    let schema = schema.as_ref().clone().with_metadata(metadata);
    guarded(|| {
        WriterBuilder::new(schema)
            .build_encoder::<AvroBinaryFormat>()
            .map_err(|error| error.to_string())
    })
}

/// `offsets` has one entry more than there are rows.
pub fn byte_rows<'py>(py: Python<'py>, bytes: &[u8], offsets: &[usize]) -> PyResult<Bound<'py, PyList>> {
    let rows: Vec<_> = offsets
        .windows(2)
        .map(|bounds| PyBytes::new(py, &bytes[bounds[0]..bounds[1]]))
        .collect();
    PyList::new(py, rows)
}
