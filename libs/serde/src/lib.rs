//! Avro messages to Arrow batches and back, for Sluice's data plane.
//!
//! A thin layer over the official Arrow crates. What a value becomes, and which schemas are refused, is
//! documented in `libs/codec/README.md`; what can be decided in Python is decided there.

mod decode;
mod encode;
mod json;
mod plain;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::any::Any;
use std::fmt::Display;
use std::panic::{catch_unwind, AssertUnwindSafe};

fn value_error(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Runs `work` and turns a panic into an error, so that no input can take the worker down.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(format!("internal error: {}", panic_message(panic.as_ref()))))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown panic")
}

#[pymodule]
fn sluice_serde(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<decode::Decoder>()?;
    module.add_class::<encode::AvroEncoder>()?;
    module.add_function(wrap_pyfunction!(decode::py_arrow_schema, module)?)?;
    module.add_function(wrap_pyfunction!(json::encode_json, module)?)?;
    Ok(())
}
