"""Notebooks of examples/, executed as a person does: all cells from top to bottom, in a fresh kernel."""

from __future__ import annotations

import base64
import html
import os
import re
import tempfile
from pathlib import Path

import nbclient
import nbformat
from jupyter_client.manager import AsyncKernelManager

from .collector import ROOT

NOTEBOOKS = ROOT / "examples" / "notebooks"


def execute(name: str, directory: Path, timeout: int = 120) -> nbformat.NotebookNode:
    """Execute a notebook in a directory, and return it with what its cells gave; a cell that fails is an error."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), f"{name} is kept without outputs: they would be of one machine"
    with tempfile.TemporaryDirectory(prefix="nb") as short:  # the paths of sockets are 107 characters at most
        kernel = AsyncKernelManager(
            kernel_name="python3",
            transport="ipc",  # no port that somebody else could take or reach
            connection_file=str(Path(short) / "kernel.json"),
        )
        client = nbclient.NotebookClient(
            notebook, km=kernel, timeout=timeout, resources={"metadata": {"path": str(directory)}}
        )
        client.owns_km = True  # else the kernel, which it starts, would live as long as the tests
        env = {k: v for k, v in os.environ.items() if k not in ("MIDA_ENDPOINT", "MIDA_TOKEN")}
        return client.execute(env={**env, "IPYTHONDIR": short})


def text_of(cell: nbformat.NotebookNode) -> str:
    """Return what a cell gave as text."""
    return "".join(o.get("data", {}).get("text/plain", "") or o.get("text", "") for o in cell.outputs)


def pictures_of(cell: nbformat.NotebookNode) -> list[bytes]:
    """Return the PNG pictures that a cell drew."""
    found = (o.get("data", {}).get("image/png") for o in cell.outputs)
    return [base64.b64decode(picture) for picture in found if picture]


def html_of(cell: nbformat.NotebookNode) -> str:
    """Return what a cell gave as HTML, such as a DataFrame."""
    return "".join(o.get("data", {}).get("text/html", "") for o in cell.outputs)


def page_of(cell: nbformat.NotebookNode) -> str:
    """Return the page that a cell displays in a frame of its own, apart from the notebook's."""
    frame = re.fullmatch(r'<iframe sandbox srcdoc="([^"]*)" style="[^"]*"></iframe>', html_of(cell))
    assert frame, html_of(cell)[:300]
    return html.unescape(frame[1])
