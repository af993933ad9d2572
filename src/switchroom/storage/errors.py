"""What goes wrong with the database, said without its library's words."""

from __future__ import annotations

from switchroom.base.errors import ErrorCode, ServiceError


class StorageError(ServiceError):
    """Something could not be read or written; the log says why."""

    def __init__(self, message: str = "the database could not be reached") -> None:
        super().__init__(ErrorCode.INTERNAL, message)
