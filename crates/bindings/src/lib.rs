//! The Python module: the only crate that knows Python.

use pyo3::prelude::*;

/// The compiled half of `switchroom.media`.
#[pymodule(gil_used = false)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
