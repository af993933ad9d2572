//! Refusals, as Python sees them. `switchroom/media/errors.py` has a class for each code.

use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use switchroom_driver::DriverError;

create_exception!(
    _engine,
    EngineFault,
    PyException,
    "A refusal: `args` are the code and a sentence for people."
);

/// Every reason for which a call into the engine is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// The WebRTC port is somebody else's.
    PortInUse,
    /// No pair of RTP ports is free.
    NoPortAvailable,
    /// Not an address of this host.
    BadAddress,
    /// A tone or a file that cannot be played.
    Player,
    /// The operating system refused.
    System,
    /// The engine is not running.
    Stopped,
    /// A command that is none, or has arguments of the wrong form.
    InvalidCommand,
}

impl ErrorCode {
    /// Its name in Python.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PortInUse => "port_in_use",
            Self::NoPortAvailable => "no_port_available",
            Self::BadAddress => "bad_address",
            Self::Player => "player",
            Self::System => "system",
            Self::Stopped => "stopped",
            Self::InvalidCommand => "invalid_command",
        }
    }
}

/// The exception for a code and what is to be said about it.
pub(crate) fn fault(code: ErrorCode, message: String) -> PyErr {
    EngineFault::new_err((code.name(), message))
}

/// The exception for what the driver says.
pub(crate) fn refused(error: &DriverError) -> PyErr {
    let code = match error {
        DriverError::PortInUse(_) => ErrorCode::PortInUse,
        DriverError::NoPortAvailable(..) => ErrorCode::NoPortAvailable,
        DriverError::Bind(..) | DriverError::BadAddress(..) => ErrorCode::BadAddress,
        DriverError::BadFile(..) => ErrorCode::Player,
        DriverError::System(_) => ErrorCode::System,
        DriverError::Stopped => ErrorCode::Stopped,
    };
    fault(code, error.to_string())
}
