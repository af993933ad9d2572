"""An authority of our own and certificates from it, as openssl makes them."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates; ``file`` is what those who trust it load."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.file, self._key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        _openssl("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-keyout", self._key,
                 "-out", self.file)  # fmt: skip

    def sign(self, name: str, *names: str) -> tuple[str, str]:
        """A certificate good for ``names`` (``DNS:a.example``, ``IP:127.0.0.1``): chain and key."""
        chain, key = str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key")
        request, extra = f"{chain}.csr", Path(f"{chain}.cnf")
        extra.write_text(f"subjectAltName={','.join(names)}\n", encoding="ascii")
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
                 "-days", "2", "-extfile", str(extra), "-out", chain)  # fmt: skip
        return chain, key


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
