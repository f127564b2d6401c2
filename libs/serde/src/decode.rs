//! Messages of one writer schema to one Arrow batch; bad messages are named, good ones survive.

use crate::plain::{conform, plain_schema};
use crate::{guarded, value_error};
use arrow_array::RecordBatch;
use arrow_avro::reader::{Decoder as AvroDecoder, DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, SchemaStore};
use arrow_pyarrow::PyArrowType;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// Arrow's string and list offsets are 32 bits wide.
const MAX_BATCH_BYTES: usize = i32::MAX as usize;

type BadMessage = (usize, String);

/// A message's index in the caller's list, and its datum without framing.
type Datum<'a> = (usize, &'a [u8]);

/// What is needed to make a decoder again after a bad message has spoilt one.
struct Resolution {
    writer_schema: String,
    reader_schema: String,
    schema: SchemaRef,
}

impl Resolution {
    fn new(writer_schema: &str, reader_schema: &str) -> Result<(Self, AvroDecoder), String> {
        let decoder = avro_decoder(writer_schema, reader_schema)?;
        let resolution = Self {
            writer_schema: writer_schema.to_owned(),
            reader_schema: reader_schema.to_owned(),
            schema: plain_schema(&decoder.schema()),
        };
        Ok((resolution, decoder))
    }

    fn decoder(&self) -> Result<AvroDecoder, String> {
        avro_decoder(&self.writer_schema, &self.reader_schema)
    }

    /// All of `data` as one batch, or the first error; after an error the decoder must not be used again.
    fn decode(&self, decoder: &mut AvroDecoder, data: &[Datum]) -> Result<RecordBatch, String> {
        for (_, datum) in data {
            decode_one(decoder, datum)?;
        }
        match decoder.flush().map_err(|error| error.to_string())? {
            Some(batch) => conform(&batch, &self.schema),
            None => Ok(RecordBatch::new_empty(self.schema.clone())),
        }
    }

    /// The good rows of `data`, in order; the bad ones are appended to `bad`.
    ///
    /// First each message is walked alone, which finds everything but the errors that surface at flush (UTF-8,
    /// enum symbols): how a datum is parsed does not depend on what a decoder holds, so one spoilt decoder serves
    /// for all of them. Then the rest is bisected.
    fn salvage(&self, data: &[Datum], bad: &mut Vec<BadMessage>) -> Result<RecordBatch, String> {
        let mut walker = self.decoder()?;
        let mut candidates = Vec::with_capacity(data.len());
        for (index, datum) in data {
            match guarded(|| decode_one(&mut walker, datum)) {
                Ok(()) => candidates.push((*index, *datum)),
                Err(reason) => bad.push((*index, reason)),
            }
        }
        drop(walker);
        let mut batches = Vec::new();
        self.bisect(&candidates, &mut batches, bad)?;
        concat_batches(&self.schema, &batches).map_err(|error| error.to_string())
    }

    fn bisect(
        &self,
        data: &[Datum],
        batches: &mut Vec<RecordBatch>,
        bad: &mut Vec<BadMessage>,
    ) -> Result<(), String> {
        if data.is_empty() {
            return Ok(());
        }
        let mut decoder = self.decoder()?;
        match (guarded(|| self.decode(&mut decoder, data)), data) {
            (Ok(batch), _) => batches.push(batch),
            (Err(reason), [(index, _)]) => bad.push((*index, reason)),
            (Err(_), _) => {
                let (left, right) = data.split_at(data.len() / 2);
                self.bisect(left, batches, bad)?;
                self.bisect(right, batches, bad)?;
            }
        }
        Ok(())
    }
}

fn avro_decoder(writer_schema: &str, reader_schema: &str) -> Result<AvroDecoder, String> {
    guarded(|| {
        let mut store = SchemaStore::new();
        let fingerprint = store
            .register(AvroSchema::new(writer_schema.to_owned()))
            .map_err(|error| format!("writer schema: {error}"))?;
        ReaderBuilder::new()
            .with_writer_schema_store(store)
            .with_active_fingerprint(fingerprint)
            .with_decoder_mode(DecoderMode::UnframedDatum)
            .with_reader_schema(AvroSchema::new(reader_schema.to_owned()))
            .with_batch_size(MAX_BATCH_BYTES)
            .build_decoder()
            .map_err(|error| error.to_string())
    })
}

fn decode_one(decoder: &mut AvroDecoder, datum: &[u8]) -> Result<(), String> {
    let consumed = decoder.decode(datum).map_err(|error| error.to_string())?;
    match datum.len() - consumed {
        0 => Ok(()),
        trailing => Err(format!("{trailing} bytes follow the datum")),
    }
}

#[pyclass(module = "sluice_serde")]
pub struct Decoder {
    resolution: Resolution,
    ready: Option<AvroDecoder>,
}

#[pymethods]
impl Decoder {
    #[new]
    fn new(writer_schema: &str, reader_schema: &str) -> PyResult<Self> {
        let (resolution, decoder) = Resolution::new(writer_schema, reader_schema).map_err(value_error)?;
        Ok(Self {
            resolution,
            ready: Some(decoder),
        })
    }

    #[getter]
    fn schema(&self) -> PyArrowType<Schema> {
        PyArrowType(self.resolution.schema.as_ref().clone())
    }

    #[pyo3(signature = (messages, skip = 0))]
    fn decode(
        &mut self,
        py: Python<'_>,
        messages: Vec<Option<PyBackedBytes>>,
        skip: usize,
    ) -> PyResult<(PyArrowType<RecordBatch>, Vec<BadMessage>)> {
        let (batch, bad) = py
            .detach(|| self.decode_messages(&messages, skip))
            .map_err(value_error)?;
        Ok((PyArrowType(batch), bad))
    }
}

impl Decoder {
    fn decode_messages(
        &mut self,
        messages: &[Option<PyBackedBytes>],
        skip: usize,
    ) -> Result<(RecordBatch, Vec<BadMessage>), String> {
        let mut bad = Vec::new();
        let mut data = Vec::with_capacity(messages.len());
        let mut total_bytes = 0usize;
        for (index, message) in messages.iter().enumerate() {
            match message.as_deref().map(|bytes| (bytes.get(skip..), bytes.len())) {
                Some((Some(datum), _)) => {
                    total_bytes += datum.len();
                    data.push((index, datum));
                }
                Some((None, length)) => bad.push((
                    index,
                    format!("{length} bytes, shorter than the {skip} of its framing"),
                )),
                None => bad.push((index, "null value".to_owned())),
            }
        }
        if total_bytes > MAX_BATCH_BYTES {
            return Err(format!(
                "{total_bytes} bytes in one batch, at most {MAX_BATCH_BYTES} are possible"
            ));
        }
        let mut decoder = match self.ready.take() {
            Some(decoder) => decoder,
            None => self.resolution.decoder()?,
        };
        match guarded(|| self.resolution.decode(&mut decoder, &data)) {
            Ok(batch) => {
                self.ready = Some(decoder);
                Ok((batch, bad))
            }
            Err(_) => {
                let batch = self.resolution.salvage(&data, &mut bad)?;
                bad.sort_unstable();
                Ok((batch, bad))
            }
        }
    }
}

pub fn decoded_schema(reader_schema: &str) -> Result<SchemaRef, String> {
    Resolution::new(reader_schema, reader_schema).map(|(resolution, _)| resolution.schema)
}

#[pyfunction]
#[pyo3(name = "arrow_schema")]
pub fn py_arrow_schema(reader_schema: &str) -> PyResult<PyArrowType<Schema>> {
    let schema = decoded_schema(reader_schema).map_err(value_error)?;
    Ok(PyArrowType(schema.as_ref().clone()))
}
