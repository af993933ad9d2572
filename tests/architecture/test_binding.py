"""Audio never enters Python: nothing on the way between the two could carry it.

Three fences: the typed surface of `media`, the stub of the compiled module, and the sources of the
binding itself, whose commands and events are tuples.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from architecture.project import PACKAGE, ROOT, files_ending

STUB = PACKAGE / "media" / "_engine.pyi"

# Any type that could hold samples or packets, if a call took or gave it.
CARRIERS = re.compile(
    r"\b(bytes|bytearray|memoryview|Buffer|array|ndarray|object"
    r"|(list|Sequence|Iterable)\[(int|float)|tuple\[(int|float), \.\.\.)(\b|\])"
)
RUST_CARRIERS = re.compile(
    r"PyBytes|PyByteArray|PyBuffer|PyArray|Vec<(u8|i16|f32)>|&\[(u8|i16|f32)\]|Cow<.*\[u8\]>"
)

# What applications send each other over data channels is the only payload there is; the segments of
# a tone are frequencies in hertz, and keys of SRTP are as short as keys are.
IN_PYTHON = {
    "Peer.send_data",
    "DataReceived.payload",
    "Tone.segments",
    "LegCrypto.our_key",
    "LegCrypto.their_key",
    "_crypto",
}
# The frequencies of a tone, in hertz.
IN_STUB = {"Engine.play_tone"}


def test_the_media_room_has_no_call_or_event_that_carries_audio() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (PACKAGE / "media").glob("*.py"))
    assert {name for source in sources for name in carriers(source)} <= IN_PYTHON


def test_the_binding_has_no_call_that_carries_audio() -> None:
    assert carriers(STUB.read_text(encoding="utf-8")) <= IN_STUB


def test_the_tuples_of_the_binding_carry_no_bytes_but_those_of_data_messages() -> None:
    carrying = [
        line.strip()
        for path in files_ending(".rs", under="crates/bindings/src/")
        for line in path.read_text(encoding="utf-8").splitlines()
        if RUST_CARRIERS.search(line) and not line.lstrip().startswith(("//", "use "))
    ]
    meant = re.compile(r"payload|our_key|their_key|CryptoTuple|Bound<'py, PyBytes>, usize")
    assert [line for line in carrying if not meant.search(line)] == []


def test_the_stub_tells_the_truth_about_the_binding() -> None:
    command = ["-m", "mypy.stubtest", "switchroom.media._engine"]
    run = subprocess.run(
        [sys.executable, *command, "--mypy-config-file", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_call_that_carried_frames_would_be_found() -> None:
    for frames in (
        "memoryview",
        "bytes",
        "list[int]",
        "dict[str, bytes]",
        "Sequence[float] | None",
        "tuple[int, ...]",
    ):
        assert carriers(f"class E:\n    def push(self, x: {frames}) -> None: ...") == {"E.push"}
        assert carriers(f"class E:\n    frames: {frames}") == {"E.frames"}
    assert RUST_CARRIERS.search("fn push(&self, samples: Vec<i16>) -> PyResult<()> {")


def carriers(source: str) -> set[str]:
    """``Class.method`` and ``Class.field`` of everything public that could carry audio."""
    return {
        name
        for name, annotation in _annotations(ast.parse(source), "")
        if CARRIERS.search(annotation)
    }


def _annotations(node: ast.AST, owner: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            found += _annotations(child, f"{owner}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs]
            typed = [argument.annotation for argument in arguments] + [child.returns]
            found += [(owner + child.name, ast.unparse(one)) for one in typed if one is not None]
        elif isinstance(child, ast.AnnAssign):
            found.append((owner + ast.unparse(child.target), ast.unparse(child.annotation)))
    return found
