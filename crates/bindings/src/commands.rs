//! Tuples from Python, as commands.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use switchroom_engine::command::{Command, Direction, LegCodec, LegMedia};

use crate::error::{ErrorCode, fault};

type Address = (String, u16);
type CodecTuple = (u8, String, u32);
type UpdateLeg =
    (String, u64, Option<Address>, Vec<CodecTuple>, Option<CodecTuple>, String, u32, Option<f64>);

/// Reads one command.
pub(crate) fn command(tuple: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let name: String = tuple.get_item(0)?.extract()?;
    match name.as_str() {
        "update_leg" => update_leg(tuple.extract()?),
        "send_digits" => {
            let (_, leg, digits): (String, u64, String) = tuple.extract()?;
            Ok(Command::SendDigits { leg, digits })
        }
        "close_leg" => Ok(Command::CloseLeg { leg: number(tuple)? }),
        "set_inputs" => {
            let (_, sink, inputs): (String, u64, Vec<(u64, f32)>) = tuple.extract()?;
            Ok(Command::SetInputs { sink, inputs })
        }
        "stats" => Ok(Command::Stats { request: number(tuple)? }),
        _ => Err(invalid(format!("there is no command {name:?}"))),
    }
}

fn number(tuple: &Bound<'_, PyTuple>) -> PyResult<u64> {
    let (_, number): (String, u64) = tuple.extract()?;
    Ok(number)
}

fn update_leg(tuple: UpdateLeg) -> PyResult<Command> {
    let (_, leg, remote, codecs, digits, direction, ptime_ms, media_timeout) = tuple;
    let direction = Direction::from_name(&direction)
        .ok_or_else(|| invalid(format!("{direction:?} is not a direction")))?;
    let media = LegMedia {
        remote: remote.map(socket_address).transpose()?,
        codecs: codecs.into_iter().map(codec).collect(),
        digits: digits.map(codec),
        direction,
        ptime_ms,
        media_timeout: media_timeout.map(seconds).transpose()?,
    };
    Ok(Command::UpdateLeg { leg, media })
}

fn codec((payload_type, name, clock_rate): CodecTuple) -> LegCodec {
    LegCodec { payload_type, name, clock_rate }
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| invalid(error.to_string()))
}

fn socket_address((ip, port): Address) -> PyResult<SocketAddr> {
    let ip: IpAddr = ip.parse().map_err(|_| invalid(format!("{ip:?} is not an IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

pub(crate) fn invalid(message: String) -> PyErr {
    fault(ErrorCode::InvalidCommand, message)
}
