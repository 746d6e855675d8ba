"""A collector that `mida up` runs in the foreground, as a person does in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mida

from .collector import binary, free_port
from .poll import until

MIDA = [sys.executable, "-m", "mida"]
QUIET = ("--dask", "false", "--mlflow", "false")


def own_environment(**more: str) -> dict[str, str]:
    """Return the environment of a person who has set nothing of ours, on a machine with other collectors."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIDA_", "DASK_", "MLFLOW_"))}
    kept |= {"MIDA_BIN": str(binary()), "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
    return {**kept, **more}


def mida_command(*arguments: str, cwd: Path, code: int | None = 0, timeout: float = 300, **more: str) -> str:
    """Run ``mida`` to its end and return what it printed."""
    done = subprocess.run(
        [*MIDA, *arguments],
        cwd=cwd,
        env=own_environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert code is None or done.returncode == code, f"ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Up:
    """``mida up`` with arguments, in a directory, for as long as a with block lasts; it ends with Ctrl-C."""

    def __init__(self, workdir: Path, *arguments: str, command: list | None = None, **env: str) -> None:
        self.workdir, self.log_path = workdir, workdir / f"up-{free_port()}.out"
        self._command = [str(part) for part in command or [*MIDA, "up", *arguments]]
        self._env = own_environment(**env)

    def __enter__(self) -> Up:
        with self.log_path.open("wb") as out:
            self._process = subprocess.Popen(
                self._command, cwd=self.workdir, env=self._env, stdout=out, stderr=subprocess.STDOUT
            )

        def answers() -> bool:
            return self._process.poll() is not None or self.client().campaigns() is not None

        try:
            until(answers, 60, "mida up answers", interval=0.05)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        assert self._process.poll() is None, f"it ended at once: {self.said}"
        return self

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log_path.read_text()

    def client(self) -> mida.Client:
        """Return a client that finds it as everybody does."""
        return mida.Client(state_directory=str(self.workdir / "mida-data"), timeout=60)

    def interrupt(self, timeout: float = 60) -> int:
        """Press Ctrl-C, and return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end, and return the exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not end within {timeout:g} s: {self.said}") from None

    def __exit__(self, *_: Any) -> None:
        self.interrupt()


def no_collector_left(directory: Path) -> bool:
    """Wait until no process works with this directory's view any more."""

    def none() -> bool:
        found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return not [line for line in found.splitlines() if "otelcol-mida" in line and str(directory) in line]

    return until(none, 60, "the collector that was started has ended")


def kinds(directory: Path, campaign: str) -> dict[str, int]:
    """Ask as a person does after the script: there is no collector."""
    rows = mida_command(
        "query",
        "--campaign",
        campaign,
        "--fields",
        "kind",
        "--aggregate",
        "count(id)",
        "--format",
        "csv",
        cwd=directory,
    )
    return {kind: int(n) for kind, n, *_ in (row.split(",") for row in rows.splitlines()[1:] if "," in row)}
