//! The one class.

use std::net::IpAddr;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use switchroom_codecs::tone::{Segment, ToneGenerator};
use switchroom_driver::{Driver, DriverConfig, RtcAddress};
use switchroom_engine::{LegIds, PlayerIds, PlayerSound};

use crate::commands::command;
use crate::error::{ErrorCode, fault, refused};
use crate::events::event;

/// Players make 8 kHz sound.
const TONE_RATE: u32 = 8_000;

/// A running media thread.
#[pyclass(frozen, module = "switchroom.media._engine")]
pub(crate) struct Engine {
    driver: Driver,
}

#[pymethods]
impl Engine {
    /// Opens the WebRTC sockets and starts the thread. `rtc_addresses`: bound to, and told to clients.
    #[new]
    #[allow(clippy::needless_pass_by_value)] // arguments come from Python by value
    fn new(
        rtc_addresses: Vec<(String, String)>,
        rtc_port: u16,
        rtp_port_range: (u16, u16),
    ) -> PyResult<Self> {
        let read = |(bound, advertised): &(String, String)| -> PyResult<RtcAddress> {
            Ok(RtcAddress { bound: address(bound)?, advertised: address(advertised)? })
        };
        let rtc_addresses = rtc_addresses.iter().map(read).collect::<PyResult<_>>()?;
        let config = DriverConfig { rtc_addresses, rtc_port, rtp_port_range };
        let driver = Driver::start(&config).map_err(|error| refused(&error))?;
        Ok(Self { driver })
    }

    /// Readable while `drain` has something to give.
    #[getter]
    fn fd(&self) -> i32 {
        self.driver.news_descriptor()
    }

    /// Where the WebRTC sockets are bound.
    #[getter]
    fn rtc_addresses(&self) -> Vec<(String, u16)> {
        self.driver.rtc_locals().iter().map(|at| (at.ip().to_string(), at.port())).collect()
    }

    /// Binds a pair of ports for a leg; the even one.
    fn open_leg(&self, leg: u64, source: u64, sink: u64, local_ip: &str) -> PyResult<u16> {
        let ids = LegIds { leg, source, sink };
        self.driver.open_leg(ids, address(local_ip)?).map_err(|error| refused(&error))
    }

    /// Plays a cadence: frequencies in Hz and durations in seconds, `level` in dBov each.
    fn play_tone(
        &self,
        player: u64,
        source: u64,
        segments: Vec<(Vec<f64>, f64)>,
        level: f64,
        repeat: bool,
    ) -> PyResult<()> {
        let segment = |(frequencies, duration)| Segment { frequencies, duration };
        let segments: Vec<Segment> = segments.into_iter().map(segment).collect();
        let tone = ToneGenerator::new(TONE_RATE, &segments, level, repeat)
            .map_err(|error| fault(ErrorCode::Player, error.to_string()))?;
        let ids = PlayerIds { player, source };
        self.driver.play(ids, PlayerSound::Tone(tone)).map_err(|error| refused(&error))
    }

    /// Reads a WAV file in this thread and plays it.
    #[allow(clippy::needless_pass_by_value)] // arguments come from Python by value
    fn play_file(
        &self,
        py: Python<'_>,
        player: u64,
        source: u64,
        path: PathBuf,
        repeat: bool,
    ) -> PyResult<()> {
        let ids = PlayerIds { player, source };
        py.detach(|| self.driver.play_file(ids, &path, repeat)).map_err(|error| refused(&error))
    }

    /// Has commands done, in order; all of them or, if one is not understood, none.
    fn submit(&self, commands: &Bound<'_, PyList>) -> PyResult<()> {
        let read = |item: Bound<'_, PyAny>| command(item.cast::<PyTuple>()?);
        let commands = commands.iter().map(read).collect::<PyResult<Vec<_>>>()?;
        self.driver.submit(commands).map_err(|error| refused(&error))
    }

    /// What has happened since the last call, in order.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.driver.drain().into_iter().map(|news| event(py, news)).collect()
    }

    /// Closes everything and waits for the thread to end.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.driver.stop());
    }
}

fn address(text: &str) -> PyResult<IpAddr> {
    let bad = |_| fault(ErrorCode::BadAddress, format!("{text:?} is not an IP address"));
    text.parse().map_err(bad)
}
