"""The ways in and out: preload, two lines, attaching from outside, detaching; and what must not happen."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import random
import socket
import subprocess
import sys
import time

import dask_tasks as t
import distributed
import pytest
from dask_support import Observed, observed
from distributed import Client

import mida.dask
from mida import _inject
from mida.dask_client import client_script, script_name

pytestmark = pytest.mark.dask
PACKAGE = pathlib.Path(mida.dask.__file__).resolve().parents[1]


def environment(**more):
    names = {k: v for k, v in os.environ.items() if not k.startswith(("MIDA_", "DASK_")) and k != "PYTHONPATH"}
    return {**names, **more}


@pytest.fixture
def processes():
    started = []

    def start(*args, **options):
        process = subprocess.Popen([sys.executable, *args], **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(30)


def free_port():
    """Return a port below those that the system gives to anybody who asks for one meanwhile."""
    for port in random.sample(range(15000, 32000), 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port from 15000 to 32000 is free")


SCRIPT = """
import sys
from distributed import Client

def double(x):
    return 2 * x

with Client(sys.argv[1]) as client:
    def importable():
        try:
            import mida.dask
            return True
        except ImportError:
            return False
    client.wait_for_workers(1)
    print(sorted(set(client.run(importable).values())), client.gather(client.map(double, range(5))))
"""


def test_preload_and_workers_that_know_nothing(tmp_path, processes):
    """A scheduler, a worker and a script of their own; only the scheduler's environment names us."""
    address = f"tcp://127.0.0.1:{free_port()}"
    scheduler_environment = environment(
        PYTHONPATH=str(PACKAGE),
        DASK_DISTRIBUTED__SCHEDULER__PRELOAD="mida.dask_preload",
        MIDA_JOURNAL_DIR=str(tmp_path / "journal"),
        MIDA_CAMPAIGN="c7",
    )
    # Without site-packages' editable install, if there is one, a worker cannot import this package.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "mida.py").write_text("raise ImportError('hidden')\n")
    plain = environment(PYTHONPATH=str(hidden))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": str(tmp_path)}
    port = address.rpartition(":")[2]
    processes(
        "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard",
        env=scheduler_environment, **quiet,
    )  # fmt: skip
    processes(
        "-m", "distributed.cli.dask_worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard",
        env=plain, **quiet,
    )  # fmt: skip
    script = tmp_path / "doubling.py"
    script.write_text(SCRIPT)
    out = subprocess.run(
        [sys.executable, str(script), address],
        env=plain,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=str(tmp_path),
    )
    assert out.stdout.strip() == "[False] [0, 2, 4, 6, 8]", out.stderr
    seen = Observed(str(tmp_path / "journal"), None, None)
    done = seen.until(
        lambda es: [e for e in es if e.get("status") == "FINISHED"] if sum(
            e.get("status") == "FINISHED" for e in es
        ) == 5 else None
    )  # fmt: skip
    assert sorted(e["generated"]["value"] for e in done) == [0, 2, 4, 6, 8]
    assert {e["campaign"] for e in seen.events()} == {"c7"}
    submitted = [e for e in seen.events() if e.get("status") == "SUBMITTED"]
    assert {e["workflow_name"] for e in submitted} == {"doubling"}


def test_two_lines_and_a_second_way_are_one_observer(tmp_path):
    with observed(tmp_path, preload=False) as o:
        o.client.register_plugin(mida.dask.SchedulerPlugin(campaign="c1"))
        o.client.register_plugin(mida.dask.SchedulerPlugin(campaign="c2"))
        o.client.register_plugin(mida.dask.WorkerPlugin())
        future = o.client.submit(t.inc, 1, pure=False)
        future.result()
        assert o.snapshot(future.key, "FINISHED")["campaign"] == "c1"
    finished = [e for e in o.events() if e.get("status") == "FINISHED"]
    assert len(finished) == 1
    assert len({e["observer"] for e in o.events()}) == 2


def test_a_worker_plugin_alone(tmp_path):
    with observed(tmp_path, preload=False) as o:
        o.client.register_plugin(mida.dask.WorkerPlugin())
        future = o.client.submit(t.inc, 1, pure=False)
        future.result()
        assert o.snapshot(future.key, "FINISHED")["scope"] == o.cluster.scheduler.id


def injected(kind, config):
    """Make the pickle as another language would: by hand, from texts."""
    carried = mida.dask._carried()
    globals_ = {"boot": carried["boot"], "sources": carried["sources"], "kind": kind, "config": json.dumps(config)}

    def text(value):
        raw = value.encode("utf-8")
        return b"X" + len(raw).to_bytes(4, "little") + raw

    names = b"".join(text(k) + text(v) + b"s" for k, v in globals_.items())
    return b"\x80\x02c__builtin__\neval\n" + text(_inject.EXPRESSION) + b"}" + names + b"\x86R."


def register(client, payload, name):
    async def call():
        return await client.scheduler.register_scheduler_plugin(plugin=payload, name=name, idempotent=True)

    return client.sync(call)


def test_attach_and_detach_a_running_cluster(tmp_path):
    with observed(tmp_path, preload=False) as o:
        before = o.client.submit(t.inc, 1, pure=False)
        before.result()
        config = {"owner": "me", "campaign": "c3", "journal": {"directory": str(tmp_path)}}
        register(o.client, injected("scheduler", config), "mida-scheduler")
        future = o.client.submit(t.inc, before, pure=False)
        future.result()
        event = o.snapshot(future.key, "FINISHED")
        assert event["campaign"] == "c3" and event["refs"] == {"x": before.key}
        register(o.client, injected("detach", {"owner": "somebody else"}), "mida-detach")
        assert "mida-scheduler" in o.cluster.scheduler.plugins
        register(o.client, injected("detach", {"owner": "me"}), "mida-detach")
        plugins = o.cluster.scheduler.plugins
        assert "mida-scheduler" not in plugins and "mida-worker" not in o.cluster.scheduler.worker_plugins

        def workers(dask_worker):
            return "mida-worker" in dask_worker.plugins

        assert not any(o.client.run(workers).values())
        finals = [e for e in o.events() if e["event"] == "mida.observer.checkpoint" and e["record"]["final"]]
        assert len(finals) == 2
        assert o.client.submit(t.inc, 5, pure=False).result() == 6
        register(o.client, injected("scheduler", config), "mida-scheduler")
        again = o.client.submit(t.inc, 7, pure=False)
        again.result()
        o.snapshot(again.key, "FINISHED")
        assert "mida-detach" not in o.cluster.scheduler.plugins


def test_detaching_does_not_end_running_tasks(tmp_path):
    go = tmp_path / "go"
    with observed(tmp_path / "j", preload=False) as o:
        o.client.register_plugin(mida.dask.SchedulerPlugin())
        future = o.client.submit(t.until, str(go), 3, pure=False)
        o.snapshot(future.key, "RUNNING")
        register(o.client, injected("detach", {}), "mida-detach")
        go.touch()
        assert future.result() == 3
    told = [e for views in o.attempts(future.key).values() for e in views.values() if e["facet"] == "worker"]
    assert {e["status"] for e in told} == {"RUNNING"}


def test_a_policy_reaches_the_workers(tmp_path):
    with observed(tmp_path, preload=False) as o:
        policy = {"drop_activities": ["sleep"], "drop_fields": ["used.k"], "values": "numbers"}
        o.client.register_plugin(mida.dask.SchedulerPlugin(config={"capture": policy}))
        dropped = o.client.submit(t.sleep, 0, "secret", pure=False)
        kept = o.client.submit(t.inc, 1, k=2, pure=False)
        named = o.client.submit(t.same, "secret", pure=False)
        o.client.gather([dropped, kept, named])
        assert o.snapshot(kept.key, "FINISHED")["used"] == {"x": 1}
        assert o.snapshot(named.key, "FINISHED")["used"] == {"value": {"$object": {"type": "str"}}}
    assert not o.attempts(dropped.key)
    assert not any(b"secret" in p.read_bytes() for p in pathlib.Path(tmp_path).rglob("*.mj"))


def test_secrets_in_errors_are_redacted(tmp_path):
    with observed(tmp_path) as o:
        future = o.client.submit(t.leak, password="hunter2", pure=False)
        assert future.exception() is not None
        event = o.snapshot(future.key, "FAILED")
        assert event["used"] == {"password": {"$redacted": True}}
        assert "[redacted]" in event["attributes"]["exception.message"]
    written = b"".join(p.read_bytes() for p in pathlib.Path(tmp_path).rglob("*.mj"))
    assert b"hunter2" not in written and b"AKIA" not in written


def test_a_bad_policy_observes_nothing_and_says_so(tmp_path, monkeypatch, caplog):
    path = tmp_path / "capture.json"
    path.write_text('{"valuess": "none"}')
    monkeypatch.setenv("MIDA_CAPTURE", str(path))
    with observed(tmp_path / "j") as o:
        assert o.client.submit(t.inc, 1, pure=False).result() == 2
        assert "mida-worker" not in o.cluster.scheduler.worker_plugins
    assert any("capture.valuess: no such key" in m for m in caplog.messages)


def test_a_journal_that_cannot_be_written_does_not_harm(tmp_path):
    (tmp_path / "file").write_text("")
    with observed(tmp_path / "file" / "below") as o:
        assert o.client.gather(o.client.map(t.inc, range(20), pure=False)) == list(range(1, 21))


def test_the_plugin_pickles_by_value():
    plugin = pickle.loads(pickle.dumps(mida.dask.SchedulerPlugin(campaign="c")))
    assert type(plugin).__module__.startswith("_mida_") and plugin.config == {"campaign": "c"}
    worker = pickle.loads(plugin._worker_payload({"scheduler_id": "s"}))
    assert isinstance(worker, distributed.WorkerPlugin) and worker.name == "mida-worker"


def test_directories_are_carried_as_rules(monkeypatch, tmp_path):
    from mida.dask_events import journal_directory

    monkeypatch.delenv("MIDA_JOURNAL_DIR", raising=False)
    monkeypatch.setenv("NODE_DISK", "/node/disk")
    assert journal_directory({"journal": {"directory": "$NODE_DISK/mida"}}) == "/node/disk/mida"
    assert journal_directory({"journal": {"directory": "$NOT_SET/mida"}}) == journal_directory({})
    monkeypatch.chdir(tmp_path)
    assert mida.dask.configuration(journal={"directory": "j"})["journal"]["directory"] == str(tmp_path / "j")
    assert mida.dask.configuration(journal={"directory": "$X/j"})["journal"]["directory"] == "$X/j"
    monkeypatch.setenv("MIDA_JOURNAL_DIR", "/mine")
    assert journal_directory({"journal": {"directory": "/theirs"}}) == "/mine"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["python", "search.py", "x"], "search"),
        (["python", "-u", "-W", "ignore", "/a/b/search.py"], "search"),
        (["python", "-m", "package.tool"], "package.tool"),
        (["python", "-c", "import x"], None),
        (["python", "/venv/bin/ipykernel_launcher.py", "-f", "x"], "notebook"),
        (["python", "-m", "ipykernel_launcher"], "notebook"),
        (["python"], None),
        (["python", "/a/tool/__main__.py"], "tool"),
    ],
)
def test_names_of_scripts(argv, name):
    assert script_name(argv) == name


def test_a_client_of_another_host_has_no_script():
    class Comm:
        peer_address, local_address = "tcp://10.1.2.3:4", "tcp://10.9.9.9:5"

    assert client_script("Client-29367486-e6c0-11f1-bb63-02fc00000001", Comm()) is None
    assert client_script("odd", Comm()) is None


def test_a_client_that_leaves_takes_its_tasks_along(tmp_path):
    go = tmp_path / "go"
    with observed(tmp_path / "j") as o:
        with Client(o.cluster.scheduler_address, set_as_default=False) as other:
            future = other.submit(t.until, str(go), 1, pure=False)
            o.snapshot(future.key, "RUNNING")
            key = future.key
        event = o.snapshot(key, "CANCELLED", "scheduler", attempt=None)
        assert event["custom"]["reason"]
        go.touch()
        o.snapshot(key, "CANCELLED", "worker")
        deadline = time.monotonic() + 60
        while key in o.cluster.scheduler.tasks and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not o.cluster.scheduler.plugins["mida-scheduler"]._tell.known
