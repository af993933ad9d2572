"""Partial updates: what LiveKit's update messages may say about one field."""

from __future__ import annotations

from switchroom.base.records import record, replace
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.routing.media_config import Encryption, MediaConfig


@record
class ListUpdate:
    """A change to a list: the whole new one, or what to add and remove, or nothing left."""

    set: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    clear: bool = False

    def applied_to(self, current: tuple[str, ...]) -> tuple[str, ...]:
        """The new list. Raises InvalidRequestError for a contradictory or empty update."""
        self._check()
        if self.clear:
            return ()
        if self.set:
            return self.set
        kept = list(current)
        for gone in self.remove:
            if gone in kept:
                kept.remove(gone)
        for new in self.add:
            if new not in kept:
                kept.append(new)
        return tuple(kept)

    def _check(self) -> None:
        changes = bool(self.set or self.add or self.remove)
        if not changes and not self.clear:
            raise InvalidRequestError("unsupported list update operation")
        if self.clear and changes:
            raise InvalidRequestError("cannot clear and change the list at the same time")
        if self.set and (self.add or self.remove):
            raise InvalidRequestError("cannot set and change the list at the same time")
        if "" in (*self.set, *self.add, *self.remove):
            raise InvalidRequestError("empty element in the list")


@record
class MediaUpdate:
    """A change to ``media``: the whole of it, or the encryption by its deprecated field."""

    config: MediaConfig | None = None
    legacy_encryption: Encryption | None = None

    def applied_to(self, current: MediaConfig) -> MediaConfig:
        if self.config is not None:
            return self.config.with_legacy_encryption(self.legacy_encryption or Encryption.DISABLE)
        if self.legacy_encryption is not None:
            return replace(current, encryption=self.legacy_encryption)
        return current


NO_MEDIA_UPDATE = MediaUpdate()


def either(new: str | None, old: str) -> str:
    """A text field of an update: None leaves the old value."""
    return old if new is None else new


def list_with(update: ListUpdate | None, current: tuple[str, ...]) -> tuple[str, ...]:
    """A list field of an update: None leaves the old one. Raises InvalidRequestError."""
    return current if update is None else update.applied_to(current)
