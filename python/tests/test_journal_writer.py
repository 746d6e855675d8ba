"""The journal's writer where things go wrong: full disks, removed directories, names that UTF-8 cannot carry."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest
from journal_reader import payloads, read_events, segments

from mida import journal


def writer(directory, defaults=None, **options):
    return journal.Writer(str(directory), "test.1", defaults or {"kind": "test"}, **options)


def append(w, n):
    w.append(w.pack({"event": f"e{n}"}))


def names(directory):
    return [e["event"] for e in read_events(directory)]


def test_a_header_that_utf8_cannot_carry_is_cleaned(tmp_path):
    odd = os.fsdecode(b"/data/caf\xe9")
    w = writer(tmp_path, {"campaign": odd, "attributes": {"process.working_directory": odd, odd: 1}})
    append(w, 1)
    w.close()
    (event,) = read_events(tmp_path)
    assert event["campaign"] == "/data/caf\ufffd"
    assert event["attributes"] == {"process.working_directory": "/data/caf\ufffd", "/data/caf\ufffd": 1}


def test_a_header_that_cannot_be_packed_leaves_no_file(tmp_path):
    w = writer(tmp_path, {"bad": object()})
    with pytest.raises(TypeError):
        append(w, 1)
    assert segments(tmp_path) == []
    del w.defaults["bad"]
    append(w, 2)
    w.close()
    assert names(tmp_path) == ["e2"]


@pytest.mark.parametrize("written", [0, 20], ids=["nothing", "a part"])
def test_a_disk_that_is_full_at_a_new_segment_leaves_no_file_without_header(tmp_path, monkeypatch, written):
    w = writer(tmp_path, segment_bytes=1)
    append(w, 1)
    real, room = os.write, [written] if written else []

    def full(file, data):
        if room:
            return real(file, data[: room.pop()])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="space"):
        append(w, 2)
    monkeypatch.setattr(os, "write", real)
    assert [os.path.basename(p) for p in segments(tmp_path)] == ["test.1-1.mj"]
    append(w, 3)
    w.close()
    # The older segment is never written to again: a reader that saw the newer one took it for ended.
    assert [[p.get("event") for p in payloads(s)] for s in segments(tmp_path)] == [[None, "e1"], [None, "e3"]]
    assert os.path.basename(segments(tmp_path)[-1]) == "test.1-3.mj"


@pytest.mark.parametrize("what", ["segment", "host", "root"])
def test_what_was_removed_is_made_anew(tmp_path, what):
    w = writer(tmp_path / "j")
    append(w, 1)
    if what == "segment":
        os.unlink(w.path)
    else:
        shutil.rmtree(tmp_path / "j" if what == "root" else w.directory)
    append(w, 2)
    append(w, 3)
    assert w.removed == 1 and os.path.basename(w.path) == "test.1-2.mj"
    w.close()
    assert names(tmp_path) == ["e2", "e3"]


def test_what_a_reader_would_not_accept_is_refused(tmp_path, monkeypatch):
    assert journal.MAX_RECORD == 64 << 20  # MaxRecord of internal/journal/format.go
    monkeypatch.setattr(journal, "MAX_RECORD", 1000)
    w = writer(tmp_path)
    w.append(bytes(1000))
    with pytest.raises(journal.RecordTooLarge, match="1001"):
        w.append(bytes(1001))
    w.close()


def test_two_copies_of_the_module_make_different_names():
    """A new collector brings a new copy of the modules into a process that has one already."""
    spec = importlib.util.find_spec("mida.journal")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    made = [module.observer_name("dask-worker") for module in (journal, copy) for _ in range(100)]
    assert len(set(made)) == 200
    assert journal.Writer("/x", made[0], {}).observer == made[0]
