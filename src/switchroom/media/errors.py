"""What the engine refuses. Mirrors ``crates/bindings/src/error.rs``, one class a code."""

from __future__ import annotations

from typing import ClassVar

from ._engine import EngineFault


class EngineError(Exception):
    """A refusal of the media engine; the text is for people."""

    code: ClassVar[str] = "system"
    remedy: ClassVar[str] = ""
    """What is added to the engine's words, which knows no settings."""


class PortInUse(EngineError):
    """The WebRTC port belongs to another program."""

    code = "port_in_use"
    remedy = ": stop what uses it, or set rtc.udp_port"


class NoPortAvailable(EngineError):
    """No pair of ports for a leg is free."""

    code = "no_port_available"


class BadAddress(EngineError):
    """An address that is none, or is not one of this host."""

    code = "bad_address"


class EngineStopped(EngineError):
    """The engine is not running (any more)."""

    code = "stopped"


class EngineFailed(EngineStopped):
    """The media thread ended by a fault of its own. Nothing carries media any more."""

    code = "failed"


class InvalidCommand(EngineError):
    """A command of the wrong form: a fault in this package."""

    code = "invalid_command"


class PeerError(EngineError):
    """A peer refused what it was told: a bad offer, an unknown section, or it is gone."""

    code = "peer"


class PlayerError(EngineError):
    """A tone or a file that cannot be played."""

    code = "player"


_BY_CODE: dict[str, type[EngineError]] = {
    error.code: error
    for error in (
        PortInUse,
        NoPortAvailable,
        BadAddress,
        EngineStopped,
        InvalidCommand,
        PeerError,
        PlayerError,
    )
}


def engine_error(fault: EngineFault) -> EngineError:
    """The exception of ours for one of the compiled engine's."""
    code, message = fault.args
    kind = _BY_CODE.get(code, EngineError)
    return kind(message + kind.remedy)
