"""Collectors that send to one another, with the secrets that they need, and a Kafka broker between them."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .campaign import DEMO_CONFIG
from .collector import ROOT, Collector, free_port
from .poll import until

READY = ROOT / "distributions" / "otelcol-mida"
KAFKA = ROOT / "tools" / "servers" / "kafka.sh"


class Agent(Collector):
    """A collector without a store: it answers no queries, but its log says when it runs."""

    _begin = 0

    def spawn(self) -> Agent:
        """Start it without waiting for anything."""
        self._begin = len(self.log)
        super().spawn()
        return self

    def ready(self) -> bool:
        """Whether all its components have started."""
        return self.running and "Everything is ready" in self.log[self._begin :]


def demo_receivers() -> dict:
    """What an agent observes of the campaign: its log with the demo's rules; Dask by the preload alone."""
    demo = yaml.safe_load(DEMO_CONFIG.read_text())
    return {
        "receivers": {"dask": {"schedulers": [], "scheduler_files": []}, "tasklog": demo["receivers"]["tasklog"]},
        "service": {"pipelines": {"logs": {"receivers": ["dask", "mlflow", "tasklog"]}}},
    }


def gateway_files(directory: Path, *hosts: str) -> dict[str, str]:
    """Make a token and a certificate as docs/deployment.md does; return the environment that names them."""
    directory.mkdir(parents=True, exist_ok=True)
    names = ",".join(f"IP:{h}" if h[0].isdigit() else f"DNS:{h}" for h in hosts or ("127.0.0.1",))
    key, certificate, token = (directory / f"gateway.{end}" for end in ("key", "crt", "token"))
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=mida-gateway"
    )
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate, "-addext", f"subjectAltName={names}"],
        check=True,
        capture_output=True,
    )
    token.write_text(secrets.token_urlsafe(32))
    token.chmod(0o600)
    return {
        "MIDA_GATEWAY_TOKEN_FILE": str(token),
        "MIDA_GATEWAY_CERT": str(certificate),
        "MIDA_GATEWAY_KEY": str(key),
        "MIDA_GATEWAY_CA": str(certificate),
    }


class Broker:
    """A real Kafka broker that can be killed and started again on the same data. It starts when it is told to."""

    def __init__(self, directory: Path, *settings: str) -> None:
        for tool in ("java", "mvn", "bash"):
            if shutil.which(tool) is None:
                message = f"NOT TESTED on a real Kafka broker: no {tool} on the PATH (a JDK 17 and Maven are needed)"
                if os.environ.get("CI"):
                    pytest.fail(message)
                pytest.skip(message)
        subprocess.run(["bash", KAFKA, "get"], check=True, timeout=600)
        self.directory, self.port = directory, free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """Where it listens, host:port."""
        return f"127.0.0.1:{self.port}"

    def spawn(self) -> Broker:
        """Start it without waiting for anything."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", KAFKA, "run", self.directory, str(self.port), "127.0.0.1", *self._settings],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def start(self) -> Broker:
        """Start it and wait until it listens."""
        self.spawn()
        until(self._listens, 120, f"the broker listens; its log is {self.directory / 'log'}")
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-4000:]
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def pids(self) -> list[int]:
        """Return its process."""
        assert self._process is not None
        return [self._process.pid]

    def kill(self) -> None:
        """Kill it as the out-of-memory killer does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, such as the one that stops it without closing anything."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, timeout: float = 120.0) -> None:
        """Ask it to end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: Any) -> None:
        self.kill()
