from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from switchroom.base.certificates import CertificateError, CertificateWatch, ServerCertificate

from .pem_files import make, put_in_place


def shown(certificate: ServerCertificate, chain: str) -> str:
    """Which name a client that trusts `chain` sees, in a handshake through memory."""
    trust = ssl.create_default_context(cafile=chain)
    trust.check_hostname = False
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    peer = client.getpeercert()
    assert peer is not None
    names = dict(pair[0] for pair in peer["subject"])  # type: ignore[misc]
    return str(names["commonName"])


def test_a_certificate_that_changed_is_shown_to_the_next_client(tmp_path: Path) -> None:
    files = make(tmp_path, "old.example.com")
    certificate = ServerCertificate(*files)
    certificate.load()
    assert shown(certificate, files[0]) == "old.example.com"
    put_in_place(files, make(tmp_path, "new.example.com"))
    certificate.renew()
    assert shown(certificate, files[0]) == "new.example.com"


def test_a_chain_whose_key_is_not_its_own_leaves_the_old_one(tmp_path: Path) -> None:
    files = make(tmp_path, "old.example.com")
    kept = tmp_path / "kept.pem"
    kept.write_bytes(Path(files[0]).read_bytes())
    certificate = ServerCertificate(*files)
    certificate.load()
    Path(make(tmp_path, "new.example.com")[0]).replace(files[0])
    certificate.renew()
    assert shown(certificate, str(kept)) == "old.example.com"


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"absent\.pem: No such file"):
        ServerCertificate(str(tmp_path / "absent.pem"), "x").load()
    chain, key = make(tmp_path, "a.example.com")
    Path(chain).write_text("no certificate")
    with pytest.raises(CertificateError, match=r"can't use .*a\.example\.com\.pem"):
        ServerCertificate(chain, key).load()
    Path(chain).unlink()
    ServerCertificate(chain, key).renew()


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    chain, key = make(tmp_path, "a.example.com")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:word", "-out"]
    subprocess.run([*command, str(locked)], check=True, capture_output=True)
    with pytest.raises(CertificateError, match=r"locked\.key: the key has a password"):
        ServerCertificate(chain, str(locked)).load()


async def test_a_watch_loads_at_the_start_and_renews_when_told(tmp_path: Path) -> None:
    files = make(tmp_path, "old.example.com")
    certificate = ServerCertificate(*files)
    watch = CertificateWatch((certificate,))
    await watch.start()
    put_in_place(files, make(tmp_path, "new.example.com"))
    watch.renew()
    await watch.stop()
    assert shown(certificate, files[0]) == "new.example.com"
