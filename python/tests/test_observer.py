"""The journal's writer and the recorder before it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import stat
import struct
import threading
import time

import pytest
from journal_reader import payloads, read_events, segments

from mida import capture, journal
from mida.observer import Recorder

DEFAULTS = {"kind": "test", "scope": "s", "execution": "s", "attributes": {"process.pid": 1}}


def writer(directory, **options):
    return journal.Writer(str(directory), "test.1", DEFAULTS, **options)


def test_a_segment(tmp_path):
    w = writer(tmp_path / "j")
    w.append(w.pack({"event": "mida.task.finished", "time": 1, "used": {"a": 1.5}}))
    w.append(w.pack([{"event": "a", "attributes": {"x": 1}}, {"event": "b"}]))
    (path,) = segments(tmp_path)
    header = next(payloads(path))
    assert header["observer"] == "test.1" and header["segment"] == 1 and header["lock"] is True
    assert header["pid"] == os.getpid() and header["host"] and header["created"] > 1e18
    events = read_events(tmp_path)
    assert [e["event"] for e in events] == ["mida.task.finished", "a", "b"]
    assert events[1]["attributes"] == {"process.pid": 1, "x": 1}
    for directory in (tmp_path / "j", os.path.dirname(path)):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    w.close()


def locked(path):
    """Say whether another process holds the lock; asked from a child, because a lock is the process's own."""

    def ask(queue):
        with open(path, "r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                queue.put(False)
            except OSError:
                queue.put(True)

    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=ask, args=(queue,))
    child.start()
    child.join()
    return queue.get()


def test_the_lock_lives_as_long_as_the_writer(tmp_path):
    w = writer(tmp_path, segment_bytes=1)
    w.append(w.pack({"event": "a"}))
    w.append(w.pack({"event": "b"}))
    one, two = segments(tmp_path)
    assert not locked(one) and locked(two)
    w.close()
    assert not locked(two)


def test_segments_follow_each_other(tmp_path):
    w = writer(tmp_path, segment_bytes=200)
    for i in range(20):
        w.append(w.pack({"event": "a", "seq": i + 1, "text": "x" * 50}))
    w.close()
    assert [next(payloads(p))["segment"] for p in segments(tmp_path)] == list(range(1, len(segments(tmp_path)) + 1))
    assert sorted(e["seq"] for e in read_events(tmp_path)) == list(range(1, 21))


def test_a_full_directory_refuses(tmp_path):
    w = writer(tmp_path, directory_bytes=3000)
    with pytest.raises(journal.JournalFull, match="3000"):
        for _ in range(100):
            w.append(w.pack({"event": "a", "text": "x" * 100}))
    w.append(w.pack({"event": "mida.observer.checkpoint"}), reserve=1 << 16)
    w.close()
    assert read_events(tmp_path)[-1]["event"] == "mida.observer.checkpoint"


def test_a_foreign_or_linked_directory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    w = writer(tmp_path / "link")
    with pytest.raises(OSError, match="symbolic link"):
        w.append(b"x")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="uid"):
        writer(tmp_path / "real").append(b"x")


def test_the_default_directory_is_node_local(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/tmp/t")
    monkeypatch.setenv("SLURM_TMPDIR", "/scratch/job1")
    assert journal.default_directory() == f"/scratch/job1/mida-journal-{os.getuid()}"
    monkeypatch.delenv("SLURM_TMPDIR")
    assert journal.default_directory() == f"/tmp/t/mida-journal-{os.getuid()}"


def recorder(directory, **options):
    policy = capture.Policy(options.pop("capture", None))
    made = Recorder(str(directory), "test", dict(DEFAULTS), policy, **options)
    made.start()
    return made


def put(r, n, **more):
    r.put(lambda: {"event": "mida.task.finished", "time": 1, "key": f"k{n}", "used": {"n": n}, **more}, 100)


def last_checkpoint(directory):
    return [e["record"] for e in read_events(directory) if e["event"] == "mida.observer.checkpoint"][-1]


def test_every_number_is_accounted_for(tmp_path):
    r = recorder(tmp_path)
    for n in range(1000):
        put(r, n)
    r.close()
    events = read_events(tmp_path)
    keys = [e["key"] for e in events if e["event"] == "mida.task.finished"]
    assert keys == [f"k{n}" for n in range(1000)]
    record = last_checkpoint(tmp_path)
    assert record["final"] is True and record["dropped"] == []
    assert sorted(e["seq"] for e in events if "seq" in e) == list(range(1, record["last_seq"] + 1))


def test_an_overflow_is_reported(tmp_path):
    r = recorder(tmp_path, queue_events=10)
    gate = threading.Event()
    r.put(lambda: gate.wait(10) and {"event": "x"}, 0)
    for n in range(5000):
        put(r, n)
    gate.set()
    r.close()
    record = last_checkpoint(tmp_path)
    lost = sum(last - first + 1 for first, last, _ in record["dropped"])
    seen = [e["seq"] for e in read_events(tmp_path) if "seq" in e]
    assert lost > 0 and {reason for _, _, reason in record["dropped"]} == {"queue full"}
    assert len(seen) + lost == record["last_seq"]


def test_a_poisonous_event_costs_only_itself(tmp_path):
    r = recorder(tmp_path)
    put(r, 1)
    put(r, 2, custom={"bad": object()})
    put(r, 3, custom={"text": "a\ud800b"})
    r.put(lambda: 1 / 0, 10)
    put(r, 5)
    r.close()
    events = [e for e in read_events(tmp_path) if e["event"] == "mida.task.finished"]
    assert [e["key"] for e in events] == ["k1", "k3", "k5"]
    assert events[1]["custom"] == {"text": "a\ufffdb"}
    record = last_checkpoint(tmp_path)
    assert len(record["dropped"]) == 2
    assert any("ZeroDivisionError" in name for name in record["errors"])


def test_a_full_journal_is_reported_and_ends(tmp_path):
    r = recorder(tmp_path, journal={"directory_bytes": 4000})
    for n in range(50):
        put(r, n, custom={"text": "x" * 200})
    r.close()
    record = last_checkpoint(tmp_path)
    assert record["final"] and {reason for _, _, reason in record["dropped"]} == {"journal full"}


def test_a_directory_that_cannot_be_written(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    r = recorder(tmp_path / "file" / "below")
    put(r, 1)
    r.close()
    assert any("not recorded" in message for message in caplog.messages)


def test_secrets_and_policy(tmp_path):
    r = recorder(tmp_path, capture={"drop_fields": ["used.n"]})
    put(r, 1, generated={"password": "x", "url": "https://u:p@h/x?sig=abcdef", "tokens": 5, "ok": "fine"})
    r.close()
    (event,) = [e for e in read_events(tmp_path) if e["event"] == "mida.task.finished"]
    assert event["used"] == {}
    assert event["generated"]["password"] == {"$redacted": True}
    assert event["generated"]["url"] == "https://[redacted]@h/x?sig=[redacted]"
    assert event["generated"]["tokens"] == 5 and event["generated"]["ok"] == "fine"
    assert last_checkpoint(tmp_path)["redacted"] == 3


def test_a_policy_covers_all_that_quotes_values(tmp_path):
    r = recorder(tmp_path, capture={"values": "none"})
    more = {
        "generated": {"value": "hidden"},
        "attributes": {
            "exception.message": "bad hidden",
            "exception.stacktrace": "E: bad hidden",
            "error.type": "ValueError",
        },
        "custom": {"annotations": {"sample": "hidden"}, "reason": "x"},
        "record": {"value": "hidden", "type": "str"},
    }
    put(r, 1, **more)
    r.close()
    (event,) = [e for e in read_events(tmp_path) if e["event"] == "mida.task.finished"]
    assert "hidden" not in repr(event)
    assert event["attributes"]["error.type"] == "ValueError" and event["custom"]["reason"] == "x"
    assert event["record"] == {"value": None, "type": "str"}


def test_a_fork_leaves_the_journal_alone(tmp_path):
    r = recorder(tmp_path)
    put(r, 1)
    child = multiprocessing.get_context("fork").Process(target=lambda: (put(r, 99), r.close()))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    put(r, 2)
    r.close()
    assert [e["key"] for e in read_events(tmp_path) if e["event"] == "mida.task.finished"] == ["k1", "k2"]


def test_a_killed_process_loses_at_most_a_moment(tmp_path):
    def run():
        r = recorder(tmp_path)
        for n in range(100):
            put(r, n)
        time.sleep(60)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    deadline = time.monotonic() + 20
    while len([e for e in read_events(tmp_path) if e["event"] == "mida.task.finished"]) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.kill()
    child.join()
    assert not any(locked(p) for p in segments(tmp_path))


def test_a_torn_write_is_taken_back(tmp_path, monkeypatch):
    w = writer(tmp_path)
    w.append(w.pack({"event": "a"}))
    real = os.write
    state = {"calls": 0}

    def failing(file, data):
        state["calls"] += 1
        if state["calls"] == 1:
            return real(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match="space"):
        w.append(w.pack({"event": "b"}))
    monkeypatch.setattr(os, "write", real)
    w.append(w.pack({"event": "c"}))
    w.close()
    assert [e["event"] for e in read_events(tmp_path)] == ["a", "c"]


def test_the_format_is_the_documented_one(tmp_path):
    w = writer(tmp_path)
    w.append(w.pack({"event": "a"}))
    w.close()
    with open(segments(tmp_path)[0], "rb") as file:
        data = file.read()
    assert data.startswith(b"MIDAJRN1")
    length, crc = struct.unpack_from("<II", data, 8)
    import zlib

    assert zlib.crc32(data[16 : 16 + length]) == crc
