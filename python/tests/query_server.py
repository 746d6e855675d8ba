"""The real query API for tests: the taskquery extension over SQLite, built from the Go sources beside."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from query_events import task

import mida

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Server:
    """A server over an empty store, in a directory of its own."""

    def __init__(self, binary: str, directory: pathlib.Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [binary, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.load()

    def load(self, *events: dict) -> None:
        for event in events:
            self.process.stdin.write(json.dumps(event) + "\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(20) == 0

    @property
    def state(self) -> str:
        return str(self.directory / "mida-data")

    def client(self) -> mida.Client:
        return mida.Client(state_directory=self.state)


@pytest.fixture(scope="session")
def server_binary(tmp_path_factory):
    go = shutil.which(os.environ.get("GO", "go"))
    assert go, "the tests of the client need Go, which builds the server that they ask"
    binary = tmp_path_factory.mktemp("bin") / "testserver"
    subprocess.run([go, "build", "-o", binary, "./extension/taskquery/internal/testserver"], cwd=ROOT, check=True)
    return str(binary)


@pytest.fixture
def no_environment(monkeypatch):
    """No collector of the machine that runs the tests is found."""
    for name in ("MIDA_ENDPOINT", "MIDA_TOKEN", "MIDA_BIN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(server_binary, tmp_path, no_environment):
    """A server over an empty store."""
    server = Server(server_binary, tmp_path)
    yield server
    server.stop()


@pytest.fixture
def trained(server, monkeypatch):
    """A server with six training tasks; the current directory is its directory."""
    server.load(
        *(
            task(f"t{i}", used={"layers": 1 + i // 2, "cfg": {"opt": "sgd"}}, generated={"loss": 0.6 - i / 10})
            for i in range(6)
        )
    )
    monkeypatch.chdir(server.directory)
    return server
