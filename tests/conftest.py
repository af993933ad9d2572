"""What every test may lean on, and the rule that continuous integration skips nothing."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

SKIPS_ARE_FAILURES = os.environ.get("SWITCHROOM_CI") == "1"
RUNNING_TEST = os.environ.get("SWITCHROOM_RUNNING_TEST")

# A slow machine is no bug: time is never asserted on, not even by hypothesis.
hypothesis.settings.register_profile("switchroom", deadline=None)
hypothesis.settings.load_profile("switchroom")


@pytest.fixture(autouse=True)
def _logs_as_found() -> Iterator[None]:
    """A test that configures logging leaves no trace in the next one."""
    yield
    structlog.reset_defaults()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Written down for `tools/test-lanes`, which a lane that crashes can't tell any more."""
    if RUNNING_TEST:
        Path(RUNNING_TEST).write_text(nodeid, encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if SKIPS_ARE_FAILURES and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if SKIPS_ARE_FAILURES and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"skipped, and continuous integration skips nothing: {reason}"
