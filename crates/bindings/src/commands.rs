//! Tuples from Python, as commands.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use switchroom_engine::AudioCodec;
use switchroom_engine::command::{Command, Direction, LegCodec, LegCrypto, LegMedia, PeerCommand};
use switchroom_engine::peer::{ChannelLabel, Mid, PeerKind, RemoteTransport};

use switchroom_engine::srtp::Suite;

use crate::error::{ErrorCode, fault};

type Address = (String, u16);
type CodecTuple = (u8, String, u32, String);
/// Suite, our key, their key, octets of their key identifier.
type CryptoTuple<'py> = (String, Bound<'py, PyBytes>, Bound<'py, PyBytes>, usize);
/// What of it has to be there; the last of all may be left out.
const UPDATE_LEG: usize = 10;
type UpdateLeg<'py> = (
    String,
    u64,
    Option<Address>,
    Vec<CodecTuple>,
    Option<CodecTuple>,
    String,
    u32,
    Option<f64>,
    Option<CryptoTuple<'py>>,
    bool,
);

/// Reads one command.
pub(crate) fn command(tuple: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let name: String = tuple.get_item(0)?.extract()?;
    match name.as_str() {
        "update_leg" => update_leg(tuple),
        "send_digits" => {
            let (_, leg, digits): (String, u64, String) = tuple.extract()?;
            Ok(Command::SendDigits { leg, digits })
        }
        "set_processing" => {
            let (_, leg, denoise, detect_tones): (String, u64, bool, bool) = tuple.extract()?;
            Ok(Command::SetProcessing { leg, denoise, detect_tones })
        }
        "leg_stats" => {
            let (_, request, leg): (String, u64, u64) = tuple.extract()?;
            Ok(Command::LegStats { request, leg })
        }
        "play_out" => Ok(Command::PlayOut { leg: number(tuple)? }),
        "close_leg" => Ok(Command::CloseLeg { leg: number(tuple)? }),
        "set_inputs" => {
            let (_, sink, inputs): (String, u64, Vec<(u64, f32)>) = tuple.extract()?;
            Ok(Command::SetInputs { sink, inputs })
        }
        "stop_player" => Ok(Command::StopPlayer { player: number(tuple)? }),
        "stats" => Ok(Command::Stats { request: number(tuple)? }),
        "accept_offer" | "describe" | "restart_ice" | "apply_answer" => asking(&name, tuple),
        _ => telling(&name, tuple),
    }
}

/// Commands about a peer that are answered: name, request, peer, arguments.
fn asking(name: &str, tuple: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let request: u64 = tuple.get_item(1)?.extract()?;
    let peer: u64 = tuple.get_item(2)?.extract()?;
    let command = match name {
        "accept_offer" => PeerCommand::AcceptOffer { request, sdp: tuple.get_item(3)?.extract()? },
        "describe" => PeerCommand::Describe { request },
        "restart_ice" => PeerCommand::RestartIce { request },
        _ => {
            let remote = RemoteTransport {
                ice_ufrag: tuple.get_item(3)?.extract()?,
                ice_pwd: tuple.get_item(4)?.extract()?,
                fingerprint: tuple.get_item(5)?.extract()?,
                setup: tuple.get_item(6)?.extract()?,
            };
            PeerCommand::ApplyAnswer { request, remote }
        }
    };
    Ok(Command::Peer { peer, command })
}

/// Commands about a peer that are not answered: name, peer, arguments.
fn telling(name: &str, tuple: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let peer: u64 = tuple.get_item(1)?.extract()?;
    let command = match name {
        "open_peer" => PeerCommand::Open { kind: kind(&argument(tuple)?)? },
        "close_peer" => PeerCommand::Close,
        "declare_sender" => {
            PeerCommand::DeclareSender { mid: mid(tuple)?, ssrc: tuple.get_item(3)?.extract()? }
        }
        "renew_sender" => {
            PeerCommand::RenewSender { mid: mid(tuple)?, ssrc: tuple.get_item(3)?.extract()? }
        }
        "set_sender_payload_types" => {
            let types: Vec<(String, u8)> = tuple.get_item(3)?.extract()?;
            // Codecs that the engine does not have are of no use to it.
            let known =
                |(name, number): (String, u8)| Some((AudioCodec::from_name(&name)?, number));
            let payload_types = types.into_iter().filter_map(known).collect();
            PeerCommand::SetSenderPayloadTypes { mid: mid(tuple)?, payload_types }
        }
        "add_remote_candidate" => PeerCommand::AddRemoteCandidate { candidate: argument(tuple)? },
        "receive" => {
            PeerCommand::Receive { mid: mid(tuple)?, source: tuple.get_item(3)?.extract()? }
        }
        "send" => PeerCommand::Send { mid: mid(tuple)?, sink: tuple.get_item(3)?.extract()? },
        "send_data" => {
            let payload: Vec<u8> = tuple.get_item(3)?.extract()?;
            let label: String = argument(tuple)?;
            let label = ChannelLabel::from_name(&label)
                .ok_or_else(|| invalid(format!("there is no data channel {label:?}")))?;
            PeerCommand::SendData { label, payload }
        }
        _ => return Err(invalid(format!("there is no command {name:?}"))),
    };
    Ok(Command::Peer { peer, command })
}

fn number(tuple: &Bound<'_, PyTuple>) -> PyResult<u64> {
    let (_, number): (String, u64) = tuple.extract()?;
    Ok(number)
}

fn argument(tuple: &Bound<'_, PyTuple>) -> PyResult<String> {
    tuple.get_item(2)?.extract()
}

fn mid(tuple: &Bound<'_, PyTuple>) -> PyResult<Mid> {
    Mid::parse(&argument(tuple)?).map_err(|error| invalid(error.to_string()))
}

fn kind(name: &str) -> PyResult<PeerKind> {
    match name {
        "answerer" => Ok(PeerKind::Answerer),
        "offerer" => Ok(PeerKind::Offerer),
        _ => Err(invalid(format!("{name:?} is not a kind of peer"))),
    }
}

fn update_leg(tuple: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let (first, tuple) = match tuple.get_item(UPDATE_LEG) {
        Ok(first) => (first.extract::<Option<f64>>()?, &tuple.get_slice(0, UPDATE_LEG)),
        Err(_) => (None, tuple),
    };
    let update: UpdateLeg<'_> = tuple.extract()?;
    let (_, leg, remote, codecs, digits, direction, ptime_ms, timeout, crypto, rtcp_mux) = update;
    let direction = Direction::from_name(&direction)
        .ok_or_else(|| invalid(format!("{direction:?} is not a direction")))?;
    let media = LegMedia {
        remote: remote.map(socket_address).transpose()?,
        codecs: codecs.into_iter().map(codec).collect(),
        digits: digits.map(codec),
        direction,
        ptime_ms,
        media_timeout: timeout.map(seconds).transpose()?,
        first_timeout: first.map(seconds).transpose()?,
        crypto: crypto.as_ref().map(leg_crypto).transpose()?,
        rtcp_mux,
    };
    Ok(Command::UpdateLeg { leg, media })
}

fn codec((payload_type, name, clock_rate, parameters): CodecTuple) -> LegCodec {
    LegCodec { payload_type, name, clock_rate, parameters }
}

fn leg_crypto((suite, our_key, their_key, mki): &CryptoTuple<'_>) -> PyResult<LegCrypto> {
    let suite = Suite::from_name(suite)
        .ok_or_else(|| invalid(format!("{suite:?} is no crypto suite of SRTP")))?;
    let (our_key, their_key) = (our_key.as_bytes().to_vec(), their_key.as_bytes().to_vec());
    if our_key.len() != suite.key_size() || their_key.len() != suite.key_size() {
        return Err(invalid(format!("{} takes {} octets", suite.name(), suite.key_size())));
    }
    Ok(LegCrypto { suite, our_key, their_key, their_mki_size: *mki })
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| invalid(error.to_string()))
}

fn socket_address((ip, port): Address) -> PyResult<SocketAddr> {
    let ip: IpAddr = ip.parse().map_err(|_| invalid(format!("{ip:?} is not an IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

fn invalid(message: String) -> PyErr {
    fault(ErrorCode::InvalidCommand, message)
}
