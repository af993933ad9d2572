"""Attributes of a participant, as they are typed: `--attribute key=value` and a file of them."""

from __future__ import annotations

import json
from pathlib import Path

from .errors import Mistyped


def pair_of(written: str) -> tuple[str, str]:
    """``key=value`` of ``--attribute``. Raises :class:`Mistyped`."""
    key, equals, value = written.partition("=")
    if not key or not equals:
        raise Mistyped(f"--attribute {written!r} must be written key=value")
    return key, value


def pairs_of_file(path: str) -> dict[str, str]:
    """The JSON object of ``--attribute-file``; nothing without one. Raises Mistyped."""
    if not path:
        return {}
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Mistyped(f"can't read {path}: {error.strerror}") from None
    except ValueError:
        raise Mistyped(f"{path} is not valid JSON") from None
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        raise Mistyped(f"{path} must hold a JSON object whose values are text")
    return document
