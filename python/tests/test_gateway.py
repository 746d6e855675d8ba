"""The journal on its way over HTTP, on a node without a collector."""

from __future__ import annotations

import http.server
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from journal_reader import read_events

from mida import capture, gateway
from mida.observer import Recorder

DEFAULTS = {"kind": "test", "scope": "s", "execution": "s"}
PATIENCE = 60.0


class Gateway:
    """A journal receiver that answers as it is told, and keeps the segments that it accepted."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory, self.code, self.tokens, self.requests = directory, 204, set(), 0
        directory.mkdir()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests += 1
                code = outer.code
                if code == 204:
                    outer.tokens.add(self.headers["Authorization"])
                    (directory / os.path.basename(self.path)).write_bytes(body)
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keys(self) -> list:
        """Return the keys of the tasks that arrived."""
        return sorted(e["key"] for e in read_events(str(self.directory)) if "key" in e)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.delenv("MIDA_GATEWAY_TOKEN_FILE", raising=False)
    monkeypatch.setenv("MIDA_GATEWAY_TOKEN", "a-token")
    made = Gateway(tmp_path / "arrived")
    monkeypatch.setenv("MIDA_GATEWAY", made.url)
    monkeypatch.setattr(gateway, "LAST_SECONDS", PATIENCE)
    yield made
    made.close()


def until(check) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def recorder(directory) -> Recorder:
    made = Recorder(str(directory), "test", DEFAULTS, capture.Policy({}), environment=False)
    made.start()
    return made


def put(to: Recorder, *keys: str) -> None:
    for key in keys:
        to.put(lambda key=key: {"event": "mida.task.finished", "time": time.time_ns(), "key": key}, 100)


def left(directory: pathlib.Path) -> list:
    return sorted(p.name for p in directory.rglob("*") if p.is_file())


def test_what_arrived_is_deleted_here(tmp_path, server):
    journal = tmp_path / "journal"
    r = recorder(journal)
    put(r, "a", "b")
    until(lambda: server.keys() == ["a", "b"])
    put(r, "c")
    r.close(PATIENCE)
    assert server.keys() == ["a", "b", "c"]
    checkpoints = [e for e in read_events(str(server.directory)) if e["event"] == "mida.observer.checkpoint"]
    assert checkpoints[-1]["record"]["final"] is True and not checkpoints[-1]["record"]["dropped"]
    assert left(journal) == []
    assert server.tokens == {"Bearer a-token"}


@pytest.mark.parametrize("code", [401, 404, 500, 503])
def test_a_gateway_that_refuses_for_now(tmp_path, server, code):
    """The hook does not wait, nothing is lost, and it is tried until it works."""
    server.code = code
    r = recorder(tmp_path / "journal")
    put(r, "a")
    until(lambda: server.requests >= 2)
    began = time.monotonic()
    put(r, *(f"k{i}" for i in range(1000)))
    assert time.monotonic() - began < 5
    assert server.keys() == []
    server.code = 204
    until(lambda: len(server.keys()) == 1001)
    r.close(PATIENCE)
    assert left(tmp_path / "journal") == []


def test_a_segment_that_is_refused_for_good(tmp_path, server):
    """It stops nothing, is kept aside, and the checkpoint says so."""
    server.code = 400
    r = recorder(tmp_path / "journal")
    put(r, "a")
    until(lambda: any(n.endswith(".refused") for n in left(tmp_path / "journal")))
    server.code = 204
    put(r, "b")
    r.close(PATIENCE)
    assert server.keys() == ["b"]
    errors = read_events(str(server.directory))[-1]["record"]["errors"]
    assert any(name.startswith("gateway: ValueError") for name in errors), errors


KILLED = """
import os, signal, sys, time
from mida import capture
from mida.observer import Recorder
r = Recorder(sys.argv[1], "test", {"kind": "test", "scope": "s"}, capture.Policy({}), environment=False)
r.start()
r.put(lambda: {"event": "mida.task.finished", "time": 1, "key": "of the dead"}, 100)
while not r.path or b"of the dead" not in open(r.path, "rb").read():
    time.sleep(0.01)
print("written", flush=True)
signal.pause()
"""


def test_what_a_killed_process_left(tmp_path, server, monkeypatch):
    """The next process of this node sends it, or `python -m mida.gateway`; that of a living one stays."""
    server.code = 503
    journal = tmp_path / "journal"
    for survivor in (True, False):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(journal)], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"written\n"
            process.send_signal(signal.SIGKILL)
        assert left(journal)
        server.code = 204
        if survivor:
            monkeypatch.setattr(gateway, "ORPHAN_EVERY", 0.0)
            r = recorder(journal)
            put(r, "of the living")
            until(lambda: "of the dead" in server.keys() and "of the living" in server.keys())
            r.close(PATIENCE)
            server.code = 503
        else:
            subprocess.run([sys.executable, "-m", "mida.gateway", str(journal)], check=True, timeout=PATIENCE)
        assert left(journal) == []
    assert server.keys() == ["of the dead", "of the dead", "of the living"]


@pytest.mark.parametrize("address", ["gateway:4341", "ftp://x", "http://gateway.my.site:4341"])
def test_an_address_that_cannot_be(tmp_path, monkeypatch, address, caplog):
    """The observed job goes on, its journal stays here, and the log names the key."""
    monkeypatch.setenv("MIDA_GATEWAY", address)
    r = recorder(tmp_path)
    put(r, "a")
    r.close(PATIENCE)
    assert [e["key"] for e in read_events(str(tmp_path)) if "key" in e] == ["a"]
    assert "MIDA_GATEWAY" in caplog.text and "want https" in caplog.text
