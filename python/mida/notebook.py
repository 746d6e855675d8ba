"""The IPython extension: ``%load_ext mida``, then ``%mida`` and ``%%mida``.

``%mida observe NAME``
    observes from here on, until ``%mida end`` or the end of the session
``%%mida observe NAME``
    observes while the cell runs; everything that it did is in the view when it has ended
``%mida status``, ``%mida query …``, ``%mida lineage ID``, …
    as on the command line

``observe`` takes the flags of ``mida run`` (``--mlflow``, ``--logs``, ``--rules``, ``--dask``) and ``mida.yaml``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import sys
import warnings
from typing import Any, Dict, List, Optional

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from . import cli, run_cli
from .errors import MidaError
from .observation import Observation, preloads

__all__ = ["MidaMagics", "load", "unload"]

TERMINAL = ("up", "run", "rules", "copy", "config")


class CellFailed(Exception):
    """Stops what follows a cell that failed, whose traceback is shown already."""

    def _render_traceback_(self) -> List[str]:
        return []


@magics_class
class MidaMagics(Magics):
    """The magic ``mida``."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._session: Optional[Session] = None

    @line_cell_magic
    def mida(self, line: str, cell: Optional[str] = None) -> None:
        """Ask the view, or observe: see ``mida.notebook``."""
        words = shlex.split(line)
        try:
            if words[:1] == ["observe"]:
                self._observe(words[1:], cell)
            elif cell is not None:
                raise UsageError("%%mida: want %%mida observe NAME, with the flags of mida run")
            elif words == ["end"]:
                self.end()
            else:
                self._ask(words)
        except MidaError as error:
            raise UsageError(f"mida: {error}") from None

    def _observe(self, words: List[str], cell: Optional[str]) -> None:
        if words and not words[0].startswith("-"):
            words = ["--campaign", *words]
        if self._session is not None:
            raise UsageError(f"mida: campaign {self._session.name} is observed already; %mida end ends that")
        self._session = Session(words)
        if cell is None:
            print(f"Campaign {self._session.name} is observed until %mida end.")
            return
        try:
            result = self.shell.run_cell(cell)
        finally:
            self.end()
        if not result.success:
            raise CellFailed

    def _ask(self, words: List[str]) -> None:
        if words[:1] and words[0] in TERMINAL:
            raise UsageError(f"mida {words[0]}: is for a terminal; here there is %mida observe NAME")
        self.look()
        # The command line has its own way with warnings, and ends by an exit.
        with warnings.catch_warnings(), contextlib.suppress(SystemExit):
            cli.main(words or ["status"])

    def look(self, *_: Any) -> None:
        """Observe what has appeared."""
        if self._session is not None:
            self._session.look()

    def end(self) -> None:
        """Bring everything over."""
        session, self._session = self._session, None
        if session is not None:
            print(session.end())


class Session:
    """What is observed of this process, from the start to `end`."""

    def __init__(self, flags: List[str]) -> None:
        wanted = run_cli.wanted(flags)
        self.name = wanted["campaign"]
        for glob in wanted["without_rules"]:
            print(f"{glob} is not observed: nothing says what its lines mean; `mida init` suggests rules")
        observers = run_cli.observers(wanted)
        self._observed = Observation(self.name, observers, find_mlflow=not wanted["mlflow_named"], say=print)
        self.look = self._observed.look
        # This Python has the package.
        mine = {k: v for k, v in self._observed.environment.items() if k != "PYTHONPATH"}
        self._before: Dict[str, Optional[str]] = {name: os.environ.get(name) for name in mine}
        self._config = contextlib.ExitStack()
        dask = sys.modules.get("dask")
        if mine and dask is not None:  # it has read its environment
            import dask.config

            self._config.enter_context(dask.config.set({"distributed.scheduler.preload": preloads()}))
        os.environ.update(mine)

    def end(self) -> str:
        """Bring everything over, and return what there is then."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._config.close()
        return run_cli.summary(self.name, self._observed.end())


_loaded: Dict[int, MidaMagics] = {}


def load(shell: Any) -> None:
    """Register the magics in a shell."""
    magics = _loaded[id(shell)] = MidaMagics(shell)
    shell.register_magics(magics)
    shell.events.register("post_run_cell", magics.look)
    atexit.register(magics.end)


def unload(shell: Any) -> None:
    """Take the magics away, and end what they observe."""
    magics = _loaded.pop(id(shell), None)
    if magics is not None:
        magics.end()
        atexit.unregister(magics.end)
        shell.events.unregister("post_run_cell", magics.look)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("mida", None)
