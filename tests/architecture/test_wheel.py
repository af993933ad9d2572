"""What `pip install` brings: the package whole, also the files that are no Python."""

from __future__ import annotations

import subprocess

from architecture.project import PACKAGE, ROOT, project_files, shown, toml


def test_the_wheel_has_every_file_of_the_package() -> None:
    """maturin takes all of `python-source` but what .gitignore names, tracked by git or not."""
    settings = toml("pyproject.toml")["tool"]["maturin"]
    assert settings["python-source"] == "src"
    assert "exclude" not in settings
    ours = [shown(path) for path in project_files() if path.is_relative_to(PACKAGE)]
    assert any(name.endswith(".wav") for name in ours)
    assert "src/switchroom/py.typed" in ours
    left_out = subprocess.run(
        ["git", "check-ignore", "--no-index", *ours],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert left_out.stdout.splitlines() == []
    assert left_out.returncode == 1, left_out.stderr
