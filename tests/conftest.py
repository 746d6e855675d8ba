"""Shared by the integration and the fault tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

NEEDS_ROOT = "two_users"


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", f"{NEEDS_ROOT}: becomes two Unix users, which only root can")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs root when we are not; the summary says so."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return
    left_out = [item for item in items if item.get_closest_marker(NEEDS_ROOT)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)


LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly what was not run."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"NOT RUN: {left_out} tests that need two Unix users; run as root to check that users are kept apart",
            yellow=True,
            bold=True,
        )
