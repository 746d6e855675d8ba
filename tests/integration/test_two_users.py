"""Two users of one machine: by default neither sees, feeds or attaches to the other's view."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import mida
from support import journals
from support.collector import Collector, binary
from support.poll import until
from support.spans import base

pytestmark = pytest.mark.two_users

ADA, GRACE = 61001, 61002
SCHEDULER = Path(__file__).resolve().parent / "scripts" / "scheduler_of.py"


def as_user(uid: int) -> dict:
    """Return the arguments that make a subprocess run as a user."""
    return {"user": uid, "group": uid, "extra_groups": []}


def shell(uid: int, command: str) -> subprocess.CompletedProcess:
    """Run a command as a user."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        **as_user(uid),
    )


@pytest.fixture(scope="module")
def scheduler():
    """A Dask scheduler of Grace's."""
    command = [sys.executable, str(SCHEDULER), str(GRACE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.address = json.loads(process.stdout.readline())["address"]
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def collector(scheduler):
    """A collector of Ada's that is told to attach to Grace's cluster."""
    home = Path(tempfile.mkdtemp(prefix="mida-users-"))
    home.chmod(0o755)
    try:
        program = home / "otelcol-mida"
        shutil.copy(binary(), program)
        program.chmod(0o755)
        work = home / "ada"
        work.mkdir()
        os.chown(work, ADA, ADA)
        config = base(
            {
                "dask": {
                    "schedulers": [scheduler.address],
                    "journal": {"directory": "${env:MIDA_DATA}/journal"},
                }
            }
        )
        # Its directory may be looked into by all: what is in it must protect itself.
        running = Collector(work, [config], popen=as_user(ADA), program=program)
        with running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


def client(collector: Collector) -> mida.Client:
    """Return a client with Ada's token, which root may read."""
    token = (collector.data / "token").read_text().strip()
    return mida.Client(endpoint=f"http://127.0.0.1:{collector.query_port}", token=token)


def test_files_are_private(collector):
    """Nobody else can read or even list what a collector keeps: token, endpoint, database, positions, journal."""
    assert client(collector).campaigns() == []
    for name in ("token", "endpoint.json", "mida.db", "state", "journal"):
        path = collector.data / name
        assert path.exists(), path
        assert shell(ADA, f"ls {path}").returncode == 0
        done = shell(GRACE, f"cat {path} || ls {path}")
        assert done.returncode != 0 and "denied" in done.stderr, f"{name}: {done.stdout}"
    for path in [collector.data, *collector.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others: {path.stat().st_mode:o}"
        assert path.stat().st_uid == ADA


def test_the_port_wants_the_token(collector):
    """The port can be reached by all users of the machine; without the token it answers nothing."""
    for path in ("campaigns", "workflows", "openapi.json", "tasks/x"):
        url = f"http://127.0.0.1:{collector.query_port}/api/v1/{path}"
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)
            assert refused.value.code == 401


def test_nobody_else_feeds_it(collector):
    """Another user cannot write into the journal, and a file of his that got there is refused and counted."""
    directory = collector.data / "journal" / os.uname().nodename
    done = shell(
        GRACE,
        f"echo x > {directory}/grace-1.jsonl || echo x > {collector.data}/journal/grace-1.jsonl",
    )
    assert done.returncode != 0
    if not directory.exists():
        directory.mkdir(mode=0o700)
        os.chown(directory, ADA, ADA)
    foreign = journals.write_text(directory, "grace", [journals.finished("foreign")])
    os.chown(foreign, GRACE, GRACE)
    link = directory / "link-1.jsonl"
    link.symlink_to(foreign)
    os.chown(link, ADA, ADA, follow_symlinks=False)
    own = journals.write_text(directory, "ada", [journals.finished("own")])
    os.chown(own, ADA, ADA)
    until(lambda: client(collector).query(filter={"task_id": "own"}), 20, "the event of Ada")
    until(
        lambda: collector.metric("journal_faults", fault="refused") >= 1,
        20,
        "the refusal is counted",
    )
    assert not client(collector).query(filter={"task_id": "foreign"})
    assert "grace-1.jsonl" in collector.log


def test_nobody_else_is_observed(collector, scheduler):
    """A scheduler of another user is not attached to, though the configuration names it; the log says why."""
    until(
        lambda: collector.metric("attach_failures", reason="foreign_owner") >= 2,
        30,
        "the refusals are counted",
    )
    assert scheduler.address in collector.log and "allow_foreign_owner" in collector.log
    scheduler.stdin.write("\n")
    scheduler.stdin.flush()
    plugins = json.loads(scheduler.stdout.readline())["plugins"]
    assert not [name for name in plugins if "mida" in name], plugins


def test_a_foreign_view_is_not_asked(collector):
    """The Python client takes no endpoint or token from a file of another user, whatever that file says."""
    trap = collector.workdir.parent / "grace" / "mida-data"
    trap.mkdir(parents=True)
    (trap / "endpoint.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 1}))
    for path in (trap.parent, trap, trap / "endpoint.json"):
        os.chown(path, GRACE, GRACE)
    with pytest.raises(mida.UnreachableError, match=r"another user|not a file of this user"):
        mida.Client(state_directory=str(trap))
