"""The refusals of the rooms, in LiveKit's codes and words where it has some."""

from __future__ import annotations

from switchroom.base.errors import ErrorCode, ServiceError


class RoomNotFound(ServiceError):
    """No room of that name; the browser SDK looks for exactly these words."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "requested room does not exist")


class ParticipantNotFound(ServiceError):
    """Nobody of that identity in the room."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "participant does not exist")


class TrackNotFound(ServiceError):
    """The participant publishes no such track."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "track is not found")


class RoomFull(ServiceError):
    """The room holds `max_participants` already."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.RESOURCE_EXHAUSTED, "room has reached its max_participants")


class RoomClosing(ServiceError):
    """The room, or the whole server, is being closed."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "room is closing")


class TooManyArrivals(ServiceError):
    """A client joins or returns in a loop."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.RESOURCE_EXHAUSTED, "identity joins too often")


class UnmuteNotAllowed(ServiceError):
    """A microphone is opened by its owner only."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.FAILED_PRECONDITION, "remote unmute not enabled")


class LimitExceeded(ServiceError):
    """A text is longer than LiveKit's limits allow; the message names it."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(ErrorCode.INVALID_ARGUMENT, f"{what} exceeds {limit} bytes")


class Invalid(ServiceError):
    """A request that can't be meant; the message says which part."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_ARGUMENT, message)
