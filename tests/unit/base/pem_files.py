"""Certificates for tests, as openssl makes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate for `name` and 127.0.0.1: the paths of chain and key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    names = f"subjectAltName=DNS:{name},IP:127.0.0.1"
    options = f"-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name}"
    subprocess.run(
        ["openssl", "req", *options.split(), "-addext", names, "-keyout", key, "-out", chain],
        check=True,
        capture_output=True,
    )
    return str(chain), str(key)


def put_in_place(old: tuple[str, str], new: tuple[str, str]) -> None:
    """The files of `new` take the places of those of `old`, as certbot does it."""
    for place, file in zip(old, new, strict=True):
        Path(file).replace(place)
