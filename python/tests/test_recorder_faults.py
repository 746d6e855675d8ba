"""The recorder where things go wrong: whatever fails, the rest is written and the loss is named."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time

import pytest
from journal_reader import read_events

from mida import capture, environment, journal, observer
from mida.observer import Recorder

DEADLINE = 60


def recorder(directory, defaults=None, **options):
    made = Recorder(str(directory), "test", defaults or {"kind": "test"}, capture.Policy(None), **options)
    made.start()
    return made


def event(n, **more):
    return {"event": "mida.task.finished", "time": 1, "key": f"k{n}", "used": {"n": n}, **more}


def put(r, n, **more):
    r.put(lambda: event(n, **more), 100)


def keys(directory):
    return [e["key"] for e in read_events(directory) if e["event"] == "mida.task.finished"]


def checkpoints(directory):
    return [e for e in read_events(directory) if e["event"] == "mida.observer.checkpoint"]


def last(directory):
    return checkpoints(directory)[-1]["record"]


def until(true):
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_tick_that_fails_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(observer, "CHECKPOINT_SECONDS", 0.0)

    def tick():
        yield lambda: event("tick")
        raise ValueError("tick")

    r = recorder(tmp_path, tick=tick)
    put(r, 1)
    until(lambda: "k1" in keys(tmp_path))
    until(
        lambda: any("tick: ValueError" in name for c in checkpoints(tmp_path) for name in c["record"].get("errors", {}))
    )
    assert not any(c["record"]["final"] for c in checkpoints(tmp_path))
    r.close()
    assert last(tmp_path)["final"] and "ktick" in keys(tmp_path)


def test_a_working_directory_that_utf8_cannot_carry(tmp_path, monkeypatch):
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(odd)
    monkeypatch.chdir(odd)
    r = recorder(tmp_path / "j", {"attributes": {"process.working_directory": os.getcwd()}})
    put(r, 1, used={"path": os.path.join(os.getcwd(), "a.npz")})
    until(lambda: [e for e in read_events(tmp_path / "j") if "environment" in e["event"]])
    r.close()
    events = read_events(tmp_path / "j")
    assert keys(tmp_path / "j") == ["k1"] and last(tmp_path / "j")["dropped"] == []
    assert all(e["attributes"]["process.working_directory"].endswith("/caf\ufffd") for e in events)
    (record,) = [e["record"] for e in events if e["event"] == "mida.environment.observed"]
    assert record["cwd"].endswith("/caf\ufffd")


@pytest.fixture
def no_environment(monkeypatch):
    """No event but those of the test has a number."""
    monkeypatch.setattr(environment.Describer, "ready", lambda self, wait: False)


@pytest.mark.usefixtures("no_environment")
def test_a_journal_that_fails_in_any_way_names_what_is_lost(tmp_path):
    r = recorder(tmp_path, {"bad": object()})
    put(r, 1)
    until(lambda: r._outbox.dropped.ranges)
    del r._writer.defaults["bad"]
    put(r, 2)
    r.close()
    assert keys(tmp_path) == ["k2"]
    assert last(tmp_path)["dropped"] == [[1, 1, "journal: TypeError"]]


class SmallDisk:
    """Room for records below a size, until there is more."""

    def __init__(self, monkeypatch):
        self.full, self.refused, self._begun, self._write = True, 0, False, os.write
        monkeypatch.setattr(journal.os, "write", self.write)

    def write(self, file, data):
        if not self.full or len(data) <= 2000:
            return self._write(file, data)
        self._begun = not self._begun
        if self._begun:
            return self._write(file, data[:100])  # some of it always fits
        self.refused += 1
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("no_environment")
def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(observer, "CHECKPOINT_SECONDS", 0.0)
    r = recorder(tmp_path)
    put(r, 0)
    until(lambda: keys(tmp_path) == ["k0"])
    disk = SmallDisk(monkeypatch)
    for n in range(1, 5000):
        put(r, n, stdout="x" * 3000)
    until(lambda: disk.refused > 2)
    assert any("wait for room" in message for message in caplog.messages)
    assert all(c["record"]["last_seq"] <= 1 for c in checkpoints(tmp_path)), "it says no more than it has written"
    disk.full = False
    until(lambda: len(keys(tmp_path)) == 5000)
    r.close()
    assert keys(tmp_path) == [f"k{n}" for n in range(5000)]
    assert last(tmp_path) == {**last(tmp_path), "dropped": [], "last_seq": 5000, "final": True}


@pytest.mark.usefixtures("no_environment")
def test_what_does_not_fit_on_the_disk_at_the_end_is_named(tmp_path, monkeypatch):
    disk = SmallDisk(monkeypatch)
    r = recorder(tmp_path, queue_events=100)
    put(r, 0, stdout="x" * 3000)
    until(lambda: disk.refused)
    for n in range(1, 111):
        put(r, n, stdout="x" * 3000)
    r.close()
    assert keys(tmp_path) == []
    full = "journal: No space left on device"
    assert last(tmp_path)["dropped"] == [[1, 101, full], [102, 111, "queue full"]]


@pytest.mark.usefixtures("no_environment")
def test_an_event_that_is_too_large_costs_only_itself(tmp_path, monkeypatch):
    for module in (journal, observer):
        monkeypatch.setattr(module, "MAX_RECORD", 20_000)
    r = recorder(tmp_path)
    gate = threading.Event()
    r.put(lambda: gate.wait(DEADLINE) and event(0), 0)
    for n in (1, 2, 3):
        put(r, n, custom={"text": "x" * (30_000 if n == 2 else 10)})
    gate.set()
    r.close()
    assert keys(tmp_path) == ["k0", "k1", "k3"]
    assert last(tmp_path)["dropped"] == [[3, 3, "too large"]]


def test_a_directory_that_is_removed_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(observer, "CHECKPOINT_SECONDS", 3600.0)
    r = recorder(tmp_path / "j")
    put(r, 1)
    until(lambda: {"mida.task.finished", "mida.environment.observed"} <= {e["event"] for e in read_events(tmp_path)})
    # Nothing is written while the directory goes away.
    shutil.rmtree(tmp_path / "j")
    put(r, 2)
    until(lambda: keys(tmp_path) == ["k2"])
    r.close()
    record = last(tmp_path)
    assert record["final"] and record["segments_removed"] == 1 and record["dropped"] == []


def test_no_thread_for_the_environment(tmp_path, monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(environment.Describer, "start", refused)
    r = recorder(tmp_path)
    put(r, 1)
    r.close()
    assert keys(tmp_path) == ["k1"]
    assert last(tmp_path)["final"] and any(n.startswith("environment: Runtime") for n in last(tmp_path)["errors"])


@pytest.mark.parametrize("patience", [0, 0.05, None])
def test_an_environment_that_takes_long_holds_nobody_up(tmp_path, monkeypatch, patience):
    gate = threading.Event()
    monkeypatch.setattr(environment, "describe", lambda: gate.wait(2 * DEADLINE) and {})
    r = recorder(tmp_path)
    put(r, 1, attempt=1)
    # The nanny of a Dask worker kills it 4 s after it was told to stop.
    assert observer.PATIENCE_SECONDS <= 1.0
    r.close(DEADLINE, **({} if patience is None else {"environment": patience}))
    gate.set()
    assert keys(tmp_path) == ["k1"]
    assert last(tmp_path)["final"] and any(n.startswith("environment: Timeout") for n in last(tmp_path)["errors"])


def test_close_from_two_threads_waits_in_both(tmp_path):
    r = recorder(tmp_path)
    gate = threading.Event()
    r.put(lambda: gate.wait(DEADLINE) and event(1), 0)
    threads = [threading.Thread(target=r.close, args=(DEADLINE,)) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join(0.1)
    assert all(thread.is_alive() for thread in threads)
    gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    finals = [c["record"]["final"] for c in checkpoints(tmp_path)]
    assert finals[-1] and finals.count(True) == 1
    r.close()
    assert keys(tmp_path) == ["k1"] and len(checkpoints(tmp_path)) == len(finals)


def test_a_clock_that_is_set_back(tmp_path, monkeypatch):
    monkeypatch.setattr(observer, "CHECKPOINT_SECONDS", 0.0)
    r = recorder(tmp_path)
    until(lambda: checkpoints(tmp_path))
    back = time.time_ns() - 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: back)
    stamps = [r.stamp() for _ in range(3)]
    r.close()
    times = [c["time"] for c in checkpoints(tmp_path)]
    assert times == sorted(set(times)) and min(times) > back
    assert times[-1] > stamps[2] > stamps[1] > stamps[0] > back
    assert last(tmp_path)["final"]


def test_faults_are_counted_even_when_there_are_many_kinds(tmp_path):
    r = recorder(tmp_path)
    for n in range(observer.MAX_ERRORS + 5):
        r.failed(ValueError("x"), f"place {n}")
    assert r.errors["other"] == 5 and sum(r.errors.values()) == observer.MAX_ERRORS + 5
    r.close()
    assert r.errors == last(tmp_path)["errors"]
