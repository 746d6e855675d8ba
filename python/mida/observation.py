"""What is observed of one script or one session: its campaign, its Dask clusters, the MLflow stores that it writes."""

from __future__ import annotations

import ast
import contextlib
import os
import pathlib
import secrets
import tempfile
import time
from typing import Any, Callable, Dict, List, Optional

from . import embedded, stores
from .errors import MidaError
from .observing import DRAIN_SECONDS, MLflow, Observer, campaign

__all__ = ["Observation"]

PRELOAD = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"
PLUGIN = "mida.dask_preload"
READERS_LOCK = ".reader.lock"  # what a reader leaves in a journal directory


class Observation:
    """Observe until `end`, with the collector that runs or one that is started.

    Parameters
    ----------
    name
        The campaign.
    observers
        What is known to be observed. One of Dask also observes the clusters that are made under `environment`.
    find_mlflow
        Whether to look for the MLflow stores that are written in the current directory and below.
    say
        Tells the person who started it.

    Attributes
    ----------
    environment
        What makes Dask load the observer, in this process or a child, whatever packages its Python has.
    """

    def __init__(
        self,
        name: str,
        observers: List[Observer],
        *,
        find_mlflow: bool,
        say: Callable[[str], None],
        state_directory: Optional[str] = None,
        timeout: float = DRAIN_SECONDS,
    ) -> None:
        self.name, self._find, self._say = name, find_mlflow, say
        self._found = stores.Stores(pathlib.Path.cwd(), time.time())
        self.environment: Dict[str, str] = {}
        self._journal: Optional[pathlib.Path] = None
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as opening:
            self.collector = opening.enter_context(embedded.join(state_directory))
            observed = [o for o in observers if o.kind != "dask"] + self._of_dask(observers, opening)
            if find_mlflow:
                uri, problem = stores.named()
                observed += [MLflow(uri)] if uri else []
                if problem:
                    say(problem)
            self._campaign = opening.enter_context(
                campaign(name, observed, client=self.collector.client, timeout=timeout)
            )
            self._open = opening.pop_all()

    def _of_dask(self, observers: List[Observer], opening: contextlib.ExitStack) -> List[Observer]:
        known = [o for o in observers if o.kind == "dask"]
        if not known:
            return []
        if self.collector.state_directory is None:
            raise MidaError(
                "MIDA_ENDPOINT: Dask's journals lie in the collector's state directory; want one of this machine"
            )
        # Read by this observer alone, so that its end is the end of these clusters.
        self._journal = self.collector.state_directory / "observers" / f"run-{secrets.token_hex(4)}"
        opening.callback(_remove_empty, self._journal)
        own = opening.enter_context(tempfile.TemporaryDirectory(prefix="mida-run-"))
        self.environment = dask_environment(self.name, str(self._journal), pathlib.Path(own))
        return [Observer("dask", {**o.config, "journal": {"directory": str(self._journal)}}) for o in known]

    def look(self) -> None:
        """Observe the MLflow stores that have appeared."""
        for uri in self._found.new() if self._find else ():
            if any(o["config"].get("tracking_uri") == uri for o in self._campaign.observers):
                continue
            try:
                self._campaign.add(MLflow(uri))
            except MidaError as error:
                self._say(f"{uri} is not observed: {error}")

    def end(self) -> Optional[Dict[str, int]]:
        """Bring everything over, and return how many tasks of each kind the campaign holds then, if that is known."""
        with self._open:
            self.look()
            if self._find and self._found.file_store():
                self._say(
                    "MLflow wrote into the directory mlruns, which is not read; set MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
                )
            client = self.collector.client
            self._campaign.__exit__(None, None, None)
            with contextlib.suppress(MidaError):
                rows = client.query(["kind"], [("count", "id")], {"campaign_id": self.name})
                return {row["kind"]: row["count"] for row in rows}
        return None


def dask_environment(name: str, journal: str, own: pathlib.Path) -> Dict[str, str]:
    """Return what makes Dask load the observer.

    Parameters
    ----------
    own
        A directory for this alone, in which the package can be found by a Python that has it not.
    """
    os.symlink(pathlib.Path(__file__).resolve().parent, own / "mida")
    path = os.environ.get("PYTHONPATH")
    return {
        PRELOAD: repr(preloads()),
        "MIDA_JOURNAL_DIR": journal,
        "MIDA_CAMPAIGN": name,
        "PYTHONPATH": os.pathsep.join([*([path] if path else []), str(own)]),
    }


def preloads() -> List[str]:
    """Return Dask's preloads of a scheduler, ours behind those that there are."""
    given: Any = os.environ.get(PRELOAD)
    if given:
        with contextlib.suppress(ValueError, SyntaxError):
            given = ast.literal_eval(given)
    else:
        try:
            import dask.config
            import distributed  # noqa: F401  its defaults

            given = dask.config.get("distributed.scheduler.preload", None)
        except ImportError:
            given = None
    found = [given] if isinstance(given, str) else list(given or [])
    return found if PLUGIN in found else [*found, PLUGIN]


def _remove_empty(directory: pathlib.Path) -> None:
    """Remove a journal directory, unless there is something left in it to read."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if path.is_dir():
                _remove_empty(path)
            elif path.name == READERS_LOCK:
                path.unlink()
        directory.rmdir()
