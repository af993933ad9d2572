"""Audio never enters Python: nothing in the binding could carry it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from architecture.project import PACKAGE, ROOT

STUB = PACKAGE / "media" / "_engine.pyi"

# Any type that could hold samples or packets, if a call took or gave it.
CARRIERS = re.compile(
    r"\b(bytes|bytearray|memoryview|Buffer|array|ndarray|Any|object"
    r"|(list|tuple|Sequence|Iterable)\[(int|float))\b"
)

# The only ones there are: messages of data channels, which applications send each other.
DATA_MESSAGES = {"Engine.send_data", "DataReceived.payload"}


def test_the_binding_has_no_call_that_carries_audio() -> None:
    assert carriers(STUB.read_text(encoding="utf-8")) == DATA_MESSAGES


def test_the_stub_tells_the_truth_about_the_binding() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            "switchroom.media._engine",
            "--mypy-config-file",
            "pyproject.toml",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def carriers(stub: str) -> set[str]:
    return {name for name, annotation in types_in(stub) if CARRIERS.search(annotation)}


def types_in(stub: str) -> list[tuple[str, str]]:
    """(``Class.method`` or ``Class.field``, each annotation in it) of everything in a stub."""
    return _annotations(ast.parse(stub), "")


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


def test_a_call_that_carried_frames_would_be_found() -> None:
    stub = "class Engine:\n    def push_frame(self, samples: memoryview) -> None: ..."
    assert carriers(stub) == {"Engine.push_frame"}
