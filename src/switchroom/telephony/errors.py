"""Why telephony refuses a request."""

from __future__ import annotations

from switchroom.base.errors import ErrorCode, ServiceError


class InvalidRequestError(ServiceError):
    """A field that cannot be used; the text is LiveKit's where it has one."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_ARGUMENT, message)


class NotPossibleError(ServiceError):
    """A request in order that this server, or the trunk as it is set up, cannot fulfil."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.FAILED_PRECONDITION, message)


class TrunkNotFoundError(ServiceError):
    """requested sip trunk does not exist"""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "requested sip trunk does not exist")


class RuleNotFoundError(ServiceError):
    """requested sip dispatch rule does not exist"""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_FOUND, "requested sip dispatch rule does not exist")


class NotTakingCallsError(ServiceError):
    """The server is stopping; another one may take the call."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.UNAVAILABLE, "the server is shutting down and takes no new calls"
        )


class OverloadedError(ServiceError):
    """The node has as many calls as it bears; nothing was sent. ``meta``: ``retry_after`` (s)."""

    def __init__(self, sentence: str, retry_after: int) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, sentence, {"retry_after": str(retry_after)})
