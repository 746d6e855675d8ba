"""Shared by the integration and the fault tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.gpus import missing

# Markers of what only root can do, and what of the product is not checked without it.
NEEDS_ROOT = {
    "two_users": ("becomes two Unix users", "that users are kept apart"),
    "namespaces": ("makes network namespaces", "several hosts"),
    "mounts": ("mounts a small disk", "what happens when a disk is full"),
}

ROOT_OF_A_MACHINE = {
    "namespaces": (["unshare", "--net", "--uts", "true"], ["ip", "netns", "list"]),
    "mounts": (["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],),
}


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for name, (what, _) in NEEDS_ROOT.items():
        config.addinivalue_line("markers", f"{name}: {what}, which only root can")
    config.addinivalue_line("markers", "gpu: uses a real NVIDIA GPU by PyTorch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs root when we are not, and what needs a GPU where there is none; the summary says so."""
    left_out = {name: [item for item in items if item.get_closest_marker(name)] for name in (*NEEDS_ROOT, "gpu")}
    left_out = {name: some for name, some in left_out.items() if some and not _can(name)}
    gone = [item for some in left_out.values() for item in some]
    if gone:
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=gone)
        config.stash[LEFT_OUT] = {name: len(some) for name, some in left_out.items()}


def _can(name: str) -> bool:
    if name == "gpu":
        return _no_gpu() is None
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    # The root of a container may not make networks, and may not mount.
    return all(
        shutil.which(command[0]) and subprocess.run(command, check=False, capture_output=True).returncode == 0
        for command in ROOT_OF_A_MACHINE.get(name, ())
    )


_no_gpu = functools.cache(missing)

LEFT_OUT: pytest.StashKey[dict] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly what was not run."""
    for name, count in config.stash.get(LEFT_OUT, {}).items():
        if name == "gpu":
            terminalreporter.write_line(
                f"NOT RUN: {count} tests that use a real GPU ({_no_gpu()}); run them where there is an NVIDIA GPU and "
                "PyTorch, to check that what tasks used of it is true",
                yellow=True,
                bold=True,
            )
            continue
        what, unchecked = NEEDS_ROOT[name]
        terminalreporter.write_line(
            f"NOT RUN: {count} tests of which each {what}; run as root, not in a container, to check {unchecked}",
            yellow=True,
            bold=True,
        )
