"""What is missing, broken or busy stops nothing else, and is counted and explained."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from support import journals
from support.campaign import Running, script_environment
from support.collector import EXAMPLE, free_port
from support.observed import demo_collector
from support.poll import until

SCRIPTS = Path(__file__).resolve().parent / "scripts"
LOG_LINES = (EXAMPLE / "testdata" / "acquire_sample.log").read_text().splitlines(keepends=True)


def test_second_collector_is_refused(tmp_path):
    """A second collector on one data directory ends with an error that names the first one's process and host."""
    (tmp_path / "second").mkdir()
    with demo_collector(tmp_path) as first:
        second = demo_collector(tmp_path / "second", data=first.data).spawn()
        assert second.wait(30) != 0
        assert str(first.pid) in second.log and socket.gethostname() in second.log, second.tail()
        assert first.ready(), "the first one goes on"
        assert first.client().campaigns() == [], "and still answers with its token"
    second.start()
    assert second.stop() == 0, "once the first one has ended there is room for the second"


def test_busy_port_names_the_key(tmp_path):
    """A busy port is an error that names the key to change."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        collector = demo_collector(tmp_path, env={"MIDA_QUERY_ENDPOINT": f"127.0.0.1:{port}"}).spawn()
        assert collector.wait(30) != 0
    assert "taskquery::endpoint" in collector.log and f"127.0.0.1:{port}" in collector.log, collector.tail()


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        (
            {"receivers": {"dask": {"schedulers": ["127.0.0.1:8786"]}}},
            ("schedulers", "127.0.0.1:8786", "tcp://"),
        ),
        (
            {"receivers": {"mlflow": {"tracking_uri": "mysql://db/x"}}},
            ("tracking_uri", "mysql", "sqlite:///"),
        ),
        ({"receivers": {"tasklog": {"include": []}}}, ("include", "logs/*.log")),
        ({"exporters": {"taskstore": {"store": "mian"}}}, ("mian", "main")),
        ({"extensions": {"taskquery": {"endpoint": "4340"}}}, ("endpoint", "4340", "host:port")),
    ],
)
def test_configuration_errors(tmp_path, overlay, words):
    """A configuration error names the key, the value and what would be valid."""
    collector = demo_collector(tmp_path, overlay).spawn()
    assert collector.wait(30) != 0
    for word in words:
        assert word in collector.log, f"{word!r} is not in\n{collector.tail()}"


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A collector for which most things are wrong."""
    workdir = tmp_path_factory.mktemp("trouble")
    nobody = f"tcp://127.0.0.1:{free_port()}"
    with demo_collector(workdir, {"receivers": {"dask": {"schedulers": [nobody]}}}) as collector:
        collector.nobody = nobody
        yield collector


def tasks(collector, **filter) -> dict:
    return {t["task_id"]: t for t in collector.client().query(filter=filter)}


def test_unknown_scheduler(troubled):
    """A scheduler that does not exist is counted and named, and tried again."""
    until(
        lambda: troubled.metric("dask_attach_failures", reason="unreachable") >= 1,
        60,
        "a counted failure",
    )
    until(lambda: troubled.nobody in troubled.log, 60, "a line that names it")


def test_broken_journals(troubled):
    """Garbage, a torn record and an invalid event are counted; the good events beside them arrive."""
    directory = journals.host_directory(troubled.data / "journal")
    journals._write(directory / "garbage-1.mj", os.urandom(4096))
    journals._write(directory / "garbage-2.jsonl", b"\x00\xff{not json\n{}\n[1, 2]\n")
    torn = [journals.finished("before the tear"), journals.finished("torn", 2)]
    journals.write_binary(directory, "torn", torn, cut=7)
    odd = [
        journals.finished("first"),
        {"event": "mida.task.finished", "time": "yesterday"},
        journals.finished("last", 3),
    ]
    journals.write_text(directory, "odd", odd)

    def arrived() -> bool:
        return {"before the tear", "first", "last"} <= tasks(troubled, kind="script").keys()

    until(arrived, 60, "the good events")
    until(
        lambda: troubled.metric("journal_faults", fault="torn") >= 1,
        60,
        "the torn record is counted",
    )
    until(
        lambda: troubled.metric("journal_faults", fault="invalid") >= 1,
        60,
        "the invalid event is counted",
    )
    # One file refused, one torn record, garbage in the text file, and what is no event in it and in the odd one.
    until(lambda: troubled.metric("journal_faults") >= 7, 60, "all faults are counted")
    assert "torn" not in tasks(troubled, kind="script")
    for name in ("garbage-1.mj", "garbage-2.jsonl"):
        assert name in troubled.log, f"{name} is not explained\n{troubled.tail()}"


def images(collector) -> list[dict]:
    return collector.client().query(filter={"kind": "log", "status": "FINISHED"})


def test_log_that_vanishes(troubled):
    """What was logged stays in the view when the log is removed; another one is read from its beginning."""
    logs = troubled.workdir / "logs"
    logs.mkdir()
    (logs / "acquire.log").write_text("".join(LOG_LINES[:10]))
    until(
        lambda: len(images(troubled)) == 4,
        60,
        "the first four images",
    )
    (logs / "acquire.log").unlink()
    second = LOG_LINES[next(i for i, line in enumerate(LOG_LINES) if "run begin: round 2" in line) :]
    (logs / "another.log").write_text("".join([*second[:5], "nobody has a rule for this\n"]))
    until(lambda: len(images(troubled)) == 5, 60, "the image of the other log")
    assert troubled.running


def test_database_that_appears_later(troubled):
    """A missing database is counted; as soon as there is one its runs are part of the view."""
    until(
        lambda: troubled.metric("mlflow_errors", reason="absent") >= 1,
        60,
        "the missing database is counted",
    )
    command = [sys.executable, SCRIPTS / "mlflow_run.py"]
    env = script_environment(None, MLFLOW_DISABLE_TELEMETRY="true")
    with Running(command, troubled.workdir, env, troubled.workdir / "mlflow.log") as script:
        script.finish(120)
    until(lambda: len(tasks(troubled, kind="mlflow", status="FINISHED")) == 1, 60, "the run")
    (run,) = tasks(troubled, kind="mlflow").values()
    assert run["used"] == {"depth": 3, "rate": 0.5} and run["generated"]["loss"] == 0.125


def test_database_that_is_locked(troubled):
    """A writer that keeps the database to itself delays what it wrote, and nothing else."""
    import sqlite3

    before = troubled.metric("mlflow_errors", reason="locked")
    lock = sqlite3.connect(troubled.workdir / "mlflow.db", isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        until(
            lambda: troubled.metric("mlflow_errors", reason="locked") > before,
            60,
            "the lock is counted",
        )
        directory = journals.host_directory(troubled.data / "journal")
        journals.write_text(directory, "meanwhile", [journals.finished("meanwhile")])
        until(
            lambda: "meanwhile" in tasks(troubled, kind="script"),
            20,
            "an event of another receiver",
        )
        lock.execute("INSERT INTO tags (key, value, run_uuid) SELECT 'checked', 'yes', run_uuid FROM runs")
        lock.execute("COMMIT")
    finally:
        lock.close()
    (run,) = until(
        lambda: tasks(troubled, kind="mlflow", **{"custom.tags.checked": "yes"}).values(),
        60,
        "what was written under the lock",
    )
    assert run["status"] == "FINISHED"


def test_nothing_of_that_stopped_it(troubled):
    """It still runs, it never panicked, and it stops in good order."""
    assert troubled.running and "panic" not in troubled.log
    assert troubled.stop() == 0, troubled.tail()
