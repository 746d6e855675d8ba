"""A script that is observed for as long as it runs."""

from __future__ import annotations

import ast
import contextlib
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from types import FrameType
from typing import IO, Any, Callable, Dict, List, Optional

from . import embedded, stores
from .errors import MidaError
from .observing import MLflow, Observer, campaign

__all__ = ["Run"]

PRELOAD = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"
PLUGIN = "mida.dask_preload"
READERS_LOCK = ".reader.lock"  # what a reader leaves in a journal directory
LOOK_SECONDS = 1.0  # between two looks for stores
OUTPUT_SECONDS = 10.0  # for what the script printed, when something that it left behind could still print
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128


class Run:
    """One run of a command under observation.

    Parameters
    ----------
    name
        The campaign.
    observers
        What is known to be observed.
    find_mlflow
        Whether to look for the MLflow stores that the command writes.
    output
        A file to which what the command prints is appended, too.
    say
        Tells the person who started it.
    """

    def __init__(
        self,
        name: str,
        observers: List[Observer],
        *,
        find_mlflow: bool,
        output: Optional[pathlib.Path],
        state_directory: Optional[str],
        timeout: float,
        say: Callable[[str], None],
    ) -> None:
        self._name, self._find, self._output = name, find_mlflow, output
        self._state, self._timeout, self._say = state_directory, timeout, say
        self._dask = [o for o in observers if o.kind == "dask"]
        self._others = [o for o in observers if o.kind != "dask"]
        self._interrupts, self._child = 0, None  # type: ignore[var-annotated]
        self.counts: Optional[Dict[str, int]] = None

    def execute(self, command: List[str]) -> int:
        """Run it to its end, bring everything over, and return its exit code, 128+n after signal n."""
        observed = list(self._others)
        if self._find:
            uri, problem = stores.named()
            if problem:
                self._say(problem)
            if uri:
                observed.append(MLflow(uri))
        with embedded.join(self._state) as collector, tempfile.TemporaryDirectory(prefix="mida-run-") as own:
            env = dict(os.environ)
            if self._output:
                env.setdefault("PYTHONUNBUFFERED", "1")  # a log line is seen when it is printed
            if self._dask:
                journal = self._journal(collector)
                # Its clusters write where this observer alone reads, so that its end is the end of these.
                observed += [Observer("dask", {**o.config, "journal": {"directory": journal}}) for o in self._dask]
                env.update(dask_environment(self._name, journal, pathlib.Path(own)))
            with (
                self._signals(),
                campaign(self._name, observed, client=collector.client, timeout=self._timeout) as observing,
            ):
                code = self._wait(command, env, observing)
            with contextlib.suppress(MidaError):
                rows = collector.client.query(["kind"], [("count", "id")], {"campaign_id": self._name})
                self.counts = {row["kind"]: row["count"] for row in rows}
            if self._dask:
                _remove_empty(pathlib.Path(journal))
        return code

    def _journal(self, collector: embedded.Collector) -> str:
        if collector.state_directory is None:
            raise MidaError(
                "MIDA_ENDPOINT: the script's Dask writes into the collector's state directory; want one here"
            )
        return str(collector.state_directory / "observers" / f"run-{secrets.token_hex(4)}")

    def _wait(self, command: List[str], env: Dict[str, str], observing: campaign) -> int:
        found = stores.Stores(pathlib.Path.cwd(), time.time())
        try:
            child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE if self._output else None)
        except FileNotFoundError as error:
            self._say(f"{error.filename}: there is no such program")
            return NOT_FOUND
        except OSError as error:
            self._say(f"{error.filename}: {error.strerror}")
            return NOT_EXECUTABLE
        self._child = child
        copying = self._copy(child)
        while True:
            try:
                code = child.wait(LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                self._look(found, observing)
        if copying is not None:
            copying.join(OUTPUT_SECONDS)
        self._look(found, observing)
        if self._find and found.file_store():
            self._say(
                "MLflow wrote into the directory mlruns, which is not read; set MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
            )
        return code if code >= 0 else SIGNALLED - code

    def _look(self, found: stores.Stores, observing: campaign) -> None:
        for uri in found.new() if self._find else ():
            if any(o["config"].get("tracking_uri") == uri for o in observing.observers):
                continue
            try:
                observing.add(MLflow(uri))
            except MidaError as error:
                self._say(f"{uri} is not observed: {error}")

    def _copy(self, child: subprocess.Popen) -> Optional[threading.Thread]:
        """Copy what the script prints into the log, line by line as it comes."""
        if self._output is None:
            return None
        self._output.parent.mkdir(parents=True, exist_ok=True)
        log = self._output.open("ab", buffering=0)

        def copy(printed: IO[bytes]) -> None:
            with printed, log:
                while chunk := os.read(printed.fileno(), 1 << 16):
                    log.write(chunk)
                    with contextlib.suppress(OSError, ValueError):  # nobody reads us; the log goes on
                        sys.stdout.buffer.write(chunk)
                        sys.stdout.buffer.flush()

        assert child.stdout is not None
        thread = threading.Thread(target=copy, args=(child.stdout,), name="mida-output", daemon=True)
        thread.start()
        return thread

    # ---- signals ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Any:
        """Hand signals on to the script, and stay to bring everything over."""
        names = ("SIGINT", *PASSED_ON)
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, self._signalled) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _: Optional[FrameType]) -> None:
        child = self._child
        if child is None:
            raise KeyboardInterrupt
        if child.returncode is None:
            # A terminal sends Ctrl-C to the script as well.
            if number != signal.SIGINT or not _in_terminal():
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)
            return
        self._interrupts += 1
        if self._interrupts > 1:
            self._say("ended before everything was read; the next collector in this directory reads the rest")
            raise KeyboardInterrupt
        self._say("still reading what the script did; once more ends this, and the rest is read the next time")


def dask_environment(name: str, journal: str, own: pathlib.Path) -> Dict[str, str]:
    """Return what makes Dask in a child load the observer, whatever environment its Python has.

    Parameters
    ----------
    own
        A directory for this run, in which the package can be found by a Python that has it not.
    """
    os.symlink(pathlib.Path(__file__).resolve().parent, own / "mida")
    path = os.environ.get("PYTHONPATH")
    return {
        PRELOAD: _preloads(),
        "MIDA_JOURNAL_DIR": journal,
        "MIDA_CAMPAIGN": name,
        "PYTHONPATH": os.pathsep.join([*([path] if path else []), str(own)]),
    }


def _preloads() -> str:
    """Return Dask's setting with our preload behind those that there are."""
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
    preloads = [given] if isinstance(given, str) else list(given or [])
    if PLUGIN not in preloads:
        preloads.append(PLUGIN)
    return repr(preloads)


def _remove_empty(directory: pathlib.Path) -> None:
    """Remove a journal directory, unless there is something left in it to read."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if path.is_dir():
                _remove_empty(path)
            elif path.name == READERS_LOCK:
                path.unlink()
        directory.rmdir()


def _in_terminal() -> bool:
    """Whether this process runs in the foreground of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except (OSError, AttributeError):
        return False
