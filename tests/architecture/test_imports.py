"""Who may know whom: the contracts of pyproject.toml, and what they can't express."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from architecture.project import ROOT, files_ending, imported_modules, rooms, shown, toml

# The module that an import names, where the distribution has another name.
DISTRIBUTIONS = {
    "dns": "dnspython",
    "google": "protobuf",
    "jwt": "pyjwt",
    "prometheus_client": "prometheus-client",
    "livekit": "livekit-protocol",
    "yaml": "pyyaml",
}
# google.rpc is another distribution than google.protobuf, in the same namespace.
GOOGLE_RPC = "googleapis-common-protos"


def test_the_import_contracts_hold() -> None:
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_room_has_its_place_in_the_layers() -> None:
    contracts = {
        contract["id"]: contract
        for contract in toml("pyproject.toml")["tool"]["importlinter"]["contracts"]
    }
    placed = " ".join(contracts["layers"]["layers"])
    assert [room for room in rooms() if f"switchroom.{room}" not in placed] == []


def test_only_media_touches_the_compiled_engine() -> None:
    users = {
        shown(path)
        for path in files_ending(".py", under="src/")
        if any("._engine" in name for name in imported_modules(path))
    }
    assert [user for user in users if not user.startswith("src/switchroom/media/")] == []


def test_in_rooms_only_the_signal_protocol_knows_livekits_messages() -> None:
    users = [
        shown(path)
        for path in files_ending(".py", under="src/switchroom/rooms/")
        if any(name.startswith(("livekit.", "google.")) for name in imported_modules(path))
    ]
    assert [user for user in users if not user.startswith("src/switchroom/rooms/signal/")] == []


def test_the_environment_is_read_in_one_place() -> None:
    """base.config is handed it by the command line; the simulated network is its own process."""
    readers = [
        shown(path)
        for path in files_ending(".py", under="src/")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]
    outside = ("src/switchroom/cli/", "src/switchroom/phonenet/")
    assert [reader for reader in readers if not reader.startswith(outside)] == []


def test_every_third_party_import_is_a_declared_dependency() -> None:
    project = toml("pyproject.toml")["project"]
    optional = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for lines in optional for line in lines)]
    declared = {line.split("[")[0].split(">")[0].split("=")[0].strip().lower() for line in lines}
    missing = {
        (name, shown(path))
        for path in files_ending(".py", under="src/")
        for module in imported_modules(path)
        if (name := _distribution(module)) is not None and name not in declared
    }
    assert missing == set()


def _distribution(module: str) -> str | None:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in {"switchroom", ""}:
        return None
    if module.startswith("google.rpc"):
        return GOOGLE_RPC
    return DISTRIBUTIONS.get(top, top)


def test_the_crates_depend_downwards_only() -> None:
    allowed = {
        "rtp": set(),
        "codecs": set(),
        "netem": set(),
        "engine": {"rtp", "codecs"},
        "driver": {"rtp", "codecs", "engine"},
        "bindings": {"rtp", "codecs", "engine", "driver"},
    }
    for crate, below in allowed.items():
        manifest = toml(f"crates/{crate}/Cargo.toml")
        ours = {
            name.removeprefix("switchroom-")
            for name in manifest.get("dependencies", {})
            if "switchroom-" in name
        }
        assert ours <= below, f"crates/{crate} may not use {ours - below}"
        assert crate == "bindings" or "pyo3" not in manifest.get("dependencies", {}), (
            f"crates/{crate} knows Python"
        )
