"""A collector that a test starts, kills and asks."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import yaml

import mida

from .hosts import Host
from .poll import NotYet, until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "microscopy"
START_TIMEOUT = 60.0


def binary() -> Path:
    """Return the collector's program: MIDA_BIN, as make sets it, or the one in the tree."""
    path = Path(os.environ.get("MIDA_BIN") or ROOT / "bin" / "otelcol-mida")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run make build")
    return path


def free_port() -> int:
    """Return a port of the loopback interface that is free now, and that no client's socket is given meanwhile."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Collector:
    """One collector with its data directory; it can be killed and started again.

    Parameters
    ----------
    workdir : Path
        Its working directory, to which the paths in its configuration are relative.
    configs : list
        Configuration files, or dicts that become one; later ones lie over earlier ones.
    data : Path, optional
        Data and state directory; ``mida-data`` in `workdir` without it.
    env : dict, optional
        More environment variables.
    popen : dict, optional
        More arguments of `subprocess.Popen`, such as the user to run as.
    host : Host, optional
        Where it runs; here without one.
    """

    def __init__(
        self,
        workdir: Path,
        configs: list,
        data: Path | None = None,
        env: dict | None = None,
        popen: dict | None = None,
        program: Path | None = None,
        host: Host | None = None,
    ) -> None:
        self.workdir, self.data = Path(workdir), Path(data or Path(workdir) / "mida-data")
        self.query_port, self.metrics_port = free_port(), free_port()
        self.starts = self.kills = 0
        self._program, self._popen, self._host = program or binary(), popen or {}, host
        self._process: subprocess.Popen | None = None
        self.log_path = self.workdir / f"collector-{self.query_port}.log"
        self._files = []
        for i, config in enumerate(configs):
            if isinstance(config, dict):
                path = self.workdir / f"collector-{self.query_port}-{i}.yaml"
                path.write_text(yaml.safe_dump(config, sort_keys=False))
                config = path
            self._files += ["--config", str(config)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MIDA_")}
        self._env = {
            **kept,
            "MIDA_DATA": str(self.data),
            "MIDA_QUERY_ENDPOINT": f"127.0.0.1:{self.query_port}",
            "MIDA_METRICS_PORT": str(self.metrics_port),
            "MIDA_CAMPAIGN": "microscopy",
            **(env or {}),
        }

    @property
    def configuration(self) -> list[str]:
        """The arguments that name its configuration."""
        return list(self._files)

    @property
    def environment(self) -> dict[str, str]:
        """What its configuration reads from the environment."""
        return {k: v for k, v in self._env.items() if k.startswith("MIDA_")}

    @property
    def pid(self) -> int:
        """The process, also when it has ended."""
        assert self._process is not None
        return self._process.pid

    def pids(self) -> list[int]:
        """Return its process."""
        return [self.pid]

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> str:
        """All that it has logged, over all starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def spawn(self) -> Collector:
        """Start it without waiting for anything."""
        assert not self.running, "it runs already"
        command = [str(self._program), *self._files]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._host.command(*command) if self._host else command,
                cwd=self.workdir,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._popen,
            )
        self.starts += 1
        return self

    def ready(self) -> bool:
        """Whether it answers."""
        if not self.running:
            return False
        try:
            url = f"http://127.0.0.1:{self.query_port}/healthz"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def start(self, timeout: float = START_TIMEOUT) -> Collector:
        """Start it and wait until it answers."""
        self.spawn()

        def answers() -> bool:
            return self.ready() or not self.running

        try:
            until(answers, timeout, "the collector answers /healthz", interval=0.05)
        except NotYet as error:
            raise NotYet(f"{error}\n{self.tail()}") from None
        if not self.running:
            raise AssertionError(f"the collector ended with {self.exit_code}:\n{self.tail()}")
        return self

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """Kill it as the out-of-memory killer does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.kills += 1

    def stop(self, timeout: float = 60.0) -> int:
        """Ask it to end, and return its exit code; kill it when it does not."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the collector did not stop within {timeout:g} s\n{self.tail()}") from None

    def client(self, timeout: float = 60.0) -> mida.Client:
        """Return a client of its query API."""
        return mida.Client(state_directory=str(self.data), timeout=timeout)

    def metric(self, part: str, **labels: str) -> float:
        """Return the sum of its own metrics whose name holds `part` and that have these labels."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        total = 0.0
        for line in text.splitlines():
            match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([-+\w.]+)$", line)
            if match and part in match[1] and all(f'{k}="{v}"' in (match[2] or "") for k, v in labels.items()):
                total += float(match[3])
        return total

    def tail(self, lines: int = 60) -> str:
        """Return the end of its log, for a message."""
        return f"--- end of the collector's log\n{chr(10).join(self.log.splitlines()[-lines:])}"

    def __enter__(self) -> Collector:
        return self.start()

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            print(self.tail())
            if self.running:
                self.kill()
        elif self.running:
            self.stop()


def read_json_lines(path: Path) -> list[dict]:
    """Return the objects of a file with one a line; a last line that is not whole is left out."""
    if not path.exists():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
