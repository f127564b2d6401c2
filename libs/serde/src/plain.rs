//! The Arrow types that batches have inside Sluice, and conversions between types that change no value.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

const UTC: &str = "+00:00";

/// Enums as strings, instants in UTC, and no metadata: equal for every writer schema read by one reader schema.
pub fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(plain_field);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// `batch` with exactly the columns and types of `schema`.
///
/// Fails when a column is missing, out of order or of a type whose values the wanted one may not hold, and when a
/// null stands where the schema has no place for it, at any depth.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let given = batch.schema();
    let names = |schema: &Schema| -> Vec<String> {
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    if names(&given) != names(schema) {
        return Err(format!(
            "columns {:?} instead of {:?}",
            names(&given),
            names(schema)
        ));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| conform_column(column, field))
        .collect::<Result<Vec<_>, _>>()?;
    // The row count is given because a schema without fields has no column to take it from.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| error.to_string())
}

fn conform_column(column: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    let (given, wanted) = (column.data_type(), field.data_type());
    if given == wanted {
        return Ok(column.clone());
    }
    if !holds(wanted, given) {
        return Err(format!(
            "column {}: {given} where {wanted} is wanted",
            field.name()
        ));
    }
    cast(column, wanted).map_err(|error| format!("column {}: {error}", field.name()))
}

/// Whether every value of `given` has the same value in `wanted` (nulls aside, which the cast checks).
fn holds(wanted: &DataType, given: &DataType) -> bool {
    use DataType::*;
    if wanted == given {
        return true;
    }
    match (wanted, given) {
        (_, Dictionary(_, value)) => holds(wanted, value),
        (Utf8, LargeUtf8 | Utf8View) | (Binary, LargeBinary | BinaryView) => true,
        (Int32, Int8 | Int16 | UInt8 | UInt16) => true,
        (Int64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => true,
        (Float32, Float16) | (Float64, Float16 | Float32) => true,
        (Timestamp(unit, wanted_zone), Timestamp(given_unit, given_zone)) => {
            let coarse_enough = unit == given_unit || matches!(given_unit, arrow_schema::TimeUnit::Second);
            coarse_enough && wanted_zone.is_some() == given_zone.is_some()
        }
        (Time32(_), Time32(arrow_schema::TimeUnit::Second)) => true,
        (Decimal128(p, s), Decimal32(gp, gs) | Decimal64(gp, gs)) => (p, s) == (gp, gs),
        (List(item), List(given) | LargeList(given) | FixedSizeList(given, _)) => {
            holds(item.data_type(), given.data_type())
        }
        (Map(entries, _), Map(given, _)) => match (entries.data_type(), given.data_type()) {
            (Struct(wanted), Struct(given)) => wanted
                .iter()
                .zip(given)
                .all(|(wanted, given)| holds(wanted.data_type(), given.data_type())),
            _ => false,
        },
        (Struct(fields), Struct(given)) => {
            fields.len() == given.len()
                && fields.iter().zip(given).all(|(wanted, given)| {
                    wanted.name() == given.name() && holds(wanted.data_type(), given.data_type())
                })
        }
        _ => false,
    }
}
