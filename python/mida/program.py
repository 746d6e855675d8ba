"""The collector's program: where it is."""

from __future__ import annotations

import os
import pathlib
import shutil

from .errors import MidaError

__all__ = ["find"]

NAME = "otelcol-mida" + (".exe" if os.name == "nt" else "")
PACKAGE = pathlib.Path(__file__).resolve().parent


def find() -> str:
    """Return the path of the collector's program: ``MIDA_BIN``, then the one of the wheel, of the checkout, on PATH."""
    given = os.environ.get("MIDA_BIN")
    if given:
        found = shutil.which(given)
        if found is None:
            raise MidaError(f"MIDA_BIN: {given!r} is no program that can be run")
        return os.path.abspath(found)
    carried = PACKAGE / "_bin" / NAME
    for path in (carried, PACKAGE.parent.parent / "bin" / NAME):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    found = shutil.which(NAME)
    if found is None:
        raise MidaError(
            f"the program {NAME} was not found: this package was installed without it ({carried} is missing), and it "
            "is not on PATH; install a wheel of `make dist`, or let MIDA_BIN name the program that `make build` makes"
        )
    return os.path.abspath(found)
