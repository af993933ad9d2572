"""Why a worker is sent away: each is told in the WebSocket's close reason."""

from __future__ import annotations


class WorkerRefused(Exception):
    """The connection of a worker is closed; `str()` is the reason told, below 123 bytes."""
