"""The papers: links lead somewhere, words mean one thing, what can be set is listed."""

from __future__ import annotations

import re
from pathlib import Path

from architecture.project import PACKAGE, ROOT, files_ending, shown, toml
from switchroom.base.config import setting_paths

PAPERS = files_ending(".md")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
CODE = re.compile(r"```.*?```", re.DOTALL)


def test_every_link_inside_the_project_leads_somewhere() -> None:
    broken = [
        (shown(paper), target)
        for paper in PAPERS
        for target in LINK.findall(CODE.sub("", paper.read_text(encoding="utf-8")))
        if not re.match(r"[a-z]+:", target) and not leads_somewhere(paper, target)
    ]
    assert broken == []


def leads_somewhere(paper: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (paper.parent / name).resolve() if name else paper
    if not anchor:
        return file.exists()
    return file.is_file() and anchor in anchors(file)


def anchors(paper: Path) -> set[str]:
    headings = HEADING.findall(CODE.sub("", paper.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_every_word_of_the_glossary_is_defined_once_and_in_order() -> None:
    words = re.findall(
        r"^\*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(words) >= 20
    assert words == sorted(set(words), key=str.lower)


def test_every_setting_is_documented_and_no_other() -> None:
    documented = re.findall(
        r"^\| `([a-z0-9_.]+)` \|",
        (ROOT / "docs/configuration.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert documented == list(setting_paths())


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    decisions = sorted(path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert [name for name in decisions if f"({name})" not in index] == []


def test_every_make_target_that_papers_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        name
        for paper in PAPERS
        for name in re.findall(r"`make ([a-z]+)`", paper.read_text(encoding="utf-8"))
    }
    assert named <= targets
    assert {"demo", "test", "check", "bench", "wheel", "help", "clean"} <= targets


def test_the_changelog_has_the_present_version_or_unreleased_on_top() -> None:
    headings = re.findall(
        r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[0] in {"Unreleased", toml("pyproject.toml")["project"]["version"]}


def test_every_file_that_papers_name_exists() -> None:
    """`telephony/calls/call.py` is short for its place in src/switchroom; globs find something."""
    named = re.compile(r"`((?:[\w.*-]+/)+(?:[\w*-]+\.(?:py|rs|toml|md|yaml))?)`")
    missing = [
        (shown(paper), name)
        for paper in PAPERS
        for name in named.findall(CODE.sub("", paper.read_text(encoding="utf-8")))
        if not any(any(base.glob(name)) for base in (ROOT, PACKAGE, paper.parent))
    ]
    assert missing == []
