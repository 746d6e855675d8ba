"""Where the collector's program is found, and what the wheel that carries it holds."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mida import program
from mida.errors import MidaError

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts here")


def script(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho $0 $@\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A package that lies in a checkout without a program, and nothing on PATH or in the environment."""
    monkeypatch.setattr(program, "PACKAGE", tmp_path / "checkout" / "python" / "mida")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("MIDA_BIN", raising=False)
    return tmp_path


def test_order(places, monkeypatch):
    """MIDA_BIN wins over the wheel's own program, that over the checkout's, that over PATH."""
    on_path = script(places / "path" / "otelcol-mida")
    assert program.find() == on_path
    in_checkout = script(places / "checkout" / "bin" / "otelcol-mida")
    assert program.find() == in_checkout
    carried = script(places / "checkout" / "python" / "mida" / "_bin" / "otelcol-mida")
    assert program.find() == carried
    given = script(places / "mine")
    monkeypatch.setenv("MIDA_BIN", given)
    assert program.find() == given


def test_nothing_there(places, monkeypatch):
    with pytest.raises(MidaError, match=r"_bin/otelcol-mida is missing.*not on PATH.*make dist.*MIDA_BIN"):
        program.find()
    monkeypatch.setenv("MIDA_BIN", "nothing")
    with pytest.raises(MidaError, match="MIDA_BIN: 'nothing' is no program"):
        program.find()


def test_wheel_carries_the_program(tmp_path):
    """A wheel for another machine: tagged for it, the program inside and still executable once it is installed."""
    fake = script(tmp_path / "fake")
    wheel = [sys.executable, ROOT / "tools" / "wheel.py", "--program", fake, "--platform", "linux/arm64"]
    subprocess.run([*map(str, wheel), "--out", str(tmp_path)], check=True)
    (made,) = tmp_path.glob("*.whl")
    assert made.name.endswith("-py3-none-manylinux2014_aarch64.whl")
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
        (carried,) = [i for i in archive.infolist() if i.filename == "mida/_bin/otelcol-mida"]
    assert (carried.external_attr >> 16) & stat.S_IXUSR
    package = {p.name for p in (ROOT / "python" / "mida").iterdir() if p.suffix in (".py", ".yaml")}
    assert {n.removeprefix("mida/") for n in names if n.startswith("mida/") and "/_bin/" not in n} >= package
    assert not [n for n in names if "test" in n or n.startswith("_bin")]
    assert not (ROOT / "python" / "mida" / "_bin").exists()


def test_source_distribution_needs_no_program(tmp_path):
    """What is built from the sources alone is a pure package."""
    source = tmp_path / "python"
    shutil.copytree(ROOT / "python", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(pip, check=True)
    assert [p.name.split("-", 2)[2] for p in tmp_path.glob("*.whl")] == ["py3-none-any.whl"]
