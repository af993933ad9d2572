//! The Python module: the only crate that knows Python.
//!
//! It is narrow on purpose: commands go in as lists of tuples, events come out as lists of tuples,
//! and no call carries audio. `src/switchroom/media/_engine.pyi` says what each tuple holds.

mod commands;
mod error;
mod events;
mod handle;

use pyo3::prelude::*;

/// The compiled half of `switchroom.media`.
#[pymodule(gil_used = false)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("EngineFault", module.py().get_type::<error::EngineFault>())?;
    module.add_class::<handle::Engine>()
}
